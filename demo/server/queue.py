"""Gradio's queue, shared fairly between senders, and without a memory of what nobody fetches."""

import time
from collections import Counter, deque
from typing import Any, Literal

import fastapi
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, EventQueue, Queue
from gradio.server_messages import EventMessage, ProcessCompletedMessage

from demo.server.addresses import name_sender_of
from demo.server.limits import RESULT_S, SENDER_RUNNING, UNREAD
from demo.words import server as words

Pushed = tuple[
    bool, str | list[dict[str, Any]], Literal["success", "error", "queue_full", "validator_error"]
]


class FairQueue(Queue):
    """One sender has half of the places at most, and of the free ones the next is for whoever has
    fewest calls running. Where all places are taken, who holds most gives one to who holds few.

    An answer that is not fetched within `RESULT_S` is forgotten, and so are the oldest where more
    than `UNREAD` wait. It is the `gate.Results` of the app.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread: deque[tuple[float, str, str]] = deque()
        """Of finished calls: when, the session, and the event's id."""
        self._fetched: set[str] = set()
        """Events whose answer somebody fetches."""

    async def push(
        self, body: PredictBodyInternal, request: fastapi.Request, username: str | None
    ) -> Pushed:
        """Queues a call, or says in a sentence why not."""
        self._forget_unread()
        if self.max_size is not None:
            waiting = Counter(map(_sender_of, self._waiting()))
            mine = waiting[name_sender_of(request)]
            full = len(self) >= self.max_size
            if mine >= self.max_size // 2 or (full and not self._make_room(waiting, mine)):
                return False, words.QUEUE_FULL, "queue_full"
        pushed: Pushed = await super().push(body, request, username)
        return pushed

    def get_events(self) -> tuple[list[Event], bool, str] | None:
        """The next call: of those that may run, one of the sender with fewest running."""
        running = Counter(_sender_of(event) for job in self.active_jobs if job for event in job)
        aside: list[tuple[EventQueue, list[Event]]] = []
        for waiting in self.event_queue_per_concurrency_id.values():
            queue, most = waiting.queue, waiting.concurrency_limit
            if not queue or (most is not None and waiting.current_concurrency >= most):
                continue
            at = min(range(len(queue)), key=lambda index: running[_sender_of(queue[index])])
            if running[_sender_of(queue[at])] >= SENDER_RUNNING:
                aside.append((waiting, queue))
                waiting.queue = []
            elif at:
                queue.insert(0, queue.pop(at))
        chosen: tuple[list[Event], bool, str] | None = super().get_events()
        for waiting, queue in aside:
            waiting.queue = queue
        return chosen

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """Tells a client something; an answer is remembered as not fetched."""
        super().send_message(event, event_message)
        if isinstance(event_message, ProcessCompletedMessage):
            self._unread.append((time.monotonic(), event.session_hash, event._id))
            self._forget_unread()

    def count_awaited(self) -> int:
        """Calls whose answer was not fetched yet."""
        return sum(map(len, list(self.pending_event_ids_session.values())))

    def is_awaited(self, event_id: str) -> bool:
        return event_id not in self._fetched and self._session_of(event_id) is not None

    def has_session(self, session: str) -> bool:
        return bool(self.pending_event_ids_session.get(session))

    def hold(self, event_id: str) -> None:
        self._fetched.add(event_id)

    def drop(self, event_id: str) -> None:
        self._fetched.discard(event_id)
        self._forget(self._session_of(event_id) or event_id, event_id)

    def _session_of(self, event_id: str) -> str | None:
        """Whose answer it is, as long as that was not fetched: an event outlives its answer."""
        event = self.event_ids_to_events.get(event_id)
        likely = event_id if event is None else event.session_hash
        if event_id in self.pending_event_ids_session.get(likely, ()):
            return likely
        sessions = self.pending_event_ids_session.items()
        return next((session for session, ids in sessions if event_id in ids), None)

    def _waiting(self) -> list[Event]:
        queues = self.event_queue_per_concurrency_id.values()
        return [event for waiting in queues for event in waiting.queue]

    def _make_room(self, waiting: Counter[str], mine: int) -> bool:
        """Sends the last call of whoever has most away; False where that is no more than `mine`
        would be."""
        greedy, count = waiting.most_common(1)[0]
        if count <= mine + 1:
            return False
        last = max(
            (event for event in self._waiting() if _sender_of(event) == greedy),
            key=lambda event: event.enqueue_time,
        )
        self.event_queue_per_concurrency_id[last.concurrency_id].queue.remove(last)
        output = {"error": words.QUEUE_FULL, "visible": True, "duration": 10, "title": "Error"}
        self.send_message(
            last, ProcessCompletedMessage(output=output, success=False, title="Error")
        )
        self.event_ids_to_events.pop(last._id, None)
        return True

    def _forget_unread(self) -> None:
        oldest = time.monotonic() - RESULT_S
        while self._unread and (self._unread[0][0] < oldest or len(self._unread) > UNREAD):
            _, session, event_id = self._unread.popleft()
            self._forget(session, event_id)

    def _forget(self, session: str, event_id: str) -> None:
        """Nobody waits for an event any more; nor for its session, if it was the last."""
        event = self.event_ids_to_events.get(event_id)
        if event is not None:
            event.alive = False  # should it run still, it tells nobody
        ids = self.pending_event_ids_session.get(session, set())
        ids.discard(event_id)
        if not ids:
            self.pending_event_ids_session.pop(session, None)
            self.pending_messages_per_session.pop(session, None)


def _sender_of(event: Event) -> str:
    return name_sender_of(event.request)
