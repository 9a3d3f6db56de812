"""Files: hashes, the one atomic write, the cache, and the lock of a folder."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from trainer.errors import QuartetError

if TYPE_CHECKING:
    from torch import Tensor

LOCK = ".lock"
_UNFINISHED = ".unfinished"


def hash_bytes(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def hash_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content, read a block at a time."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def hash_tensors(tensors: "dict[str, Tensor]") -> str:
    """SHA-256 over names, shapes, dtypes and contents, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.contiguous().numpy().reshape(-1).data)
    return total.hexdigest()


@contextlib.contextmanager
def replacing(path: Path, content: bytes) -> Iterator[None]:
    """Writes and verifies `content` beside `path` on entry; renames it into place on exit.

    An exception, on entry or inside, leaves `path` as it was and nothing beside it; what a killed
    process leaves, `lock_folder` removes.

    Raises:
        OSError: the disk is full or read-only.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, unfinished = tempfile.mkstemp(_UNFINISHED, f".{path.name}.", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), 0o644)
        if Path(unfinished).read_bytes() != content:
            raise OSError(f"{path.name} did not read back as written: the disk may be failing")
        yield
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(unfinished)


def write_file(path: Path, content: bytes) -> None:
    """Replaces `path` by `content`, or leaves it as it was.

    Raises:
        OSError: the disk is full or read-only.
    """
    with replacing(path, content):
        pass


@contextlib.contextmanager
def lock_folder(folder: Path, holder: str) -> Iterator[None]:
    """Keeps a folder to this process until the block ends, or the process does, and removes what
    killed processes left half-written in it.

    Args:
        holder: what holds it, for whoever comes second: `the app`, `a training run`.

    Raises:
        QuartetError: another process holds it; the sentence names it.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    named = folder / f"{LOCK}-holder"
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        with contextlib.suppress(OSError):
            holder = named.read_text()
        raise QuartetError("folder_locked", folder=folder, holder=holder) from error
    try:
        for left in folder.glob(f".*{_UNFINISHED}"):
            left.unlink(missing_ok=True)
        named.write_text(f"{holder} (process {os.getpid()})")
        yield
    finally:
        named.unlink(missing_ok=True)
        lock.release()


def cache_path(name: str) -> Path:
    """Where tensors of that name are kept between runs, where losing them costs only time.

    The folder is `QUARTET_CACHE`, else `$XDG_CACHE_HOME/quartet`, else `~/.cache/quartet`.
    """
    named = os.environ.get("QUARTET_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quartet"
    return (Path(named) if named else base) / f"{name}.safetensors"


def write_cache(name: str, tensors: "dict[str, Tensor]", kept: int | None = None) -> None:
    """Keeps tensors for the next run. A cache that cannot be written is no fault.

    Args:
        kept: of the names with the same first word (up to `-`), drop all but so many, the oldest
            first.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path = cache_path(name)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, unfinished, metadata={"sha256": hash_tensors(tensors)})
        unfinished.replace(path)
        if kept is not None:
            like = path.parent.glob(f"{name.partition('-')[0]}-*.safetensors")
            for old in sorted(like, key=lambda p: p.stat().st_mtime, reverse=True)[kept:]:
                old.unlink()
    except (OSError, SafetensorError):
        with contextlib.suppress(OSError):
            unfinished.unlink()


def read_cache(name: str) -> "dict[str, Tensor] | None":
    """Memory-mapped tensors, or None where there are none to trust."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(cache_path(name), framework="pt") as cached:
            tensors = {key: cached.get_tensor(key) for key in cached.keys()}  # noqa: SIM118
            recorded = (cached.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return tensors if hash_tensors(tensors) == recorded else None


def _sync_folder(folder: Path) -> None:
    """Flushes a rename. Windows cannot open folders and needs no such thing."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
