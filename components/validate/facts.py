"""What can only be said of the whole table, gathered in one pass with small arrays."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.reasons import kind_of
from components.shared.table import LABEL_COLUMN, iter_batches
from components.shared.task import Task

BATCH: Final = 20_000  # rows checked at a time; bounds the memory
_BOX_SET_ASIDE: Final = "box set aside"  # how ingest words the loss of a box, not of its image


@dataclass(frozen=True)
class Facts:
    """Counts over the whole table.

    Attributes:
        images: rows.
        annotated: images that have a label, a count or at least one box, by task.
        classes: images that show each class (or have each count), by name; classes of the
            list that no image shows have 0.
        repeats: for each text column that was asked for, (k,) int64 the rows whose value may
            occur more than once, those of equal values side by side. All others occur once.
        rejected: how often each reason set something aside, the most frequent first.
        rejected_files: files set aside whole.
    """

    images: int
    annotated: int
    classes: dict[str, int]
    repeats: dict[str, list[NDArray[np.int64]]]
    rejected: dict[str, int]
    rejected_files: int

    @property
    def rejected_share(self) -> float:
        """Files set aside as a share of all files, 0 to 1."""
        return self.rejected_files / max(self.images + self.rejected_files, 1)


def gather(
    table: Path,
    rejected: Path,
    task: Task,
    classes: tuple[str, ...],
    unique: Sequence[str] = (),
) -> Facts:
    """Read the table and the list of what was set aside once.

    Args:
        table: the image table.
        rejected: the table of what was set aside.
        task: what the labels are for.
        classes: names of the classes.
        unique: text columns whose repeated values are looked for.
    """
    counted: Counter[int] = Counter()
    images = annotated = 0
    keys: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in unique}
    for batch in batches(table, [*unique, LABEL_COLUMN[task]]):
        images += batch.num_rows
        for name, parts in keys.items():
            parts.append(_keys(batch[name]))
        shown = _images_by_class(batch[LABEL_COLUMN[task]])
        annotated += shown.pop(None, 0)
        counted.update({key: number for key, number in shown.items() if key is not None})
    reasons, files = _rejected(rejected)
    repeats = {name: _repeats(keys.pop(name)) for name in unique}
    return Facts(images, annotated, _named(counted, classes), repeats, reasons, files)


def batches(table: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield the table in batches of the rows that are checked at a time."""
    return iter_batches(table, columns, BATCH)


def rows_at(table: Path, rows: NDArray[np.int64], columns: list[str]) -> pa.Table:
    """Read the rows of these numbers, in the order of the table; row groups without are skipped."""
    wanted = np.sort(rows)
    start = 0
    with pq.ParquetFile(table, pre_buffer=False) as file:
        found = [file.schema_arrow.empty_table().select(columns)]
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, end)]
            if here.size:
                read = file.read_row_group(group, columns=columns, use_threads=False)
                found.append(read.take(pa.array(here - start)))
            start = end
    return pa.concat_tables(found)


def _keys(names: pa.Array) -> NDArray[np.uint32]:
    """Return a 32-bit hash of each text: few enough share one, and half a million take 2 MB."""
    keys = pd.util.hash_array(names.to_numpy(zero_copy_only=False), categorize=False)
    return keys.astype(np.uint32)


def _repeats(parts: list[NDArray[np.uint32]]) -> list[NDArray[np.int64]]:
    """Return the rows whose hash occurs more than once, in parts of about `BATCH`.

    Equal texts have equal hashes, so no repeated text is missed, and they are in one part; texts
    that only share a hash are told apart by whoever reads them.
    """
    keys = np.sort(np.concatenate([np.empty(0, np.uint32), *parts]))
    several = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if not several.size:
        return []
    rows, groups = [], []
    start = 0
    for part in parts:  # one by one: the search takes more memory than the hashes
        places = np.minimum(np.searchsorted(several, part), several.size - 1)
        found = np.flatnonzero(several[places] == part)
        rows.append(found + start)
        groups.append(places[found])
        start += part.size
    group = np.concatenate(groups)
    order = np.argsort(group, kind="stable")
    group = group[order]
    starts = np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
    cuts = starts[np.searchsorted(starts, np.arange(BATCH, group.size, BATCH)) - 1]
    return np.split(np.concatenate(rows)[order], np.unique(cuts[cuts > 0]))


def _images_by_class(column: pa.Array) -> dict[int | None, int]:
    """Count the images that show each class; under None those that show any."""
    if not pa.types.is_list(column.type):
        found = column.drop_null()
        counts = {item["values"]: item["counts"] for item in found.value_counts().to_pylist()}
        return {**counts, None: len(found)}
    owners = pc.list_parent_indices(column).to_numpy()
    labels = pc.list_flatten(column).field("label").to_numpy()
    pairs = np.unique(np.stack([owners, labels], axis=1), axis=0)
    classes, numbers = np.unique(pairs[:, 1], return_counts=True)
    counts = dict(zip(classes.tolist(), numbers.tolist(), strict=True))
    return {**counts, None: len(np.unique(owners))}


def _named(counted: Counter[int], classes: tuple[str, ...]) -> dict[str, int]:
    """Name classes; a number without a name (a count, or a wrong label) keeps its number."""
    named = {name: counted.pop(index, 0) for index, name in enumerate(classes)}
    return named | {str(index): number for index, number in sorted(counted.items())}


def _rejected(path: Path) -> tuple[dict[str, int], int]:
    """Count reasons by kind, and the files that were set aside whole."""
    reasons: Counter[str] = Counter()
    files = [np.empty(0, np.uint64)]
    for batch in batches(path, ["path", "reason"]):
        where, texts = (column.to_pylist() for column in batch.columns)
        reasons.update(map(kind_of, texts))
        whole = [
            _file(one, text)
            for one, text in zip(where, texts, strict=True)
            if not text.startswith(_BOX_SET_ASIDE)
        ]
        files.append(np.unique(pd.util.hash_array(np.array(whole, object), categorize=False)))
    return dict(reasons.most_common()), np.unique(np.concatenate(files)).size


def _file(path: str, reason: str) -> str:
    """Return the file that a rejected row is about: many rows of one list of annotations are one.

    An image's own name may hold the sign that parts a list from its row.
    """
    name, _, _ = path.partition("#")
    is_list = name.endswith((".csv", ".json", ".xml"))
    return name if is_list and not reason.endswith("of this id") else path
