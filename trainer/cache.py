"""Tensors kept between runs in the user's cache folder, where losing them costs only time.

The folder is `QUARTET_CACHE`, else `$XDG_CACHE_HOME/quartet`, else `~/.cache/quartet`.
"""

import contextlib
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainer.hashing import hash_tensors


def cache_path(name: str) -> Path:
    """Where tensors of that name are kept."""
    named = os.environ.get("QUARTET_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quartet"
    return (Path(named) if named else base) / f"{name}.safetensors"


def write_cache(name: str, tensors: dict[str, Tensor], kept: int | None = None) -> None:
    """Keeps tensors for the next run. A cache that cannot be written is no fault.

    Args:
        kept: of the names with the same first word (up to `-`), drop all but so many, the oldest
            first.
    """
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


def read_cache(name: str) -> dict[str, Tensor] | None:
    """Memory-mapped tensors, or None where there are none to trust."""
    try:
        with safe_open(cache_path(name), framework="pt") as cached:
            tensors = {key: cached.get_tensor(key) for key in cached.keys()}  # noqa: SIM118
            recorded = (cached.metadata() or {}).get("sha256")
    except (OSError, SafetensorError):
        return None
    return tensors if hash_tensors(tensors) == recorded else None
