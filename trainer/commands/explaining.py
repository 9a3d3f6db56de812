"""`explain`, `analyse` and `sweep`: why models answer as they do, and what training changed."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trainer.commands.flags import Checkpoints, File, Folder, Images, Source
from trainer.commands.pictures import read_pictures
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE
from trainer.wording import percent

Out = Annotated[Path, tyro.conf.arg(metavar="DIR")]


def explain(
    images: Images,
    checkpoints: Checkpoints = Path("checkpoints"),
    crop: Literal["centre", "fit"] = "centre",
    out: Out = Path("runs/explain"),
) -> int:
    """Say why the models answer as they do about pictures; write figures and their numbers.

    For each picture: where each model looked and what it takes the picture for, what would change
    its mind, and the picture on the map of features; once: what training changed.

    Example: python -m trainer explain cat.jpg --out runs/cat

    Args:
        crop: The largest centred square, or the whole picture on white.
        out: Where the figures go.
    """
    from trainer.data import load_dataset
    from trainer.explain.analysed import FILE, load_analysis
    from trainer.explain.written import write_changes, write_picture
    from trainer.predict import Quartet

    quartet = Quartet(checkpoints)
    for name, fault in quartet.faults.items():
        print(f"{name} is left out: {fault}", file=sys.stderr)
    sample = load_dataset(sample=True)
    analysis = load_analysis(checkpoints / FILE, quartet.records, sample.digest)
    pictures, status = read_pictures(images, crop)
    for path, picture in pictures.items():
        said = write_picture(picture[0].numpy(), out, path.stem, quartet, analysis, sample)
        print(path)
        for name, told in said.items():
            print(f"  {name:<12}{told}")
    write_changes(out, quartet.records, analysis)
    print(f"the figures are in {out}")
    return status


def analyse(
    checkpoints: Checkpoints = Path("checkpoints"),
    own: File = None,
    start: Folder = None,
    out: File = None,
) -> int:
    """Compute what explanations need of a folder of checkpoints, and write it beside them.

    Some minutes on two cores, on the embedded sample; needs no data set.

    Example: python -m trainer analyse --checkpoints runs/train

    Args:
        own: A short run's .safetensors file, to be explained beside the analysed set.
        start: The folder of what that run began with, where it is none of the set.
        out: Where the result goes; by default beside what it explains.
    """
    from trainer.data import load_dataset
    from trainer.explain.analysed import FILE, load_analysis, save_analysis
    from trainer.explain.analysis import analyse_own, analyse_set

    sample = load_dataset(sample=True)
    if own is None:
        path, analysis = checkpoints / FILE, analyse_set(checkpoints, sample, _tell)
    else:
        known = load_analysis(checkpoints / FILE, {}, sample.digest)
        path = own.with_name(f"{own.stem}.{FILE}")
        analysis = analyse_own(own, checkpoints, sample, known, _tell, start)
    path = out or path
    size = save_analysis(path, analysis)
    print(f"{path} is written: {size / 1e6:.1f} MB")
    return 0


def sweep(
    source: Source,
    checkpoints: Checkpoints = Path("checkpoints"),
    out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("runs/sweep.json"),
) -> int:
    """Map accuracy against optimizer and learning rate, for the last layer.

    Everything else is as in the checkpoints' sgd_frozen. With --sample it takes seconds.

    Example: python -m trainer sweep --sample

    Args:
        out: Where the figures go, as JSON.
    """
    from trainer.checkpoint import load_record
    from trainer.explain.sweep import SweepCell, sweep_rates
    from trainer.files import write_file
    from trainer.short_run import load_start

    recipe = load_record(checkpoints, BACKBONE_OF).recipe
    backbone = load_start(PLAIN_BACKBONE, checkpoints)

    def tell(cell: SweepCell) -> None:
        found = "diverged"
        if cell.validation_accuracy is not None:
            found = f"validation accuracy {percent(cell.validation_accuracy)}"
        mark = ", the recipe's own rate" if cell.own else ""
        print(f"{cell.optimizer} at {cell.learning_rate:.1e}: {found}{mark}", flush=True)

    result = sweep_rates(recipe, backbone, source.load(), source.find_device(), tell)
    write_file(out, (result.model_dump_json(indent=1) + "\n").encode())
    print(f"{out} is written")
    return 0


def _tell(line: str) -> None:
    print(line, flush=True)
