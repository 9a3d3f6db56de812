"""SHA-256 of files and of tensors."""

import hashlib
from pathlib import Path

from torch import Tensor


def hash_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content, read a block at a time."""
    total = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def hash_tensors(tensors: dict[str, Tensor]) -> str:
    """SHA-256 over the contents, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(tensors[name].contiguous().numpy().data.cast("B"))
    return total.hexdigest()
