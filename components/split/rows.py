"""What splitting needs of the image table, as small arrays instead of rows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.errors import UserError
from components.shared.hashing import hash64
from components.shared.table import LABEL_COLUMN, iter_batches
from components.shared.task import SPLITS, Task
from components.split.config import SplitSection

_NO_CLASS: Final = -1
_LAST_DIGITS: Final = re.compile(r"^(.*?)(\d+)(\D*)$", re.DOTALL)


@dataclass(frozen=True)
class Rows:
    """The table's rows, in its order.

    Attributes:
        keys: (n,) uint64, `hash64` of the image id.
        groups: (n,) uint64, `hash64` of the group that the source knows.
        names: (n,) uint64, `hash64` of the name a row lends its group (`base_names`).
        upstream: (n,) int8, index in SPLITS that the source's own split maps to; 0 without.
        classes: (m, 2) int32, distinct pairs of row and class. For detection an image has each
            class it shows, for counting its count; what has none has the class -1.
    """

    keys: NDArray[np.uint64]
    groups: NDArray[np.uint64]
    names: NDArray[np.uint64]
    upstream: NDArray[np.int8]
    classes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.keys)


def read_rows(table: Path, section: SplitSection, task: Task) -> Rows:
    """Read the table, one row group in memory at a time.

    Raises:
        UserError: if an image id is not unique, has no number although `id_block` needs one,
            or is in a split of the source that `upstream` does not map.
    """
    labels = LABEL_COLUMN[task]
    upstream = _Upstream(section)
    total = pq.read_metadata(table).num_rows
    if not total:
        raise UserError("the image table is empty; ingest set every image aside, or found none")
    keys, groups = np.empty(total, np.uint64), np.empty(total, np.uint64)
    names = groups if section.id_block is None else np.empty(total, np.uint64)
    splits = np.zeros(total, np.int8)
    classes = np.empty((0 if task == "detect" else total, 2), np.int32)
    shown: list[NDArray[np.int32]] = []  # of boxes: nobody knows how many before
    start = 0
    columns = ["image_id", "group", labels, *(["attributes"] if section.upstream else [])]
    for batch in iter_batches(table, columns):
        ids, own = batch["image_id"].to_pylist(), batch["group"].to_pylist()
        place = slice(start, start + len(ids))
        keys[place], groups[place] = _hashes(ids), _hashes(own)
        if section.id_block is not None:
            names[place] = _hashes(list(base_names(ids, own, section.id_block)))
        if section.upstream:
            splits[place] = upstream.indices(ids, batch["attributes"])
        if task == "detect":
            shown.append(_shown(batch[labels], start))
        else:
            classes[place] = _pairs(np.arange(start, place.stop), _single(batch[labels]))
        start += len(ids)
    upstream.check_all_found(table)
    rows = Rows(keys, groups, names, splits, np.concatenate(shown) if shown else classes)
    ranked = np.sort(rows.keys)  # np.unique would take several times the memory
    if (ranked[1:] == ranked[:-1]).any():
        raise UserError(
            f"{table}: image ids repeat; each must be unique; the validate step names them"
        )
    return rows


def base_names(ids: list[str], groups: list[str], id_block: int | None) -> Iterator[str]:
    """Yield the name each image lends its group: its id block, else the source's group.

    With blocks of 50, `00042` is in `00000-00049` and `left/7` in `left/0-49`: the last number
    of the id counts, and what stands before it tells series apart.

    Raises:
        UserError: if an id has no number.
    """
    if id_block is None:
        yield from groups
        return
    for image_id in ids:
        match = _LAST_DIGITS.match(image_id)
        if match is None:
            raise UserError(
                f"split.id_block: image id '{image_id}' holds no number, and blocks are made of "
                "consecutive numbers; remove id_block, or use numbered image files"
            )
        prefix, digits, _ = match.groups()
        first = int(digits) // id_block * id_block
        width = len(digits)
        yield f"{prefix}{first:0{width}d}-{first + id_block - 1:0{width}d}"


class _Upstream:
    """Maps the source's split names, and knows which were met."""

    def __init__(self, section: SplitSection) -> None:
        self._map = section.upstream
        self._met: set[str] = set()

    def indices(self, ids: list[str], attributes: pa.Array) -> NDArray[np.int8]:
        names = pc.map_lookup(attributes, "upstream_split", "first").to_pylist()
        self._met.update(name for name in set(names) if name is not None)
        for image_id, name in zip(ids, names, strict=True):
            if name not in self._map:
                raise UserError(self._unmapped(image_id, name))
        codes = {name: SPLITS.index(split) for name, split in self._map.items()}
        return np.array([codes[name] for name in names], np.int8)

    def check_all_found(self, table: Path) -> None:
        absent = sorted(set(self._map) - self._met)
        if absent:
            raise UserError(
                f"split.upstream: no image of {table} is in the source's split '{absent[0]}'; "
                f"found: {', '.join(sorted(self._met)) or 'none'}; correct the name or remove it"
            )

    def _unmapped(self, image_id: str, name: str | None) -> str:
        mapped = ", ".join(sorted(self._map))
        if name is None:
            return (
                f"split.upstream: image '{image_id}' has no split in the source, but "
                f"upstream maps {mapped}; empty upstream to divide all images by share"
            )
        return (
            f"split.upstream: image '{image_id}' is in the source's split '{name}', which is not "
            f"mapped (mapped: {mapped}); add '{name}: train', '{name}: val' or '{name}: test'"
        )


def _hashes(names: list[str]) -> NDArray[np.uint64]:
    return np.fromiter(map(hash64, names), np.uint64, len(names))


def _single(column: pa.Array) -> NDArray[np.int32]:
    """Return the class of each row of a batch."""
    values: NDArray[np.int32] = column.fill_null(_NO_CLASS).to_numpy(zero_copy_only=False)
    return values


def _shown(column: pa.Array, start: int) -> NDArray[np.int32]:
    """Return the distinct (row, class) pairs of the boxes of a batch that begins at `start`."""
    owners = pc.list_parent_indices(column).to_numpy()
    labels = pc.list_flatten(column).field("label").to_numpy()
    empty = np.setdiff1d(np.arange(len(column)), owners)
    shown = np.unique(_pairs(owners + start, labels), axis=0)
    return np.concatenate([shown, _pairs(empty + start, np.full(empty.size, _NO_CLASS))])


def _pairs(rows: NDArray[np.integer], classes: NDArray[np.integer]) -> NDArray[np.int32]:
    pairs: NDArray[np.int32] = np.stack([rows, classes], axis=1).astype(np.int32)
    return pairs
