"""Lessons: a question, a guess, two short jobs or what was recorded of them, and why."""

import functools
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from demo.faults import explain
from demo.jobs.progress import Progress
from demo.jobs.store import Job
from demo.lessons.figures import RunFigures, Runs, list_accuracy, read_figures
from demo.lessons.recorded import load_recorded
from demo.lessons.running import (
    Picture,
    find_runs,
    list_mistaken,
    plan_runs,
    start_runs,
)
from demo.lessons.table import LESSONS, Lesson
from demo.links import LESSON, find_tab, read_link
from demo.tabs.changes import Part, Shown, Values, collect_changes
from demo.tabs.job_curves import create_plot
from demo.tabs.lesson_drawing import (
    draw_picks,
    draw_result,
    draw_said,
    draw_states,
    frame_runs,
    list_colours,
    list_guesses,
)
from demo.tabs.shared import AT_ONCE, ON_CHOICE, QUIET, Shared, create_html, keep_link, read_choice
from demo.tabs.visitor import Visitor
from demo.templates import embed, render
from demo.uploads import encode_pixels
from demo.words import finetune as job_words
from demo.words import lessons as words
from demo.words.common import EPOCH, LESSONS_TAB, TRAIN_LOSS
from trainer.errors import CheckpointError, QuartetError
from trainer.recipe import BACKBONE_OF
from trainer.wording import article

WATCHED_S = 1.0
"""Between two looks at runs that go on."""
SEEDS = range(100, 1000)
"""A visitor's own runs are drawn from these: none is a recorded one."""


