"""The launched app through its HTTP API: what it answers, and what it refuses."""

import asyncio
import base64
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import safetensors.torch
import torch
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from PIL import Image, features

from demo.gallery import EXAMPLES_DIR
from demo.models import LARGEST_BATCH
from demo.words.common import LABELS
from tests.app import Refused, RunningApp, as_file, running_app
from tests.conftest import CHECKPOINTS, ROOT
from tests.pictures import claim_png, encode, make_flat_webp, text_bomb, turn
from trainer import checkpoint
from trainer.calibration import temper
from trainer.data import Dataset, load_sample_rows
from trainer.files import hash_file
from trainer.recipe import CLASSES, RECIPE_NAMES


@pytest.fixture(scope="module")
def app() -> Iterator[RunningApp]:
    with running_app() as running:
        yield running


@pytest.fixture(scope="module")
def picture(sample: Dataset) -> Image.Image:
    """A 96 x 64 photograph-like picture."""
    pixels = sample.test.images[3].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels).resize((96, 64), Image.Resampling.BICUBIC)


def shares(answer: Any) -> np.ndarray:
    """Probabilities `(4, 10)` of an answer."""
    return np.array([list(model["probabilities"].values()) for model in answer["models"].values()])


def test_answers_are_the_recorded_predictions(app: RunningApp, sample: Dataset) -> None:
    recorded = {}
    for name in RECIPE_NAMES:
        record = checkpoint.load_record(CHECKPOINTS, name)
        probabilities = checkpoint.load_predictions(CHECKPOINTS, record).probabilities
        recorded[name] = temper(probabilities.log(), record.temperature)
    for index in (0, 250, 499):
        image = Image.fromarray(sample.test.images[index].permute(1, 2, 0).numpy())
        answer = app.classify(encode(image, "PNG"))
        row = load_sample_rows()[index]
        assert list(answer["models"]) == list(RECIPE_NAMES)
        for name, model in answer["models"].items():
            assert list(model["probabilities"]) == list(CLASSES)
            expected = recorded[name][row]
            assert list(model["probabilities"].values()) == pytest.approx(
                expected.tolist(), abs=2e-3
            )
            assert model["answer"] == max(model["probabilities"], key=model["probabilities"].get)
            assert model["seconds"] > 0


def test_crop_decides_what_the_models_see(app: RunningApp) -> None:
    content = (EXAMPLES_DIR / "dog-photo.jpg").read_bytes()
    centre, fit = app.classify(content, "centre"), app.classify(content, "fit")
    assert not np.allclose(shares(centre), shares(fit), atol=1e-3)
    with pytest.raises(Refused, match="Crop must be"):
        app.classify(content, "bogus")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_upright_answer(
    app: RunningApp, picture: Image.Image, orientation: int
) -> None:
    upright = app.classify(encode(picture, "PNG"))
    assert np.allclose(shares(app.classify(turn(picture, orientation))), shares(upright))


def test_modes_of_colour_are_defined(app: RunningApp, picture: Image.Image) -> None:
    white = shares(app.classify(encode(Image.new("RGB", (64, 64), "white"), "PNG")))
    clear = picture.convert("RGBA")
    clear.putalpha(0)
    assert np.allclose(shares(app.classify(encode(clear, "PNG"))), white, atol=0.2)
    palette = encode(picture.quantize(16), "PNG", transparency=bytes(16))
    assert np.allclose(shares(app.classify(palette)), shares(app.classify(encode(clear, "PNG"))))
    grey = picture.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert np.allclose(
        shares(app.classify(encode(deep, "PNG"))), shares(app.classify(encode(grey, "PNG")))
    )
    assert shares(app.classify(encode(picture.convert("CMYK"), "JPEG"))).shape == (4, 10)
    broken = encode(picture, "JPEG", exif=b"Exif\x00\x00MM\x00*broken")
    assert np.allclose(shares(app.classify(broken)), shares(app.classify(encode(picture, "JPEG"))))
    assert shares(app.classify(encode(Image.new("RGB", (1, 1), "red"), "PNG"))).shape == (4, 10)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.png", "empty"),
        (b"hello", "a.png", "JPEG, PNG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png", "JPEG, PNG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.jpg", "JPEG, PNG, WebP, GIF or BMP"),
        (claim_png(10_000, 10_000), "a.png", "megapixels"),
        (claim_png(1, 5_000), "a.png", "times as long"),
        (text_bomb(), "a.png", "beside its pixels"),
        (make_flat_webp(10_000, 5_000), "a.webp", "megapixels"),
    ],
    ids=["empty", "text", "svg as png", "svg as jpg", "giant", "thin", "text bomb", "flat"],
)
def test_what_is_no_picture_is_refused(
    app: RunningApp, content: bytes, name: str, said: str
) -> None:
    before = psutil.Process(app.pid).memory_info().rss
    with pytest.raises(Refused, match=said) as refused:
        app.classify(content, name=name)
    assert_one_sentence(str(refused.value))
    assert psutil.Process(app.pid).memory_info().rss - before < 60e6


