"""The reference experiment's published figures, which Quartet is held against."""

import json
from pathlib import Path
from typing import Any

REFERENCE_FILE = Path(__file__).parent / "reference_report.json"


def load_reference() -> dict[str, Any]:
    """The reference experiment's figures: per recipe best and final accuracy in percent."""
    reference: dict[str, Any] = json.loads(REFERENCE_FILE.read_text())
    return reference


def reference_accuracy(reference: dict[str, Any], name: str) -> float:
    """The reference's best test accuracy, its best or final figure whichever is higher, 0..1."""
    row = reference["recipes"][name]
    percent: float = max(row["best_test_accuracy_percent"], row["final_accuracy_percent"])
    return percent / 100
