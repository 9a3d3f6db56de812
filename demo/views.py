"""Values to HTML. Colours come from Gradio's theme variables, so both themes work; rules for the
class names are in `style.css`."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from trainer.observations import reference_accuracy

from demo import text
from demo.comparison import Comparison
from demo.gallery import Example
from demo.models import Classification, ModelAnswer
from demo.overlap import Overlap
from demo.store import DONE, Job
from demo.uploads import encode_pixels
from trainer.events import EpochFinished, Event, StepSummary
from trainer.palette import COLOURS
from trainer.progress import format_duration
from trainer.recipe import CLASSES

ON_CHOICE = """
let chosen = null;
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-choice]');
  if (!button) return;
  chosen = button.dataset.choice;
  trigger('click', {choice: chosen});
});
watch('value', () => {
  if (chosen === null) return;
  element.querySelector(`[data-choice="${chosen}"]`)?.focus({preventScroll: true});
  chosen = null;
});
"""
"""JavaScript for `gr.HTML`: a click on an element with `data-choice` is an event with that
`choice`; redrawing leaves the keyboard where it was."""
CHANGED_SHOWN = 12
OWN_COLOUR = "#009e73"
"""Okabe and Ito's green, which none of the four has."""
TOP_CLASSES = 3
"""Classes a card shows before it is opened."""


def draw_pixels(pixels: np.ndarray, alt: str) -> str:
    """An `<img>` of `pixels (3, 32, 32)` uint8, to the bit; the style sheet enlarges it."""
    source = _embed(encode_pixels(pixels), "png")
    return f'<img class="q-pixels" src="{source}" alt="{escape(alt)}">'


def draw_seen(pixels: np.ndarray | None) -> str:
    """The picture as the models see it."""
    inner = "" if pixels is None else draw_pixels(pixels, text.SEEN_ALT)
    return (
        f'<figure class="q-seen"><figcaption>{text.SEEN}</figcaption>'
        f'<div class="q-frame">{inner}</div><small>{text.SEEN_NOTE}</small></figure>'
    )


def draw_examples(examples: Sequence[Example]) -> str:
    """A button a picture, `data-choice` its place in the list."""
    buttons = "".join(
        f'<button type="button" data-choice="{index}" '
        f'aria-label="{text.describe_example(example.label, example.large)}">'
        f'<img src="{_embed(*example.thumbnail)}" alt=""></button>'
        for index, example in enumerate(examples)
    )
    return (
        f'<p class="q-key">{text.EXAMPLES}</p><div class="q-examples">{buttons}</div>'
        f'<p class="q-note">{text.EXAMPLES_NOTE}</p>'
    )


def draw_result(result: Classification, truth: int | None, own: ModelAnswer | None = None) -> str:
    """The sentence and the four cards.

    Args:
        truth: the picture's label where it is known.
        own: what the model of the visitor's job says; a fifth card.
    """
    models = result["models"]
    unfamiliar = sum(not answer["familiar"] for answer in models.values())
    notes = []
    if truth is not None:
        notes.append(text.describe_truth(truth))
    if not result["familiar"]:
        notes.append(text.describe_unfamiliar(unfamiliar, len(models)))
    cards = "".join(
        _draw_card(text.LABELS[name], COLOURS[name], answer, truth)
        for name, answer in models.items()
    )
    if own is not None:
        cards += _draw_card(text.OWN_MODEL, OWN_COLOUR, own, truth)
    return (
        f'<div role="status"><p class="q-sentence">{escape(result["agreement"])}</p>'
        f'<p class="q-note">{escape(" ".join(notes))}</p></div>'
        f'<div class="q-cards">{cards}</div>'
    )


def draw_message(message: str, error: bool = False) -> str:
    """A sentence where the result would be."""
    role = "alert" if error else "status"
    return f'<div class="q-empty" role="{role}"><p class="q-sentence">{escape(message)}</p></div>'