class LessonsTab:
    """The tab. Which runs it shows follows from the lesson and from the visitor's jobs, so that a
    page that is opened again finds them; the page itself holds the lesson (`chosen`), whether it
    shows what was recorded (`kept`), what was refused (`said`), and what it was sent (`sent`)."""

    def __init__(self, shared: Shared, tab: gr.Tab) -> None:
        self._shared, self._jobs, self._owner = shared, shared.jobs, shared.owner
        self.recipes = {name: one.recipe for name, one in shared.models.records.items()}
        start = shared.models.records.get(BACKBONE_OF)
        self._recorded = load_recorded(start.weights_sha256) if start else None
        self._draw()
        self._wire(tab)

    def _draw(self) -> None:
        first = next(iter(LESSONS.values()))
        self.chosen = gr.Textbox(first.name, visible="hidden", elem_id="lesson-chosen")
        self.kept = gr.Textbox("", visible="hidden", elem_id="lesson-kept")
        self.link = gr.JSON({}, visible="hidden", elem_id="lesson-link")
        self.sent = gr.JSON({}, visible="hidden", elem_id="lesson-sent")
        gr.Markdown(words.INTRODUCTION)
        self.picks = create_html(draw_picks(first), js_on_load=ON_CHOICE, elem_id="lesson-picks")
        with gr.Row():
            with gr.Column(scale=3, min_width=320):
                self.question = create_html(
                    self._draw_question(first, ""), elem_id="lesson-question"
                )
                self.guess = gr.Radio(
                    list_guesses(first), label=words.GUESS, elem_id="lesson-guess"
                )
                with gr.Row():
                    self.run = gr.Button(words.RUN, variant="primary", elem_id="lesson-run")
                    self.show = gr.Button(
                        words.SHOW, visible=self._recorded is not None, elem_id="lesson-show"
                    )
                self.said = create_html(elem_id="lesson-said")
                self.result = create_html(elem_id="lesson-result")
            with gr.Column(scale=3, min_width=320, visible=False) as self.seen:
                self.states = create_html(elem_id="lesson-states")
                colours = list_colours()
                self.accuracy = create_plot(
                    job_words.VALIDATION_ACCURACY, EPOCH, words.CURVE, colours, "lesson-accuracy"
                )
                self.loss = create_plot(
                    TRAIN_LOSS, job_words.STEP, words.CURVE, colours, "lesson-loss"
                )
        self.timer = gr.Timer(WATCHED_S, active=False)

    def _wire(self, tab: gr.Tab) -> None:
        raw: dict[str, Any] = {"preprocess": False, "concurrency_limit": AT_ONCE, **QUIET}
        held: set[Block] = {self._owner, self.chosen, self.kept, self.guess, self.sent}
        drawn = [
            self.picks, self.question, self.guess, self.said, self.result, self.seen, self.states,
            self.accuracy, self.loss, self.timer, self.link, self.chosen, self.kept, self.sent,
            self.run,
        ]  # fmt: skip
        keep_link(LESSONS_TAB, self.link)
        tab.select(self._jobs.prepare, None, None, **QUIET)
        tab.select(self.on_look, held, drawn, **raw)
        self.timer.tick(self.on_look, held, drawn, **raw)
        self.guess.input(self.on_look, held, drawn, **raw)
        self.picks.click(self.on_choose, held, drawn, **raw)
        self.run.click(self.on_run, held, [*drawn, self._owner], **raw)
        self.show.click(self.on_show, held, drawn, **raw)
        self._shared.blocks.load(self.on_load, held, [*drawn, self._shared.tabs], **raw)

    def on_load(self, values: Values, request: gr.Request) -> Shown:
        """A page is opened, perhaps by a link to a lesson."""
        link = read_link(dict(request.query_params))
        if find_tab(link) != LESSONS_TAB:
            return {self.link: gr.skip()}
        chosen = link.get(LESSON, "")
        return {
            **self._look(values, self._read(values, request), chosen=chosen),
            self._shared.tabs: gr.Tabs(selected=LESSONS_TAB),
        }

    def on_look(self, values: Values, request: gr.Request | None = None) -> Shown:
        """What the page does not show yet."""
        return self._look(values, self._read(values, request))

    def on_choose(
        self, values: Values, event: gr.EventData, request: gr.Request | None = None
    ) -> Shown:
        """Another lesson."""
        visitor, chosen = self._read(values, request), read_choice(event)
        return self._look({**values, self.guess: None}, visitor, chosen=chosen, kept="")

    def on_show(self, values: Values, request: gr.Request | None = None) -> Shown:
        """What was recorded, once a guess is made."""
        visitor = self._read(values, request)
        if not self._read_guess(values):
            return self._look(values, visitor, said=words.GUESS_FIRST)
        return self._look(values, visitor, kept=self._read_lesson(values).name)

    def on_run(self, values: Values, request: gr.Request | None = None) -> Shown:
        """Starts the lesson's runs, once a guess is made; where there is no room for them, shows
        what was recorded and says why."""
        visitor = self._read(values, request)
        if not self._read_guess(values):
            return self._look(values, visitor, said=words.GUESS_FIRST)
        visitor = visitor.with_token()
        token, lesson = visitor.token, self._read_lesson(values)
        try:
            pictures = self._find_pictures(lesson, token)
            mine = self._jobs.of_owner(*visitor.secrets)
            wanted = plan_runs(lesson, self.recipes, mine, random.choice(SEEDS))
            start_runs(self._jobs, wanted, token, pictures, visitor.sender, visitor.owner)
        except QuartetError as error:
            kept = lesson.name if self._recorded else ""
            looked = self._look(values, visitor, kept=kept, said=explain(error))
            return {self._owner: token, **looked}
        return {self._owner: token, **self._look(values, visitor, kept="")}

    def _read(self, values: Values, request: gr.Request | None) -> Visitor:
        return self._shared.read_visitor(values, request)

    def _look(self, values: Values, visitor: Visitor, **changed: str) -> Shown:
        """What the page does not show yet.

        Args:
            changed: `chosen` and `kept`, where they are others than the page holds; `said`, what
                the visitor must be told, nothing where it is not given.
        """
        lesson = LESSONS.get(changed.get("chosen", "")) or self._read_lesson(values)
        kept = changed.get("kept", str(values[self.kept] or "")) == lesson.name
        mine = self._jobs.of_owner(*visitor.secrets)
        guess = self._read_guess(values) if lesson.name == values[self.chosen] else ""
        parts = self._list_parts(lesson, mine, kept, guess, visitor.token)
        if lesson.name != values[self.chosen]:
            parts.append(
                Part(self.guess, lesson.name, lambda: gr.Radio(list_guesses(lesson), value=None))
            )
        said = changed.get("said", "")
        parts.append(Part(self.said, said, lambda: draw_said(said)))
        answer, marks = collect_changes(parts, values[self.sent])
        held = {self.chosen: lesson.name, self.kept: lesson.name if kept else ""}
        answer |= {field: value for field, value in held.items() if values[field] != value}
        return {**answer, self.sent: marks}

    def _list_parts(
        self, lesson: Lesson, mine: Sequence[Job], kept: bool, guess: str, token: str
    ) -> list[Part]:
        """All that the tab shows.

        Args:
            mine: the visitor's jobs, newest first.
            kept: what was recorded is shown, not what ran.
            guess: what was guessed, or nothing.
        """
        found = {} if kept else find_runs(lesson, self.recipes, mine)
        running = found if len(found) == len(lesson.runs) else {}
        progress = {name: self._jobs.watch(job) for name, job in running.items()}
        runs: Runs | None = None
        if kept and self._recorded is not None:
            runs = self._recorded.first(lesson)
        elif running and all(self._jobs.has_model(job) for job in running.values()):
            runs = self.read_runs(running)
        shown = runs if kept and runs else progress
        accuracy = {
            name: one.accuracy if isinstance(one, RunFigures) else list_accuracy(one)
            for name, one in shown.items()
        }
        loss = {name: one.train_loss for name, one in shown.items()}
        on = any(not job.ended for job in running.values())
        taught = self._describe_pictures(lesson, token)
        key = lesson.name, kept
        states = [(name, job.id, job.state, job.reason) for name, job in running.items()]
        steps = [one.summary for one in progress.values()]
        return [
            Part(self.picks, lesson.name, lambda: draw_picks(lesson)),
            Part(self.link, lesson.name, lambda: {LESSON: lesson.name}),
            Part(self.question, (lesson.name, taught), lambda: self._draw_question(lesson, token)),
            Part(
                self.seen, bool(runs or running), lambda: gr.Column(visible=bool(runs or running))
            ),
            Part(
                self.states,
                (key, states, steps, runs is not None),
                lambda: draw_states(lesson, self._list_states(lesson, running, progress), runs),
            ),
            Part(self.accuracy, (key, accuracy), lambda: frame_runs(lesson, accuracy, EPOCH, 100)),
            Part(self.loss, (key, loss), lambda: frame_runs(lesson, loss, job_words.STEP)),
            Part(
                self.result,
                (key, states, guess, runs is not None),
                lambda: self._draw_result(lesson, runs, running, guess) if runs else "",
            ),
            Part(self.run, on, lambda: gr.Button(interactive=not on)),
            Part(self.timer, on, lambda: gr.Timer(value=WATCHED_S, active=on)),
        ]

    def _draw_question(self, lesson: Lesson, token: str) -> str:
        """The question, and the pictures that it is about, where there are any."""
        shown = self._find_pictures(lesson, token)
        said = self._describe_pictures(lesson, token)
        settings = {name: lesson.settings(name, self.recipes) for name in lesson.runs}
        told = words.TOLD[lesson.name]
        seconds = self._recorded.seconds(lesson) if self._recorded else None
        return render(
            "lesson_question.html",
            title=told.title,
            question=told.question(settings, said),
            pictures=[(embed(png), article(label)) for label, png in shown],
            note=words.describe_length(seconds, own=bool(lesson.taught)),
        )

    def _describe_pictures(self, lesson: Lesson, token: str) -> str:
        """What the pictures are that a lesson teaches; nothing in one that teaches none."""
        if lesson.taught is None:
            return ""
        mine = [one.label for one in self._jobs.pictures.of_owner(token)]
        if mine:
            return words.describe_pictures(mine)
        return words.describe_mistaken(len(self._shipped(lesson)), lesson.taught)

    def _find_pictures(self, lesson: Lesson, token: str) -> list[Picture]:
        """The visitor's pictures, or where there are none, those that come with the app."""
        if lesson.taught is None:
            return []
        mine = self._jobs.pictures.of_owner(token)
        return [(one.label, one.path.read_bytes()) for one in mine] or self._shipped(lesson)

    def _shipped(self, lesson: Lesson) -> list[Picture]:
        """What a lesson teaches that comes with the app."""
        start = next(iter(lesson.runs.values())).start
        predictions = self._shared.models.predictions.get(start)
        if predictions is None:
            return []
        whole = self._jobs.backend.full_data
        mistaken = list_mistaken(self._shared.gallery, predictions, lesson, whole)
        return [(label, encode_pixels(pixels)) for label, pixels in mistaken]

    def read_runs(self, running: Mapping[str, Job]) -> Runs | None:
        """What ended runs showed; None where one was deleted in this moment."""
        try:
            return {
                name: _read_figures(self._jobs.folder(job), job.state)
                for name, job in running.items()
            }
        except CheckpointError:
            return None

    def _list_states(
        self, lesson: Lesson, running: Mapping[str, Job], progress: Mapping[str, Progress]
    ) -> dict[str, tuple[str, str]]:
        """How far each run is, in words, and a link to its job; of none, that it was recorded."""
        states = dict.fromkeys(lesson.runs, (words.RECORDED, ""))
        for name, job in running.items():
            ahead, last = self._jobs.position(job), progress[name].summary
            states[name] = words.describe_run_state(job, ahead, last), f"{job.id}.{job.key}"
        return states

    def _draw_result(
        self, lesson: Lesson, runs: Runs, running: Mapping[str, Job], guess: str
    ) -> str:
        settings = {
            name: (running[name].settings if name in running else None)
            or lesson.settings(name, self.recipes)
            for name in lesson.runs
        }
        spreads = self._recorded.spreads(lesson) if self._recorded else {}
        return draw_result(lesson.name, runs, settings, guess, spreads)

    def _read_lesson(self, values: Values) -> Lesson:
        """The one on screen; a visitor can send anything."""
        first = next(iter(LESSONS.values()))
        return LESSONS.get(str(values[self.chosen]), first)

    def _read_guess(self, values: Values) -> str:
        """What was guessed of the lesson on screen, or nothing."""
        guess, guesses = values[self.guess], words.TOLD[self._read_lesson(values).name].guesses
        return guess if isinstance(guess, str) and guess in guesses else ""


@functools.lru_cache(maxsize=256)
def _read_figures(folder: Path, state: str) -> RunFigures:
    return read_figures(folder)
