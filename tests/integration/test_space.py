"""The repository as a Hugging Face Space."""

import ast
import sys
from typing import Any

from huggingface_hub import RepoCard, SpaceHardware
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT
from trainer.backbones import TORCHVISION_ON_HUB
from trainer.publication.card import DATA_SET, LICENSE

SOURCES = [ROOT / "app.py", *(ROOT / "trainer").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]
DISTRIBUTIONS = {
    "PIL": "pillow",
    "annotated_types": "annotated-types",
    "markdown_it": "markdown-it-py",
    "pynvml": "nvidia-ml-py",
    "python_multipart": "python-multipart",
}
"""Import name to distribution, where they differ."""


THERE_ONLY = {"spaces"}
"""What a Space on ZeroGPU brings along."""
ZERO_GPU_PYTHON, ZERO_GPU_TORCH = "3.12", SpecifierSet(">=2.8,<2.12")
"""What ZeroGPU runs, as of 2026: see docs/hosting.md."""


def requirements(name: str = "requirements.txt") -> dict[str, Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def front_matter() -> dict[str, Any]:
    card: dict[str, Any] = RepoCard((ROOT / "README.md").read_text()).data.to_dict()
    return card


def test_front_matter_names_what_is_there() -> None:
    card = front_matter()
    assert card["sdk"] == "gradio"
    assert (ROOT / card["app_file"]).is_file()
    assert card["sdk_version"] in requirements()["gradio"].specifier
    assert len(card["short_description"]) <= 60
    assert (ROOT / card["thumbnail"]).is_file()
    assert card["models"] == [TORCHVISION_ON_HUB]
    assert card["datasets"] == [DATA_SET]
    assert card["suggested_hardware"] in set(SpaceHardware)
    assert card["license"] == LICENSE


def test_a_space_gets_versions_that_zero_gpu_has() -> None:
    """Installed before requirements.txt, which must then have nothing to change."""
    assert front_matter()["python_version"] == ZERO_GPU_PYTHON
    first = requirements("pre-requirements.txt")
    assert first.keys() == {"torch", "torchvision"}
    for name, requirement in first.items():
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        assert pin.version in requirements()[name].specifier
    (torch,) = first["torch"].specifier
    assert torch.version in ZERO_GPU_TORCH


def test_everything_imported_is_required() -> None:
    own = {"trainer", "demo"}
    imported = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - own - THERE_ONLY - sys.stdlib_module_names
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= requirements().keys()
