"""Every sentence a user reads, and the words for recipes and figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from trainer.settings import EMPHASIS, MAX_OWN_PICTURES, OWN_REPEATS, PLAIN_BACKBONE

from demo.overlap import Overlap
from trainer.events import (
    EpochFinished,
    Event,
    ResourceSample,
    RunFailed,
    RunFinished,
    RunStarted,
    StartEvaluated,
    StepSummary,
)
from trainer.metrics import ACCEPTED_FRACTION
from trainer.picture import FORMAT_NAMES, MAX_BYTES, MAX_PIXELS
from trainer.recipe import CLASSES

TITLE = "Quartet"
TAGLINE = (
    "One ResNet-18, fine-tuned on CIFAR-10 in four ways: SGD or Adam, all layers or only the last. "
    "See what that choice does."
)
LABELS = {
    "sgd_full": "SGD, all layers",
    "adam_full": "Adam, all layers",
    "sgd_frozen": "SGD, last layer",
    "adam_frozen": "Adam, last layer",
}
"""Recipe name to the model's name on screen."""
_PAIRS = {
    "both with all layers trained": {"sgd_full", "adam_full"},
    "both with only the last layer trained": {"sgd_frozen", "adam_frozen"},
    "both trained by SGD": {"sgd_full", "sgd_frozen"},
    "both trained by Adam": {"adam_full", "adam_frozen"},
}

COMPARE_TAB, ACCURACY_TAB, ABOUT_TAB = "Compare", "Accuracy", "About"

PICTURE = "Your picture"
PICTURE_HINT = "# Drop a picture here\nor click to choose one"
CROP = "What of it the models see"
CROP_CHOICES = [("the centre square", "centre"), ("all of it, on white", "fit")]
DISAGREE_BUTTON = "An image they disagree on"
EXAMPLES = "Or try one of these"
EXAMPLES_NOTE = (
    "Small: CIFAR-10 test images. Large: such images enlarged to a photograph's proportions."
)
SEEN = "As the models see it"
SEEN_ALT = "Your picture reduced to 32 by 32 pixels, enlarged"
SEEN_NOTE = "32 x 32 pixels"
NO_PICTURE = "Choose a picture to see what the four models say."
ALL_TEN = "all ten classes"
RIGHT, WRONG = "right", "wrong"
UNSURE = "little evidence"

MODEL = "Model"
COUNTING = "Cells show"
COUNTING_CHOICES = [("percent of the true class", "percent"), ("images", "count")]
TRUE_CLASS, PREDICTED_CLASS = "True class", "Predicted class"
FIRST_MODEL, SECOND_MODEL = "First model", "Second model"
TEST_ACCURACY, TRAIN_LOSS, TEST_LOSS = "Test accuracy, %", "Train loss", "Test loss"
EPOCH = "Epoch"
FIGURES_HEADING = "## How often they are right"
CURVES_HEADING = "## How they got there"
MATRICES_HEADING = "## What they take for what"
PAIR_HEADING = "## Two models side by side"
ALONE_HEADING = "## What only one of them sees"
MATRIX_HINT = (
    "Rows are the true class, columns what the model said. Blue: right; orange: wrong, the "
    "stronger the more often. Choose a cell to see its images."
)
DIFFERENCE_HINT = (
    "First model minus second, in percentage points of the true class. Blue: the first says this "
    "more often; orange: the second does."
)

NOT_UPLOADED = "That file was not uploaded here: upload it first."
GONE = "The file is no longer on the server: upload it again."
FOREIGN_FILE = "Files are not fetched from other addresses: upload the picture itself."
BAD_CROP = "crop must be 'centre' or 'fit'."
NO_SUCH_EXAMPLE = "Choose one of the examples shown."
NO_SUCH_CLASS = f"Choose a class among {', '.join(CLASSES)}."

LIMITS = f"{FORMAT_NAMES}, up to {MAX_BYTES // 2**20} MB and {MAX_PIXELS // 1_000_000} megapixels."


