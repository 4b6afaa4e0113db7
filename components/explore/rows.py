"""Whole rows of the few images that are shown."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from heapq import nsmallest
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.explore.choose import hashes
from components.explore.identity import Hashes
from components.explore.partition import Partition
from components.shared.table import iter_batches

Row = dict[str, Any]
_COLUMNS: Final = [
    "image_id", "sha256", "width", "height", "group", "split", "label", "count", "boxes", "source",
    "attributes",
]  # fmt: skip


def rows_by_id(table: Path, ids: Collection[str]) -> dict[str, Row]:
    """Return the rows of some images, by id."""
    return {row["image_id"]: row for row in _rows(table, "image_id", ids)}


def rows_by_file(table: Path, files: Collection[str]) -> dict[str, Row]:
    """Return the rows of images by a file of theirs: the image's own, or its annotation.

    An annotation file of several images says nothing about one of them, and is left out.
    """
    found: dict[str, Row] = {}
    for column in ("source", "annotation"):
        counted: Counter[str] = Counter()
        for batch in iter_batches(table, _COLUMNS):
            for item in _only(_shared(batch, column), files).value_counts().to_pylist():
                counted[item["values"]] += item["counts"]
        own = [name for name, number in counted.items() if number == 1]
        for row in _rows(table, column, own):
            name = row["source"] if column == "source" else row["attributes"][column]
            found.setdefault(name, row)
    return found


def _only(values: pa.Array, wanted: Collection[str]) -> pa.Array:
    return values.filter(pc.is_in(values, pa.array(list(wanted), pa.string())))


def _rows(table: Path, column: str, values: Collection[str]) -> Iterator[Row]:
    if not values:
        return
    wanted = pa.array(list(values), pa.string())
    for batch in iter_batches(table, _COLUMNS):
        yield from _dicts(batch.filter(pc.is_in(_shared(batch, column), wanted)))


def members(
    table: Path, what: str, keys: Hashes, number: int, splits: Partition | None = None
) -> dict[int, list[Row]]:
    """Return rows of sets of images, by the set's key, in the keys' order.

    Args:
        table: the image table.
        what: what the images of a set share: `near_duplicates`, `group` or `sha256`.
        keys: hashes of the sets' names.
        number: rows of a set at most, those with the smallest ids.
        splits: take that many of each split.
    """
    found: dict[int, dict[int, list[Row]]] = {key: {} for key in keys.tolist()}
    for batch in iter_batches(table, _COLUMNS) if found else ():
        values = _shared(batch, what)
        named = np.flatnonzero(pc.is_valid(values).to_numpy(zero_copy_only=False))
        own = hashes(values.drop_null().to_pylist())
        inside = np.isin(own, keys)
        rows = _dicts(batch.take(named[inside]))
        for key, row in zip(own[inside].tolist(), rows, strict=True):
            part = splits.code(row) if splits else 0
            some = found[key].get(part, [])
            found[key][part] = nsmallest(number, [*some, row], key=_by_id)
    return {
        key: [row for part in sorted(parts) for row in parts[part]] for key, parts in found.items()
    }


def _shared(batch: pa.RecordBatch, what: str) -> pa.Array:
    """Return a column of text, or of an attribute of that name."""
    if what in batch.schema.names:
        return batch[what]
    return pc.map_lookup(batch["attributes"], what, "first")


def _dicts(batch: pa.RecordBatch) -> Sequence[Row]:
    rows: list[Row] = batch.to_pylist()
    for row in rows:
        row["attributes"] = dict(row["attributes"] or ())
    return rows


def _by_id(row: Row) -> str:
    image_id: str = row["image_id"]
    return image_id
