"""SHA-256 of files, a block at a time."""

import hashlib
from pathlib import Path


def hash_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    total = hashlib.sha256()
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            total.update(block)
    return total.hexdigest()
