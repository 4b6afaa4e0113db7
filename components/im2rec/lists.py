"""The `.lst` files: what each record is, in the form of MXNet's im2rec."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.im2rec.config import Im2RecSection
from components.im2rec.parts import Parts
from components.im2rec.plan import Labels, Plan
from components.shared.recordio import DETECTION_HEADER
from components.shared.table import iter_batches
from components.shared.task import SPLITS, Split


@dataclass(frozen=True)
class Named:
    """Some images of one split, in the order of the table.

    Attributes:
        split: theirs.
        rows: int64 (N,), of the table.
        paths: `<image id>.<extension of the bytes in the record>`.
    """

    split: Split
    rows: npt.NDArray[np.int64]
    paths: list[str]


def write_lists(
    folder: Path, table: Path, plan: Plan, section: Im2RecSection, parts: dict[Split, Parts]
) -> None:
    """Write a list for each part: lines of `index, label values, path`, tab-separated.

    SageMaker's built-in algorithms read the same: image classification one label, object
    detection `2, 5, (class, xmin, ymin, xmax, ymax) x N`; one line an image.
    """
    for named in iter_named(table, plan, section):
        indices = plan.indices[named.rows]
        written = parts[named.split]
        numbers = written.part_of[indices]
        lines = list(_lines(named, indices, plan.labels))
        for number in np.unique(numbers).tolist():
            with (folder / f"{written.stems[number]}.lst").open("a", encoding="utf-8") as file:
                file.writelines(lines[place] for place in np.flatnonzero(numbers == number))


def iter_named(table: Path, plan: Plan, section: Im2RecSection) -> Iterator[Named]:
    """Yield all images by split, one row group of the table in memory at a time."""
    start = 0
    for batch in iter_batches(table, ["image_id", "format"]):
        ids, formats = (batch[name].to_pylist() for name in ("image_id", "format"))
        paths = [
            f"{image_id}.{'jpg' if section.resizes or form == 'jpeg' else form}"
            for image_id, form in zip(ids, formats, strict=True)
        ]
        splits = plan.splits[start : start + len(paths)]
        for number, split in enumerate(SPLITS):
            places = np.flatnonzero(splits == number)
            yield Named(split, places + start, [paths[place] for place in places.tolist()])
        start += len(paths)


def _lines(named: Named, indices: npt.NDArray[np.int32], labels: Labels) -> Iterator[str]:
    if not labels.ends.size:
        numbers = labels.numbers[named.rows].astype(np.int64).tolist()
        yield from map("{}\t{}\t{}\n".format, indices.tolist(), numbers, named.paths)
        return
    header = [int(value) for value in DETECTION_HEADER]
    for index, row, path in zip(indices.tolist(), named.rows.tolist(), named.paths, strict=True):
        boxes = labels.boxes_of(row).ravel().tolist()
        yield "\t".join(map(str, [index, *header, *map(_number, boxes), path])) + "\n"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}"
