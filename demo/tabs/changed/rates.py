"""A map of learning rates for the last layer: one that is at hand, or made by a button."""

import gradio as gr

from demo.faults import explain
from demo.jobs.rates import RateMap
from demo.tabs.changed.figure import draw_figure
from demo.tabs.changes import Part, Shown
from demo.tabs.shared import QUIET, create_html
from demo.templates import render
from demo.words import training as words
from trainer.errors import QuartetError
from trainer.explain.sweep import Sweep, SweepCell


class RatesPart:
    """Draws the part, and answers its button."""

    def __init__(self, rates: RateMap) -> None:
        self._rates = rates
        gr.Markdown(words.RATES_HEADING)
        if rates.fault is not None:
            create_html(render("faults.html", faults=[explain(rates.fault)]))
        missing = rates.sweep is None
        self.told = gr.Markdown(words.describe_rates_to_make(), visible=missing)
        self.make = gr.Button(words.MAKE_RATES, visible=missing, elem_id="make-rates")
        self.table = create_html(elem_id="rates")

    def wire(self) -> None:
        """Connects the button: at most one is at work, however many press it."""
        self.make.click(self.on_making, None, [self.make, self.told], **QUIET).then(
            self.on_make, None, [self.table, self.make, self.told], **QUIET
        )

    def list_parts(self) -> list[Part]:
        """The table, and the button where there is none."""
        made = self._rates.sweep is not None
        return [
            Part(self.table, made, self._draw),
            Part(self.make, made, lambda: gr.Button(visible=not made)),
            Part(self.told, made, lambda: gr.Markdown(visible=not made)),
        ]

    def on_making(self) -> Shown:
        """The map is being made."""
        return {self.make: gr.Button(interactive=False), self.told: words.MAKING_RATES}

    def on_make(self) -> Shown:
        """Makes the map, for all visitors, and shows it."""
        try:
            self._rates.make()
        except QuartetError as error:
            return {self.make: gr.Button(interactive=True), self.told: explain(error)}
        return {
            self.table: self._draw(),
            self.make: gr.Button(visible=False),
            self.told: gr.Markdown(visible=False),
        }

    def _draw(self) -> str:
        return draw_rates(self._rates.sweep) if self._rates.sweep else ""


def draw_rates(sweep: Sweep) -> str:
    """A row a rate, a column an optimizer, coloured by validation accuracy."""
    cells = {(cell.optimizer, cell.learning_rate): cell for cell in sweep.cells}
    optimizers = list(dict.fromkeys(optimizer for optimizer, _ in cells))
    measured = [cell.validation_accuracy for cell in sweep.cells]
    known = [accuracy for accuracy in measured if accuracy is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)

    def describe(cell: SweepCell | None) -> dict[str, object]:
        accuracy = None if cell is None else cell.validation_accuracy
        strength = 0.0 if accuracy is None else (accuracy - low) / max(high - low, 1e-9)
        return {
            "shown": words.describe_rate_cell(cell) if cell else "",
            "strength": f"{strength:.3f}",
            "own": words.OWN_RATE if cell and cell.own else "",
        }

    rates = sorted({rate for _, rate in cells})
    table = render(
        "rates.html",
        caption=words.RATES_HEADING.lstrip("# "),
        rate=words.RATE,
        optimizers=[words.OPTIMIZERS.get(one, one) for one in optimizers],
        rows=[
            (words.tell_rate(rate), [describe(cells.get((one, rate))) for one in optimizers])
            for rate in reversed(rates)
        ],
    )
    return draw_figure("rates", [table], words.describe_rates(sweep))
