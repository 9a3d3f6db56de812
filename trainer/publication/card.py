"""What a model card's front-matter tells the Hub."""

from collections.abc import Iterable
from typing import Any

from huggingface_hub import CardData, EvalResult
from huggingface_hub.repocard_data import eval_results_to_model_index

from trainer.backbones import tell_backbone
from trainer.record import Record
from trainer.shards import HUB_DATASET

LICENSE = "apache-2.0"
DATA_SET = HUB_DATASET
TASK = "image-classification"


def describe_result(record: Record) -> EvalResult:
    """A model's test accuracy, as a model index holds it."""
    return EvalResult(
        task_type=TASK,
        dataset_type=DATA_SET,
        dataset_name=f"{record.data.name}, {record.data.test_count:,} test images",
        dataset_split="test",
        metric_type="accuracy",
        metric_value=record.test.accuracy,
    )


def build_card_data(records: Iterable[Record]) -> CardData:
    """The front-matter of a card: licence, data, base model where the Hub has it, and one entry a
    model in the model index."""
    index: list[dict[str, Any]] = []
    bases: set[str] = set()
    for record in records:
        index += eval_results_to_model_index(record.name, [describe_result(record)])
        backbone = record.backbone
        bases |= {tell_backbone(backbone.name, backbone.sha256).hub or ""} - {""}
    values: dict[str, Any] = {
        "license": LICENSE,
        "library_name": "pytorch",
        "pipeline_tag": TASK,
        "tags": [TASK, "resnet", "cifar10"],
        "datasets": [DATA_SET],
        "metrics": ["accuracy"],
        "base_model": sorted(bases) or None,
        "model-index": index,
    }
    return CardData(**values)
