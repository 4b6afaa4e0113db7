"""The label of an image in RecordIO and in the `.lst` file."""

from typing import Any

import numpy as np
import numpy.typing as npt

from components.shared.errors import UserError
from components.shared.recordio import detection_label
from components.shared.task import Task


def label_of(row: dict[str, Any], task: Task) -> float | npt.NDArray[np.float32]:
    """Return what a table row teaches.

    A class or a count is one float; boxes are MXNet's detection label (SageMaker's built-in
    algorithm reads the same): `2, 5, (class, xmin, ymin, xmax, ymax) x N`, all of an image's
    boxes in one record.

    Raises:
        UserError: naming the image, if the row has no label for the task.
    """
    if task == "detect":
        boxes = row["boxes"]
        if boxes is None:
            raise _missing(row, "boxes")
        return detection_label(
            [[box[key] for key in ("label", "xmin", "ymin", "xmax", "ymax")] for box in boxes]
        )
    column = "count" if task == "count" else "label"
    if row[column] is None:
        raise _missing(row, column)
    return float(row[column])


def list_line(index: int, label: float | npt.NDArray[np.float32], path: str) -> str:
    """Return a line of a `.lst` file: `index, label values, path`, tab-separated."""
    values = [label] if isinstance(label, float) else label.tolist()
    return "\t".join([str(index), *(_number(value) for value in values), path]) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}"


def _missing(row: dict[str, Any], column: str) -> UserError:
    return UserError(
        f"image '{row['image_id']}': no {column} in the image table, which this task needs; "
        "check the config's task, and run ingest again"
    )
