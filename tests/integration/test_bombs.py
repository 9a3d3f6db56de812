"""Pictures built to cost: each is refused with one sentence, and nobody else pays for it."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from tests import pictures
from tests.unit.test_turns import wait_until
from trainer import decoding
from trainer.containers.limits import MAX_MEGAPIXELS
from trainer.data import Dataset
from trainer.decoding import Decoder, shared_decoder
from trainer.decoding_child import READY
from trainer.errors import PictureError
from trainer.picture import NATIVE_PX, SQUARE_PX, decode_picture, to_pixels

PATIENCE_S = 120


@pytest.fixture(scope="module")
def picture(sample: Dataset) -> Image.Image:
    """A 96 x 64 photograph-like picture."""
    pixels = sample.test.images[3].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels).resize((96, 64), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def honest(picture: Image.Image) -> bytes:
    return pictures.encode(picture, "PNG")


@pytest.fixture(scope="module")
def slow() -> bytes:
    """36 bytes within every limit that take a good part of a second and 300 MB to decode."""
    return pictures.make_flat_webp(5_000, 1_000 * MAX_MEGAPIXELS["WEBP"] // 5)


@pytest.fixture
def make_decoder() -> Iterator[Callable[..., Decoder]]:
    """Makes decoders that are closed in the end."""
    made: list[Decoder] = []

    def make(**limits: float) -> Decoder:
        made.append(Decoder(**limits))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for decoder in made:
        decoder.close()


@pytest.mark.parametrize("name", pictures.BOMBS)
def test_bombs_are_refused_before_they_reach_a_decoder(
    name: str, picture: Image.Image, make_decoder: Callable[..., Decoder]
) -> None:
    said, make = pictures.BOMBS[name]
    bomb = make(picture)
    process = psutil.Process()
    memory, children = process.memory_info().rss, len(process.children())
    with pytest.raises(PictureError, match=said) as refused:
        make_decoder().decode(bomb)
    assert_one_sentence(refused.value)
    assert len(process.children()) == children
    assert process.memory_info().rss - memory < 60e6


def test_what_a_camera_writes_beside_its_pixels_passes(
    picture: Image.Image, make_decoder: Callable[..., Decoder]
) -> None:
    """EXIF with a preview, a thumbnail after the end, a printer's profile, some 20 scans."""
    exif = Image.Exif()
    exif[0x0112], exif[0x927C], exif[0x010F] = 6, bytes(40_000), "maker"
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    content = pictures.encode(
        turned, "JPEG", progressive=True, exif=exif, icc_profile=bytes(600_000), comment=b"a day"
    )
    content = pictures.add_empty_scans(content, 10) + pictures.encode(picture, "JPEG") * 20
    plain = pictures.encode(turned, "JPEG", progressive=True)
    expected = to_pixels(decode_picture(plain).transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(make_decoder().decode(content), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("crop", ["centre", "fit"])
def test_a_child_decodes_as_this_process_does(kind: str, crop: str, picture: Image.Image) -> None:
    content = pictures.encode(picture, kind)
    pixels = shared_decoder().decode(content, crop)  # type: ignore[arg-type]
    assert pixels.shape == (3, SQUARE_PX, SQUARE_PX)
    assert np.array_equal(pixels, to_pixels(decode_picture(content), crop))  # type: ignore[arg-type]


def test_the_square_may_be_larger_and_is_smaller_for_a_small_picture(picture: Image.Image) -> None:
    content = pictures.encode(picture.resize((900, 600)), "JPEG", quality=95)
    pixels = shared_decoder().decode(content, side=128)
    assert np.array_equal(pixels, to_pixels(decode_picture(content, 128), side=128))
    small = pictures.encode(picture.resize((40, 32)), "PNG")
    assert np.array_equal(shared_decoder().decode(small), to_pixels(decode_picture(small)))
    assert shared_decoder().decode(small).shape == (3, NATIVE_PX, NATIVE_PX)


def test_a_crop_nobody_knows_is_refused(honest: bytes) -> None:
    with pytest.raises(PictureError, match="centre or fit"):
        shared_decoder().decode(honest, "bogus")  # type: ignore[arg-type]


def test_the_largest_honest_pictures_pass_in_the_memory_of_a_child() -> None:
    """Those that need most: four whole planes of coefficients; transparency and a turn."""
    phone = Image.new("CMYK", (8_000, 6_000), "red")
    jpeg = pictures.encode(phone, "JPEG", progressive=True, subsampling=0)
    side = int((1e6 * MAX_MEGAPIXELS["WEBP"]) ** 0.5)
    clear = Image.new("RGBA", (side, side), (200, 0, 0, 100))
    webp = pictures.turn(clear, 6, "WEBP", quality=30, method=0)
    for content in (jpeg, webp):
        assert shared_decoder().decode(content).shape == (3, SQUARE_PX, SQUARE_PX)


def test_too_much_memory_costs_one_picture(
    honest: bytes, make_decoder: Callable[..., Decoder]
) -> None:
    large = pictures.claim_png(5_000, 4_000)
    decoder = make_decoder(children=1, memory_bytes=64 * 2**20)
    for _ in range(2):
        with pytest.raises(PictureError, match="too much memory") as refused:
            decoder.decode(large)
        assert_one_sentence(refused.value)
        assert decoder.decode(honest).any()


def test_too_much_time_costs_one_picture(
    honest: bytes, slow: bytes, make_decoder: Callable[..., Decoder]
) -> None:
    decoder = make_decoder(children=1, timeout_s=0.05)
    with pytest.raises(PictureError, match="seconds to decode") as refused:
        decoder.decode(slow)
    assert_one_sentence(refused.value)
    assert decoder.decode(honest).any()


def test_a_killed_child_costs_nobody_their_picture(
    honest: bytes, slow: bytes, make_decoder: Callable[..., Decoder]
) -> None:
    others = set(psutil.Process().children())
    decoder = make_decoder(children=1)
    expected = decoder.decode(honest)
    (idle,) = set(psutil.Process().children()) - others
    idle.kill()
    assert np.array_equal(decoder.decode(honest), expected)
    (child,) = set(psutil.Process().children()) - others
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(decoder.decode, slow)
        wait_until(lambda: child.memory_info().rss > 60e6)  # it is at it
        child.kill()
        assert asked.result(PATIENCE_S).any()


def test_a_picture_that_costs_two_children_is_refused(
    honest: bytes,
    slow: bytes,
    monkeypatch: pytest.MonkeyPatch,
    make_decoder: Callable[..., Decoder],
) -> None:
    dying = "import socket; channel = socket.socket(fileno=0); channel.send(READY); channel.recv(1)"
    decoder = make_decoder(children=1)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "_RUN", dying.replace("READY", repr(READY)))
        started = count_starts(patch)
        for _ in range(2):  # then it is remembered, and costs no more
            with pytest.raises(PictureError, match="not a whole picture") as refused:
                decoder.decode(honest)
            assert_one_sentence(refused.value)
        assert len(started) == 2
    assert decoder.decode(slow).any()


def test_the_same_bomb_asked_by_many_costs_one_child(
    honest: bytes,
    slow: bytes,
    monkeypatch: pytest.MonkeyPatch,
    make_decoder: Callable[..., Decoder],
) -> None:
    started = count_starts(monkeypatch)
    decoder = make_decoder(timeout_s=0.05)
    with ThreadPoolExecutor(32) as pool:
        asked = [pool.submit(decoder.decode, slow, client=f"client {n % 8}") for n in range(32)]
        for one in asked:
            with pytest.raises(PictureError, match="seconds to decode"):
                one.result(PATIENCE_S)
    assert decoder.decode(honest).any()
    assert len(started) <= 3  # the one it cost, its replacement, and one that was started early


def test_who_asks_much_delays_others_by_one_picture_at_most(
    honest: bytes, make_decoder: Callable[..., Decoder]
) -> None:
    decoder = make_decoder()
    ended: list[str] = []

    def ask(content: bytes, client: str) -> None:
        decoder.decode(content, client=client)
        ended.append(client)

    with ThreadPoolExecutor(20) as pool:
        for client in ("greedy", "as greedy"):
            for n in range(4):
                width = 2_000 + 10 * n + len(client)  # no two are the same file
                pool.submit(ask, pictures.make_flat_webp(width, 2_000), client)
        wait_until(lambda: decoder.waiting >= 3)
        before = len(ended)
        pool.submit(ask, honest, "honest")
    assert len(ended) == 9
    assert ended.index("honest") - before <= 2  # the two that were being decoded


def test_a_child_owns_nothing(honest: bytes, tmp_path: Path) -> None:
    """A program with a secret in its environment, which prints what its child has."""
    program = """
import os, psutil
from trainer.decoding import shared_decoder
shared_decoder().decode(open(os.environ["PICTURE"], "rb").read())
(child,) = psutil.Process().children()
print(child.environ())
print([child.num_fds(), child.rlimit(psutil.RLIMIT_NOFILE), child.rlimit(psutil.RLIMIT_FSIZE)])
print([m.path for m in child.memory_maps() if "numpy" in m.path or "torch" in m.path])
print(child.cwd(), child.nice() > psutil.Process().nice())
"""
    path = tmp_path / "picture.png"
    path.write_bytes(honest)
    environment = {**os.environ, "PICTURE": str(path), "HF_TOKEN": "secret"}
    environment.pop("LD_LIBRARY_PATH", None)
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    variables, files, libraries, rest = finished.stdout.splitlines()
    assert set(eval(variables)) == {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    assert files == "[3, (3, 3), (0, 0)]"
    assert (libraries, rest) == ("[]", "/ True")


def test_children_end_with_the_process_that_asks(honest: bytes, tmp_path: Path) -> None:
    program = """
import os, psutil, signal, sys
from trainer.decoding import shared_decoder
shared_decoder().decode(sys.stdin.buffer.read())
print(psutil.Process().children()[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        input=honest, cwd=Path(__file__).parents[2], capture_output=True, check=False,
    )  # fmt: skip
    child = int(finished.stdout)
    wait_until(lambda: not psutil.pid_exists(child) or is_zombie(child))


def test_a_child_that_is_left_in_the_middle_ends_without_a_word() -> None:
    ours, theirs = socket.socketpair()
    program = f"from trainer.decoding_child import serve; serve(1.0, {2**29})"
    with theirs, subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=theirs.fileno(), stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
    ) as child:  # fmt: skip
        assert select.select([ours], [], [], PATIENCE_S)[0]  # that it is ready
        ours.close()  # unread
        assert child.stderr is not None
        assert child.stderr.read() == b""
        assert child.wait(PATIENCE_S) == 0


def test_where_no_process_can_start_pictures_are_refused(
    honest: bytes, monkeypatch: pytest.MonkeyPatch, make_decoder: Callable[..., Decoder]
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PictureError, match="try again in a minute") as refused:
        make_decoder().decode(honest)
    assert_one_sentence(refused.value)
    monkeypatch.undo()
    assert make_decoder().decode(honest).any()


def count_starts(patch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one with every process that is started from now on."""
    started: list[object] = []
    start = subprocess.Popen

    def count(*args: object, **kwargs: object) -> object:
        started.append(args)
        return start(*args, **kwargs)  # type: ignore[call-overload]

    patch.setattr(subprocess, "Popen", count)
    return started


def is_zombie(pid: int) -> bool:
    """True where it ended and only its parent's look is missing."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_one_sentence(error: PictureError) -> None:
    """One sentence, without a path of the server."""
    said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert "/" not in said
