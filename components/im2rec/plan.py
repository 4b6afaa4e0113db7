"""What the image table says of each image, in a few bytes an image.

A dataset has millions of rows: they are kept in arrays, not as objects.
"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.im2rec.frames import RecordLabels
from components.im2rec.size import Size
from components.shared.errors import UserError
from components.shared.recordio import DETECTION_HEADER
from components.shared.table import LABEL_COLUMN, iter_batches
from components.shared.task import SPLITS, Split, Task

_BOX = ("label", "xmin", "ymin", "xmax", "ymax")
_BETWEEN_FIELDS = "[\t\n\r]"  # what separates fields and lines of a .lst file


@dataclass(frozen=True)
class Labels:
    """The labels of all rows: numbers, or boxes.

    Attributes:
        numbers: float32 (N,), class or count; 0 where labels are boxes.
        ends: int64 (N,), where each row's boxes end in `boxes`; empty where labels are numbers.
        boxes: float32 (M, 5), class, xmin, ymin, xmax, ymax, normalized.
    """

    numbers: npt.NDArray[np.float32]
    ends: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]

    def of_rows(self, rows: npt.NDArray[np.int32]) -> RecordLabels:
        """Return the labels as records hold them, in the order of `rows`.

        A class or a count is one float; boxes are MXNet's detection label (SageMaker's built-in
        algorithm reads the same): `2, 5, (class, xmin, ymin, xmax, ymax) x N`, all of an
        image's boxes in one record.
        """
        if not self.ends.size:
            none = np.empty(0, np.float32)
            return RecordLabels(self.numbers[rows], np.zeros(rows.size, np.int64), none)
        header = np.array(DETECTION_HEADER, np.float32)
        values = [part for row in rows for part in (header, self.boxes_of(row).ravel())]
        sizes = len(header) + 5 * (self.ends[rows] - self._starts(rows))
        single = np.zeros(rows.size, np.float32)
        return RecordLabels(single, sizes, np.concatenate([np.empty(0, np.float32), *values]))

    def boxes_of(self, row: int) -> npt.NDArray[np.float32]:
        """Return one row's boxes: (K, 5)."""
        start = self.ends[row - 1] if row else 0
        return self.boxes[start : self.ends[row]]

    def _starts(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        return np.where(rows > 0, self.ends[rows - 1], 0)


@dataclass(frozen=True)
class Plan:
    """Where each row's image goes, and what it is.

    Attributes:
        splits: int8 (N,), its split's number in `SPLITS`.
        indices: int32 (N,), its index there: the table's order within the split.
        is_jpeg: bool (N,).
        sizes: int32 (N, 2), width and height, pixels, EXIF orientation applied.
        labels: what it teaches.
    """

    splits: npt.NDArray[np.int8]
    indices: npt.NDArray[np.int32]
    is_jpeg: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int32]
    labels: Labels

    @property
    def counts(self) -> dict[Split, int]:
        """Images in each split."""
        counted = np.bincount(self.splits, minlength=len(SPLITS)).tolist()
        return dict(zip(SPLITS, counted, strict=True))

    def size(self, row: int) -> Size:
        """Return one image's width and height."""
        width, height = self.sizes[row].tolist()
        return width, height

    def rows(self, split: Split) -> npt.NDArray[np.int64]:
        """Return a split's rows of the table, in its order."""
        return np.flatnonzero(self.splits == SPLITS.index(split))


def read_plan(table: Path, task: Task) -> Plan:
    """Read what packing needs of the image table, one row group in memory at a time.

    Raises:
        UserError: naming the image, if one has no split, no label for the task, or an id that
            a `.lst` file cannot hold; or naming a split without images.
    """
    label = LABEL_COLUMN[task]
    columns = ["image_id", "split", "format", "width", "height", label]
    found: defaultdict[str, list[npt.NDArray[Any]]] = defaultdict(list)
    for batch in iter_batches(table, columns):
        for name, values in _read_batch(batch, label).items():
            found[name].append(values)
    if not found:
        raise UserError(f"{table}: no image; run ingest again")
    plan = _joined(found)
    empty = [name for name, count in plan.counts.items() if not count]
    if empty:
        raise UserError(
            f"{table}: no image in split {', '.join(empty)}; every split needs some: "
            "see the shares in the config's section 'split'"
        )
    return plan


def _joined(found: dict[str, list[npt.NDArray[Any]]]) -> Plan:
    """Join the batches' arrays; each is let go of as soon as it is joined."""
    joined = {name: np.concatenate(found.pop(name)) for name in list(found)}
    splits = joined["splits"]
    indices = np.empty(splits.size, np.int32)
    for number in range(len(SPLITS)):
        rows = np.flatnonzero(splits == number)
        indices[rows] = np.arange(rows.size)
    ends = np.cumsum(joined["boxes_each"], dtype=np.int64)
    labels = Labels(joined["numbers"], ends, joined["boxes"])
    return Plan(splits, indices, joined["is_jpeg"], joined["sizes"], labels)


def _read_batch(batch: pa.RecordBatch, label: str) -> dict[str, npt.NDArray[Any]]:
    names = batch["split"].cast(pa.string())
    splits = pc.index_in(names, pa.array(SPLITS))
    _refuse(batch, splits.is_null(), "no split in the image table; run split first")
    _refuse(
        batch,
        pc.match_substring_regex(batch["image_id"], _BETWEEN_FIELDS),
        "a tab or line break in an image's id, which a .lst file cannot hold; rename the file",
    )
    _refuse(
        batch,
        batch[label].is_null(),
        f"no {label} in the image table, which this task needs; check the config's task, and "
        "run ingest again",
    )
    return {
        "splits": splits.to_numpy().astype(np.int8),
        "is_jpeg": np.asarray(pc.equal(batch["format"], "jpeg")),
        "sizes": np.stack([batch[side].to_numpy() for side in ("width", "height")], axis=1),
        **_labels(batch[label]),
    }


def _refuse(batch: pa.RecordBatch, wrong: pa.BooleanArray, problem: str) -> None:
    if pc.any(wrong).as_py():
        image_id = batch["image_id"].filter(wrong)[0].as_py()
        raise UserError(f"image '{image_id}': {problem}")


def _labels(column: pa.Array) -> dict[str, npt.NDArray[Any]]:
    if not pa.types.is_list(column.type):
        return {
            "numbers": column.to_numpy().astype(np.float32),
            "boxes_each": np.empty(0, np.int32),
            "boxes": np.empty((0, 5), np.float32),
        }
    flat = column.flatten()
    sides = [pc.struct_field(flat, name).to_numpy(zero_copy_only=False) for name in _BOX]
    return {
        "numbers": np.zeros(len(column), np.float32),
        "boxes_each": pc.list_value_length(column).to_numpy(zero_copy_only=False),
        "boxes": np.stack([side.astype(np.float32) for side in sides], axis=1),
    }
