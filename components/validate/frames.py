"""The table as Great Expectations sees it: small flat frames, one batch of rows at a time.

The frames are Arrow-backed: no value is copied into Python objects.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.shared.task import Task
from components.validate.facts import Facts, batches, keys64, label_column

IMAGES: Final = "images"
BOXES: Final = "boxes"
CLASSES: Final = "classes"
DATASET: Final = "dataset"


class Frame(NamedTuple):
    """A frame to check: `kind` says which expectations are for it, `part` which rows it holds."""

    kind: str
    part: str
    data: pd.DataFrame


def frames(table: Path, task: Task, facts: Facts) -> Iterator[Frame]:
    """Yield the whole dataset's frames, then those of the rows, batch by batch."""
    yield Frame(DATASET, "all", _dataset_frame(facts))
    yield Frame(CLASSES, "all", _classes_frame(facts))
    columns = ["image_id", "sha256", "width", "height", "format", label_column(task)]
    start = 0
    for batch in batches(table, columns):
        part = f"rows {start}-{start + batch.num_rows - 1}"
        start += batch.num_rows
        yield Frame(IMAGES, part, _images_frame(batch, task, facts))
        if task == "detect":
            yield Frame(BOXES, part, _boxes_frame(batch))


def _dataset_frame(facts: Facts) -> pd.DataFrame:
    return _frame(
        {
            "image_id": ["all images"],
            "images": [facts.images],
            "annotated": [facts.annotated],
            "classes": [sum(number > 0 for number in facts.classes.values())],
            "rejected_share": [facts.rejected_share],
        }
    )


def _classes_frame(facts: Facts) -> pd.DataFrame:
    numbers = list(facts.classes.values())
    total = max(facts.images, 1)
    return _frame(
        {
            "image_id": pa.array([f"class '{name}'" for name in facts.classes], pa.string()),
            "images": pa.array(numbers, pa.int64()),
            "share": pa.array([number / total for number in numbers], pa.float64()),
        }
    )


def _images_frame(batch: pa.RecordBatch, task: Task, facts: Facts) -> pd.DataFrame:
    width, height = batch["width"], batch["height"]
    longest = pc.cast(pc.max_element_wise(width, height), pa.float64())
    shortest = pc.min_element_wise(width, height)
    values = {
        "image_id": batch["image_id"],
        "repeated_id": _repeated(batch["image_id"], facts.repeated_ids),
        "repeated_bytes": _repeated(batch["sha256"], facts.repeated_bytes),
        "shortest_edge": shortest,
        "aspect_ratio": pc.divide(longest, pc.max_element_wise(shortest, 1)),
        "format": batch["format"],
    }
    labels = batch[label_column(task)]
    values["label"] = pc.list_value_length(labels) if task == "detect" else labels
    return _frame(values)


def _boxes_frame(batch: pa.RecordBatch) -> pd.DataFrame:
    boxes = pc.list_flatten(batch["boxes"])
    names = ["label", "xmin", "ymin", "xmax", "ymax"]
    values = {name: boxes.field(name) for name in names}
    width = pc.subtract(values["xmax"], values["xmin"])
    height = pc.subtract(values["ymax"], values["ymin"])
    owners = pc.take(batch["image_id"], pc.list_parent_indices(batch["boxes"]))
    # In float64: the product of two small float32 sides could round to the limit itself.
    area = pc.multiply(pc.cast(width, pa.float64()), pc.cast(height, pa.float64()))
    return _frame({"image_id": owners, **values, "width": width, "height": height, "area": area})


def _repeated(names: pa.Array, repeated: NDArray[np.uint64]) -> pa.Array:
    """Return those names that occur more than once in the whole table; null elsewhere."""
    if not repeated.size:
        return pa.nulls(len(names), pa.string())
    again = pa.array(np.isin(keys64(names), repeated))
    return pc.if_else(again, names, pa.scalar(None, pa.string()))


def _frame(values: dict[str, object]) -> pd.DataFrame:
    frame: pd.DataFrame = pa.table(values).to_pandas(types_mapper=pd.ArrowDtype)
    return frame
