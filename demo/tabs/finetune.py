"""Fine-tune: start a short job, watch it, and compare before with after."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from demo import plots, text, views
from demo.comparison import compare_with_start
from demo.gallery import Gallery
from demo.jobs import NAME, Jobs, Refused
from demo.models import Models
from demo.store import DONE, Job, create_token
from demo.uploads import read_own_picture
from trainer.checkpoint import load_record, write_file
from trainer.events import EpochFinished, Event, RunFinished, StepSummary
from trainer.picture import PictureError
from trainer.recipe import CLASSES, OPTIMIZERS, TRAINED, RecipeError
from trainer.settings import MAX_OWN_PICTURES, PLAIN_BACKBONE, Settings, default_settings

POLL_S = 1.0
EVALUATED = 1000
"""Images of the validation and the test split a job is measured on, where there are as many."""
FIELDS = (
    "start", "trained", "optimizer", "learning_rate", "momentum", "weight_decay", "epochs",
    "images", "batch_size", "emphasised", "augment", "seed",
)  # fmt: skip
"""The form's fields, in the order of its components."""


def create_finetune_tab(
    app: gr.Blocks,
    tab: gr.Tab,
    owner: gr.BrowserState,
    own_pictures: gr.State,
    jobs: Jobs,
    models: Models,
    gallery: Gallery,
) -> None:
    """Draws the tab.

    Args:
        owner: the visitor's token, kept in their browser. It must stand outside the tabs: what a
            closed tab holds is not there when the page loads.
    """
    shown = gr.State("")
    timer = gr.Timer(POLL_S, active=False)

    gr.Markdown(text.describe_finetuning(jobs.full_data))
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            fields = _create_form(list(models.records))
            _create_own_pictures(tab, own_pictures)
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
    ]  # fmt: skip

    def settings_of(values: tuple[Any, ...]) -> Settings:
        given = dict(zip(FIELDS, values, strict=True))
        given["emphasised"] = tuple(given["emphasised"] or ())
        return Settings(**given, evaluated=EVALUATED)

    def choose(mine: list[Job], job_id: str) -> Job | None:
        """The job of that id, else the newest."""
        return next((job for job in mine if job.id == job_id), mine[0] if mine else None)

    def draw(token: str, job_id: str) -> list[Any]:
        """Everything that is watched, of the owner's job of that id."""
        mine = jobs.of_owner(token) if token else []
        said = {job.id: jobs.events(job) for job in mine}
        job = choose(mine, job_id)
        rows = views.draw_jobs(mine, {key: _find_accuracy(events) for key, events in said.items()})
        if job is None:
            message = views.draw_message(text.NO_JOB)
            nothing = gr.DownloadButton(interactive=False)
            return [
                message, gr.Button(interactive=False), None, None, "", "", nothing, nothing,
                gr.Button(interactive=False), rows, gr.Timer(active=False),
            ]  # fmt: skip
        events = said[job.id]
        done = job.state == DONE
        return [
            views.draw_job(job, events, jobs.position(job)),
            gr.Button(interactive=not job.ended),
            plots.frame_steps([e for e in events if isinstance(e, StepSummary)]),
            plots.frame_epochs([e for e in events if isinstance(e, EpochFinished)]),
            draw_result(job) if done else "",
            jobs.command(job),
            gr.DownloadButton(value=str(_weights(jobs, job)) if done else None, interactive=done),
            gr.DownloadButton(value=_write_card(jobs, job) if done else None, interactive=done),
            gr.Button(interactive=True),
            rows,
            gr.Timer(active=not job.ended),
        ]

    def draw_result(job: Job) -> str:
        comparison = compare_with_start(jobs.folder(job), NAME, models)
        difference = ""
        if comparison.before is not None:
            difference = plots.plot_difference(
                comparison.shares(comparison.after).numpy(),
                comparison.shares(comparison.before).numpy(),
            )
        return views.draw_comparison(comparison, difference, gallery.find_image)

    def on_load(token: str) -> list[Any]:
        token = token or create_token()
        return [token, *draw(token, "")]

    def on_start(token: str, pictures: list[tuple[str, bytes]], *values: Any) -> list[Any]:
        token = token or create_token()
        own: dict[str, list[bytes]] = {}
        for label, content in pictures:
            own.setdefault(label, []).append(content)
        try:
            job = jobs.start(settings_of(values), token, own)
        except (Refused, RecipeError, TypeError) as error:
            raise gr.Error(text.describe_refusal(str(error)), print_exception=False) from error
        return [token, job.id, *draw(token, job.id)]

    def on_stop(token: str, job_id: str) -> list[Any]:
        mine = [job for job in jobs.of_owner(token) if not job.ended]
        chosen = [job for job in mine if job.id == job_id] or mine
        if chosen:
            jobs.stop(chosen[0].id, token)
        return draw(token, job_id)

    def on_choose(token: str, event: gr.EventData) -> list[Any]:
        job_id = str(getattr(event, "choice", ""))
        return [job_id, *draw(token, job_id)]

    def on_again(token: str, job_id: str) -> list[Any]:
        """The form, filled with the settings of the job on screen."""
        job = choose(jobs.of_owner(token), job_id)
        return [gr.skip()] * len(FIELDS) if job is None else [job.settings[f] for f in FIELDS]

    def on_form(*values: Any) -> str:
        try:
            settings = settings_of(values)
        except (RecipeError, TypeError) as error:
            return text.describe_refusal(str(error))
        rate = jobs.images_per_s(settings.trained)
        return text.describe_estimate(settings.images, settings.epochs, rate)

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(jobs.prepare, None, None, **quiet)
    app.load(on_load, owner, [owner, *watched], **quiet)
    start.click(on_start, [owner, own_pictures, *fields], [owner, shown, *watched], **quiet)
    stop.click(on_stop, [owner, shown], watched, **quiet)
    again.click(on_again, [owner, shown], fields, **quiet)
    timer.tick(draw, [owner, shown], watched, **quiet)
    table.click(on_choose, owner, [shown, *watched], **quiet)
    gr.on([field.change for field in fields], on_form, fields, estimate, **quiet)


