"""The visitor's own pictures, in buckets: one for each class that they teach."""

import contextlib
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.blocks import Block
from gradio.utils import get_upload_folder

from demo.faults import explain
from demo.jobs.pictures import TaughtPicture
from demo.jobs.store import create_token
from demo.server.addresses import name_sender_of
from demo.tabs.changes import Shown, Values, read_token
from demo.tabs.shared import AT_ONCE, ON_CHOICE, QUIET, Shared, create_html, read_choice
from demo.templates import embed, render
from demo.uploads import encode_pixels, read_pixels
from demo.words import teach as words
from trainer.errors import QuartetError
from trainer.recipe import CLASSES, MAX_OWN_PICTURES
from trainer.wording import article

FIRST_BUCKETS, MOST_BUCKETS = 2, 4
"""Buckets that are there without asking, and that can be added up to; pictures of further classes,
taught under Compare, have their buckets all the same."""
ADD, EMPTY, OUT = "add", "empty", "out-"
"""What the buttons choose; the last comes before a picture's id."""


class Bucket(NamedTuple):
    """A class, and its pictures."""

    label: str
    """One of `CLASSES`, or nothing."""
    pictures: list[tuple[str, str]]
    """Id and source of each."""


class Buckets:
    """Draws them. The pictures lie on disk; the page holds the buckets' classes, and the ids of the
    pictures that it shows: a job is started with those and no others."""

    def __init__(self, shared: Shared) -> None:
        self._pictures, self._owner = shared.jobs.pictures, shared.owner
        self.labels = gr.JSON([""] * FIRST_BUCKETS, visible="hidden", elem_id="bucket-labels")
        self.ids = gr.JSON([], visible="hidden", elem_id="own-picture-ids")

    def draw(self) -> None:
        """The buckets, empty."""
        self.drawn = create_html(
            draw_buckets([Bucket("", [])] * FIRST_BUCKETS),
            js_on_load=f"{ON_CHOICE} window.quartet.watchBuckets(element, trigger, watch);",
            elem_id="buckets",
        )

    @property
    def changed(self) -> list[Block]:
        """All that `show` changes, and the visitor's token."""
        return [self._owner, self.drawn, self.labels, self.ids]

    def wire(self) -> None:
        """Connects the buckets' own events."""
        raw: dict[str, Any] = {
            "preprocess": False,
            "trigger_mode": "multiple",  # what is done while an answer is under way counts too
            "concurrency_limit": AT_ONCE,
            **QUIET,
        }
        held: set[Block] = {self._owner, self.labels}
        self.drawn.upload(self.on_files, held, self.changed, **raw)
        self.drawn.select(self.on_class, held, self.changed, **raw)
        self.drawn.click(self.on_press, held, self.changed, **raw)

    def on_files(self, values: Values, event: gr.EventData, request: gr.Request) -> Shown:
        """Keeps the pictures that were put into a bucket, as what that bucket shows when they
        come; asks for what is not chosen."""
        token = read_token(values, self._owner) or create_token()
        label, files = getattr(event, "label", ""), getattr(event, "files", None)
        labels = values[self.labels]
        try:
            labels = self._set_class(values, token, getattr(event, "bucket", None), label)
            said = self._add(token, files, label, name_sender_of(request))
        except QuartetError as error:
            shown = self.show(token, labels, explain(error), refused=True)
        else:
            refused = said in (words.NO_FILES, words.NO_CLASS)
            shown = self.show(token, labels, said, refused)
        return {self._owner: token, **shown}

    def on_class(self, values: Values, event: gr.EventData) -> Shown:
        """A bucket shows another class, and so do the pictures in it."""
        token = read_token(values, self._owner)
        bucket, label = getattr(event, "bucket", None), getattr(event, "label", "")
        try:
            return self.show(token, self._set_class(values, token, bucket, label))
        except QuartetError as error:
            return self.show(token, values[self.labels], explain(error), refused=True)

    def on_press(self, values: Values, event: gr.EventData) -> Shown:
        """A further bucket; or all pictures are taken out, or the one whose button it was."""
        token, choice = read_token(values, self._owner), read_choice(event)
        labels = self._list_labels(values[self.labels], self._pictures.of_owner(token))
        if choice == ADD and len(labels) < MOST_BUCKETS:
            labels.append("")
        elif choice == EMPTY:
            self._pictures.clear(token)
        elif choice.startswith(OUT):
            self._pictures.remove(token, choice.removeprefix(OUT))
        return self.show(token, labels)

    def show(self, token: str, held: Any, said: str = "", refused: bool = False) -> Shown:
        """The buckets as they are now.

        Args:
            held: the classes that the page holds; a visitor can send anything.
            said: what became of the last wish.
            refused: it was not granted.
        """
        pictures = self._pictures.of_owner(token)
        labels = self._list_labels(held, pictures)
        buckets = [Bucket(label, []) for label in labels]
        ids = []
        for picture in pictures:
            with contextlib.suppress(OSError):  # taken out or swept in this moment
                source = embed(picture.path.read_bytes())
                buckets[labels.index(picture.label)].pictures.append((picture.id, source))
                ids.append(picture.id)
        return {
            self.drawn: draw_buckets(buckets, said, refused),
            self.labels: labels,
            self.ids: ids,
        }

    def _add(self, token: str, files: Any, label: Any, client: str) -> str:
        """Keeps pictures, and tells how many; or what is missing.

        Raises:
            QuartetError: one is no picture, or there is no room for it; those before it are kept.
        """
        if not isinstance(files, list) or not files:
            return words.NO_FILES
        if len(files) > MAX_OWN_PICTURES:
            raise QuartetError("own_too_many", most=MAX_OWN_PICTURES)
        if label not in CLASSES:
            return words.NO_CLASS
        folder, added = Path(get_upload_folder()), 0
        for path in files:
            pixels = read_pixels({"path": path}, folder, client=client)
            added += self._pictures.add(token, label, encode_pixels(pixels), client)
        return words.describe_added(added, len(files) - added, label)

    def _set_class(self, values: Values, token: str, bucket: Any, label: Any) -> list[str]:
        """The classes after one bucket's was chosen; its pictures go along. What names no bucket,
        no class, or another bucket's, changes nothing."""
        pictures = self._pictures.of_owner(token)
        labels = self._list_labels(values[self.labels], pictures)
        known = isinstance(bucket, int) and 0 <= bucket < len(labels)
        if not known or label not in CLASSES or label in labels:
            return labels
        before, labels[bucket] = labels[bucket], label
        for picture in pictures:
            if picture.label == before:
                with contextlib.suppress(OSError):  # taken out or swept in this moment
                    self._pictures.add(token, label, picture.path.read_bytes())
        return labels

    def _list_labels(self, held: Any, pictures: list[TaughtPicture]) -> list[str]:
        """The buckets' classes: those of the page, and those of pictures that came otherwise, which
        take the place of buckets without a class."""
        labels: list[str] = []
        for one in held[: len(CLASSES)] if isinstance(held, list) else ():
            if one == "" or (one in CLASSES and one not in labels):
                labels.append(one)
        labels += [""] * (FIRST_BUCKETS - len(labels))
        for label in dict.fromkeys(picture.label for picture in pictures):
            if label not in labels:
                if "" in labels:
                    labels[labels.index("")] = label
                else:
                    labels.append(label)
        return labels


def draw_buckets(buckets: list[Bucket], said: str = "", refused: bool = False) -> str:
    """The buckets, each with its class, its pictures, and what puts more into it.

    Args:
        said: a sentence that comes first, in place of how many pictures there are.
        refused: it is a refusal.
    """
    taken = {bucket.label for bucket in buckets}
    free = [name for name in CLASSES if name not in taken]
    return render(
        "buckets.html",
        words=words,
        article=article,
        buckets=[(bucket, [name for name in CLASSES if name in (bucket.label, *free)])
                 for bucket in buckets],
        said=said or words.describe_own_pictures(sum(len(one.pictures) for one in buckets)),
        refused=refused,
        more=len(buckets) < MOST_BUCKETS,
        most=MAX_OWN_PICTURES,
        choices={"add": ADD, "empty": EMPTY, "out": OUT},
    )  # fmt: skip
