"""The models and the app on the Hub, against a local stand-in of its endpoints, and back."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import RepoCard
from PIL import Image

from tests.conftest import CHECKPOINTS, ROOT, Run
from tests.hub import FakeHub, running_hub
from trainer import load_quartet
from trainer.errors import HubError
from trainer.files import hash_bytes, hash_file
from trainer.predict import Quartet
from trainer.recipe import CLASSES, RECIPE_NAMES

REPO = "someone/quartet"
PICTURE = ROOT / "demo" / "examples" / "cat-test.png"


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with running_hub(REPO, {}) as running:
        running.large = ".safetensors"
        yield running


@pytest.fixture(scope="module")
def environment(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a process that takes the stand-in for the Hub."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": "hf_secret",
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="module")
def published(hub: FakeHub, environment: dict[str, str], run_trainer: Run) -> FakeHub:
    run = run_trainer("publish", "--repo", REPO, environment=environment)
    assert run.returncode == 0, run.stderr
    assert f"published {hub.url}/{REPO}" in run.stdout
    return hub


def test_published_models_are_the_shipped_ones_to_the_byte(published: FakeHub) -> None:
    assert [made["name"] for made in published.created] == ["quartet"]
    config = json.loads(published.files["config.json"])
    assert list(config["id2label"].values()) == list(CLASSES)
    for name in RECIPE_NAMES:
        for suffix in (".safetensors", ".json", ".predictions.safetensors"):
            shipped = hash_file(CHECKPOINTS / f"{name}{suffix}")
            assert hash_bytes(published.files[f"{name}{suffix}"]) == shipped
        model = config["models"][name]
        assert model["sha256"] == hash_bytes(published.files[model["file"]])


def test_card_indexes_all_four_and_shows_pictures_that_are_there(published: FakeHub) -> None:
    text = published.files["README.md"].decode()
    data = RepoCard(text).data.to_dict()
    quartet = Quartet(CHECKPOINTS)
    indexed = {
        model["name"]: model["results"][0]["metrics"][0]["value"] for model in data["model-index"]
    }
    assert indexed == {name: record.test.accuracy for name, record in quartet.records.items()}
    assert data["license"] == "apache-2.0"
    for record in quartet.records.values():
        assert record.backbone.sha256 in text
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) == 2
    for picture in pictures:
        assert published.files[picture].startswith(b"\x89PNG")


def test_lines_of_the_card_load_the_models_back(
    published: FakeHub, environment: dict[str, str], tmp_path: Path
) -> None:
    """In a process of its own that knows nothing but the repository's name."""
    ours, plain = re.findall(
        r"```python\n(.*?)```", published.files["README.md"].decode(), re.DOTALL
    )
    Image.open(PICTURE).save(tmp_path / "cat.jpg", quality=95)
    program = (
        f"{ours}\nimport json\nprint(json.dumps(quartet.ask('cat.jpg')))\n{plain}\n"
        f"print(model.fc.weight.sum().item())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    _, answers, weight = run.stdout.splitlines()
    assert json.loads(answers) == Quartet(CHECKPOINTS).ask(tmp_path / "cat.jpg")
    bodies = load_quartet(CHECKPOINTS)
    head = bodies._bodies[next(iter(bodies._bodies))].heads["sgd_full"][0]
    assert float(weight) == pytest.approx(head.sum().item(), abs=1e-3)


def test_quartet_of_a_folder_answers_for_a_path_and_for_bytes() -> None:
    quartet = load_quartet(CHECKPOINTS)
    answers = quartet.ask(PICTURE.read_bytes())
    assert answers == quartet.ask(str(PICTURE))
    assert list(answers) == list(RECIPE_NAMES)
    for shares in answers.values():
        assert torch.tensor(list(shares.values())).sum() == pytest.approx(1)


@pytest.mark.parametrize("page", ["README.md", "docs/hosting.md"])
def test_documented_lines_load_a_folder(
    page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(
        r"```python\n(from trainer import load_quartet.*?)```", (ROOT / page).read_text(), re.DOTALL
    )
    monkeypatch.chdir(ROOT)
    exec(lines, {})
    assert "'cat': " in capsys.readouterr().out


@pytest.mark.parametrize("source", ["nowhere", "/no/where", "a/b/c", "../x"])
def test_what_is_neither_folder_nor_repository_is_said(source: str) -> None:
    with pytest.raises(HubError, match="name one as USER/NAME"):
        load_quartet(source)


def test_refusal_of_the_hub_is_one_sentence(
    hub: FakeHub, environment: dict[str, str], run_trainer: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "denied", True)
    run = run_trainer("publish", "--repo", REPO, environment=environment)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert "the Hub answers 403" in run.stderr


def test_dry_run_of_the_space_is_a_whole_app(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    run = run_here(
        *("publish", "--repo", "someone/app", "--space", "--models", REPO, "--signin"),
        *("--dry-run", "--out", tmp_path),
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "kept").exists()
    text = (tmp_path / "README.md").read_text()
    data = RepoCard(text).data.to_dict()
    assert data["models"] == [REPO]
    assert data["hf_oauth"] is True
    assert data["hf_oauth_scopes"] == ["contribute-repos"]
    assert data["thumbnail"].startswith("https://huggingface.co/spaces/someone/app/resolve/main/")
    assert (tmp_path / data["thumbnail"].partition("/main/")[2]).is_file()
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (tmp_path / target).exists(), target
    for path in ("app.py", "requirements.txt", "checkpoints/sgd_full.safetensors"):
        assert hash_file(tmp_path / path) == hash_file(ROOT / path)
    assert not list(tmp_path.rglob("__pycache__"))
