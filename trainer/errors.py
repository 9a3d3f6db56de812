"""The faults a person can do something about: one family, each with a code and its facts.

The sentence of a code for a terminal stands in `SENTENCES`; the app has its own words where a
terminal's would name a flag, a command or a path.
"""

from typing import Any, Self

SENTENCES = {
    # Settings
    "setting_wrong": "{flag}: give {allowed}, not {value}.",
    "setting_missing": "{flag} is missing: give {allowed}.",
    "setting_unknown": "{setting} is not a setting here: leave it out.",
    "settings_contradict_frozen": (
        "where only the last layer is trained, features are computed once, so images cannot be "
        "augmented or begin smaller: leave flips, shifts, crops, colours and blur out."
    ),
    # Checkpoints
    "checkpoint_unreadable": "{file} cannot be read: {reason}.",
    "checkpoint_changed": "{file} is damaged: its hash is not the recorded one.",
    "checkpoint_not_safetensors": "{file} is not a safetensors file.",
    "checkpoint_not_resnet": "{file} does not hold a torchvision ResNet-18's tensors.",
    "checkpoint_wrong_tensor": "{file} is damaged: {tensor} is {found}, not {expected}.",
    "checkpoint_not_finite": "{file} is damaged: {tensor} is not finite.",
    "detector_damaged": "{file} does not hold a detector of foreign pictures.",
    "record_damaged": "{file} is damaged: it is not a record of ours ({reason}).",
    "record_format": "{file} is not a record of format {format}.",
    "checkpoints_missing": (
        "{folder} holds no finished run: train one with 'python -m trainer train', or name "
        "another folder with --checkpoints."
    ),
    "checkpoints_unusable": (
        "{folder} holds no usable checkpoint, so train them with 'python -m trainer train': {fault}"
    ),
    # Explanations
    "analysis_missing": "{file} is missing: make it with 'python -m trainer analyse'.",
    "analysis_outdated": (
        "{file} is of other checkpoints: make it anew with 'python -m trainer analyse'."
    ),
    "start_missing": (
        "{name} began with weights named {start} that are not here: name their folder with --start."
    ),
    "own_not_analysed": "what explains your model could not be computed: try again later.",
    "sweep_damaged": "{file} is damaged: make it anew with 'python -m trainer sweep'.",
    "sweep_failed": "the map of learning rates could not be made: try again later.",
    "sweep_outdated": (
        "{file} is of another recipe or seed: make it anew with 'python -m trainer sweep'."
    ),
    # Data
    "data_no_folder": "{path} is not a folder: give a local copy of CIFAR-10 with --data DIR.",
    "data_not_fetched": (
        "CIFAR-10 is not on this machine and could not be fetched from the Hub ({reason}): run "
        "'{fetch}' while online, give a local copy with --data DIR, or use --sample."
    ),
    "data_other_images": (
        "What the Hub sent as CIFAR-10's test images is not what is known of them: try again later."
    ),
    "data_no_files": (
        "{path} holds neither train-*.parquet and test-*.parquet nor train/<class>/* and "
        "test/<class>/* images: fetch the data set with '{fetch}'."
    ),
    "data_shard_damaged": (
        "{path} is damaged or only partly downloaded: delete it and run '{fetch}' again."
    ),
    "data_row_empty": "{path} has a row without an image or a label: fetch it with '{fetch}'.",
    "data_label": "{path} holds the label {label}, not one of 0..9: fetch it with '{fetch}'.",
    "data_class_missing": "the {split} split in {path} has no images of: {classes}.",
    "data_not_a_class": "{path} is not named after a class: use {classes}.",
    "data_image_size": "{path} holds an image of {size} pixels: CIFAR-10 has {expected}.",
    "data_image_damaged": "{path} holds an image that cannot be decoded: fetch it with '{fetch}'.",
    "own_none": "{path} holds no pictures: put them into {path}/<class>/.",
    "own_too_many": "{path} holds more than {most} pictures: take some out.",
    "own_not_a_picture": "{path}: {reason}",
    # Pictures
    "picture_empty": "The file is empty: choose another picture.",
    "picture_too_large": "The file is larger than {most_mb} MB: choose a smaller picture.",
    "picture_too_many_pixels": (
        "The picture has more than {most_megapixels} megapixels: choose a smaller one."
    ),
    "picture_too_long": (
        "The picture is more than {most_aspect} times as long as it is wide: crop it first."
    ),
    "picture_not_whole": (
        "The file is not a whole picture: use a {formats} file that opens elsewhere."
    ),
    "picture_too_much_metadata": (
        "The file holds more than {most_kb} kB beside its pixels, such as a camera's notes: save "
        "it again without them."
    ),
    "picture_too_many_scans": (
        "The JPEG is stored in more than {most_scans} passes: save it again as an ordinary JPEG."
    ),
    "picture_too_slow": (
        "The picture takes longer than {most_s} seconds to decode: save it again as a plain JPEG."
    ),
    "picture_too_much_memory": (
        "The picture takes too much memory to decode: choose a smaller one."
    ),
    "picture_waited": (
        "Many pictures were sent at once and this one had no turn: send it again in a moment."
    ),
    "picture_no_decoder": "No picture can be decoded at this moment: try again in a minute.",
    "picture_crop": "crop must be {allowed}.",
    "picture_not_uploaded": "That file was not uploaded here: upload it first.",
    "picture_gone": "The file is no longer on the server: upload it again.",
    # Backbone
    "backbone_unreadable": (
        "the backbone {path} cannot be read ({reason}): give a safetensors file of a torchvision "
        "ResNet-18 with --backbone."
    ),
    "backbone_not_fetched": (
        "torchvision's ImageNet weights are not on this machine and could not be downloaded: "
        "connect to the internet once, or give a safetensors file with --backbone FILE "
        "(checkpoints/sgd_frozen.safetensors holds one)."
    ),
    "backbone_not_resnet": "{path} is not a torchvision ResNet-18: its tensors do not match.",
    "backbone_not_finite": "{path} holds a value that is not finite: fetch it again.",
    # The Hub
    "hub_name": "{repo} is neither a folder here nor a repository: name one as USER/NAME.",
    "hub_not_fetched": (
        "{repo} could not be fetched from the Hub ({reason}): check its name, the network and, for "
        "a private one, 'hf auth login'."
    ),
    "hub_not_pushed": (
        "{repo} could not be pushed to the Hub ({reason}): check its name, the network and that "
        "you may write it ('hf auth login')."
    ),
    "hub_taken": "{repo} is there already: choose another name.",
    "hub_denied": "{repo} could not be made ({reason}): give a token that may write there.",
    "hub_left_empty": (
        "{repo} was made on the Hub, but nothing could be put into it ({reason}): delete it there, "
        "and try again."
    ),
    "hub_no_app": ("{folder} holds no app.py: publish a Space from a clone of the repository."),
    # Training
    "device_missing": "this machine has no {device} device: use --device cpu or auto.",
    "run_exists": (
        "{folder} already holds a run of {name}: continue it with --resume, or choose another "
        "folder with --out."
    ),
    "finetuned_exists": "{folder} already holds {name}: choose another --name or --out.",
    "run_finished_otherwise": (
        "{folder} holds a finished {name} run with other settings or data: give the same ones, or "
        "another --out."
    ),
    "run_unfinished_otherwise": (
        "{folder} holds an unfinished {name} run of another {differing}: give the same settings, "
        "or another --out."
    ),
    "states_damaged": (
        "{folder} holds only damaged states of {name}: delete {name}.*.state there and start anew."
    ),
    # Images that come with checkpoints
    "mistakes_damaged": ("{file} is damaged: write it anew with 'python -m trainer mistakes'."),
    "mistakes_other_data": (
        "The checkpoints in {folder} were measured on other images: give their data set with "
        "--data DIR."
    ),
    # Runs under several seeds
    "runs_damaged": (
        "{file} is damaged or of another version: write it anew with 'python -m trainer collect'."
    ),
    "run_of_no_preset": (
        "{folder} holds a {name} run of no preset: leave it out, or train it with 'python -m "
        "trainer train'."
    ),
    "run_not_its_preset": (
        "{folder} holds a {name} run whose settings are not those of preset {preset} ({settings}): "
        "train it anew without flags for them, or leave it out."
    ),
    "run_started_otherwise": (
        "{folder} holds a {name} run on other images or from another backbone than the shipped "
        "checkpoints': train it from theirs, or leave it out."
    ),
    "run_twice": (
        "{folder} holds a second {name} run of seed {seed} that differs from the first: leave one "
        "of the two out."
    ),
    "batch_not_shared": (
        "batch size {batch_size} cannot be shared by {processes} processes: give --batch-size a "
        "multiple of {processes}."
    ),
    "batch_too_large": (
        "batch size {batch_size} exceeds the {images} training images: give a smaller --batch-size."
    ),
    "loss_not_finite": (
        "the loss of {name} is not finite at step {step} (learning rate {learning_rate:g}), and "
        "the weights were not changed by it: try a lower rate or another seed."
    ),
    "folder_locked": (
        "{folder} is in use by {holder}: wait until it has ended, or choose another folder."
    ),
}
"""Code to the terminal's sentence, a format string over the facts."""


class QuartetError(Exception):
    """A fault that is told in one sentence. `str(error)` is the terminal's."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts

    def __str__(self) -> str:
        return SENTENCES[self.code].format(**self.facts)

    @classmethod
    def restore(cls, code: str | None, facts: dict[str, Any]) -> Self | None:
        """The error of a code and facts that were written down; None where they are none of ours,
        or of a version that told other facts."""
        error = cls(code or "", **facts)
        try:
            str(error)
        except (KeyError, ValueError):
            return None
        return error


class SettingError(QuartetError):
    """A setting is missing, out of range, or contradicts another."""


class CheckpointError(QuartetError):
    """A checkpoint is missing, damaged or not ours."""


class DataError(QuartetError):
    """The data set, or a folder of pictures, is missing or damaged."""


class BackboneError(QuartetError):
    """The pre-trained weights are missing or unusable."""


class PictureError(QuartetError):
    """The file is not a picture we take."""


class HubError(QuartetError):
    """A repository on the Hub could not be fetched or pushed."""


class TrainingError(QuartetError):
    """A run could not start, or stopped by a fault."""