def percent(fraction: float, digits: int = 1) -> str:
    """A fraction 0..1 for people: `97.3 %`; what rounds to nothing but is not, `<0.1 %`."""
    least = 10**-digits
    if 0 < 100 * fraction < least / 2:
        return f"<{least:g} %"
    return f"{100 * fraction:.{digits}f} %"


def join(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else items[0]


def article(noun: str) -> str:
    """`a cat`, `an airplane`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def describe_agreement(answers: Mapping[str, str]) -> str:
    """Who says what, in one sentence, the largest group first.

    Args:
        answers: recipe name to class.
    """
    groups: dict[str, list[str]] = {}
    for name, answer in answers.items():
        groups.setdefault(answer, []).append(name)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    if len(ordered) == 1:
        who = {1: "The only model here says", 2: "Both say", 3: "All three say", 4: "All four say"}
        return f"{who[len(answers)]} {ordered[0][0]}."
    said = "; ".join(
        f"{_name_group(names)} {'says' if len(names) == 1 else 'say'} {answer}"
        for answer, names in ordered
    )
    if len(ordered) == len(answers):
        return f"No two agree: {said}."
    return f"{said[0].upper()}{said[1:]}."


def _name_group(names: Sequence[str]) -> str:
    """Some of the models in a sentence, by what they share where they share something."""
    if len(names) == 3:
        return "three"
    if len(names) == 2:
        for shared, pair in _PAIRS.items():
            if set(names) == pair:
                return shared
    return " and ".join(inline_label(name) for name in names)


def inline_label(name: str) -> str:
    """A model's name inside a sentence: `SGD (all layers)`."""
    return LABELS[name].replace(", ", " (") + ")"


def describe_unfamiliar(unfamiliar: int, models: int) -> str:
    """That a picture is probably none of the ten classes, and why."""
    return (
        f"Probably none of the ten classes: {unfamiliar} of {models} models find less evidence "
        f"for any class here than in {ACCEPTED_FRACTION:.0%} of CIFAR-10's images. "
        f"They must still name one of {join(CLASSES)}."
    )


def describe_truth(label: int) -> str:
    return f"This one is known: it is {article(CLASSES[label])}."


def describe_example(label: int, large: bool) -> str:
    """An example for screen readers."""
    return f"Example: {article(CLASSES[label])}, {'enlarged' if large else 'a test image'}"


def describe_seconds(seconds: float) -> str:
    """`4.1 ms`."""
    return f"{1000 * seconds:.1f} ms"


def describe_fault(name: str, fault: str) -> str:
    return f"{LABELS[name]}: {fault} The other models go on without it."


def describe_cell(true: int, predicted: int, images: int) -> str:
    """A confusion cell for screen readers."""
    return f"true {CLASSES[true]}, predicted {CLASSES[predicted]}: {images} images"


def describe_gallery(whole: bool, at_hand: int, total: int) -> str:
    """Which test images can be shown."""
    if whole:
        return f"Images are from all {total:,} test images."
    return (
        f"Images are from the embedded sample: {at_hand:,} of the {total:,} test images. "
        f"With QUARTET_DATA naming the full data set, all are shown."
    )


def describe_shown(images: int, at_hand: int, shown: int) -> str:
    """How many images a choice has against how many are at hand and shown."""
    if not images:
        return "No test image is here."
    if shown == images:
        return f"{images:,} test image{'s' if images > 1 else ''}, shown here."
    return f"{images:,} test images; {at_hand:,} of them at hand, {shown:,} shown."


def describe_cell_heading(name: str, true: int, predicted: int) -> str:
    if true == predicted:
        return f"{LABELS[name]}: {CLASSES[true]}, and recognised"
    return f"{LABELS[name]}: {article(CLASSES[true])} taken for {article(CLASSES[predicted])}"


def describe_extremes(name: str, best: tuple[str, float], worst: tuple[str, float]) -> str:
    """A model's best and worst class."""
    return (
        f"{inline_label(name)} knows {best[0]} best ({percent(best[1])} right) "
        f"and {worst[0]} least ({percent(worst[1])})."
    )


def describe_confused(pairs: Sequence[tuple[int, int, int]]) -> list[str]:
    """The most confused pairs, as (true, predicted, images)."""
    return [
        f"{CLASSES[true]} taken for {CLASSES[predicted]}: {images} images"
        for true, predicted, images in pairs
    ]


def describe_overlap(first: str, second: str, overlap: Overlap) -> str:
    """McNemar's test in words."""
    one, two = inline_label(first), inline_label(second)
    trials = overlap.only_first + overlap.only_second
    if not trials:
        return f"{one} and {two} are right and wrong on the very same images."
    better, more = (one, overlap.only_first)
    if overlap.only_second > overlap.only_first:
        better, more = two, overlap.only_second
    p_value = overlap.p_value
    shown = f"p = {p_value:.3f}" if p_value >= 0.001 else f"p = {p_value:.1e}"
    if p_value < 0.05:
        return (
            f"{better} is really better: of the {trials:,} images that only one of the two gets "
            f"right it has {more:,}, more than chance explains (McNemar's exact test, {shown})."
        )
    return (
        f"No real difference: of the {trials:,} images that only one of the two gets right, "
        f"{better} has {more:,}, which chance explains well (McNemar's exact test, {shown})."
    )


def describe_alone(name: str, images: int, total: int) -> str:
    return f"{inline_label(name)} alone is right on {images:,} of {total:,} test images."


def describe_figures(record: Mapping[str, Any]) -> str:
    """Where the figures above come from."""
    data = record["data"]
    return (
        f"Measured on {data['test_count']:,} test images of {data['name']} that played no "
        f"part in training or in any choice; {data['validation_count']:,} training images were "
        f"held out for those. The reference is the published experiment that Quartet reproduces, "
        f"at its best epoch; the difference is in percentage points."
    )


def describe_experiment(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The About tab, in Markdown."""
    record = next(iter(records.values()))
    data, backbone = record["data"], record["backbone"]["name"]
    lines = [
        "## The experiment",
        f"One pre-trained ResNet-18 (`{backbone}`) learns CIFAR-10's ten classes in four ways. "
        f"All four see the same {data['train_count']:,} training images; only the optimizer and "
        "what is trained differ.",
        "| model | optimizer | learning rate | trained | epochs | batch |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    table = []
    for name, one in records.items():
        recipe = one["recipe"]
        momentum = "SGD, momentum" if recipe["optimizer"] == "sgd" else "Adam, beta1"
        trained = "all layers" if recipe["trained"] == "all" else "the last layer"
        table.append(
            f"| {LABELS[name]} | {momentum} {recipe['momentum']:g} | {recipe['learning_rate']:g}, "
            f"{recipe['schedule']} | {trained} | {recipe['epochs']} | {recipe['batch_size']} |"
        )
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:] + table) + "\n\n" + ABOUT


ABOUT = f"""\
- **All layers**: every weight may change. Most accurate, and most expensive.
- **Last layer**: the backbone stays as it was, BatchNorm's statistics included; only the map from
  its 512 features to ten classes is learned. Here the two optimizers share one backbone, so one
  pass serves both models.

The whole report, with its method and what follows from the figures, is `docs/report.md` in the
repository.

## Train your own

```
python -m trainer --out runs/mine       # the four recipes on the full CIFAR-10
QUARTET_CHECKPOINTS=runs/mine python app.py
```

## Limits

- The models see 32 x 32 pixels and know ten classes. Of anything else they still name one.
- Where half of them or more find less evidence for any class than in {ACCEPTED_FRACTION:.0%} of
  CIFAR-10's validation images (the energy score of Liu et al., 2020), the screen says so. It is a
  hint: many strange pictures pass, and some good ones do not.
- The probabilities are the models' own, uncorrected; how far they can be trusted is each model's
  calibration error in the Accuracy tab.
- Your picture stays on this server, is used for nothing else, and is deleted after about an hour.

## Licence and sources

Code and weights: Apache-2.0. CIFAR-10: Alex Krizhevsky, *Learning Multiple Layers of Features from
Tiny Images*, technical report, University of Toronto, 2009. The example pictures are made from it.
"""


FULL = "Too many jobs are waiting: try again in a few minutes."
HUB_INCOMPLETE = (
    "QUARTET_JOBS_REPO needs two more variables: SPACE_ID, the Space whose image jobs run in, and "
    "HF_TOKEN, which may start jobs and write that repository."
)
HUB_NO_PRICE = "QUARTET_JOBS_USD_A_DAY must be a number."
RESTARTED = "The app was restarted while the job ran: start it again."
BUDGET = "Today's time for jobs is used up: try again tomorrow."
NO_SUCH_START = "Choose another start: that job is not yours, has no model, or was swept."
NOT_STARTED = "The job could not be started"
KILLED = "The job was killed by the system, perhaps for want of memory."


def describe_not_stored(reason: str) -> str:
    return f"The job could not be stored ({reason}): tell whoever runs this app, and try again."


ON_THIS_SERVER = "on this server"


def describe_hub(flavor: str) -> str:
    return f"on Hugging Face Jobs ({flavor})"


def describe_hub_fault(kind: str) -> str:
    return f"Hugging Face refused, or could not be reached: {kind}"


def describe_hub_end(message: str | None) -> str:
    return f"Hugging Face ended the job: {message or 'no reason given'}"


def describe_own_cap(jobs: int) -> str:
    return f"You have {jobs} jobs running or waiting, which is the most: stop one, or wait for one."


def describe_timeout(wall_s: float) -> str:
    return f"The job took longer than {wall_s:g} s: choose fewer images or epochs."


def describe_memory_cap(memory_bytes: int) -> str:
    return f"The job needed more than {memory_bytes / 1e9:.1f} GB of memory: take smaller batches."


def describe_status(status: int) -> str:
    return f"The job ended with status {status} before it was done: start it again."


FINETUNE_TAB = "Fine-tune"
START_JOB, STOP_JOB = "Start", "Stop"
MORE_SETTINGS = "More settings"
NO_JOB = "Choose settings and press Start: the job's progress shows here."
START_FROM, START_INFO = "Start from", "Whose weights the job begins with."
PLAIN = "the pre-trained backbone, with a new last layer"
WHAT_IS_TRAINED, TRAINED_INFO = "What is trained", "The rest stays as it is."
TRAINED = {
    "last_layer": "the last layer",
    "last_block": "the last block and layer",
    "all": "all layers",
}
OPTIMIZER, OPTIMIZER_INFO = "Optimizer", "How gradients become steps."
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}
LEARNING_RATE = "Learning rate"
LEARNING_RATE_INFO = "Size of each step, constant over the job."
MOMENTUM = "Momentum, or Adam's beta1"
BETA2, BETA2_INFO = "Adam's beta2", "How long Adam remembers squared gradients, 0 to below 1."
MOMENTUM_INFO = "How much of the earlier gradients each step keeps, 0 to below 1."
WEIGHT_DECAY = "Weight decay"
WEIGHT_DECAY_INFO = "Pull of the weights towards zero; 0 for none."
EPOCHS, EPOCHS_INFO = "Epochs", "Passes over the images."
STEPS, STEPS_INFO = "Or steps", "Batches; 0: epochs."
IMAGES, IMAGES_INFO = "Training images", "Drawn at random."
BATCH, BATCH_INFO = "Batch size", "Images a step."
EMPHASISED = "Classes to emphasise"
EMPHASISED_INFO = f"Drawn {EMPHASIS:g} times as often as the others."
AUGMENT = "Flip and shift the images"
AUGMENT_INFO = "Not when only the last layer is trained."
SEED, SEED_INFO = "Seed", "Decides the order and the draw: the same seed, the same result."
PRESET, PRESET_INFO = "Or take a question", "Fills the form; you press Start."
PRESETS = {
    "epoch": "one more epoch",
    "unfreeze": "unfreeze it",
    "rate": "what if the learning rate were ten times higher",
    "teach": "teach it my pictures",
}
STEP, VALIDATION_ACCURACY = "Step", "Validation accuracy, %"
PROGRESS, LOG, YOUR_JOBS = "Progress", "Log", "Your jobs"
JOB_COLUMNS = {
    "state": "state",
    "accuracy": "test accuracy",
    "start": "started from",
    "trained": "trained",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
    "length": "length",
    "images": "images",
}
JOB_LINK = "Link to this job, for another device"
CHANGE_COLUMNS = ("class", "before", "after", "change")
CHANGE_HINT = "After minus before, in points of the true class. Blue: more; orange: less."
COMMAND = "The same offline"
DOWNLOAD, DOWNLOAD_CARD = "Download the model", "Its model card"
AGAIN = "Run it again"


OWN_MODEL = "Your job's model"
OWN_PICTURES = "Teach it your own pictures"
OWN_FILES, OWN_CLASS, OWN_ADD, OWN_CLEAR = "Pictures", "They show a", "Add", "Take all out"
TEACH_CLASS, TEACH_BUTTON = "Wrong? It is a", "Teach it"
NOTHING_TO_TEACH = "Choose a picture first."
TOO_MANY_OWN = f"At most {MAX_OWN_PICTURES} pictures can be taught: take some out."


def describe_own_pictures(pictures: int) -> str:
    if not pictures:
        return "None yet."
    return (
        f"{pictures} picture{'s' if pictures > 1 else ''}, each shown {OWN_REPEATS} times an epoch "
        f"among the training images."
    )


def describe_taught(label: str, pictures: int) -> str:
    return (
        f"Added as {article(label)}. {describe_own_pictures(pictures)} Start a job under "
        f"{FINETUNE_TAB}."
    )


def describe_finetuning(whole: bool, at_hand: int, place: str) -> str:
    """What the tab does, and on which images."""
    source = "CIFAR-10's" if whole else "the"
    images = f"{source} {at_hand:,} training images"
    images += "" if whole else " of the embedded CIFAR-10 sample"
    return (
        f"Train one of the models a little further on {images}, and see what changes on images it "
        f"has not seen. The job runs {place} and goes on when you leave; it is yours alone."
    )


def describe_refusal(reason: str) -> str:
    """A reason as a sentence."""
    sentence = reason[:1].upper() + reason[1:]
    return sentence if sentence.endswith(".") else f"{sentence}."


def start_label(start: str) -> str:
    """A start's name: one of the four, the backbone, or an earlier job."""
    if start in LABELS or start == PLAIN_BACKBONE:
        return LABELS.get(start, PLAIN)
    return describe_job(start.rpartition(":")[2])


def describe_job(job_id: str) -> str:
    """A job's name for its owner."""
    return f"job {job_id[:6]}"


def describe_length(epochs: int, steps: int | None) -> str:
    """`3 epochs`, or `200 steps`."""
    count, unit = (epochs, "epoch") if steps is None else (steps, "step")
    return f"{count:,} {unit}{'' if count == 1 else 's'}"


def describe_temporary_home(home: Path, reason: str | None, temporary: Path) -> str:
    return (
        f"{home} cannot be written ({reason}): jobs are kept in {temporary} until the app ends; "
        f"name another folder with QUARTET_HOME."
    )


def describe_estimate(seen: int, images_per_s: float | None) -> str:
    """About how long a job takes that trains on `seen` images, repeats counted."""
    if images_per_s is None:
        return f"Trains on {seen:,} images. No such job was measured on this server yet."
    return (
        f"Trains on {seen:,} images: about {max(1, round(seen / images_per_s)):,} s at the "
        f"{images_per_s:,.0f} images/s that the last such job reached here, and a few more to "
        f"measure."
    )


def describe_state(state: str, ahead: int) -> str:
    if state == "queued":
        return "Waiting: next in turn." if not ahead else f"Waiting: {ahead} ahead of you."
    return f"{state[0].upper()}{state[1:]}."


def describe_progress(step: int, steps: int, images_per_s: float, remaining_s: float) -> str:
    return (
        f"Step {step:,} of {steps:,}, {images_per_s:,.0f} images/s, about "
        f"{max(0, round(remaining_s)):,} s of training left."
    )


def describe_event(event: Event) -> str:
    """An event as a line of the log."""
    if isinstance(event, RunStarted):
        return f"Started: {event.train_count:,} images, {event.total_steps:,} steps."
    if isinstance(event, StartEvaluated):
        return (
            f"Before: validation accuracy {percent(event.validation_accuracy)}, "
            f"loss {event.validation_loss:.3f}."
        )
    if isinstance(event, StepSummary):
        return f"Step {event.step:,}: train loss {event.train_loss:.3f}."
    if isinstance(event, EpochFinished):
        return (
            f"Epoch {event.epoch}: validation accuracy {percent(event.validation_accuracy)}, "
            f"loss {event.validation_loss:.3f}."
        )
    if isinstance(event, RunFinished):
        return f"Saved: test accuracy {percent(event.test_accuracy)}."
    if isinstance(event, RunFailed):
        return describe_refusal(f"Stopped: {event.reason}")
    if isinstance(event, ResourceSample):
        return f"Memory {event.memory_bytes / 1e6:,.0f} MB, processor {event.cpu_percent:.0f} %."
    return event.kind


def describe_confusions(epochs: int) -> str:
    if epochs == 1:
        return "Validation confusion after epoch 1"
    return f"Validation confusion after epochs 1 to {epochs}, one a second"


def describe_model_card(record: Mapping[str, Any]) -> str:
    """A job's model card, in Markdown with the Hub's front-matter."""
    data, test = record["data"], record["test"]
    card = ModelCardData(
        model_name=record["name"],
        license="apache-2.0",
        library_name="pytorch",
        tags=["image-classification", "resnet", "cifar10"],
        datasets=["uoft-cs/cifar10"],
        eval_results=[
            EvalResult(
                task_type="image-classification",
                dataset_type="uoft-cs/cifar10",
                dataset_name=f"{data['name']}, {data['test_count']:,} test images",
                metric_type="accuracy",
                metric_value=test["accuracy"],
            )
        ],
    )
    settings = record["origin"]["settings"]
    rows = "\n".join(f"| {name} | {value} |" for name, value in settings.items())
    return f"""---
{card.to_yaml()}
---

# {record["name"]}

A torchvision ResNet-18 with ten outputs ({", ".join(record["classes"])}),
fine-tuned by Quartet from `{record["origin"]["start"]}` on {data["train_count"]:,} images of
{data["name"]}. Input: RGB, {record["recipe"]["image_px"]} pixels a side, mean {record["mean"]},
standard deviation {record["std"]}.
Accuracy on {data["test_count"]:,} test images: {percent(test["accuracy"])}.

| setting | value |
| --- | --- |
{rows}
"""


def describe_after(after: float, images: int) -> str:
    return f"Accuracy on {images:,} test images: {percent(after)}."


def describe_change(before: float, after: float, images: int) -> str:
    return (
        f"Accuracy on {images:,} test images: {percent(before)} before, {percent(after)} after "
        f"({100 * (after - before):+.1f} points)."
    )


def describe_change_overlap(overlap: Overlap) -> str:
    """McNemar's test of a job, in words."""
    gained, lost = overlap.only_second, overlap.only_first
    chance = "more than chance explains" if overlap.p_value < 0.05 else "which chance explains well"
    return (
        f"From wrong to right: {gained:,}; from right to wrong: {lost:,}; {chance} "
        f"(McNemar's exact test, p = {overlap.p_value:.3f})."
    )


def describe_changed(images: int, shown: int, to_right: bool) -> str:
    change = "From wrong to right" if to_right else "From right to wrong"
    return f"{change}: {images:,}, of which {shown:,} shown."
