import pytest

from demo import rates
from demo.rates import Hold, Rate, Share


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_bucket_fills_evenly_and_never_beyond_its_size() -> None:
    clock = Clock()
    rate = Rate(10, 100, clock)
    assert rate.take("a", 10)
    assert not rate.take("a")
    clock.now = 10
    assert rate.take("a")
    assert not rate.take("a")
    clock.now = 1e9
    assert rate.take("a", 10)
    assert not rate.take("a")


def test_senders_have_buckets_of_their_own_and_idle_ones_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates, "SENDERS_KEPT", 2)
    rate = Rate(1, 100, Clock())
    assert all(rate.take(sender) for sender in "abc")
    assert not rate.take("b")
    assert not rate.take("c")
    assert rate.take("a")  # forgotten, as the one that was idle longest


def test_share_is_for_more_than_one() -> None:
    share = Share(10, 5)
    first, second = Hold(share, "a"), Hold(share, "b")
    assert first.take(5)
    assert not first.take(1)
    assert second.take(5)
    assert not Hold(share, "c").take(1)
    first.release()
    first.release()
    assert share.total == 5
    assert Hold(share, "c").take(5)
