"""The repository as a Hugging Face Space."""

import ast
import sys

from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from tests.conftest import ROOT

SOURCES = [ROOT / "app.py", *(ROOT / "trainer").rglob("*.py"), *(ROOT / "demo").rglob("*.py")]
DISTRIBUTIONS = {
    "PIL": "pillow",
    "annotated_types": "annotated-types",
    "markdown_it": "markdown-it-py",
    "pynvml": "nvidia-ml-py",
    "python_multipart": "python-multipart",
}
"""Import name to distribution, where they differ."""


def requirements() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def test_front_matter_names_what_is_there() -> None:
    card = RepoCard((ROOT / "README.md").read_text()).data.to_dict()
    assert card["sdk"] == "gradio"
    assert (ROOT / card["app_file"]).is_file()
    assert card["sdk_version"] in requirements()["gradio"].specifier
    assert len(card["short_description"]) <= 60


def test_everything_imported_is_required() -> None:
    own = {"trainer", "demo"}
    imported = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - own - sys.stdlib_module_names
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= requirements().keys()
