"""Words of the screen "Teach it"."""

from demo.jobs.limits import Limits
from demo.words.about import describe_age
from trainer.recipe import OWN_REPEATS
from trainer.wording import article, count

HOW = (
    "Choose what each bucket shows, fill it with pictures of your own, press Train, and try what "
    "the model has learned."
)
CAMERA_ON, CAMERA_OFF, CAMERA = "Turn the camera on", "Turn the camera off", "What the camera sees"
NO_CAMERA = "No camera can be had here: choose or drop pictures instead."
NOT_SENT = "The pictures could not be sent: try again."
CHOOSE_CLASS, CHOOSE_FILES, BURST = "They show a ...", "Choose or drop", "Hold to take"
ADD_BUCKET, EMPTY_ALL = "Add a bucket", "Take all out"
NO_FILES = "Choose pictures first."
NO_CLASS = "Choose what they show first."
TRAIN, NOTHING_TO_LEARN = "Train", "Put pictures into a bucket first."
NOT_TRAINED = "Nothing is trained yet."
FORGOTTEN = "What it forgot"
TRY_FILE, TRY_LIVE = "Choose or drop a picture to try", "Answer the camera live"
NOTHING_TRIED = "Try a picture: the new model's answer shows here, beside the four's."


def describe_keeping(limits: Limits) -> str:
    """What becomes of what the screen is given, by the ages that the sweeper goes by."""
    return (
        f"What is sent is deleted {describe_age(limits.uploads_kept_s)} after it arrived. What is "
        f"taught is kept, reduced, until you take it out, or for "
        f"{describe_age(limits.pictures_kept_s)}; a job's copies go with the job."
    )


def name_bucket(number: int, label: str) -> str:
    """A bucket for screen readers.

    Args:
        number: from 1.
        label: its class, or nothing.
    """
    return f"Bucket {number}: {label or 'no class yet'}"


def name_class_choice(number: int) -> str:
    return f"What bucket {number} shows"


def name_files(number: int) -> str:
    return f"Choose pictures for bucket {number}"


def name_burst(number: int) -> str:
    return f"Hold to take pictures for bucket {number}"


def describe_own_pictures(pictures: int) -> str:
    if not pictures:
        return "No pictures yet."
    return (
        f"{count(pictures, 'picture')}, each shown {OWN_REPEATS} times an epoch among the training "
        f"images."
    )


def describe_added(added: int, known: int, label: str) -> str:
    """What became of the pictures that were added."""
    said = []
    if added:
        said.append(f"Added {count(added, 'picture')} as {article(label)}.")
    if known:
        said.append(f"{known:,} {'was' if known == 1 else 'were'} there already.")
    return " ".join(said)


def remove_label(label: str) -> str:
    """A taught picture's button, for screen readers."""
    return f"Take out this {label}"


def describe_part(pictures: int) -> str:
    """How many own pictures take part in a job of the form."""
    if not pictures:
        return "No pictures of your own take part."
    return (
        f"{count(pictures, 'picture')} of your own {'takes' if pictures == 1 else 'take'} part, "
        f"shown {OWN_REPEATS} times an epoch."
    )


def describe_answers(answer: str, agreement: str) -> str:
    """What the new model says of a picture, and then the four.

    Args:
        answer: the new model's, or nothing where there is none.
        agreement: what the four say, in a sentence.
    """
    return f"The new model says {answer}. {agreement}" if answer else f"{NOT_TRAINED} {agreement}"
