"""The table with its splits and final groups, and the same as a CSV file."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.files import written_aside
from components.shared.table import (
    LABEL_COLUMN,
    NEAR_DUPLICATES,
    iter_batches,
    iter_rows,
    read_info,
)
from components.shared.task import SPLITS
from components.split.components import Components
from components.split.config import SplitSection
from components.split.rows import base_names

_COLUMNS: Final = ["image_id", "group"]


@dataclass(frozen=True)
class Sets:
    """Which rows belong together.

    Attributes:
        groups: what stays in one split.
        alike: near-duplicates.
    """

    groups: Components
    alike: Components


def write_split(
    table: Path,
    split_table: Path,
    section: SplitSection,
    sets: Sets,
    splits: NDArray[np.int8],
) -> None:
    """Copy the table with new columns, one row group in memory at a time, whole or not at all.

    Args:
        table: the image table.
        split_table: where the copy is written.
        section: the step's settings; they name the groups.
        sets: of the table's rows, in its order.
        splits: (groups,) indices in SPLITS.
    """
    names = _smallest(table, sets.groups, lambda batch: _base_names(batch, section))
    pictures = _smallest(table, sets.alike, lambda batch: batch["image_id"].to_pylist())
    start = 0
    with (
        written_aside(split_table) as aside,
        pq.ParquetWriter(aside, pq.read_schema(table), compression="zstd") as writer,
    ):
        for batch in iter_batches(table):
            rows = slice(start, start + batch.num_rows)
            start += batch.num_rows
            labels = sets.groups.labels[rows]
            own = _base_names(batch, section)
            groups = [names.get(one, name) for one, name in zip(labels.tolist(), own, strict=True)]
            codes = pa.array(splits[labels], pa.int8())
            filled = _replaced(batch, "group", pa.array(groups, pa.string()))
            by_name = pa.DictionaryArray.from_arrays(codes, pa.array(SPLITS))
            filled = _replaced(filled, "split", by_name)
            alike = [pictures.get(one) for one in sets.alike.labels[rows].tolist()]
            writer.write_batch(_with_look_alikes(filled, alike))


def write_labels(split_table: Path, labels: Path) -> None:
    """Write a line an image: id, split, and its class, its count, or its boxes and their classes.

    The columns are `image_id,split,label,class`, `image_id,split,count`, or
    `image_id,split,boxes,classes` with the class names of the boxes joined by `;`.
    """
    info = read_info(split_table)
    column = LABEL_COLUMN[info.task]
    heads = {"classify": ["class"], "count": [], "detect": ["classes"]}[info.task]
    with written_aside(labels) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image_id", "split", column, *heads])
        for row in iter_rows(split_table, ["image_id", "split", column]):
            writer.writerow([row["image_id"], row["split"], *_shown(row[column], info.classes)])


def _shown(label: Any, classes: tuple[str, ...]) -> Iterator[Any]:
    """Yield the CSV's values for a label, a count or boxes."""
    if isinstance(label, list):
        yield len(label)
        yield ";".join(classes[one] for one in sorted({box["label"] for box in label}))
        return
    yield label
    if classes:
        yield "" if label is None else classes[label]


def _replaced(batch: pa.RecordBatch, name: str, values: pa.Array) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), batch.schema.field(name), values)


def _with_look_alikes(batch: pa.RecordBatch, alike: list[str | None]) -> pa.RecordBatch:
    """Fill the attribute of rows that have look-alikes."""
    if not any(alike):
        return batch
    attributes = []
    for pairs, name in zip(batch["attributes"].to_pylist(), alike, strict=True):
        attributes.append([*(pairs or ()), (NEAR_DUPLICATES, name)] if name else pairs)
    kind = batch.schema.field("attributes").type
    return _replaced(batch, "attributes", pa.array(attributes, kind))


def _smallest(
    table: Path, components: Components, names_of: Callable[[pa.RecordBatch], list[str]]
) -> dict[int, str]:
    """Return the smallest name in each component that has several images."""
    several = components.sizes() > 1
    names: dict[int, str] = {}
    start = 0
    for batch in iter_batches(table, _COLUMNS):
        labels = components.labels[start : start + batch.num_rows]
        start += batch.num_rows
        shared = np.flatnonzero(several[labels])
        if not shared.size:
            continue
        found = names_of(batch)
        for row in shared.tolist():
            label = int(labels[row])
            names[label] = min(found[row], names.get(label, found[row]))
    return names


def _base_names(batch: pa.RecordBatch, section: SplitSection) -> list[str]:
    ids, groups = (batch[name].to_pylist() for name in _COLUMNS)
    return list(base_names(ids, groups, section.id_block))
