"""Fine-tune: start a short job, watch it, and compare before with after."""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from trainer.settings import MAX_OWN_PICTURES, PLAIN_BACKBONE, Settings

from demo import plots, text, views
from demo.backend import NAME
from demo.comparison import compare_with_start
from demo.gallery import Gallery
from demo.jobs import EARLIER, Jobs, Refused
from demo.models import Models
from demo.store import DONE, Job, create_token
from demo.uploads import read_own_picture
from trainer.checkpoint import load_record, write_file
from trainer.data import count_sample_training
from trainer.picture import PictureError
from trainer.recipe import CLASSES, OPTIMIZERS, TRAINED, Recipe, RecipeError

POLL_S = 1.0
EVALUATED = 1000
"""Images of the validation and the test split a job is measured on, where there are as many."""
FIELDS = (
    "start", "trained", "epochs", "steps", "images", "optimizer", "learning_rate", "momentum",
    "beta2", "weight_decay", "batch_size", "emphasised", "augment", "seed",
)  # fmt: skip
"""The form's fields, in the order of its components."""
TEACHING: dict[str, Any] = {"trained": "last_layer", "epochs": 3, "images": 500}
"""Settings of the preset for pictures of one's own: few other images, so that they count."""


def create_finetune_tab(
    app: gr.Blocks,
    tabs: gr.Tabs,
    tab: gr.Tab,
    owner: gr.BrowserState,
    own_pictures: gr.State,
    jobs: Jobs,
    models: Models,
    gallery: Gallery,
) -> None:
    """Draws the tab.

    Args:
        tabs: all of them, this one with the id `FINETUNE_TAB`; a job's link selects it.
        owner: the visitor's token, kept in their browser. It must stand outside the tabs: what a
            closed tab holds is not there when the page loads.
    """
    shown = gr.State("")  # a job's id, and where a link named it, a dot and its key
    order = gr.State(views.BEST_FIRST)
    timer = gr.Timer(POLL_S, active=False)

    at_hand = count_sample_training()
    if jobs.backend.full_data:
        at_hand = next(iter(models.records.values()))["data"]["train_count"]

    def settings_like(start: str, token: str) -> Settings:
        """What the start was trained with itself."""
        job = jobs.find(start.removeprefix(EARLIER), token)
        if job is not None:
            return dataclasses.replace(Settings.from_dict(job.settings), start=start)
        record = models.records.get(start) or models.records.get("sgd_frozen")
        recipe = None if record is None else Recipe.from_dict(record["recipe"])
        return Settings.like(recipe, start)

    def list_starts(mine: list[Job]) -> list[tuple[str, str]]:
        starts = [*models.records, PLAIN_BACKBONE]
        starts += [f"{EARLIER}{job.id}" for job in mine if job.state == DONE]
        return [(text.start_label(start), start) for start in starts]

    gr.Markdown(text.describe_finetuning(jobs.backend.full_data, at_hand, jobs.backend.place))
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            first = settings_like(next(iter(models.records)), "")
            preset, fields = _create_form(first, list_starts([]))
            pictures = _create_own_pictures(tab, own_pictures)
            estimate = gr.Markdown(elem_classes="q-note", elem_id="estimate")
            start = gr.Button(text.START_JOB, variant="primary", elem_id="start-job")
        with gr.Column(scale=3, min_width=320):
            status = gr.HTML(
                views.draw_message(text.NO_JOB), apply_default_css=False, elem_id="job"
            )
            stop = gr.Button(text.STOP_JOB, interactive=False, elem_id="stop-job")
            with gr.Row():
                loss = _create_plot(text.TRAIN_LOSS, text.STEP)
                accuracy = _create_plot(text.VALIDATION_ACCURACY, text.EPOCH)
    result = gr.HTML(apply_default_css=False, elem_id="job-result")
    with gr.Row():
        command = gr.Textbox(
            label=text.COMMAND, interactive=False, buttons=["copy"], scale=4, elem_id="command"
        )
        with gr.Column(scale=1, min_width=180):
            download = gr.DownloadButton(text.DOWNLOAD, interactive=False)
            card = gr.DownloadButton(text.DOWNLOAD_CARD, interactive=False)
            again = gr.Button(text.AGAIN, interactive=False)
    table = gr.HTML(apply_default_css=False, js_on_load=views.ON_CHOICE, elem_id="jobs")
    watched = [
        status, stop, loss, accuracy, result, command, download, card, again, table, timer,
        fields[0],
    ]  # fmt: skip

    def settings_of(token: str, values: Sequence[Any]) -> Settings:
        given = dict(zip(FIELDS, values, strict=True))
        given["emphasised"] = tuple(given["emphasised"] or ())
        given["steps"] = given["steps"] or None
        image_px = settings_like(given["start"], token).image_px
        return Settings(**given, image_px=image_px, evaluated=EVALUATED)

    def find_shown(token: str, shown: str) -> tuple[Job | None, str]:
        """The job on screen, else the owner's newest; and the secret that opens it."""
        job_id, _, key = shown.partition(".")
        for secret in (token, key):
            job = jobs.find(job_id, secret)
            if job is not None:
                return job, secret
        mine = jobs.of_owner(token) if token else []
        return (mine[0] if mine else None), token

    def draw(token: str, shown: str, order: str) -> list[Any]:
        """Everything that is watched, of the job on screen."""
        mine = jobs.of_owner(token) if token else []
        accuracies = {
            job.id: _read_accuracy(jobs.folder(job)) if job.state == DONE else None for job in mine
        }
        rows = views.draw_jobs(mine, accuracies, order)
        job, _ = find_shown(token, shown)
        if job is None:
            message = views.draw_message(text.NO_JOB)
            nothing = gr.DownloadButton(interactive=False)
            return [
                message, gr.Button(interactive=False), None, None, "", "", nothing, nothing,
                gr.Button(interactive=False), rows, gr.Timer(active=False), gr.skip(),
            ]  # fmt: skip
        events = jobs.events(job)
        done = job.state == DONE
        return [
            views.draw_job(job, events, jobs.position(job)),
            gr.Button(interactive=not job.ended),
            plots.frame_steps(events),
            plots.frame_epochs(events),
            draw_result(job) if done else "",
            jobs.command(job),
            gr.DownloadButton(value=str(_weights(jobs, job)) if done else None, interactive=done),
            gr.DownloadButton(value=_write_card(jobs, job) if done else None, interactive=done),
            gr.Button(interactive=True),
            rows,
            gr.Timer(active=not job.ended),
            gr.Dropdown(choices=list_starts(mine)) if job.ended else gr.skip(),
        ]

    def draw_result(job: Job) -> str:
        comparison = compare_with_start(jobs.folder(job), NAME, models, jobs.start_folder(job))
        difference = ""
        if comparison.before is not None:
            difference = plots.plot_difference(
                comparison.shares(comparison.after).numpy(),
                comparison.shares(comparison.before).numpy(),
            )
        return views.draw_comparison(comparison, difference, gallery.find_image)

    def on_load(token: str, order: str, request: gr.Request) -> list[Any]:
        token = token or create_token()
        link = str(request.query_params.get("job", ""))
        found = jobs.find(*link.split(".", 1)) if "." in link else None
        selected = gr.skip() if found is None else gr.Tabs(selected=text.FINETUNE_TAB)
        return [token, link, selected, *draw(token, link, order)]

    def on_start(
        token: str, order: str, pictures: list[tuple[str, bytes]], *values: Any
    ) -> list[Any]:
        token = token or create_token()
        own: dict[str, list[bytes]] = {}
        for label, content in pictures:
            own.setdefault(label, []).append(content)
        try:
            job = jobs.start(settings_of(token, values), token, own)
        except (Refused, RecipeError, TypeError) as error:
            raise gr.Error(text.describe_refusal(str(error)), print_exception=False) from error
        return [token, job.id, *draw(token, job.id, order)]

    def on_stop(token: str, shown: str, order: str) -> list[Any]:
        job, secret = find_shown(token, shown)
        if job is not None:
            jobs.stop(job.id, secret)
        return draw(token, shown, order)

    def on_choose(token: str, shown: str, order: str, event: gr.EventData) -> list[Any]:
        """A job to show, or a column to sort by."""
        choice = str(getattr(event, "choice", ""))
        if choice in views.ORDERS:
            order = choice
        else:
            shown = choice
        return [shown, order, *draw(token, shown, order)]

    def on_again(token: str, shown: str) -> list[Any]:
        """The form, filled with the settings of the job on screen."""
        job, _ = find_shown(token, shown)
        if job is None:
            return [gr.skip()] * len(FIELDS)
        return _fill(Settings.from_dict(job.settings))

    def on_start_chosen(start: str, token: str) -> list[Any]:
        return _fill(settings_like(start, token))

    def on_preset(chosen: str, start: str, token: str) -> list[Any]:
        """The start's own settings but for what the preset is about."""
        own = settings_like(start, token)
        presets: dict[str, dict[str, Any]] = {
            "unfreeze": {"trained": "all"},
            "rate": {"learning_rate": 10 * own.learning_rate},
            "teach": TEACHING,
        }
        opened = gr.Accordion(open=True) if chosen == "teach" else gr.skip()
        return [opened, *_fill(dataclasses.replace(own, **presets.get(chosen, {})))]

    def on_form(token: str, pictures: list[tuple[str, bytes]], *values: Any) -> str:
        try:
            settings = settings_of(token, values)
        except (RecipeError, TypeError) as error:
            return text.describe_refusal(str(error))
        images = min(settings.images, at_hand) + len(pictures) * settings.own_repeats
        seen = images * settings.epochs
        if settings.steps is not None:
            seen = settings.steps * settings.batch_size
        return text.describe_estimate(seen, jobs.images_per_s(settings.trained))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(jobs.prepare, None, None, **quiet)
    app.load(on_load, [owner, order], [owner, shown, tabs, *watched], **quiet)
    start.click(on_start, [owner, order, own_pictures, *fields], [owner, shown, *watched], **quiet)
    stop.click(on_stop, [owner, shown, order], watched, **quiet)
    again.click(on_again, [owner, shown], fields, **quiet)
    timer.tick(draw, [owner, shown, order], watched, **quiet)
    table.click(on_choose, [owner, shown, order], [shown, order, *watched], **quiet)
    fields[0].input(on_start_chosen, [fields[0], owner], fields, **quiet)
    preset.input(on_preset, [preset, fields[0], owner], [pictures, *fields], **quiet)
    gr.on(
        [tab.select, own_pictures.change, *(field.change for field in fields)],
        on_form,
        [owner, own_pictures, *fields],
        estimate,
        trigger_mode="always_last",
        **quiet,
    )


