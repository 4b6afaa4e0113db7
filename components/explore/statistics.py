"""Counts over the whole image table, gathered batch by batch."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.table import ROW_GROUP, TableInfo

CELLS: Final = 32  # of a heat map's edge
AREA_EDGES: Final = np.logspace(-6, 0, 37)  # of the box areas' histogram, shares of an image
NO_SPLIT: Final = "all"  # how images without a split of the source are called


@dataclass
class Statistics:
    """What the table holds.

    Attributes:
        images: rows.
        splits: images in each split of the source.
        classes: (split, class index) to images that show the class.
        boxes_of_class: class index to boxes.
        numbers: (split, n) to images with n objects: the count, or the number of boxes.
        sizes: (width, height) in pixels to images.
        formats: format to images.
        centres: (CELLS, CELLS) boxes by the place of their centre, rows downwards.
        shapes: (CELLS, CELLS) boxes by height (rows downwards, so the last is the image's) and
            width, as shares of the image.
        areas: boxes in each interval of AREA_EDGES.
        together: (classes, classes) images that show both; the diagonal, images of each.
    """

    info: TableInfo
    images: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, int]] = field(default_factory=Counter)
    boxes_of_class: Counter[int] = field(default_factory=Counter)
    numbers: Counter[tuple[str, int]] = field(default_factory=Counter)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    centres: NDArray[np.int64] = field(default_factory=lambda: np.zeros((CELLS, CELLS), np.int64))
    shapes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((CELLS, CELLS), np.int64))
    areas: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(AREA_EDGES.size - 1, np.int64)
    )
    together: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    @property
    def boxes(self) -> int:
        """Boxes in all images."""
        return sum(self.boxes_of_class.values())

    def class_name(self, index: int) -> str:
        """Return a class's name, or its number where the list of classes has none."""
        known = 0 <= index < len(self.info.classes)
        return self.info.classes[index] if known else f"class {index}"

    def images_of_class(self) -> Counter[int]:
        """Return the images that show each class, those of the list that none shows with 0."""
        found: Counter[int] = Counter(dict.fromkeys(range(len(self.info.classes)), 0))
        for (_, index), number in self.classes.items():
            found[index] += number
        return found


def gather(table: Path, info: TableInfo) -> Statistics:
    """Read the table once, a row group in memory at a time."""
    found = Statistics(info)
    found.together = np.zeros((len(info.classes),) * 2, np.int64)
    columns = ["width", "height", "format", "label", "count", "boxes", "attributes"]
    for batch in pq.ParquetFile(table).iter_batches(batch_size=ROW_GROUP, columns=columns):
        if batch.num_rows:
            _add(found, batch)
    return found


def _add(found: Statistics, batch: pa.RecordBatch) -> None:
    splits = pc.map_lookup(batch["attributes"], "upstream_split", "first").fill_null(NO_SPLIT)
    found.images += batch.num_rows
    found.splits.update(splits.to_pylist())
    found.formats.update(batch["format"].to_pylist())
    sizes = zip(batch["width"].to_pylist(), batch["height"].to_pylist(), strict=True)
    found.sizes.update(sizes)
    names = np.array(splits.to_pylist(), object)
    if found.info.task == "detect":
        _add_boxes(found, batch["boxes"], names)
        return
    column = "count" if found.info.task == "count" else "label"
    values = zip(names.tolist(), batch[column].to_pylist(), strict=True)
    (found.numbers if column == "count" else found.classes).update(
        (split, value) for split, value in values if value is not None
    )


def _add_boxes(found: Statistics, column: pa.Array, splits: NDArray[np.object_]) -> None:
    lengths = pc.list_value_length(column).fill_null(0).to_pylist()
    found.numbers.update(zip(splits.tolist(), lengths, strict=True))
    owners = pc.list_parent_indices(column).to_numpy()
    boxes = pc.list_flatten(column)
    labels = boxes.field("label").to_numpy()
    found.boxes_of_class.update(labels.tolist())
    shown = np.unique(np.stack([owners, labels], axis=1), axis=0)
    found.classes.update(zip(splits[shown[:, 0]].tolist(), shown[:, 1].tolist(), strict=True))
    _add_together(found, shown)
    _add_geometry(found, boxes)


def _add_together(found: Statistics, shown: NDArray[np.integer]) -> None:
    """Count pairs of classes: with one 0/1 row an image, the product of the matrix with itself."""
    known = (shown[:, 1] >= 0) & (shown[:, 1] < len(found.info.classes))
    _, rows = np.unique(shown[known, 0], return_inverse=True)
    if not rows.size:
        return
    present = np.zeros((int(rows.max()) + 1, len(found.info.classes)), np.float32)
    present[rows, shown[known, 1]] = 1
    found.together += (present.T @ present).astype(np.int64)


def _add_geometry(found: Statistics, boxes: pa.StructArray) -> None:
    names = ("xmin", "ymin", "xmax", "ymax")
    left, top, right, bottom = (boxes.field(name).to_numpy().astype(float) for name in names)
    width, height = right - left, bottom - top
    unit = [(0, 1), (0, 1)]
    middle = ((top + bottom) / 2, (left + right) / 2)
    found.centres += np.histogram2d(*middle, bins=CELLS, range=unit)[0].astype(np.int64)
    found.shapes += np.histogram2d(height, width, bins=CELLS, range=unit)[0].astype(np.int64)
    areas = np.clip(width * height, AREA_EDGES[0], AREA_EDGES[-1])
    found.areas += np.histogram(areas, AREA_EDGES)[0]


def summarize(values: Counter[int]) -> dict[str, int | float]:
    """Return number, mean, standard deviation, quartiles, smallest and largest of a tally."""
    numbers = np.array(sorted(values), float)
    weights = np.array([values[int(number)] for number in numbers], float)
    total = int(weights.sum())
    mean = float((numbers * weights).sum() / total)
    ends = np.cumsum(weights)
    # The smallest value that a quarter, a half, three quarters of the images do not exceed.
    quartiles = [int(numbers[np.searchsorted(ends, total * q)]) for q in (0.25, 0.5, 0.75)]
    return {
        "images": total,
        "mean": mean,
        "std": float(np.sqrt((weights * (numbers - mean) ** 2).sum() / total)),
        "min": int(numbers[0]),
        "25 %": quartiles[0],
        "median": quartiles[1],
        "75 %": quartiles[2],
        "max": int(numbers[-1]),
    }
