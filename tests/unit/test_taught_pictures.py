"""Pictures that visitors teach: kept by owner, counted, swept."""

import resource
from pathlib import Path

import pytest
from PIL import Image

from demo.jobs.limits import Limits
from demo.jobs.pictures import TaughtPictures
from demo.jobs.refusal import Refused
from demo.jobs.sweep import Ages
from tests.pictures import encode
from trainer.recipe import MAX_OWN_PICTURES

MINE, THEIRS = "my token", "their token"


def picture(shade: int) -> bytes:
    return encode(Image.new("RGB", (32, 32), (shade, 0, 0)), "PNG")


def test_pictures_are_their_owners_and_survive_a_restart(tmp_path: Path) -> None:
    pictures = TaughtPictures(tmp_path, Limits())
    assert pictures.of_owner(MINE) == []
    assert pictures.of_owner("") == []
    for shade, label in ((1, "ship"), (2, "cat"), (3, "dog")):
        assert pictures.add(MINE, label, picture(shade))
    pictures = TaughtPictures(tmp_path, Limits())
    mine = pictures.of_owner(MINE)
    assert [one.label for one in mine] == ["ship", "cat", "dog"]
    assert [one.path.read_bytes() for one in mine] == [picture(shade) for shade in (1, 2, 3)]
    assert pictures.of_owner(THEIRS) == []
    pictures.remove(THEIRS, mine[0].id)
    pictures.remove(MINE, f"../{mine[0].id}")
    assert pictures.of_owner(MINE) == mine
    pictures.remove(MINE, mine[1].id)
    assert pictures.of_owner(MINE) == [mine[0], mine[2]]
    pictures.clear(THEIRS)
    assert len(pictures.of_owner(MINE)) == 2
    pictures.clear(MINE)
    assert pictures.of_owner(MINE) == []
    assert not any(MINE in path.name for path in tmp_path.rglob("*"))


def test_same_picture_twice_is_one_and_another_class_corrects_it(tmp_path: Path) -> None:
    pictures = TaughtPictures(tmp_path, Limits())
    assert pictures.add(MINE, "cat", picture(1))
    assert not pictures.add(MINE, "cat", picture(1))
    assert pictures.add(MINE, "dog", picture(1))
    assert [one.label for one in pictures.of_owner(MINE)] == ["dog"]
    with pytest.raises(ValueError, match="no class"):
        pictures.add(MINE, "../cat", picture(2))


def test_there_may_be_so_many_of_one_and_of_all(tmp_path: Path) -> None:
    pictures = TaughtPictures(tmp_path, Limits(pictures=MAX_OWN_PICTURES + 1))
    for shade in range(MAX_OWN_PICTURES):
        pictures.add(MINE, "cat", picture(shade))
    with pytest.raises(Refused, match=str(MAX_OWN_PICTURES)):
        pictures.add(MINE, "cat", picture(200))
    pictures.add(MINE, "dog", picture(0))  # no further picture
    pictures.add(THEIRS, "cat", picture(0))
    with pytest.raises(Refused, match="Too many"):
        pictures.add(THEIRS, "cat", picture(1))


def test_old_pictures_are_swept(tmp_path: Path) -> None:
    pictures = TaughtPictures(tmp_path, Limits())
    pictures.add(MINE, "cat", picture(1))
    pictures.sweep(Ages())
    assert len(pictures.of_owner(MINE)) == 1
    pictures = TaughtPictures(tmp_path, Limits(pictures_kept_s=0))
    pictures.sweep(Ages())
    assert pictures.of_owner(MINE) == []


def test_full_disk_is_said_without_a_path(tmp_path: Path) -> None:
    pictures = TaughtPictures(tmp_path, Limits())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(Refused) as refused:
            pictures.add(MINE, "cat", picture(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert pictures.of_owner(MINE) == []