def draw_faults(faults: Mapping[str, str]) -> str:
    """What is missing or damaged, or nothing."""
    return "".join(
        f'<p class="q-fault" role="alert">{escape(text.describe_fault(name, fault))}</p>'
        for name, fault in faults.items()
    )


def draw_accuracy_table(
    records: Mapping[str, Mapping[str, Any]], reference: Mapping[str, Any]
) -> str:
    """Each model's recipe and figures beside the reference's."""
    head = (
        "model", "test accuracy", "reference", "difference", "calibration error",
        "best class", "worst class", "epochs", "training time",
    )  # fmt: skip
    rows = []
    for name, record in records.items():
        test = record["test"]
        theirs = reference_accuracy(dict(reference), name)
        cells = (
            f"<strong>{text.percent(test['accuracy'], 2)}</strong>",
            text.percent(theirs, 2),
            f"{100 * (test['accuracy'] - theirs):+.2f}",
            text.percent(test["calibration_error"]),
            test["best_class"],
            test["worst_class"],
            record["recipe"]["epochs"],
            format_duration(sum(epoch["seconds"] for epoch in record["history"])),
        )
        label = f'<th scope="row">{_dot(name)}{text.LABELS[name]}</th>'
        rows.append(f"<tr>{label}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        f'<div class="q-scroll" tabindex="0" role="region" aria-label="{text.ACCURACY_TAB}">'
        f'<table class="q-table"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def draw_matrix(
    confusion: np.ndarray, counting: str, caption: str, chosen: tuple[int, int] | None
) -> str:
    """One confusion matrix `(true, predicted)` as a table of buttons, each with its
    `data-choice="true,predicted"`.

    Args:
        counting: `percent` of the true class, or `count` of images.
        chosen: the cell to mark.
    """
    share = to_shares(confusion)
    colour, strength = shade(share)
    heads = "".join(f'<th scope="col"><span>{name}</span></th>' for name in CLASSES)
    rows = []
    for true, name in enumerate(CLASSES):
        cells = []
        for predicted in range(len(CLASSES)):
            images = int(confusion[true, predicted])
            shown = f"{100 * share[true, predicted]:.1f}" if counting == "percent" else f"{images}"
            cells.append(
                f'<td><button type="button" data-choice="{true},{predicted}" '
                f'class="q-{colour[true, predicted]}" '
                f'style="--strength:{strength[true, predicted]:.3f}" '
                f'aria-pressed="{str(chosen == (true, predicted)).lower()}" '
                f'aria-label="{text.describe_cell(true, predicted, images)}">{shown}</button></td>'
            )
        rows.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="q-scroll" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="q-matrix"><caption class="q-hidden">{escape(caption)}</caption>'
        f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def to_shares(confusion: np.ndarray) -> np.ndarray:
    """Counts `(true, predicted)` as shares of the true class, 0..1."""
    shares: np.ndarray = confusion / confusion.sum(axis=1, keepdims=True).clip(min=1)
    return shares


