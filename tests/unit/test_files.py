"""Writing whole or not at all, one holder a folder, and hashes that tell tensors apart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trainer import files
from trainer.errors import QuartetError

HOLD = """
import sys
from pathlib import Path
from trainer.files import lock_folder
with lock_folder(Path(sys.argv[1]), "a training run"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds `tmp_path` until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    files.write_file(path, b"one")
    files.write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == {"a.txt"}
    assert path.stat().st_mode & 0o777 == 0o644


def test_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write_file(path, b"one")
    with pytest.raises(KeyError), files.replacing(path, b"two"):
        raise KeyError
    assert path.read_bytes() == b"one"
    assert names(tmp_path) == {"a.txt"}
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        files.write_file(tmp_path / "folder", b"two")
    assert names(tmp_path) == {"a.txt", "folder"}


def test_second_process_is_told_who_holds_the_folder(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    with pytest.raises(QuartetError) as caught, files.lock_folder(tmp_path, "the app"):
        pytest.fail("held twice")
    assert caught.value.code == "folder_locked"
    assert f"in use by a training run (process {holder.pid})" in str(caught.value)


def test_killed_holder_lets_the_folder_go(tmp_path: Path, holder: "subprocess.Popen[str]") -> None:
    holder.kill()
    holder.wait()
    with files.lock_folder(tmp_path, "the app"):
        assert "the app" in (tmp_path / ".lock-holder").read_text()
    assert ".lock-holder" not in names(tmp_path)


def test_lock_removes_what_a_killed_write_left(tmp_path: Path) -> None:
    half_written = files.replacing(tmp_path / "model.safetensors", bytes(1000))
    half_written.__enter__()  # and never left, as by a process that is killed
    (tmp_path / "notes.unfinished").touch()
    assert len(names(tmp_path)) == 2
    with files.lock_folder(tmp_path, "the app"):
        assert {name for name in names(tmp_path) if not name.startswith(".lock")} == {
            "notes.unfinished"
        }


def test_lock_ends_with_an_exception_too(tmp_path: Path) -> None:
    with pytest.raises(KeyError), files.lock_folder(tmp_path, "the app"):
        raise KeyError
    with files.lock_folder(tmp_path, "the app"):
        pass


def test_hash_of_tensors_follows_names_shapes_dtypes_and_contents() -> None:
    tensors = {"a": torch.arange(6), "b": torch.zeros(2)}
    digest = files.hash_tensors(tensors)
    assert files.hash_tensors({"b": torch.zeros(2), "a": torch.arange(6)}) == digest
    assert files.hash_tensors({"a": torch.arange(12)[::2] // 2, "b": torch.zeros(2)}) == digest
    others = [
        {"a": torch.arange(6), "c": torch.zeros(2)},
        {"a": torch.arange(6).reshape(2, 3), "b": torch.zeros(2)},
        {"a": torch.arange(6), "b": torch.zeros(2, dtype=torch.int32)},
        {"a": torch.arange(6), "b": torch.zeros(1), "ba": torch.zeros(1)},
        {"a": torch.arange(6), "b": torch.ones(2)},
        {"a": torch.arange(6)},
    ]
    assert len({digest, *map(files.hash_tensors, others)}) == len(others) + 1


def test_hash_takes_scalars_and_nothing() -> None:
    shapes = (torch.zeros(()), torch.zeros(1), torch.zeros(0), torch.zeros(0, 3))
    assert len({files.hash_tensors({"a": tensor}) for tensor in shapes}) == 4


def test_hash_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # NIST FIPS 180-2, appendix B.1.
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.hash_file(tmp_path / "a") == files.hash_bytes(b"abc") == known


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_cache_gives_back_what_it_was_given_or_nothing(cache: Path) -> None:
    assert files.read_cache("few-1") is None
    files.write_cache("few-1", {"x": torch.arange(3)})
    found = files.read_cache("few-1")
    assert found is not None
    assert found["x"].tolist() == [0, 1, 2]
    del found
    path = cache / "few-1.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert files.read_cache("few-1") is None


def test_cache_keeps_the_newest(cache: Path) -> None:
    for number in range(4):
        files.write_cache(f"few-{number}", {"x": torch.arange(3)})
        os.utime(cache / f"few-{number}.safetensors", (number, number))
    files.write_cache("other-1", {"x": torch.arange(3)}, kept=1)
    files.write_cache("few-4", {"x": torch.arange(3)}, kept=2)
    assert names(cache) == {
        "few-3.safetensors", "few-4.safetensors", "other-1.safetensors",
    }  # fmt: skip


def test_cache_that_cannot_be_written_is_no_fault(cache: Path) -> None:
    cache.parent.mkdir(exist_ok=True)
    cache.write_bytes(b"a file where the folder should be")
    files.write_cache("few-1", {"x": torch.arange(3)})
    assert files.read_cache("few-1") is None