def _create_form(names: list[str]) -> list[Any]:
    """The components of `FIELDS`, in their order."""
    first = default_settings(names[0])
    starts = [(text.LABELS[name], name) for name in names] + [(text.PLAIN, PLAIN_BACKBONE)]
    start = gr.Dropdown(starts, value=names[0], label=text.START_FROM)
    preset = gr.Radio(list(text.PRESETS), label=text.PRESET, elem_id="preset")
    trained = gr.Radio(
        [(text.TRAINED[name], name) for name in TRAINED],
        value="last_layer",
        label=text.WHAT_IS_TRAINED,
    )
    with gr.Row():
        epochs = gr.Number(1, precision=0, minimum=1, label=text.EPOCHS, info=text.EPOCHS_INFO)
        images = gr.Number(2000, precision=0, minimum=0, label=text.IMAGES, info=text.IMAGES_INFO)
    with gr.Accordion(text.MORE_SETTINGS, open=False):
        optimizer = gr.Radio(
            [(text.OPTIMIZERS[name], name) for name in OPTIMIZERS],
            value=first.optimizer,
            label=text.OPTIMIZER,
        )
        learning_rate = gr.Number(
            first.learning_rate, label=text.LEARNING_RATE, info=text.LEARNING_RATE_INFO
        )
        momentum = gr.Number(first.momentum, label=text.MOMENTUM, info=text.MOMENTUM_INFO)
        weight_decay = gr.Number(
            first.weight_decay, label=text.WEIGHT_DECAY, info=text.WEIGHT_DECAY_INFO
        )
        batch_size = gr.Number(
            first.batch_size, precision=0, label=text.BATCH, info=text.BATCH_INFO
        )
        emphasised = gr.CheckboxGroup(list(CLASSES), label=text.EMPHASISED)
        augment = gr.Checkbox(False, label=text.AUGMENT, info=text.AUGMENT_INFO)
        seed = gr.Number(0, precision=0, label=text.SEED, info=text.SEED_INFO)

    def on_start_chosen(name: str) -> list[Any]:
        """The chosen recipe's own settings."""
        own = default_settings(name)
        values = (own.optimizer, own.learning_rate, own.momentum, own.weight_decay, own.batch_size)
        return [*values, "last_layer"]

    def on_preset(chosen: str, name: str) -> list[Any]:
        own = default_settings(name)
        rate = own.learning_rate * (10 if chosen == text.PRESETS[2] else 1)
        return ["all" if chosen == text.PRESETS[1] else own.trained, rate, 1]

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    start.input(
        on_start_chosen,
        start,
        [optimizer, learning_rate, momentum, weight_decay, batch_size, trained],
        **quiet,
    )
    preset.input(on_preset, [preset, start], [trained, learning_rate, epochs], **quiet)
    return [
        start, trained, optimizer, learning_rate, momentum, weight_decay, epochs, images,
        batch_size, emphasised, augment, seed,
    ]  # fmt: skip


def _create_own_pictures(tab: gr.Tab, own_pictures: gr.State) -> None:
    """Where visitors add pictures of their own to `own_pictures`."""
    with gr.Accordion(text.OWN_PICTURES, open=False):
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


def _create_plot(title: str, x: str) -> gr.LinePlot:
    return gr.LinePlot(
        x=x, y=plots.VALUE, title=title, y_title=title, height=240, min_width=240, show_label=False
    )


def _weights(jobs: Jobs, job: Job) -> Path:
    return jobs.folder(job) / f"{NAME}.safetensors"


def _write_card(jobs: Jobs, job: Job) -> str:
    """The path of the job's model card, written on the first call."""
    path = jobs.folder(job) / "README.md"
    if not path.exists():
        card = text.describe_model_card(load_record(jobs.folder(job), NAME))
        write_file(path, card.encode())
    return str(path)


def _find_accuracy(events: list[Event]) -> float | None:
    finished = [event for event in events if isinstance(event, RunFinished)]
    return finished[-1].test_accuracy if finished else None
