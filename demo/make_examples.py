"""Rewrites the app's example pictures from the embedded sample: `python -m demo.make_examples`.

Small ones are test images as they are. Large ones are the same kind of image enlarged and set
before a blurred copy of itself, in the proportions of a photograph: cropped to its centre the
image is found again.
"""

from PIL import Image, ImageEnhance, ImageFilter

from demo.gallery import EXAMPLES_DIR
from trainer.data import load_dataset
from trainer.recipe import CLASSES

SMALL = {"airplane": 0, "bird": 2, "cat": 0, "deer": 3, "frog": 0, "horse": 0, "ship": 0}
"""Class to which of the sample's test images of that class."""
LARGE = {"automobile": 0, "dog": 0, "truck": 0}
PHOTOGRAPH_PX = (960, 720)


def main() -> None:
    """Writes `demo/examples/`."""
    EXAMPLES_DIR.mkdir(exist_ok=True)
    for name, which in SMALL.items():
        find_image(name, which).save(EXAMPLES_DIR / f"{name}-test.png", optimize=True)
    for name, which in LARGE.items():
        enlarge(find_image(name, which)).save(EXAMPLES_DIR / f"{name}-photo.jpg", quality=88)


def find_image(name: str, which: int) -> Image.Image:
    """The sample's test image number `which` of a class."""
    split = load_dataset(sample=True).test
    row = (split.labels == CLASSES.index(name)).nonzero()[which].item()
    return Image.fromarray(split.images[int(row)].permute(1, 2, 0).numpy())


def enlarge(image: Image.Image) -> Image.Image:
    """The image, enlarged to the height of a photograph, between its blurred edges."""
    width, height = PHOTOGRAPH_PX
    square = image.resize((height, height), Image.Resampling.LANCZOS)
    canvas = image.resize((width, width), Image.Resampling.LANCZOS)
    canvas = canvas.crop((0, (width - height) // 2, width, (width + height) // 2))
    canvas = ImageEnhance.Brightness(canvas.filter(ImageFilter.GaussianBlur(24))).enhance(0.8)
    canvas.paste(square, ((width - height) // 2, 0))
    return canvas


if __name__ == "__main__":
    main()
