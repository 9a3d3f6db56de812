import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from trainer.turns import NoTurn, Turns

PATIENCE_S = 60


class Visit:
    """One client's turn in a thread of its own; it lasts until `leave`."""

    def __init__(self, pool: ThreadPoolExecutor, turns: Turns, client: str, task: bytes) -> None:
        self.client = client
        self.seated = threading.Event()
        self._leaving = threading.Event()
        self._done: Future[None] = pool.submit(self._visit, turns, task)

    def _visit(self, turns: Turns, task: bytes) -> None:
        with turns.take(self.client, task):
            self.seated.set()
            self._leaving.wait(PATIENCE_S)

    def leave(self, *others: "Visit") -> None:
        """Ends this visit, and those of others."""
        for visit in (self, *others):
            visit._leaving.set()
        for visit in (self, *others):
            visit._done.result(PATIENCE_S)


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(16)


def wait_until(condition: Callable[[], bool]) -> None:
    """Looks until it is so; fails where it never is."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never was so")


def test_who_asks_for_much_waits_behind_everyone_else(pool: ThreadPoolExecutor) -> None:
    turns = Turns(1, PATIENCE_S, PATIENCE_S)
    greedy = Visit(pool, turns, "greedy", b"0")
    assert greedy.seated.wait(PATIENCE_S)
    more = [Visit(pool, turns, "greedy", b"%d" % n) for n in range(1, 6)]
    wait_until(lambda: turns.waiting == 5)
    other = Visit(pool, turns, "other", b"other")
    wait_until(lambda: turns.waiting == 6)
    greedy.leave()
    assert other.seated.wait(PATIENCE_S)
    assert not any(visit.seated.is_set() for visit in more)
    other.leave(*more)


def test_a_client_has_one_seat_at_a_time(pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, PATIENCE_S, PATIENCE_S)
    first, second = (Visit(pool, turns, "greedy", task) for task in (b"1", b"2"))
    wait_until(lambda: turns.waiting == 1)
    other = Visit(pool, turns, "other", b"3")
    assert other.seated.wait(PATIENCE_S)
    assert first.seated.is_set() != second.seated.is_set()
    other.leave(first, second)


def test_equal_tasks_are_not_done_at_once(pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, PATIENCE_S, PATIENCE_S)
    first, second = (Visit(pool, turns, client, b"same") for client in ("one", "two"))
    wait_until(lambda: turns.waiting == 1)
    other = Visit(pool, turns, "three", b"another")
    assert other.seated.wait(PATIENCE_S)
    assert first.seated.is_set() != second.seated.is_set()
    other.leave(first, second)


def test_patience_ends_and_leaves_no_trace(pool: ThreadPoolExecutor) -> None:
    turns = Turns(1, PATIENCE_S, 0.01)
    first = Visit(pool, turns, "one", b"1")
    assert first.seated.wait(PATIENCE_S)
    with pytest.raises(NoTurn), turns.take("two", b"2"):
        pass
    assert turns.waiting == 0
    first.leave()
    with turns.take("two", b"2"):
        pass


def test_what_waits_behind_slow_tasks_of_its_own_is_sent_away(pool: ThreadPoolExecutor) -> None:
    turns = Turns(2, 0.01, PATIENCE_S)
    slow = Visit(pool, turns, "greedy", b"1")
    assert slow.seated.wait(PATIENCE_S)
    with pytest.raises(NoTurn), turns.take("greedy", b"2"):
        pass
    with turns.take("other", b"3"):
        pass
    slow.leave()


def test_an_error_gives_the_seat_back() -> None:
    turns = Turns(1, PATIENCE_S, PATIENCE_S)
    with pytest.raises(ValueError, match="fault"), turns.take("one", b"1"):
        raise ValueError("fault")
    with turns.take("two", b"2"):
        pass
