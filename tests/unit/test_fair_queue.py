"""Gradio's queue as the app has it: shared, and forgetting what nobody fetches."""

from collections.abc import Awaitable, Callable
from typing import Any

import fastapi
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.events import api
from gradio.server_messages import ProcessCompletedMessage

from demo.server import queue as fair
from demo.server.blocks import GuardedBlocks, names_address
from demo.server.limits import SENDER_RUNNING
from demo.server.queue import FairQueue
from demo.words import server as words
from tests.server import run_apart

PLACES = 4


class Asked:
    """A queue of few places, asked from addresses; nothing runs."""

    def __init__(self, blocks: GuardedBlocks) -> None:
        blocks.queue(max_size=PLACES)
        self.queue: FairQueue = blocks.fair_queue
        self.queue.active_jobs = [None] * 40
        (self._function,) = blocks.fns

    async def push(self, sender: str) -> str | None:
        """The event's id; None where the queue is full, which it says in its sentence."""
        request = fastapi.Request({"type": "http", "client": (sender, 1), "headers": []})
        body = PredictBodyInternal(fn_index=self._function, data=[1], request=request)
        pushed, said, state = await self.queue.push(body, request, None)
        if not pushed:
            assert (said, state) == (words.QUEUE_FULL, "queue_full")
            return None
        assert isinstance(said, str)
        return said

    def run_next(self) -> str | None:
        """The id of the event that runs next; it goes on running."""
        chosen = self.queue.get_events()
        if chosen is None:
            return None
        events, _, concurrency_id = chosen
        self.queue.active_jobs[self.queue.active_jobs.index(None)] = events
        self.queue.event_queue_per_concurrency_id[concurrency_id].current_concurrency += 1
        return str(events[0]._id)

    def finish(self, event_id: str) -> None:
        event = self.queue.event_ids_to_events.pop(event_id)
        message = ProcessCompletedMessage(output={"data": [1]}, success=True)
        self.queue.send_message(event, message)


@pytest.fixture(scope="module")
def blocks() -> GuardedBlocks:
    async def draw() -> GuardedBlocks:
        made = GuardedBlocks(analytics_enabled=False)
        with made:
            api(echo, api_name="echo", concurrency_limit=40)
        return made

    drawn: GuardedBlocks = run_apart(draw())
    return drawn


def echo(value: float) -> float:
    return value


@pytest.fixture
def play(blocks: GuardedBlocks) -> Callable[[Callable[[Asked], Awaitable[None]]], None]:
    def run(scene: Callable[[Asked], Awaitable[None]]) -> None:
        async def act() -> None:
            await scene(Asked(blocks))

        run_apart(act())

    return run


Play = Callable[[Callable[[Asked], Awaitable[None]]], None]


def test_one_sender_does_not_fill_the_queue(play: Play) -> None:
    async def scene(asked: Asked) -> None:
        for _ in range(PLACES // 2):
            assert await asked.push("a")
        assert await asked.push("a") is None
        assert await asked.push("b")

    play(scene)


def test_full_queue_takes_from_who_has_most_for_who_has_none(play: Play) -> None:
    async def scene(asked: Asked) -> None:
        await asked.push("a")
        last = await asked.push("a")
        assert last
        for sender in "bcd":
            assert await asked.push(sender)
        assert len(asked.queue) == PLACES
        told = asked.queue.pending_messages_per_session[last]
        messages = [told.get_nowait() for _ in range(told.qsize())]
        assert isinstance(messages[-1], ProcessCompletedMessage)
        assert messages[-1].output["error"] == words.QUEUE_FULL
        assert await asked.push("e") is None  # nobody has more than it would have

    play(scene)


def test_next_call_is_of_who_has_fewest_running(play: Play) -> None:
    async def scene(asked: Asked) -> None:
        first, second = await asked.push("a"), await asked.push("a")
        other = await asked.push("b")
        assert [asked.run_next() for _ in range(3)] == [first, other, second]
        assert asked.run_next() is None

    play(scene)


def test_one_sender_does_not_take_every_thread(play: Play) -> None:
    async def scene(asked: Asked) -> None:
        for _ in range(SENDER_RUNNING):
            await asked.push("a")
            assert asked.run_next()
        waiting = await asked.push("a")
        assert waiting
        assert asked.run_next() is None
        assert asked.queue.event_ids_to_events[waiting] in asked.queue._waiting()
        other = await asked.push("b")
        assert asked.run_next() == other

    play(scene)


def test_answers_nobody_fetches_are_forgotten(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_time(asked: Asked) -> None:
        monkeypatch.setattr(fair, "RESULT_S", 0.0)
        event = await asked.push("a")
        assert event
        asked.run_next()
        asked.finish(event)
        await asked.push("b")
        assert not asked.queue.is_awaited(event)
        assert event not in asked.queue.pending_messages_per_session
        assert event not in asked.queue.pending_event_ids_session

    async def in_number(asked: Asked) -> None:
        monkeypatch.setattr(fair, "RESULT_S", 1000.0)
        monkeypatch.setattr(fair, "UNREAD", 2)
        events = []
        for _ in range(3):
            event = await asked.push("a")
            assert event
            events.append(event)
            asked.run_next()
            asked.finish(event)
        assert [asked.queue.is_awaited(event) for event in events] == [False, True, True]
        assert len(asked.queue.pending_messages_per_session) == 2

    play(in_time)
    play(in_number)


def test_answer_is_fetched_once(play: Play) -> None:
    async def scene(asked: Asked) -> None:
        event = await asked.push("a")
        assert event
        assert asked.queue.is_awaited(event)
        assert not asked.queue.is_awaited("of nobody")
        asked.queue.hold(event)
        assert not asked.queue.is_awaited(event)  # somebody fetches it
        asked.run_next()
        asked.finish(event)
        asked.queue.drop(event)
        assert not asked.queue.is_awaited(event)
        assert asked.queue.count_awaited() == 0
        early = await asked.push("a")
        assert early
        asked.queue.drop(early)  # fetched, and Gradio still tidies up after the call
        assert early in asked.queue.event_ids_to_events
        assert not asked.queue.is_awaited(early)

    play(scene)


OWN = "http://app/gradio_api/file=/tmp/uploads/a.png"


@pytest.mark.parametrize(
    ("value", "foreign"),
    [
        ({"path": "/tmp/uploads/a.png"}, False),
        ({"path": "/tmp/uploads/a.png", "url": None}, False),
        ({"path": "/tmp/uploads/a.png", "url": OWN}, False),
        ({"path": "/tmp/uploads/a.png", "url": "/gradio_api/file=/tmp/uploads/a.png"}, False),
        ({"path": "http://a/b.png"}, True),
        ({"path": "/tmp/uploads/a.png", "url": "http://169.254.169.254/latest"}, True),
        ({"path": "/tmp/uploads/a.png", "url": "/gradio_api/file=http://a/b"}, True),
        ({"path": "", "url": "ftp://a/b"}, True),
        ([[{"x": {"path": "file:///etc/passwd"}}]], True),
        ("http://a/b.png", False),
    ],
)
def test_files_by_foreign_addresses_are_told_apart(value: Any, foreign: bool) -> None:
    assert names_address(value) is foreign
