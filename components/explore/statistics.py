"""Counts over the whole image table, gathered batch by batch."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.explore.choose import Choice, hashes
from components.explore.config import ExploreSection
from components.explore.distribution import Counting, Distribution, distinct
from components.explore.geometry import BoxGeometry
from components.explore.identity import Identities
from components.explore.partition import NO_SPLIT, Partition, Partitions
from components.shared.table import NEAR_DUPLICATES, TableInfo, iter_batches

CROWDS: Final = (1, 2, 5, 20)  # boxes an image from which another interval begins
_SIDE: Final = 32  # bits of a packed pair that hold its second number
_OFFSET: Final = 1 << 31  # makes that number positive
# Attributes that are no findings.
_KNOWN: Final = {"annotation", "filename", "listed_in", "upstream_split", NEAR_DUPLICATES}


@dataclass
class Statistics:
    """What the table holds. A category is a class, or for counting the count.

    Attributes:
        info: task and class names.
        parts: how the images are divided.
        images: (splits,) rows.
        sources: (splits, sources) images.
        upstream: (splits, upstream splits) images.
        by_split: (split, category) to images that show it.
        by_source: (source, category) to images that show it.
        boxes: (split, class) to boxes.
        unlabelled: images without label or count.
        numbers: of objects an image: the count, or the number of boxes.
        sizes: of images, width and height packed into one number; see `size_table`.
        formats: format to images.
        notes: attribute that ingest set to the images that have it.
        geometry: of the boxes.
        identities: ids, contents, groups and near-duplicates.
        sample: chosen at random, under category 0.
        examples: chosen at random for each category.
        crowds: chosen at random for each interval of CROWDS, by the number of boxes.
    """

    info: TableInfo
    parts: Partitions
    images: NDArray[np.int64]
    sources: NDArray[np.int64]
    upstream: NDArray[np.int64]
    by_split: Counter[tuple[int, int]]
    by_source: Counter[tuple[int, int]]
    boxes: Counter[tuple[int, int]]
    unlabelled: int
    numbers: Counting
    sizes: Counting
    formats: Counter[str]
    notes: Counter[str]
    geometry: BoxGeometry
    identities: Identities
    sample: Choice
    examples: Choice
    crowds: Choice

    @property
    def total(self) -> int:
        """All images."""
        return int(self.images.sum())

    @property
    def all_boxes(self) -> int:
        """All boxes."""
        return self.boxes.total()

    @property
    def splits(self) -> Partition:
        """How the images are divided into splits, or not at all."""
        return self.parts.splits

    def name(self, category: int) -> str:
        """Return a class's name, or its number where the list has none; a count as a number."""
        if self.info.task == "count":
            return str(category)
        known = 0 <= category < len(self.info.classes)
        return self.info.classes[category] if known else f"class {category}"

    def categories(self) -> Counter[int]:
        """Return the images that show each category; classes that none shows have 0."""
        known = () if self.info.task == "count" else range(len(self.info.classes))
        found: Counter[int] = Counter(dict.fromkeys(known, 0))
        for (_, category), number in self.by_split.items():
            found[category] += number
        return found

    def size_table(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the (n,) widths and heights that occur, and (splits, n) how often."""
        packed, counts = self.sizes.distinct()
        return *_unpacked(packed), counts

    def size_distribution(self, what: str) -> Distribution:
        """Return the distribution of `width`, `height` or `ratio` (width over height)."""
        widths, heights, _ = self.size_table()
        values = {"width": widths, "height": heights, "ratio": widths / np.maximum(heights, 1)}
        return self.sizes.distribution().mapped(lambda _: values[what].astype(float))


def gather(
    table: Path, info: TableInfo, parts: Partitions, section: ExploreSection, seed: int
) -> Statistics:
    """Read the table once, a row group in memory at a time."""
    splits = len(parts.splits)
    without = splits - 1 if parts.splits.names[-1] == NO_SPLIT else None
    found = Statistics(
        info=info,
        parts=parts,
        images=np.zeros(splits, np.int64),
        sources=np.zeros((splits, len(parts.sources)), np.int64),
        upstream=np.zeros((splits, len(parts.upstream)), np.int64),
        by_split=Counter(),
        by_source=Counter(),
        boxes=Counter(),
        unlabelled=0,
        numbers=Counting(splits),
        sizes=Counting(splits),
        formats=Counter(),
        notes=Counter(),
        geometry=BoxGeometry.empty(splits),
        identities=Identities(splits, without),
        sample=Choice(max(section.samples, section.pixel_samples)),
        examples=Choice(section.per_class),
        crowds=Choice(section.per_class),
    )
    for batch in iter_batches(table):
        if batch.num_rows:
            _add(found, batch, seed)
    return found


@dataclass(frozen=True)
class _Rows:
    """The rows of a batch: ids, their ranks, and the codes of split and source."""

    ids: NDArray[np.object_]
    ranks: NDArray[np.uint64]
    splits: NDArray[np.int64]
    sources: NDArray[np.int64]


def _add(found: Statistics, batch: pa.RecordBatch, seed: int) -> None:
    ids = batch["image_id"].to_pylist()
    parts = found.parts
    rows = _Rows(
        np.array(ids, object),
        hashes(ids, seed),
        parts.splits.codes(batch),
        parts.sources.codes(batch),
    )
    found.images += np.bincount(rows.splits, minlength=len(found.images))
    np.add.at(found.sources, (rows.splits, rows.sources), 1)
    np.add.at(found.upstream, (rows.splits, parts.upstream.codes(batch)), 1)
    found.formats.update(_counted(batch["format"]))
    found.notes.update(_counted(batch["attributes"].keys, without=_KNOWN))
    sides = (batch[name].to_numpy().astype(np.int64) for name in ("width", "height"))
    width, height = sides
    found.sizes.add(_packed(width, height), rows.splits)
    found.identities.add(batch, rows.ranks, rows.splits)
    found.sample.add(np.zeros(len(ids), np.int64), rows.ranks, rows.ids)
    if found.info.task == "detect":
        _add_boxes(found, batch["boxes"], rows, np.stack([width, height], axis=1).astype(float))
    else:
        _add_values(found, batch["count" if found.info.task == "count" else "label"], rows)


def _add_values(found: Statistics, column: pa.Array, rows: _Rows) -> None:
    """Count labels or counts."""
    present = pc.is_valid(column).to_numpy(zero_copy_only=False)
    values = column.drop_null().to_numpy().astype(np.int64)
    owners = np.flatnonzero(present)
    found.unlabelled += int((~present).sum())
    if found.info.task == "count":
        found.numbers.add(values, rows.splits[owners])
    _add_categories(found, values, owners, rows)


def _add_boxes(
    found: Statistics, column: pa.Array, rows: _Rows, pixels: NDArray[np.float64]
) -> None:
    lengths = pc.list_value_length(column).fill_null(0).to_numpy().astype(np.int64)
    found.numbers.add(lengths, rows.splits)
    found.crowds.add(np.digitize(lengths, CROWDS), rows.ranks, rows.ids)
    owners = np.repeat(np.arange(lengths.size), lengths)
    boxes = pc.list_flatten(column)
    labels = boxes.field("label").to_numpy().astype(np.int64)
    found.boxes.update(_pairs(rows.splits[owners], labels))
    found.geometry.add(boxes, pixels[owners], rows.splits[owners])
    shown, _ = distinct(_packed(owners, labels))
    owners, labels = _unpacked(shown)
    _add_categories(found, labels, owners, rows)


def _add_categories(
    found: Statistics,
    categories: NDArray[np.int64],
    owners: NDArray[np.int64],
    rows: _Rows,
) -> None:
    """Count which image (of index `owners`) shows which category."""
    found.by_split.update(_pairs(rows.splits[owners], categories))
    found.by_source.update(_pairs(rows.sources[owners], categories))
    found.examples.add(categories, rows.ranks[owners], rows.ids[owners])


def _pairs(left: NDArray[np.int64], right: NDArray[np.int64]) -> Counter[tuple[int, int]]:
    packed, counts = distinct(_packed(left, right))
    pairs = zip(*(one.tolist() for one in _unpacked(packed)), strict=True)
    return Counter(dict(zip(pairs, counts.tolist(), strict=True)))


def _packed(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put two numbers of 32 bits into one, which sorts much faster; only `right` may be < 0."""
    return (left << _SIDE) + (right + _OFFSET)


def _unpacked(packed: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return packed >> _SIDE, (packed & ((1 << _SIDE) - 1)) - _OFFSET


def _counted(values: pa.Array, without: Collection[str] = ()) -> Counter[str]:
    counted = {item["values"]: item["counts"] for item in values.value_counts().to_pylist()}
    return Counter({name: number for name, number in counted.items() if name not in without})


def count_together(table: Path, classes: list[int]) -> NDArray[np.int64]:
    """Return (n, n) how many images show both of two classes; the diagonal, images of each."""
    together = np.zeros((len(classes),) * 2, np.int64)
    known = pa.array(classes, pa.int32())
    for batch in iter_batches(table, ["boxes"]):
        owners = pc.list_parent_indices(batch["boxes"]).to_numpy()
        places = pc.index_in(pc.list_flatten(batch["boxes"]).field("label"), known)
        shown = pc.is_valid(places).to_numpy(zero_copy_only=False)
        if not shown.any():
            continue
        _, rows = np.unique(owners[shown], return_inverse=True)
        # With one 0/1 row an image, the product of the matrix with itself counts pairs.
        present = np.zeros((int(rows.max()) + 1, len(classes)), np.float32)
        present[rows, places.drop_null().to_numpy()] = 1
        together += (present.T @ present).astype(np.int64)
    return together
