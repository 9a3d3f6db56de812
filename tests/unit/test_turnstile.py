"""Places that are shared fairly between senders."""

import asyncio

import pytest

from demo.server.refusal import Declined
from demo.server.turnstile import Turnstile
from tests.server import run_apart


class Visitor:
    """Enters in a task of its own, and stays until it is told to leave."""

    def __init__(self, turnstile: Turnstile, sender: str) -> None:
        self.inside, self._leaving = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._visit(turnstile, sender))

    async def _visit(self, turnstile: Turnstile, sender: str) -> None:
        async with turnstile.enter(sender):
            self.inside.set()
            await self._leaving.wait()

    async def leave(self, *others: "Visitor") -> None:
        """Ends this visit, and those of others, which may have to begin first."""
        for visitor in (self, *others):
            visitor._leaving.set()
        await asyncio.gather(*(visitor.task for visitor in (self, *others)))


async def settle() -> None:
    """Lets every task go on until it waits for something."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_one_sender_leaves_places_to_others_and_free_ones_go_round() -> None:
    async def play() -> None:
        turnstile = Turnstile(3, 2, 10)
        greedy = [Visitor(turnstile, "greedy") for _ in range(5)]
        await settle()
        assert [visitor.inside.is_set() for visitor in greedy] == [True, True, False, False, False]
        first, second = Visitor(turnstile, "one"), Visitor(turnstile, "two")
        await settle()
        assert (first.inside.is_set(), second.inside.is_set()) == (True, False)
        await greedy[0].leave()
        await settle()
        assert second.inside.is_set()  # who has none inside comes before who waits longer
        assert not greedy[2].inside.is_set()
        await first.leave(second, *greedy[1:])
        assert (turnstile.inside, turnstile.waiting) == (0, 0)

    run_apart(play())


def test_too_many_who_wait_are_sent_away_of_one_sender_sooner() -> None:
    async def play() -> None:
        turnstile = Turnstile(1, 1, 4)
        inside = Visitor(turnstile, "a")
        waiting = [Visitor(turnstile, sender) for sender in ("a", "a", "b", "b")]
        await settle()
        for sender in ("a", "c"):
            with pytest.raises(Declined):
                async with turnstile.enter(sender):
                    raise AssertionError("there was a place")
        await inside.leave(*waiting)
        assert turnstile.inside == turnstile.waiting == 0

    run_apart(play())


def test_who_gives_up_leaves_no_trace() -> None:
    async def play() -> None:
        turnstile = Turnstile(1, 1, 4)
        inside, gone = Visitor(turnstile, "a"), Visitor(turnstile, "b")
        await settle()
        gone.task.cancel()
        await settle()
        assert turnstile.waiting == 0
        late = Visitor(turnstile, "c")
        await settle()
        inside._leaving.set()
        late.task.cancel()  # in the moment in which its place comes
        await settle()
        assert turnstile.inside == 0
        async with turnstile.enter("d"):
            assert turnstile.inside == 1

    run_apart(play())