def shade(share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How confusion cells are coloured: right ones by their share, errors by their share of the
    largest error, so that errors show beside a diagonal many times as large.

    Args:
        share: `(10, 10)` of the true class, 0..1.

    Returns:
        `right` or `wrong`, and the strength 0..1, each `(10, 10)`.
    """
    diagonal = np.eye(len(share), dtype=bool)
    largest_error = max(float(share[~diagonal].max()), 1e-9)
    return (
        np.where(diagonal, "right", "wrong"),
        np.where(diagonal, share, share / largest_error),
    )


def draw_facts(sentence: str, items: Iterable[str]) -> str:
    """A sentence and a list below it."""
    return f"<p>{escape(sentence)}</p><ul>{''.join(f'<li>{escape(i)}</li>' for i in items)}</ul>"


def draw_images(
    heading: str, note: str, images: Sequence[tuple[np.ndarray, int, Mapping[str, int]]]
) -> str:
    """Test images, each with its truth and every model's answer.

    Args:
        images: `(3, 32, 32)` uint8 pixels, label, and recipe name to predicted class.
    """
    figures = "".join(
        f"<figure>{draw_pixels(pixels, text.article(CLASSES[label]))}"
        f"<figcaption><strong>{CLASSES[label]}</strong><ul>"
        + "".join(
            f'<li class="q-{"right" if said == label else "wrong"}">{_dot(name)}'
            f'<span class="q-hidden">{text.LABELS[name]}: </span>{CLASSES[said]}</li>'
            for name, said in answers.items()
        )
        + "</ul></figcaption></figure>"
        for pixels, label, answers in images
    )
    return (
        f'<div role="status"><p class="q-sentence">{escape(heading)}</p>'
        f'<p class="q-note">{escape(note)}</p></div>'
        f'{draw_key(text.LABELS)}<div class="q-images">{figures}</div>'
    )


def draw_key(names: Iterable[str]) -> str:
    """Which colour is which model."""
    items = "".join(f"<span>{_dot(name)}{text.LABELS[name]}</span>" for name in names)
    return f'<p class="q-key">{items}</p>'


def draw_overlap(first: str, second: str, overlap: Overlap) -> str:
    """Both right, one right, both wrong, as a table with McNemar's test in words."""
    one, two = text.LABELS[first], text.LABELS[second]
    return (
        f'<table class="q-table q-overlap"><thead><tr><td></td>'
        f'<th scope="col">{two}: {text.RIGHT}</th><th scope="col">{two}: {text.WRONG}</th></tr>'
        f'</thead><tbody><tr><th scope="row">{one}: {text.RIGHT}</th>'
        f"<td>{overlap.both_right:,}</td><td>{overlap.only_first:,}</td></tr>"
        f'<tr><th scope="row">{one}: {text.WRONG}</th>'
        f"<td>{overlap.only_second:,}</td><td>{overlap.both_wrong:,}</td></tr></tbody></table>"
        f"<p>{escape(text.describe_overlap(first, second, overlap))}</p>"
    )


def _embed(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def draw_job(job: Job, events: Sequence[Event], ahead: int) -> str:
    """A job's state, how far it is, and what it said last."""
    steps = [event for event in events if isinstance(event, StepSummary)]
    share, detail = 0.0, ""
    if steps:
        last = steps[-1]
        share = last.step / last.total_steps
        detail = text.describe_progress(
            last.step, last.total_steps, last.images_per_s, last.remaining_s
        )
    if job.ended:
        detail = text.describe_refusal(job.reason) if job.reason else ""
        share = 1.0 if job.state == DONE else share
    lines = "".join(f"<li>{escape(text.describe_event(event))}</li>" for event in events[-6:])
    link = f'<a class="q-note" href="?job={job.id}.{job.key}">{text.JOB_LINK}</a>'
    return (
        f'<div role="status"><p class="q-sentence">{escape(text.describe_state(job.state, ahead))}'
        f'</p><p class="q-note">{escape(detail)}</p></div>'
        f'<div class="q-progress" role="progressbar" aria-label="{text.PROGRESS}" '
        f'aria-valuenow="{100 * share:.0f}"><i style="--share:{share:.4f}"></i></div>'
        f'<div class="q-watch"><ul class="q-log" aria-label="{text.LOG}">{lines}</ul>'
        f"{draw_confusions(_confusions(events))}</div>{link}"
    )


def draw_confusions(confusions: Sequence[np.ndarray]) -> str:
    """A small confusion matrix that runs through the epochs, a second each.

    Args:
        confusions: `(10, 10)` images of the validation split, an epoch each.
    """
    if not confusions:
        return ""
    shades = []
    for confusion in confusions:
        colour, strength = shade(to_shares(confusion))
        shades.append(strength)
    cells = []
    for true, predicted in np.ndindex(10, 10):
        values = [f"{strength[true, predicted]:.2f}" for strength in shades]
        moving = (
            f'<animate attributeName="fill-opacity" values="{";".join(values)}" '
            f'dur="{len(values)}s" calcMode="discrete" repeatCount="indefinite"/>'
            if len(values) > 1
            else ""
        )
        cells.append(
            f'<rect x="{10 * predicted}" y="{10 * true}" width="9.4" height="9.4" '
            f'class="q-{colour[true, predicted]}" fill-opacity="{values[-1]}">{moving}</rect>'
        )
    caption = text.describe_confusions(len(confusions))
    return (
        f'<figure class="q-epochs"><svg viewBox="0 0 100 100" role="img" aria-label="{caption}">'
        f"{''.join(cells)}</svg><figcaption>{caption}</figcaption></figure>"
    )


BEST_FIRST = "-accuracy"
ORDERS = tuple(f"{sign}{column}" for column in text.JOB_COLUMNS for sign in ("-", ""))
"""What the jobs can be sorted by: a column, the largest first where a minus stands before it."""


def draw_jobs(jobs: Sequence[Job], accuracies: Mapping[str, float | None], order: str) -> str:
    """The owner's jobs; a button a job, `data-choice` its id, and one a column, the order.

    Args:
        order: one of `ORDERS`.
    """
    if not jobs:
        return ""
    chosen, downwards = order.removeprefix("-"), order.startswith("-")
    heads = ['<th scope="col"></th>']
    for column, label in text.JOB_COLUMNS.items():
        ascending = column == chosen and downwards
        direction = ("descending" if downwards else "ascending") if column == chosen else "none"
        heads.append(
            f'<th scope="col" aria-sort="{direction}"><button type="button" '
            f'data-choice="{"" if ascending else "-"}{column}">{label}</button></th>'
        )
    ranked = sorted(jobs, key=lambda job: _sort_value(job, accuracies, chosen), reverse=downwards)
    rows = []
    for job in ranked:
        settings, accuracy = job.settings, accuracies[job.id]
        cells = (
            escape(job.state),
            "" if accuracy is None else text.percent(accuracy),
            text.start_label(settings["start"]),
            text.TRAINED[settings["trained"]],
            text.OPTIMIZERS[settings["optimizer"]],
            f"{settings['learning_rate']:g}",
            text.describe_length(settings["epochs"], settings["steps"]),
            f"{settings['images']:,}",
        )
        show = f'<button type="button" data-choice="{job.id}">{text.describe_job(job.id)}</button>'
        rows.append(f"<tr><th scope=row>{show}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>")
    return (
        f'<p class="q-sentence">{text.YOUR_JOBS}</p><div class="q-scroll" tabindex="0" '
        f'role="region" aria-label="{text.YOUR_JOBS}"><table class="q-table q-jobs">'
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sort_value(job: Job, accuracies: Mapping[str, float | None], column: str) -> tuple[float, str]:
    if column == "accuracy":
        return accuracies[job.id] or 0.0, ""
    if column == "length":
        steps = job.settings["steps"]
        return (job.settings["epochs"] if steps is None else steps), ""
    value = job.state if column == "state" else job.settings[column]
    return (0.0, value) if isinstance(value, str) else (value, "")


def draw_own_pictures(pictures: Sequence[tuple[str, bytes]]) -> str:
    """The visitor's pictures with their classes, as PNG files."""
    figures = "".join(
        f'<figure><img class="q-pixels" src="{_embed(content, "png")}" alt="{text.article(label)}">'
        f"<figcaption>{label}</figcaption></figure>"
        for label, content in pictures
    )
    return (
        f'<p class="q-key" role="status">{text.describe_own_pictures(len(pictures))}</p>'
        f'<div class="q-images q-small">{figures}</div>'
    )


def draw_comparison(
    comparison: Comparison, difference: str, image_of: Callable[[int], np.ndarray | None]
) -> str:
    """Before and after: accuracy, per class, matrices' difference, and images that changed.

    Args:
        difference: the figure of after minus before, or nothing.
        image_of: the image of a row of the full test split, None where it is not at hand.
    """
    before, after = comparison.before, comparison.after
    right = float((after == comparison.labels).double().mean())
    if before is None or comparison.overlap is None:
        return f'<p class="q-sentence">{text.describe_after(right, len(after))}</p>'
    was = float((before == comparison.labels).double().mean())
    shares = comparison.shares(before).diagonal(), comparison.shares(after).diagonal()
    cells = "".join(
        f'<tr><th scope="row">{name}</th><td>{text.percent(float(one))}</td>'
        f"<td>{text.percent(float(two))}</td><td>{100 * float(two - one):+.1f}</td></tr>"
        for name, one, two in zip(CLASSES, *shares, strict=True)
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in text.CHANGE_COLUMNS)
    changed = "".join(_draw_changed(comparison, to_right, image_of) for to_right in (True, False))
    return (
        f'<p class="q-sentence">{escape(text.describe_change(was, right, len(after)))}</p>'
        f"<p>{escape(text.describe_change_overlap(comparison.overlap))}</p>"
        f'<div class="q-change"><table class="q-table"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{cells}</tbody></table>"
        f'<div class="q-difference"><figure>{difference}</figure>'
        f'<p class="q-note">{text.CHANGE_HINT}</p></div></div>{changed}'
    )


def _confusions(events: Sequence[Event]) -> list[np.ndarray]:
    return [
        np.array(event.validation_confusion)
        for event in events
        if isinstance(event, EpochFinished) and event.validation_confusion
    ]


def _draw_changed(
    comparison: Comparison, to_right: bool, image_of: Callable[[int], np.ndarray | None]
) -> str:
    assert comparison.before is not None
    positions = comparison.changed(to_right).tolist()
    figures: list[str] = []
    for position in positions:
        pixels = image_of(int(comparison.rows[position]))
        if pixels is None or len(figures) == CHANGED_SHOWN:
            continue
        label, was, now = (
            CLASSES[int(values[position])]
            for values in (comparison.labels, comparison.before, comparison.after)
        )
        figures.append(
            f"<figure>{draw_pixels(pixels, text.article(label))}<figcaption>"
            f"<strong>{label}</strong><br>{was} &rarr; {now}</figcaption></figure>"
        )
    heading = text.describe_changed(len(positions), len(figures), to_right)
    return f'<p class="q-key">{heading}</p><div class="q-images">{"".join(figures)}</div>'


def _draw_card(title: str, colour: str, answer: ModelAnswer, truth: int | None) -> str:
    ranked = sorted(answer["probabilities"].items(), key=lambda item: -item[1])
    mark = ""
    if truth is not None:
        right = answer["answer"] == CLASSES[truth]
        sign, word = ("&#10003;", text.RIGHT) if right else ("&#10007;", text.WRONG)
        mark = f'<span class="q-mark q-{"right" if right else "wrong"}">{sign} {word}</span>'
    doubt = "" if answer["familiar"] else f'<span class="q-doubt">{text.UNSURE}</span>'
    rest = "".join(_draw_bar(label, share) for label, share in ranked[TOP_CLASSES:])
    return (
        f'<article class="q-card" style="--model:{colour}" aria-label="{title}">'
        f"<header><h3>{title}</h3>{mark}</header>"
        f'<p class="q-answer">{answer["answer"]}</p>'
        f'<ul class="q-bars">{"".join(_draw_bar(*bar) for bar in ranked[:TOP_CLASSES])}</ul>'
        f'<details><summary>{text.ALL_TEN}</summary><ul class="q-bars">{rest}</ul></details>'
        f"<footer><span>{text.describe_seconds(answer['seconds'])}</span>{doubt}</footer></article>"
    )


def _draw_bar(label: str, share: float) -> str:
    return (
        f'<li><span>{label}</span><i style="--share:{share:.4f}"></i>'
        f"<b>{text.percent(share)}</b></li>"
    )


def _dot(name: str) -> str:
    return f'<i class="q-dot" style="background:{COLOURS[name]}"></i>'
