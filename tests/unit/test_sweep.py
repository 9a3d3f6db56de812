"""Ages under a clock that jumps, and what is swept by them."""

import os
from pathlib import Path

import pytest

from demo.jobs.sweep import Ages, sweep_files

HOUR_S = 3600.0


class Clocks:
    """The system's clock, which the tests set, and one that only goes on."""

    def __init__(self) -> None:
        self.wall_s, self.steady_s = 1e9, 50.0

    def wait(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds

    def ages(self) -> Ages:
        return Ages(lambda: self.wall_s, lambda: self.steady_s)


@pytest.mark.parametrize("jump_s", [-1e8, -10.0, 0.0, 24 * HOUR_S, 1e8])
def test_nothing_looks_older_than_it_is_and_everything_ages(jump_s: float) -> None:
    clocks = Clocks()
    ages = clocks.ages()
    before_s = clocks.wall_s
    clocks.wait(60)
    clocks.wall_s += jump_s
    after_s = clocks.wall_s
    for key, made_s in (("before", before_s), ("after", after_s)):
        assert ages.of(key, made_s) <= 60
    for _ in range(3):
        ages.begin_round()
        clocks.wait(HOUR_S)
        assert ages.of("before", before_s) >= 0
    assert 2 * HOUR_S <= ages.of("before", before_s) <= 3 * HOUR_S + 60
    assert ages.of("after", after_s) <= 3 * HOUR_S
    assert ages.since(before_s) <= 3 * HOUR_S + 60


def test_what_was_not_asked_about_is_forgotten() -> None:
    clocks = Clocks()
    ages = clocks.ages()
    future_s = clocks.wall_s + 1e6
    assert ages.of("file", future_s) == 0
    clocks.wait(HOUR_S)
    ages.begin_round()
    assert ages.of("file", future_s) == HOUR_S
    ages.begin_round()
    ages.begin_round()
    assert ages.of("file", future_s) == 0


def test_old_files_go_and_new_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "old" / "deep").mkdir(parents=True)
    for name in ("old/deep/picture.png", "old/aborted"):
        (tmp_path / name).write_bytes(b"x")
    ages = Ages(lambda: os.stat(tmp_path / "old").st_ctime + HOUR_S + 5)
    (tmp_path / "new").mkdir()
    sweep_files(tmp_path, 2 * HOUR_S, ages)
    assert (tmp_path / "old" / "deep" / "picture.png").exists()
    sweep_files(tmp_path, HOUR_S, ages)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_time_of_the_copied_file_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"x")
    os.utime(path, (0, 0))
    sweep_files(tmp_path, HOUR_S, Ages())
    assert path.exists()


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    kept = tmp_path / "elsewhere" / "kept"
    kept.write_bytes(b"x")
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "link").symlink_to(tmp_path / "elsewhere")
    sweep_files(tmp_path / "uploads", 0, Ages())
    assert kept.exists()
