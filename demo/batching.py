"""Dynamic batching: what many visitors ask at once is computed together."""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Answers questions in batches of whatever has gathered while the last batch was computed.

    A lone question is answered at once; nothing ever waits for a batch to fill.
    """

    def __init__(
        self, compute: Callable[[Sequence[Question]], Sequence[Answer]], largest: int
    ) -> None:
        """
        Args:
            compute: called in one thread of its own; returns one answer a question, in order.
            largest: most questions in a batch.
        """
        self._compute = compute
        self._largest = largest
        self._waiting: queue.SimpleQueue[tuple[Question, Future[Answer]]] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="batcher", daemon=True).start()

    def ask(self, question: Question) -> Answer:
        """Waits for the answer, or raises what `compute` raised for its batch."""
        future: Future[Answer] = Future()
        self._waiting.put((question, future))
        return future.result()

    def _serve(self) -> None:
        while True:
            batch = [self._waiting.get()]
            while len(batch) < self._largest and not self._waiting.empty():
                batch.append(self._waiting.get())
            try:
                answers = self._compute([question for question, _ in batch])
                for (_, future), answer in zip(batch, answers, strict=True):
                    future.set_result(answer)
            except BaseException as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
