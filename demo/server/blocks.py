"""Gradio's `Blocks` with guards: what calls bring is looked at before anything is made of it."""

from typing import Any

import gradio as gr
from gradio.blocks import BlocksConfig
from gradio.exceptions import InvalidPathError

from demo.faults import explain
from demo.server.queue import FairQueue
from demo.words import server as words
from trainer.errors import PictureError

FILE_ROUTE = "/gradio_api/file="


class PageConfig(BlocksConfig):
    """The page, of which Gradio gives each session a copy.

    It also draws up every component's settings anew for each, at 6 ms a call of the API, growing
    with the page. Only deep links use them, and the app has none: its sessions go without.
    """

    def __copy__(self) -> BlocksConfig:
        session: BlocksConfig = super().__copy__()
        # An empty one is what Gradio takes for "not shown".
        session.config_for_block = lambda *_: {}  # type: ignore[method-assign]
        return session


class GuardedBlocks(gr.Blocks):
    """Blocks whose endpoints take uploaded files only, and whose queue is fair.

    Gradio would fetch a file given as an address, from our machine, and names server paths when
    it refuses one.
    """

    fair_queue: FairQueue
    """The queue, once `queue` was called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.default_config = PageConfig(self)

    def queue(self, *args: Any, max_size: int | None = None, **options: Any) -> "GuardedBlocks":
        """As Gradio's, but fair."""
        super().queue(*args, max_size=max_size, **options)
        theirs = self._queue
        self.fair_queue = self._queue = FairQueue(
            live_updates=theirs.live_updates,
            concurrency_count=theirs.max_thread_count,
            update_intervals=theirs.update_intervals,
            max_size=max_size,
            blocks=self,
        )
        return self

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Refuses foreign addresses and paths before anything is read."""
        if names_address(inputs):
            raise _refuse(words.NOT_UPLOADED)
        try:
            processed: list[Any] = await super().preprocess_data(block_fn, inputs, *args, **kwargs)
            return processed
        except InvalidPathError as error:
            raise _refuse(explain(PictureError("picture_not_uploaded"))) from error


def names_address(value: Any) -> bool:
    """True where a file in a call's data is given by an address to fetch.

    A page sends, beside the path of what it uploaded, the address by which it shows the file:
    that one is ours, and no other is taken.
    """
    if isinstance(value, dict):
        path, url = value.get("path"), value.get("url")
        if isinstance(path, str):
            if "://" in path:
                return True
            if isinstance(url, str) and url and not _is_own(url):
                return True
        return any(map(names_address, value.values()))
    return isinstance(value, list) and any(map(names_address, value))


def _is_own(url: str) -> bool:
    """True for the address of a file that this app serves; a picture inside the call is none."""
    before, served, name = url.partition(FILE_ROUTE)
    return bool(served) and ":/" not in name and before.count("://") <= 1


def _refuse(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)
