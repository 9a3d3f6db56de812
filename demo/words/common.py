"""Words that all tabs share: the models' names, the tabs', and a sentence for every error."""

from trainer.errors import QuartetError

TITLE = "Quartet"
TAGLINE = (
    "One ResNet-18, fine-tuned on CIFAR-10 in four ways: SGD or Adam, all layers or only the last. "
    "See what that choice does."
)
COMPARE_TAB, ACCURACY_TAB, FINETUNE_TAB, ABOUT_TAB = "Compare", "Accuracy", "Fine-tune", "About"
LABELS = {
    "sgd_full": "SGD, all layers",
    "adam_full": "Adam, all layers",
    "sgd_frozen": "SGD, last layer",
    "adam_frozen": "Adam, last layer",
}
"""Recipe name to the model's name on screen."""
RIGHT, WRONG = "right", "wrong"

SENTENCES: dict[str, str] = {}
"""Error code to what a visitor reads, a format string over the error's facts; for codes whose
sentence for a terminal names a flag, a command or a path."""


def explain(error: QuartetError) -> str:
    """What a visitor reads of an error: one sentence that says what to do."""
    own = SENTENCES.get(error.code)
    return to_sentence(str(error) if own is None else own.format(**error.facts))


def to_sentence(reason: str) -> str:
    """A reason with a capital and a full stop."""
    sentence = reason[:1].upper() + reason[1:]
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def article(noun: str) -> str:
    """`a cat`, `an airplane`."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def inline_label(name: str) -> str:
    """A model's name inside a sentence: `SGD (all layers)`."""
    return LABELS[name].replace(", ", " (") + ")"
