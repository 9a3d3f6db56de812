"""Who may import whom, and what must not be imported at all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"recipe", "palette"},
    {"events", "metrics", "picture", "resnet"},
    {"data", "model", "augment", "distributed", "resources", "stop"},
    {"checkpoint", "examples", "progress", "observations"},
    {"predict", "figures", "run", "plots"},
    {"engine"},
    {"report", "make_sample"},
    {"cli"},
    {"__main__"},
]


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "trainer").glob("*.py")), ids=lambda p: p.stem)
def test_trainer_imports_only_what_lies_before(path: Path) -> None:
    own = {name.split(".")[1] for name in imports(path) if name.startswith("trainer.")}
    modules = {file.stem for file in (ROOT / "trainer").glob("*.py")}
    if path.stem == "__init__":
        assert not own
        return
    level = next(i for i, layer in enumerate(LAYERS) if path.stem in layer)
    earlier = set().union(*LAYERS[:level])
    assert own & modules <= earlier


@pytest.mark.parametrize("path", sorted((ROOT / "trainer").glob("*.py")), ids=lambda p: p.stem)
def test_trainer_knows_neither_gradio_nor_bench(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & {"gradio", "bench", "demo", "tests"}
