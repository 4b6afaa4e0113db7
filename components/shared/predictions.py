"""The predictions table: what any model must fill to be compared with any other."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.shared.errors import UserError
from components.shared.task import Split, Task

VERSION = "1"

_BOX = pa.struct(
    [("label", pa.int32()), ("score", pa.float32())]
    + [(side, pa.float32()) for side in ("xmin", "ymin", "xmax", "ymax")]
)
_FIELDS = [
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("label", pa.int32()),
    pa.field("score", pa.float32()),
    pa.field("probabilities", pa.list_(pa.float32())),
    pa.field("count", pa.int32()),
    pa.field("count_expected", pa.float32()),
    pa.field("boxes", pa.list_(_BOX)),
]


@dataclass(frozen=True)
class Detection:
    """One detected object; coordinates normalized to [0, 1], score in [0, 1]."""

    label: int
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one image. Which fields are set depends on the task.

    Attributes:
        label: class index with the highest probability (classify).
        score: its probability, or the highest detection score (0 without detections).
        probabilities: one a class (classify) or one a count 0…n (count); they sum to 1.
        count: the reported whole number (count).
        count_expected: the mean of the count's distribution (count).
        boxes: detections, highest score first (detect).
    """

    label: int | None = None
    score: float | None = None
    probabilities: tuple[float, ...] | None = None
    count: int | None = None
    count_expected: float | None = None
    boxes: tuple[Detection, ...] | None = None


@dataclass(frozen=True)
class ModelIdentity:
    """Which model filled a predictions table.

    Attributes:
        name: what a person calls it (`resnet18`, `TensorFlow SSD`).
        version: SHA-256 of the model archive, or whatever identifies it elsewhere.
    """

    name: str
    version: str
    task: Task
    classes: tuple[str, ...] = field(default=())


def write_predictions(
    path: Path, rows: Iterable[tuple[str, Split, Prediction]], identity: ModelIdentity
) -> int:
    """Write `(image_id, split, prediction)` rows; return how many."""
    metadata = {
        "sightline.version": VERSION,
        "sightline.model": json.dumps(asdict(identity)),
    }
    into = pa.schema(_FIELDS, metadata=metadata)
    dicts = [
        {"image_id": image_id, "split": split, **asdict(prediction)}
        for image_id, split, prediction in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(dicts, schema=into), path, compression="zstd")
    return len(dicts)


def read_identity(path: Path) -> ModelIdentity:
    """Return the identity of the model that filled the table at `path`.

    Raises:
        UserError: if the file is not a predictions table of this version.
    """
    metadata = pq.read_schema(path).metadata or {}
    if metadata.get(b"sightline.version") != VERSION.encode() or b"sightline.model" not in metadata:
        raise UserError(f"{path}: not a predictions table of version {VERSION}")
    found: dict[str, Any] = json.loads(metadata[b"sightline.model"])
    return ModelIdentity(found["name"], found["version"], found["task"], tuple(found["classes"]))


def iter_predictions(path: Path) -> Iterator[tuple[str, str, Prediction]]:
    """Yield `(image_id, split, prediction)`."""
    for batch in pq.ParquetFile(path).iter_batches(batch_size=5_000):
        for row in batch.to_pylist():
            yield row["image_id"], row["split"], _prediction(row)


def _prediction(row: dict[str, Any]) -> Prediction:
    probabilities, boxes = row["probabilities"], row["boxes"]
    return Prediction(
        label=row["label"],
        score=row["score"],
        probabilities=None if probabilities is None else tuple(probabilities),
        count=row["count"],
        count_expected=row["count_expected"],
        boxes=None if boxes is None else tuple(Detection(**box) for box in boxes),
    )