@pytest.mark.parametrize("kind", ["TIFF", "EPS", "AVIF"])
def test_other_formats_are_refused_by_content(
    app: RunningApp, picture: Image.Image, kind: str
) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    with pytest.raises(Refused, match="JPEG, PNG, WebP, GIF or BMP"):
        app.classify(encode(picture, kind), name="a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_pictures_are_refused(app: RunningApp, picture: Image.Image, kind: str) -> None:
    content = encode(picture, kind)
    with pytest.raises(Refused, match="not a whole picture"):
        app.classify(content[: len(content) // 2])


def test_who_sends_slow_pictures_leaves_others_their_turn(
    app: RunningApp, picture: Image.Image
) -> None:
    ended: list[str] = []

    def ask(address: str, content: bytes) -> None:
        headers = {"x-forwarded-for": address}
        with httpx.Client(base_url=app.url, timeout=180, headers=headers) as client:
            try:
                RunningApp(app.url, client, app.pid).classify(content)
            finally:
                ended.append(address)

    with ThreadPoolExecutor(LARGEST_BATCH + 1) as pool:
        greedy = [
            pool.submit(ask, "192.0.2.1", make_flat_webp(2_000 + n, 2_000))
            for n in range(LARGEST_BATCH)
        ]
        wait(greedy, return_when=FIRST_COMPLETED)
        pool.submit(ask, "192.0.2.2", encode(picture, "PNG")).result()
    assert len(ended) == LARGEST_BATCH + 1
    assert ended[-1] == "192.0.2.1"


def test_file_above_the_limit_is_refused_by_the_server(app: RunningApp) -> None:
    with pytest.raises(Refused, match=str(20 * 2**20)):
        app.upload(bytes(20 * 2**20 + 1))


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../etc/passwd", "app.py", "http://127.0.0.1:1/a.png", "file:///etc/passwd"],
)
def test_paths_and_addresses_are_refused_unread(app: RunningApp, path: str) -> None:
    for file in (as_file(path), {"path": path}):
        with pytest.raises(Refused, match="upload") as refused:
            app.call(file, "centre")
        assert_one_sentence(str(refused.value))


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, {"path": None}, {"path": 5}])
def test_what_is_no_file_is_refused(app: RunningApp, value: Any) -> None:
    with pytest.raises(Refused, match="upload"):
        app.call(value, "centre")


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/", "https://example.org/a.png"])
def test_foreign_files_are_not_streamed(app: RunningApp, address: str) -> None:
    answer = app.client.get(f"/gradio_api/file={address}")
    assert answer.status_code == 403


def test_server_files_are_not_served(app: RunningApp) -> None:
    for path in ("/etc/passwd", str(ROOT / "app.py"), str(CHECKPOINTS / "sgd_full.json")):
        assert app.client.get(f"/gradio_api/file={path}").status_code in (403, 404)
    assert app.client.get("/monitoring").status_code in (403, 404)


