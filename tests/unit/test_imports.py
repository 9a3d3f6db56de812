"""Who may import whom, and what must not be imported at all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"recipe", "palette", "hashing"},
    {"cache", "events", "metrics", "picture", "resnet", "settings"},
    {"data", "model", "augment", "distributed", "resources", "stop"},
    {"checkpoint", "examples", "progress", "observations"},
    {"predict", "figures", "run", "plots", "finetune"},
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


APP_LAYERS = [
    {"overlap", "batching", "store", "backend"},
    {"text", "hub_worker"},
    {"plots", "uploads", "local", "hub"},
    {"gallery", "models", "jobs"},
    {"comparison"},
    {"views", "make_examples"},
    {"tabs"},
    {"interface"},
]
GRADIO_USERS = {"tabs", "interface"}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "demo").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_demo_imports_only_what_lies_before(path: Path) -> None:
    names = imports(path)
    own = {name.split(".")[1] for name in names if name.startswith("demo.")}
    part = path.relative_to(ROOT / "demo").parts[0].removesuffix(".py")
    assert not {name.split(".")[0] for name in names} & {"app", "bench", "tests"}
    assert ("gradio" in {name.split(".")[0] for name in names}) <= (part in GRADIO_USERS)
    if part == "__init__":
        assert not own
        return
    level = next(i for i, layer in enumerate(APP_LAYERS) if part in layer)
    known = set().union(*APP_LAYERS)
    assert own & known <= set().union(*APP_LAYERS[:level])
    if part == "tabs":
        assert not {name for name in names if name.startswith("demo.tabs")}


def test_app_imports_the_interface_alone() -> None:
    path = ROOT / "app.py"
    assert {name for name in imports(path) if name.startswith(("demo", "trainer"))} == {
        "demo.interface.build_app",
        "demo.interface.launch_options",
    }
    assert len(path.read_text().splitlines()) < 20