def _create_form(first: Settings, starts: list[tuple[str, str]]) -> tuple[gr.Radio, list[Any]]:
    """The presets, and the components of `FIELDS` in their order."""
    start = gr.Dropdown(starts, value=first.start, label=text.START_FROM, info=text.START_INFO)
    preset = gr.Radio(
        [(label, name) for name, label in text.PRESETS.items()],
        label=text.PRESET,
        info=text.PRESET_INFO,
        elem_id="preset",
    )
    trained = gr.Radio(
        [(text.TRAINED[name], name) for name in TRAINED],
        value=first.trained,
        label=text.WHAT_IS_TRAINED,
        info=text.TRAINED_INFO,
    )
    with gr.Row():
        epochs = _create_count(first.epochs, text.EPOCHS, text.EPOCHS_INFO)
        steps = _create_count(0, text.STEPS, text.STEPS_INFO)
        images = _create_count(first.images, text.IMAGES, text.IMAGES_INFO)
    with gr.Accordion(text.MORE_SETTINGS, open=False):
        optimizer = gr.Radio(
            [(text.OPTIMIZERS[name], name) for name in OPTIMIZERS],
            value=first.optimizer,
            label=text.OPTIMIZER,
            info=text.OPTIMIZER_INFO,
        )
        rates = [
            gr.Number(value, label=label, info=info)
            for value, label, info in (
                (first.learning_rate, text.LEARNING_RATE, text.LEARNING_RATE_INFO),
                (first.momentum, text.MOMENTUM, text.MOMENTUM_INFO),
                (first.beta2, text.BETA2, text.BETA2_INFO),
                (first.weight_decay, text.WEIGHT_DECAY, text.WEIGHT_DECAY_INFO),
            )
        ]
        batch_size = _create_count(first.batch_size, text.BATCH, text.BATCH_INFO)
        emphasised = gr.CheckboxGroup(
            list(CLASSES), label=text.EMPHASISED, info=text.EMPHASISED_INFO
        )
        augment = gr.Checkbox(False, label=text.AUGMENT, info=text.AUGMENT_INFO)
        seed = _create_count(first.seed, text.SEED, text.SEED_INFO)
    return preset, [
        start, trained, epochs, steps, images, optimizer, *rates, batch_size, emphasised, augment,
        seed,
    ]  # fmt: skip


