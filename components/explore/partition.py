"""The two ways in which the images of a table are divided: by split and by source."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.shared.table import iter_batches

ALL: Final = "all images"
NO_SPLIT: Final = "no split"
OTHERS: Final = "others"
_PARTS: Final = 8  # parts of a partition; the rest are "others"
_DEPTH: Final = 3  # folders of a path that may tell sources apart
_FOLDERS: Final = 10_000  # different folders held in memory at most

Kind = Literal["split", "upstream", "source", "none"]


@dataclass(frozen=True)
class Partition:
    """Parts of a table, each image in one.

    Attributes:
        kind: what divides the images: the split of the project, the split of the source, the
            folder of the source, or nothing.
        names: of the parts.
        depth: folders of a source's path that name its part; only for kind `source`.
    """

    kind: Kind
    names: tuple[str, ...]
    depth: int = 0

    def codes(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Return for each row the index of its part in `names`."""
        if self.kind == "none":
            return np.zeros(batch.num_rows, np.int64)
        found = pc.index_in(_values(self.kind, batch, self.depth), pa.array(self.names))
        # What has no name of its own belongs to the last part: no split, or the others.
        codes: NDArray[np.int64] = found.fill_null(len(self.names) - 1).to_numpy().astype(np.int64)
        return codes

    def code(self, row: Mapping[str, Any]) -> int:
        """Return the index of one row's part; `attributes` is a dict. For splits only."""
        values = {"split": row["split"], "upstream": row["attributes"].get("upstream_split")}
        name = values.get(self.kind, ALL)
        return self.names.index(name) if name in self.names else len(self.names) - 1

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Partitions:
    """How a table is divided.

    Attributes:
        splits: by the split column; by the source's own splits where that is empty.
        upstream: by the source's own splits, beside the project's; of kind `none` otherwise.
        sources: by the folders the images come from.
    """

    splits: Partition
    upstream: Partition
    sources: Partition


def find_partitions(table: Path) -> Partitions:
    """Read once through the table's columns that say where an image belongs."""
    splits: Counter[str | None] = Counter()
    upstream: Counter[str | None] = Counter()
    folders: Counter[str | None] = Counter()
    depth = _DEPTH
    for batch in iter_batches(table, ["split", "attributes", "source"]):
        _count(splits, _values("split", batch))
        _count(upstream, _values("upstream", batch))
        _count(folders, _values("source", batch, depth))
        while len(folders) > _FOLDERS and depth > 1:
            depth -= 1
            folders = _shortened(folders, depth)
    own = _partition("split", splits)
    theirs = _partition("upstream", upstream)
    sources = _sources(folders, depth)
    nothing = Partition("none", (ALL,))
    if own.kind == "split":
        return Partitions(own, theirs, sources)
    return Partitions(theirs, nothing, sources)


def _values(kind: Kind, batch: pa.RecordBatch, depth: int = 0) -> pa.Array:
    if kind == "split":
        return batch["split"].cast(pa.string())
    if kind == "upstream":
        return pc.map_lookup(batch["attributes"], "upstream_split", "first")
    # The number after "#" is a place inside an archive's file, as in CIFAR's pickles.
    inner = pc.replace_substring_regex(batch["source"], r"#[0-9]+$", "/")
    folder = pc.replace_substring_regex(inner, r"/?[^/]*$", "")
    return pc.replace_substring_regex(folder, rf"^((?:[^/]*/){{{depth - 1}}}[^/]*)/.*$", r"\1")


def _count(counter: Counter[str | None], values: pa.Array) -> None:
    for item in values.value_counts().to_pylist():
        counter[item["values"]] += item["counts"]


def _partition(kind: Kind, counted: Counter[str | None]) -> Partition:
    known = {name: number for name, number in counted.items() if name is not None}
    if not known:
        return Partition("none", (ALL,))
    names = _largest(known, key=_split_place)
    if len(names) < len(known):
        return Partition(kind, (*names, OTHERS))
    return Partition(kind, (*names, NO_SPLIT) if None in counted else names)


def _largest(counted: dict[str, int], key: Callable[[str], tuple[int, str]]) -> tuple[str, ...]:
    by_size = sorted(counted, key=lambda name: (-counted[name], name))
    return tuple(sorted(by_size[:_PARTS], key=key))


def _split_place(name: str) -> tuple[int, str]:
    """Return where a split stands: train, val, test, as do the sources' names of them."""
    start = ("train", "val", "test")
    return next((i for i, one in enumerate(start) if name.lower().startswith(one)), 3), name


def _sources(folders: Counter[str | None], depth: int) -> Partition:
    """Name the sources after as few leading folders as tell them apart."""
    for length in range(1, depth + 1):
        counted = _shortened(folders, length)
        if len(counted) > 1 or length == depth:
            known = {name or "": number for name, number in counted.items()}
            names = _largest(known, key=lambda name: (0, name))
            more = (OTHERS,) if len(names) < len(known) else ()
            return Partition("source", (*names, *more), length)
    return Partition("none", (ALL,))


def _shortened(folders: Counter[str | None], depth: int) -> Counter[str | None]:
    shorter: Counter[str | None] = Counter()
    for name, number in folders.items():
        shorter["/".join((name or "").split("/")[:depth])] += number
    return shorter
