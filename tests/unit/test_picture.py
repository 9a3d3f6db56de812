import numpy as np
import pytest
from PIL import Image, features

from tests.pictures import claim_png, encode, text_bomb, turn
from trainer.containers.limits import MAX_BYTES
from trainer.data import Dataset
from trainer.errors import PictureError
from trainer.picture import NATIVE_PX, SQUARE_PX, decode_picture, to_pixels


@pytest.fixture
def picture(sample: Dataset) -> Image.Image:
    """A 96 x 64 photograph-like picture."""
    pixels = sample.test.images[3].permute(1, 2, 0).numpy()
    return Image.fromarray(pixels).resize((96, 64), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "GIF", "JPEG"])
def test_every_accepted_format_decodes(picture: Image.Image, kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_picture(encode(picture, kind, **options))
    assert (decoded.mode, decoded.size) == ("RGB", (96, 64))
    difference = np.asarray(decoded, int) - np.asarray(picture, int)
    assert np.abs(difference).mean() < (8 if kind in ("GIF", "JPEG") else 1e-9)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_gives_the_upright_picture(picture: Image.Image, orientation: int) -> None:
    decoded = decode_picture(turn(picture, orientation))
    assert np.array_equal(np.asarray(decoded), np.asarray(picture))


def test_broken_exif_is_ignored(picture: Image.Image) -> None:
    decoded = decode_picture(encode(picture, "JPEG", exif=b"Exif\x00\x00MM\x00*broken"))
    assert decoded.size == (96, 64)


def test_transparency_is_composited_on_white(picture: Image.Image) -> None:
    layer = picture.convert("RGBA")
    layer.putalpha(0)
    assert np.asarray(decode_picture(encode(layer, "PNG"))).min() == 255
    layer.putalpha(128)
    half = np.asarray(decode_picture(encode(layer, "PNG")), float)
    expected = np.asarray(picture, float) * 128 / 255 + 255 * 127 / 255
    assert np.abs(half - expected).max() <= 1.5
    grey = Image.merge("LA", [picture.convert("L"), Image.new("L", picture.size, 0)])
    assert np.asarray(decode_picture(encode(grey, "PNG"))).min() == 255
    palette = picture.quantize(16)
    palette.info["transparency"] = bytes(16)
    decoded = decode_picture(encode(palette, "PNG", transparency=bytes(16)))
    assert np.asarray(decoded).min() == 255


def test_sixteen_bit_grey_equals_its_eight_bit_twin(picture: Image.Image) -> None:
    grey = np.asarray(picture.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    decoded = decode_picture(encode(deep, "PNG"))
    assert np.array_equal(np.asarray(decoded)[:, :, 0], grey)


def test_cmyk_jpeg_becomes_rgb(picture: Image.Image) -> None:
    decoded = decode_picture(encode(picture.convert("CMYK"), "JPEG"))
    assert decoded.mode == "RGB"
    assert np.abs(np.asarray(decoded, int) - np.asarray(picture, int)).mean() < 10


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(5000)]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureError):
        decode_picture(content)


@pytest.mark.parametrize("kind", ["TIFF", "EPS", "PPM", "AVIF"])
def test_other_formats_are_refused_by_content(picture: Image.Image, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    with pytest.raises(PictureError, match="JPEG, PNG, WebP, GIF or BMP"):
        decode_picture(encode(picture, kind))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("keep", [0.3, 0.8])
def test_truncated_pictures_are_refused(picture: Image.Image, kind: str, keep: float) -> None:
    content = encode(picture, kind)
    with pytest.raises(PictureError):
        decode_picture(content[: int(len(content) * keep)])


def test_giant_and_thin_pictures_are_refused_before_decoding() -> None:
    with pytest.raises(PictureError, match="megapixels"):
        decode_picture(claim_png(10_000, 10_000))
    with pytest.raises(PictureError, match="times as long"):
        decode_picture(claim_png(1, 5000))
    with pytest.raises(PictureError, match="20 MB"):
        decode_picture(bytes(MAX_BYTES + 1))


def test_text_bomb_in_a_png_is_refused() -> None:
    with pytest.raises(PictureError):
        decode_picture(text_bomb())


def test_centre_crops_and_fit_keeps() -> None:
    wide = Image.new("RGB", (3 * SQUARE_PX, SQUARE_PX), "black")
    wide.paste("red", (SQUARE_PX, 0, 2 * SQUARE_PX, SQUARE_PX))
    centre = to_pixels(wide, "centre")
    assert centre.shape == (3, SQUARE_PX, SQUARE_PX)
    assert (centre[0].mean(), centre[1].mean()) == (255, 0)
    fit = to_pixels(wide, "fit")
    assert fit[:, 0].min() == 255
    assert fit.shape == (3, SQUARE_PX, SQUARE_PX)
    assert fit[:, SQUARE_PX // 2, 4].max() == 0


def test_one_pixel_gets_an_answer() -> None:
    pixel = decode_picture(encode(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert to_pixels(pixel).shape == (3, NATIVE_PX, NATIVE_PX)


def test_what_has_no_more_than_an_images_size_is_not_enlarged(sample: Dataset) -> None:
    native = Image.fromarray(sample.test.images[0].permute(1, 2, 0).numpy())
    assert np.array_equal(to_pixels(native), sample.test.images[0].numpy())
    strip = Image.new("RGB", (100, 20), "red")
    assert to_pixels(strip, "centre").shape == (3, NATIVE_PX, NATIVE_PX)
    assert to_pixels(strip, "fit").shape == (3, SQUARE_PX, SQUARE_PX)
    assert to_pixels(native.resize((200, 200)), side=NATIVE_PX).shape == (3, NATIVE_PX, NATIVE_PX)


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_jpeg_decoded_at_reduced_scale_looks_the_same(
    picture: Image.Image, orientation: int
) -> None:
    large = picture.resize((4000, 2600), Image.Resampling.BICUBIC)
    content = turn(large, orientation, "JPEG", quality=92)
    decoded = decode_picture(content)
    assert max(decoded.size) < 700
    difference = to_pixels(decoded).astype(int) - to_pixels(large)
    assert np.abs(difference).max() <= 3