def _create_count(value: int | None, label: str, info: str) -> gr.Number:
    return gr.Number(value, precision=0, minimum=0, label=label, info=info, min_width=100)


def _create_own_pictures(tab: gr.Tab, own_pictures: gr.State) -> gr.Accordion:
    """Where visitors add pictures of their own to `own_pictures`."""
    accordion = gr.Accordion(text.OWN_PICTURES, open=False)
    with accordion:
        files = gr.File(file_count="multiple", file_types=["image"], label=text.OWN_FILES)
        label = gr.Dropdown(list(CLASSES), label=text.OWN_CLASS)
        with gr.Row():
            add = gr.Button(text.OWN_ADD)
            clear = gr.Button(text.OWN_CLEAR)
        drawn = gr.HTML(
            views.draw_own_pictures([]), apply_default_css=False, elem_id="own-pictures"
        )

    def on_add(
        uploaded: list[dict[str, Any]] | None, label: str, pictures: list[tuple[str, bytes]]
    ) -> list[Any]:
        if len(pictures) + len(uploaded or []) > MAX_OWN_PICTURES:
            raise gr.Error(text.TOO_MANY_OWN, print_exception=False)
        if label not in CLASSES:
            raise gr.Error(text.NO_SUCH_CLASS, print_exception=False)
        try:
            folder = Path(get_upload_folder())
            added = [(label, read_own_picture(file, folder)) for file in uploaded or []]
        except PictureError as error:
            raise gr.Error(str(error), print_exception=False) from error
        pictures = [*pictures, *added]
        return [pictures, views.draw_own_pictures(pictures), None]

    def on_clear() -> list[Any]:
        return [[], views.draw_own_pictures([])]

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    add.click(
        on_add,
        [files, label, own_pictures],
        [own_pictures, drawn, files],
        preprocess=False,
        **quiet,
    )
    clear.click(on_clear, None, [own_pictures, drawn], **quiet)
    tab.select(views.draw_own_pictures, own_pictures, drawn, **quiet)
    return accordion


def _create_plot(title: str, x: str) -> gr.LinePlot:
    return gr.LinePlot(
        x=x, y=plots.VALUE, title=title, y_title=title, height=240, min_width=240, show_label=False
    )


def _fill(settings: Settings) -> list[Any]:
    """The values of `FIELDS`; no steps are 0."""
    values = {name: getattr(settings, name) for name in FIELDS}
    values |= {"steps": settings.steps or 0, "emphasised": list(settings.emphasised)}
    return list(values.values())


def _weights(jobs: Jobs, job: Job) -> Path:
    return jobs.folder(job) / f"{NAME}.safetensors"


def _write_card(jobs: Jobs, job: Job) -> str:
    """The path of the job's model card, written on the first call."""
    path = jobs.folder(job) / "README.md"
    if not path.exists():
        card = text.describe_model_card(load_record(jobs.folder(job), NAME))
        write_file(path, card.encode())
    return str(path)


@functools.lru_cache(maxsize=1024)
def _read_accuracy(folder: Path) -> float:
    """Of a finished job's model on the test images."""
    accuracy: float = load_record(folder, NAME)["test"]["accuracy"]
    return accuracy
