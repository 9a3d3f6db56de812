"""What a visitor reads of an error: the trainer's sentences are for a terminal."""

from trainer.declared import Declared, describe_setting
from trainer.errors import QuartetError
from trainer.recipe import JobSettings, Settings
from trainer.wording import sentence

_TELL = "tell whoever runs this app"
_BATCH = describe_setting(Settings, "batch_size").label
SENTENCES = {
    **dict.fromkeys(("setting_wrong", "setting_missing"), "{label}: give {allowed}."),
    "setting_unknown": "This page is of another version of the app: load it again.",
    "settings_contradict_frozen": (
        "Where only the last layer is trained, images are taken as they are: do not flip and shift "
        "them, or train more than the last layer."
    ),
    "checkpoint_unreadable": "The model's file cannot be read: {reason}.",
    "checkpoint_changed": "The model's file is damaged: it is not what was saved.",
    "checkpoint_not_finite": "The model's file is damaged: it holds values that are no numbers.",
    **dict.fromkeys(
        (
            "checkpoint_not_safetensors", "checkpoint_not_resnet", "checkpoint_wrong_tensor",
            "detector_damaged",
        ),
        "The model's file does not hold a model of this kind.",
    ),
    **dict.fromkeys(
        ("analysis_missing", "analysis_outdated"),
        f"What explains the models was not prepared: {_TELL}.",
    ),
    "start_missing": "What the model began with is no longer here.",
    "sweep_damaged": f"The map of learning rates is damaged: {_TELL}.",
    "sweep_outdated": f"The map of learning rates is of other models: {_TELL}.",
    "record_damaged": "The model's record is damaged.",
    "record_format": "The model's record is of another version of the app.",
    **dict.fromkeys(
        ("checkpoints_missing", "checkpoints_unusable"), f"No model is at hand: {_TELL}."
    ),
    **dict.fromkeys(
        (
            "data_no_folder", "data_no_files", "data_shard_damaged",
            "data_row_empty", "data_label", "data_class_missing", "data_not_a_class",
            "data_image_size", "data_image_damaged",
        ),
        f"The images on the server are missing or damaged: {_TELL}.",
    ),
    "data_not_fetched": "The images could not be fetched from the Hub: try again later.",
    "data_other_images": "The Hub sent other images than the models were measured on.",
    "own_none": "Your pictures are no longer here: add them again.",
    "own_too_many": "At most {most} pictures can be taught: take some out.",
    "own_not_a_picture": "One of your pictures cannot be read: take it out, and add it again.",
    **dict.fromkeys(
        (
            "backbone_unreadable", "backbone_not_fetched", "backbone_not_resnet",
            "backbone_not_finite",
        ),
        f"The pre-trained weights on the server are missing or damaged: {_TELL}.",
    ),
    **dict.fromkeys(
        ("hub_name", "hub_not_fetched", "hub_no_app"),
        f"The models' place on the Hub cannot be used: {_TELL}.",
    ),
    "hub_not_pushed": (
        "The repository {repo} could not be made on Hugging Face ({reason}): try again in a minute."
    ),
    "hub_taken": "The repository {repo} is there already: choose another name.",
    "hub_left_empty": (
        "The repository {repo} was made, but nothing could be put into it ({reason}): delete it on "
        "Hugging Face and try again, or choose another name."
    ),
    "hub_denied": (
        "Hugging Face does not let this app make {repo}: sign out, sign in again, and allow it."
    ),
    "device_missing": f"The server lacks the hardware that was asked for: {_TELL}.",
    **dict.fromkeys(
        (
            "run_exists", "finetuned_exists", "run_finished_otherwise",
            "run_unfinished_otherwise", "states_damaged", "folder_locked",
        ),
        "The job's files on the server are those of another job: start it again.",
    ),
    **dict.fromkeys(
        (
            "runs_damaged", "run_of_no_preset", "run_not_its_preset", "run_started_otherwise",
            "run_twice",
        ),
        f"The list of runs under other seeds is damaged: {_TELL}.",
    ),
    **dict.fromkeys(
        ("mistakes_damaged", "mistakes_other_data"),
        f"The images that come with the models are damaged: {_TELL}.",
    ),
    "batch_not_shared": f"{_BATCH}: give a multiple of {{processes}}.",
    "batch_too_large": f"{_BATCH}: give {{images}}, the number of training images, or less.",
    "loss_not_finite": (
        "At step {step} the loss was no longer a number: give a lower learning rate or another "
        "seed."
    ),
}  # fmt: skip
"""Error code to what a visitor reads, a format string over the error's facts; for codes whose
sentence for a terminal names a flag, a command, a path or a name of the code's own."""


def explain(error: QuartetError) -> str:
    """What a visitor reads of an error: one sentence that says what to do."""
    setting = error.facts.get("setting")
    if error.code in ("setting_wrong", "setting_missing") and setting in JobSettings.model_fields:
        return _explain_setting(describe_setting(JobSettings, setting))
    own = SENTENCES.get(error.code)
    return sentence(str(error) if own is None else own.format(**error.facts))


def _explain_setting(declared: Declared) -> str:
    """What a setting takes, its choices as the form names them."""
    if declared.choices:
        labels = [label for _, label in declared.choices]
        return f"{declared.label}: choose {' or '.join([', '.join(labels[:-1]), labels[-1]])}."
    return f"{declared.label}: give {declared.allowed}."
