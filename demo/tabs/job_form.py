"""What a job is to be: the form, how long it would take, and Start."""

import contextlib
import secrets

import gradio as gr
from gradio.blocks import Block

from demo.faults import explain
from demo.jobs.backend import Payer
from demo.jobs.estimate import Estimate
from demo.jobs.refusal import Refused
from demo.jobs.zero import declare_seconds
from demo.tabs.changes import Part, Shown, Values
from demo.tabs.form import Form
from demo.tabs.shared import AT_ONCE, QUIET, Shared, create_html
from demo.tabs.starts import Starts, write_fill, write_go_on
from demo.tabs.visitor import Visitor
from demo.templates import render
from demo.words import account as account_words
from demo.words import finetune as words
from demo.words.teach import describe_part
from trainer.data import count_sample_training
from trainer.errors import QuartetError
from trainer.recipe import JobSettings

NOT_ON_FORM = ("start", "image_px", "own_repeats", "evaluated")
"""Settings that follow from the start or are the same for all; the start has its own place."""


NOBODY = Visitor("")


class JobForm:
    """Draws itself in three pieces, and says what is wrong with what it holds.

    Only `on_form` says so, and its calls come in order: an answer to Start that drew it could come
    after the visitor had mended the field. `refuse` has it called again.
    """

    def __init__(self, shared: Shared, ids: gr.JSON) -> None:
        """Draws nothing yet.

        Args:
            ids: holds those of the visitor's pictures, which take part in what is started.
        """
        self._shared, self._jobs, self._owner = shared, shared.jobs, shared.owner
        self.ids = ids
        self.starts = Starts(shared.models, shared.jobs)
        self.at_hand = count_sample_training()
        """Training images that there are to draw from."""
        if self._jobs.backend.full_data:
            self.at_hand = next(iter(shared.models.records.values())).data.train_count
        self.first = self.starts.own_settings(next(iter(shared.models.records)), NOBODY)
        """What it shows before anyone touches it."""
        self._settings = Form(self.first, {"start": self.starts.list_choices([])}, words.INFOS)
        self.controls = self._settings.controls

    def draw_first(self) -> None:
        """What decides most, as wide as the page."""
        self.fills = gr.JSON(
            self.starts.list_fills([], NOBODY), visible="hidden", elem_id="form-fills"
        )
        with gr.Row(elem_id="form-first"):
            for name, scale, min_width in (
                ("start", 4, 240), ("trained", 5, 300), ("optimizer", 3, 220),
                ("learning_rate", 2, 140),
            ):  # fmt: skip
                with gr.Column(scale=scale, min_width=min_width):
                    self._settings.add(name)

    def draw_rest(self) -> None:
        """All else that is chosen."""
        with gr.Row():
            self._settings.add("epochs", "steps", "images")
        with gr.Accordion(words.MORE_SETTINGS, open=False):
            self._settings.add_others(but=NOT_ON_FORM)
        with gr.Row(elem_id="own-part"):
            self.own = create_html(draw_own(0), elem_id="own-pictures")
            self.teach = gr.Button(words.OPEN_TEACH, size="sm", elem_id="open-teach")
        self.gpu = gr.Checkbox(
            False,
            label=words.USE_GPU,
            info=words.USE_GPU_INFO,
            visible=self._jobs.backend.offers_gpu,
            elem_id="use-gpu",
        )
        self.pay = gr.Checkbox(
            False,
            label=account_words.PAY,
            info=account_words.PAY_INFO,
            visible=False,
            elem_id="pay",
        )

    def draw_start(self) -> None:
        """How long it would take, or what is wrong, and Start."""
        self.fitting = gr.Number(0, visible="hidden", elem_id="fitting")
        self.refused = gr.Number(0, visible="hidden", elem_id="refused")
        with gr.Row(elem_id="start-row"):
            with gr.Column(scale=3, min_width=240):
                self.estimate = create_html(elem_id="estimate")
                self.fit = gr.Button(visible=False, elem_id="fit")
            with gr.Column(scale=1, min_width=120):
                self.start = gr.Button(words.START_JOB, variant="primary", elem_id="start-job")

    @property
    def fields(self) -> set[Block]:
        """All that a job is made of."""
        return {*self.controls.values(), self.gpu, self.pay, self.ids}

    def wire(self, tab: gr.Tab, shown: Block, go_on: gr.Button) -> None:
        """Connects the form's own events. Filling it happens in the browser alone, at once: an
        answer from here could come after something was typed, or after Start.

        Args:
            shown: holds the job on screen.
            go_on: makes that job the start.
        """
        controls = dict(self.controls)
        start = controls.pop("start")
        names, fields = list(controls), list(controls.values())
        start.input(None, [start, self.fills, *fields], fields, js=write_fill(names), **QUIET)
        go_on.click(
            None,
            [shown, self.fills, start, *fields],
            [start, *fields],
            js=write_go_on(names),
            **QUIET,
        )
        self.fit.click(
            None, [self.fitting], [controls["images"]], js="(fitting) => fitting", **QUIET
        )
        gr.on(
            [
                tab.select,
                self.ids.change,
                self.gpu.change,
                self.pay.change,
                self.fills.change,  # a job has ended: its time is known
                self.refused.change,
                *(control.change for control in (start, *fields)),
            ],
            self.on_form,
            self.fields | {self._owner},
            [self.own, self.estimate, self.fit, self.fitting],
            trigger_mode="always_last",
            preprocess=False,
            concurrency_limit=AT_ONCE,
            **QUIET,
        )

    def on_form(self, values: Values, request: gr.Request | None = None) -> Shown:
        """How long the job would take, what it would cost, or what is wrong with it."""
        visitor = self._shared.read_visitor(values, request)
        return {self.own: draw_own(len(self.read_ids(values))), **self._judge(values, visitor)}

    def _judge(self, values: Values, visitor: Visitor) -> Shown:
        hidden = gr.Button(visible=False)
        try:
            settings = self.read_settings(values, visitor)
            payer = self.read_payer(values, visitor)
        except QuartetError as error:
            return {self.estimate: draw_error(error), self.fit: hidden}
        estimate = self._estimate(values, settings)
        said = words.describe_estimate(estimate.seen, estimate.seconds)
        gpu_s = self.declare_gpu(values, settings)
        if gpu_s is not None:
            said = f"{said} {words.describe_gpu(gpu_s)}"
        if payer is not None:
            with contextlib.suppress(OSError):  # it is not known at the moment
                usd = self._jobs.backend.usd_a_second * self._jobs.limits.wall_s
                said = f"{said} {account_words.describe_price(usd)}"
        if estimate.fits or gpu_s is not None:
            return {self.estimate: draw_estimate(said), self.fit: hidden}
        fitting = estimate.fitting_images
        said += f" {words.describe_too_long(self._jobs.limits.wall_s, fitting)}"
        button = hidden
        if fitting is not None:
            button = gr.Button(words.fit_label(fitting), visible=True)
        return {
            self.estimate: draw_estimate(said, wrong=True),
            self.fit: button,
            self.fitting: fitting or 0,
        }

    def refuse(self) -> Shown:
        """Has the form say what is wrong with what it holds by then."""
        return {self.refused: secrets.randbits(32)}

    def list_paying_parts(self, visitor: Visitor) -> list[Part]:
        """Whether the visitor is asked who pays; nothing where nobody can sign in."""
        if self._shared.accounts is None:
            return []
        can = self._can_pay(visitor)
        return [Part(self.pay, can, lambda: draw_paying(can))]

    def read_payer(self, values: Values, visitor: Visitor) -> Payer | None:
        """The visitor, where they pay.

        Raises:
            Refused: they are to pay, and are not signed in.
        """
        if values[self.pay] is not True:
            return None
        if visitor.account is None or not self._can_pay(visitor):
            raise Refused("payer_gone")
        return Payer(visitor.account.name, visitor.account.token)

    def _can_pay(self, visitor: Visitor) -> bool:
        account = visitor.account
        return bool(account and account.pays and self._jobs.backend.takes_payers)

    def read_settings(self, values: Values, visitor: Visitor) -> JobSettings:
        """What the form shows.

        Raises:
            QuartetError: something of it is wrong.
        """
        given = self._settings.read(values)
        settings = self.starts.own_settings(str(given["start"] or ""), visitor).changed(**given)
        self._jobs.check(settings, visitor.token, len(self.read_ids(values)), visitor.owner)
        return settings

    def read_ids(self, values: Values) -> list[str]:
        """Of the pictures that the page shows."""
        ids = values[self.ids]
        return [str(one) for one in ids] if isinstance(ids, list) else []

    def declare_gpu(self, values: Values, settings: JobSettings) -> float | None:
        """For how long a GPU is asked for, where it is."""
        if values[self.gpu] is not True or not self._jobs.backend.offers_gpu:
            return None
        return declare_seconds(self._estimate(values, settings).seconds)

    def _estimate(self, values: Values, settings: JobSettings) -> Estimate:
        """How long the job on the form would take, where it is to run."""
        pictures = len(self.read_ids(values))
        return self._jobs.estimate(settings, self.at_hand, pictures, values[self.gpu] is True)


def draw_own(pictures: int) -> str:
    """How many of the visitor's pictures take part."""
    return render("note.html", said=describe_part(pictures))


def draw_paying(can: bool) -> gr.Checkbox:
    """The box that says who pays; where it cannot be seen it is not ticked."""
    return gr.Checkbox(visible=True) if can else gr.Checkbox(False, visible=False)


def draw_estimate(said: str, wrong: bool = False, setting: str = "") -> str:
    """The sentence beside Start.

    Args:
        setting: the one that is wrong; its field is marked.
    """
    return render("estimate.html", said=said, wrong=wrong, setting=setting)


def draw_error(error: QuartetError) -> str:
    """Why nothing can start with what the form holds."""
    setting = error.facts.get("setting", "")
    known = setting if setting in JobSettings.model_fields else ""
    return draw_estimate(explain(error), wrong=True, setting=known)
