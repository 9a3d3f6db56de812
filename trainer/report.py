from pathlib import Path


def write_report(folder: Path, out: Path, html: Path | None = None) -> None:
    pass
