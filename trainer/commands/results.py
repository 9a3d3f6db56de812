"""`evaluate`, `predict`, `collect`, `mistakes` and `report`: the commands that read checkpoints."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from trainer.commands.flags import Checkpoints, File, Images, Only, Source, Switch
from trainer.commands.pictures import read_pictures
from trainer.wording import count

_FOLDERS = PrimitiveConstructorSpec[tuple[Path, ...]](
    nargs="*",
    metavar="DIR [DIR ...]",
    instance_from_str=lambda given: tuple(map(Path, given)),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: list(map(str, value)),
)


def evaluate(
    source: Source, checkpoints: Checkpoints = Path("checkpoints"), only: Only = ()
) -> int:
    """Recompute the recorded test figures; exit with 1 if one differs.

    Example: python -m trainer evaluate --only adam_full
    """
    from trainer import metrics
    from trainer.checkpoint import list_names, load_checkpoint
    from trainer.figures import stored_outputs

    names = only or list_names(checkpoints)
    device, data = source.find_device(), source.load()
    status = 0
    for name in names:
        loaded = load_checkpoint(checkpoints, name)
        recorded = loaded.record.test
        image_px = loaded.record.recipe.image_px
        outputs = stored_outputs(loaded.weights, data.test.images, image_px, device)
        figures = metrics.measure(outputs.logits, data.test.labels)
        print(
            f"{name}: test accuracy {figures.accuracy:.2%}, loss {figures.loss:.4f} "
            f"on {len(data.test):,} images",
            end="; ",
        )
        # The digest tells files apart, not images: PNG and WebP copies must compare equal.
        same_count = len(data.test) == loaded.record.data.test_count
        if loaded.record.data.digest != data.digest and not same_count:
            print(f"recorded {recorded.accuracy:.2%} is of another data set")
        elif figures.confusion == recorded.confusion:
            print("equals the recorded figures")
        else:
            print(f"DIFFERS from the recorded {recorded.accuracy:.2%}")
            status = 1
    return status


def predict(
    images: Images,
    checkpoints: Checkpoints = Path("checkpoints"),
    crop: Literal["centre", "fit"] = "centre",
    top: Annotated[int, tyro.conf.arg(metavar="N")] = 3,
    as_json: Annotated[Switch, tyro.conf.arg(name="json")] = False,
) -> int:
    """Classify pictures with the four models.

    Probabilities are of outputs divided by the temperature in each model's record.

    Example: python -m trainer predict cat.jpg --top 3

    Args:
        crop: The largest centred square, or the whole picture on white.
        top: Classes shown.
        as_json: All ten probabilities as JSON, and whether the picture looks familiar.
    """
    from trainer.predict import Quartet
    from trainer.wording import describe_foreign

    quartet = Quartet(checkpoints)
    for name, fault in quartet.faults.items():
        print(f"{name} is left out: {fault}", file=sys.stderr)
    results: dict[str, Any] = {}
    notes: dict[str, str] = {}
    decider = quartet.decider and quartet.records[quartet.decider].familiarity
    pictures, status = read_pictures(images, crop)
    for path, pixels in pictures.items():
        answers = quartet.classify(pixels)
        results[str(path)] = answers.of_picture(0)
        if decider and answers.familiar is not None and not answers.familiar[0]:
            notes[str(path)] = describe_foreign(decider, pixels.shape[-1])
    if as_json:
        if decider:
            results = {
                picture: models | {"familiar": picture not in notes}
                for picture, models in results.items()
            }
        print(json.dumps(results, indent=1))
    else:
        _print_answers(results, notes, top)
    return status


def collect(
    folders: Annotated[
        tuple[Path, ...],
        _FOLDERS,
        tyro.conf.Positional,
        tyro.conf.arg(help="Folders of finished runs.", help_behavior_hint=""),
    ] = (),
    checkpoints: Checkpoints = Path("checkpoints"),
) -> int:
    """List runs under other seeds beside the checkpoints, for the report and the app.

    Runs must be their preset's but for the seed, on the images and from the backbone of the
    checkpoints, which are listed too. What was listed before stays, unless its checkpoint changed.

    Example: python -m trainer collect runs/seed-1 runs/seed-2
    """
    from trainer.seeds import collect_runs, save_runs

    runs = collect_runs(folders, checkpoints)
    path = save_runs(runs, checkpoints)
    print(f"{path} lists {count(len(runs.runs), 'run')}")
    return 0


def mistakes(source: Source, checkpoints: Checkpoints = Path("checkpoints")) -> int:
    """Keep the images of the most instructive errors beside the checkpoints, for the app.

    Example: python -m trainer mistakes --data DIR
    """
    from trainer.data import load_sample_rows
    from trainer.mistakes import IMAGES_FILE, write_mistakes

    data = source.load()
    facts = write_mistakes(checkpoints, data.test, data.digest, load_sample_rows())
    path = checkpoints / IMAGES_FILE
    print(f"{path} holds {count(facts.images, 'image')} in {path.stat().st_size / 1e6:.1f} MB")
    return 0


def report(
    checkpoints: Checkpoints = Path("checkpoints"),
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("docs/report.md"),
    html: File = None,
) -> int:
    """Write the report of a folder of checkpoints.

    Example: python -m trainer report --html report.html

    Args:
        out: The Markdown file; its figures go into a folder beside it.
        html: Also as one self-contained page.
    """
    from trainer.report import write_report

    write_report(checkpoints, out, html)
    print(f"wrote {out}" + (f" and {html}" if html else ""))
    return 0


def _print_answers(
    results: dict[str, dict[str, dict[str, float]]], notes: dict[str, str], top: int
) -> None:
    for picture, models in results.items():
        print(picture)
        for name, probabilities in models.items():
            likeliest = sorted(probabilities.items(), key=lambda item: -item[1])[:top]
            cells = "".join(f"{label:>12} {share:6.1%}" for label, share in likeliest)
            print(f"  {name:<12}{cells}")
        if picture in notes:
            print(f"  {notes[picture]}")