@pytest.mark.parametrize(
    "faults",
    [
        {"sgd_full": "missing", "adam_full": "zeroed", "sgd_frozen": "flipped"},
        {"adam_full": "not finite", "adam_frozen": "misshapen"},
    ],
)
def test_damaged_checkpoints_are_named_and_the_others_serve(
    tmp_path: Path, faults: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUARTET_HOME", "/dev/null/home")  # nor does the app need one to serve
    for path in CHECKPOINTS.iterdir():
        (tmp_path / path.name).symlink_to(path)
    for name, fault in faults.items():
        damage(tmp_path, name, fault)
    with running_app(tmp_path) as app:
        answer = app.classify((EXAMPLES_DIR / "cat-test.png").read_bytes())
        assert set(answer["models"]) == set(RECIPE_NAMES) - faults.keys()
        assert answer["left_out"].keys() == faults.keys()
        page = app.client.get("/config").text
        for name in faults:
            assert f"{name}.safetensors" in answer["left_out"][name]
            assert f"{LABELS[name]}: the model's file" in html.unescape(page)
        assert str(tmp_path) not in page


def damage(folder: Path, name: str, fault: str) -> None:
    """Damages a checkpoint's weights; the hash agrees where the fault is not about bytes."""
    path = folder / f"{name}.safetensors"
    content = path.read_bytes()
    path.unlink()
    if fault == "missing":
        return
    if fault in ("zeroed", "flipped"):
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(bytes(len(content)) if fault == "zeroed" else flipped)
        return
    weights = safetensors.torch.load(content)
    if fault == "not finite":
        weights["fc.bias"][0] = torch.nan
    else:
        weights["fc.bias"] = weights["fc.bias"][:9].clone()
    path.write_bytes(safetensors.torch.save(weights))
    record = json.loads((folder / f"{name}.json").read_text())
    record["weights_sha256"] = hash_file(path)
    (folder / f"{name}.json").unlink()
    (folder / f"{name}.json").write_text(json.dumps(record))


def test_endpoint_is_typed(app: RunningApp) -> None:
    described = app.client.get("/gradio_api/info").json()["named_endpoints"]
    assert list(described) == ["/classify"]
    (returned,) = described["/classify"]["returns"]
    assert set(returned["type"]["properties"]) == {"agreement", "familiar", "models", "left_out"}


def test_documented_client_lines_run(app: RunningApp) -> None:
    (lines,) = re.findall(
        r"```python\n(from gradio_client.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    code = lines.replace("http://127.0.0.1:7860", app.url.rstrip("/"))
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "cat" in finished.stdout


def test_documented_curl_lines_run(app: RunningApp) -> None:
    (lines,) = re.findall(r"```bash\n(.*?curl.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    code = lines.replace("http://127.0.0.1:7860", app.url.rstrip("/"))
    finished = subprocess.run(
        ["bash", "-euc", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert '"agreement"' in finished.stdout


def test_documented_request_runs(app: RunningApp) -> None:
    (line,) = re.findall(r"^curl -F .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    code = line.replace("http://127.0.0.1:7860", app.url.rstrip("/"))
    finished = subprocess.run(
        ["bash", "-euc", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "agreement" in json.loads(finished.stdout)


def test_one_request_gives_the_endpoint_s_answer(app: RunningApp, picture: Image.Image) -> None:
    content = encode(picture, "PNG")
    answer = app.client.post("/v1/classify", content=content).raise_for_status().json()
    assert np.allclose(shares(answer), shares(app.classify(content)), atol=1e-4)
    assert answer.keys() == app.classify(content).keys()


def test_answer_that_was_fetched_is_not_waited_for_again(app: RunningApp) -> None:
    path = app.upload((EXAMPLES_DIR / "cat-test.png").read_bytes())
    called = app.client.post("/gradio_api/call/classify", json={"data": [as_file(path), "centre"]})
    address = f"/gradio_api/call/classify/{called.json()['event_id']}"
    assert "event: complete" in app.client.get(address).text
    for again in (address, "/gradio_api/call/classify/nobodys"):
        answer = app.client.get(again)
        assert (answer.status_code, "fetched" in answer.json()["detail"]) == (404, True)


def test_uploaded_page_is_a_file_to_keep(app: RunningApp) -> None:
    for name, content in (("a.html", b"<script>1</script>"), ("a.svg", b"<svg/>")):
        path = app.upload(content, name)
        answer = app.client.get(f"/gradio_api/file={path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_file_with_an_address_beside_its_path_is_refused(app: RunningApp) -> None:
    path = app.upload((EXAMPLES_DIR / "cat-test.png").read_bytes())
    with pytest.raises(Refused, match="upload the picture itself"):
        app.call({**as_file(path), "url": "http://127.0.0.1:1/a.png"}, "centre")
    own = {**as_file(path), "url": f"{app.url.rstrip('/')}/gradio_api/file={path}"}
    assert app.call(own, "centre")["models"]


def test_language_models_find_the_tool(app: RunningApp) -> None:
    content = (EXAMPLES_DIR / "cat-test.png").read_bytes()

    async def ask() -> tuple[str, str]:
        async with (
            streamable_http_client(f"{app.url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            (tool,) = (await session.list_tools()).tools
            picture = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            answer = await session.call_tool(tool.name, {"image": picture, "crop": "centre"})
            return tool.name, str(answer.content)

    name, answer = asyncio.run(ask())
    assert name.endswith("classify")
    assert "agreement" in answer


def assert_one_sentence(message: str) -> None:
    """One sentence, without a path of the server."""
    assert message.endswith(".")
    assert "\n" not in message
    assert "/tmp" not in message
    assert "Traceback" not in message
