"""Divide images into train, val and test, by group and never by row."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.shared.errors import UserError
from components.shared.task import SPLITS, Split, Task
from components.split.assign import Groups, assign
from components.split.components import Components
from components.split.config import SplitSection
from components.split.duplicates import near_duplicates
from components.split.fingerprints import fingerprint_shards
from components.split.keys import shuffled
from components.split.rows import Rows, read_rows
from components.split.write import Sets, write_labels, write_split


@dataclass(frozen=True)
class SplitSummary:
    """What the split did.

    Attributes:
        train: images.
        val: images.
        test: images.
        groups: groups that were kept together, images alone included.
        largest_group: images in the largest.
        near_duplicate_groups: sets of two or more pictures that look the same.
        near_duplicate_images: images in them.
        moved: images that left the split of the source, so that their group stays whole.
    """

    train: int
    val: int
    test: int
    groups: int
    largest_group: int
    near_duplicate_groups: int
    near_duplicate_images: int
    moved: int

    def metrics(self) -> dict[str, int]:
        """Return the numbers by name."""
        return asdict(self)


def split(
    section: SplitSection,
    task: Task,
    seed: int,
    images: Path,
    table: Path,
    split_table: Path,
    labels: Path,
) -> SplitSummary:
    """Write the table with `split` and the final `group` filled in.

    A group is what shares the source's group, an id block or a near-duplicate, directly or
    through others; its name is the smallest among its members'. The same images, settings and
    seed give the same split in whatever order the rows come.

    An image that has near-duplicates names the smallest id among them in its attribute
    `near_duplicates`.

    Args:
        section: the step's settings.
        task: decides what is balanced: classes, counts or the classes of the boxes.
        seed: of the assignment.
        images: shards; only read to find near-duplicates.
        table: the image table.
        split_table: where the new table is written.
        labels: CSV file to write: each image's split and label.

    Raises:
        UserError: if the table does not fit the settings, or a split would be empty.
    """
    sets, splits, moved = _divided(section, task, seed, images, table)
    summary = _summary(sets, splits, moved)
    _check_none_empty(summary)
    write_split(table, split_table, section, sets, splits)
    write_labels(split_table, labels)
    _print(summary, section)
    return summary


def _divided(
    section: SplitSection, task: Task, seed: int, images: Path, table: Path
) -> tuple[Sets, NDArray[np.int8], int]:
    """Return what belongs together, the split of each group, and how many images moved."""
    rows = read_rows(table, section, task)
    components = Components(len(rows))
    components.join_equal(rows.groups)
    if rows.names is not rows.groups:
        components.join_equal(rows.names)
    alike = _find_near_duplicates(section, images, rows)
    components.join_equal(alike.labels)
    groups, upstream = _groups(rows, components, seed), rows.upstream
    del rows  # what follows needs the memory
    return Sets(components, alike), *_assigned(section, upstream, components, groups)


def _find_near_duplicates(section: SplitSection, images: Path, rows: Rows) -> Components:
    if not section.near_duplicates:
        return Components(len(rows))
    fingerprints = fingerprint_shards(images, section.workers)
    return near_duplicates(rows.keys, fingerprints, section.hash_distance)


def _groups(rows: Rows, components: Components, seed: int) -> Groups:
    """Sum up the rows of each component. Its key is drawn from the smallest of its names."""
    keys = np.full(len(components), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(keys, components.labels, rows.names)
    # One number for group and class: sorting it sums up millions of boxes in little memory.
    # Classes are numbered anew: a count may be any number.
    known, numbers = np.unique(rows.classes[:, 1], return_inverse=True)
    width = len(known)
    pairs = components.labels[rows.classes[:, 0]].astype(np.int64)
    pairs *= width
    pairs += numbers
    pairs, counts = np.unique(pairs, return_counts=True)
    owners = (pairs // width).astype(np.int32)
    classes = (pairs % width).astype(np.int32)
    sizes = components.sizes()
    return Groups(shuffled(keys, seed), sizes, owners, classes, counts.astype(np.int32))


def _assigned(
    section: SplitSection, upstream: NDArray[np.int8], components: Components, groups: Groups
) -> tuple[NDArray[np.int8], int]:
    """Return the split of each group, and how many images had to leave the source's own."""
    kept = set(section.upstream.values())
    shares = {"train": section.train, "val": section.val, "test": section.test}
    free: list[Split] = [name for name in SPLITS if name not in kept or name == "train"]
    splits = np.zeros(len(groups), np.int8)
    # Held out wins: an image seen in training must not have a twin in the test split.
    np.maximum.at(splits, components.labels, upstream)
    moved = int((splits[components.labels] != upstream).sum())
    if len(free) > 1:
        part = np.flatnonzero(splits == SPLITS.index("train"))
        places = np.array([SPLITS.index(name) for name in free], np.int8)
        some = groups if part.size == len(groups) else _subset(groups, part)
        splits[part] = places[assign(some, [shares[name] for name in free])]
    return splits, moved


def _subset(groups: Groups, part: NDArray[np.int64]) -> Groups:
    """Return some of the groups, renumbered in their order, with the classes they hold."""
    number = np.full(len(groups), -1)
    number[part] = np.arange(part.size)
    inside = number[groups.owners] >= 0
    _, classes = np.unique(groups.classes[inside], return_inverse=True)
    owners = number[groups.owners[inside]]
    return Groups(groups.keys[part], groups.sizes[part], owners, classes, groups.counts[inside])


def _summary(sets: Sets, splits: NDArray[np.int8], moved: int) -> SplitSummary:
    sizes, alike = sets.groups.sizes(), sets.alike.sizes()
    train, val, test = np.bincount(splits, sizes, minlength=len(SPLITS)).astype(int).tolist()
    several = alike[alike > 1]
    groups = (len(sets.groups), int(sizes.max()))
    return SplitSummary(train, val, test, *groups, several.size, int(several.sum()), moved)


def _check_none_empty(summary: SplitSummary) -> None:
    counts = {"train": summary.train, "val": summary.val, "test": summary.test}
    empty = [name for name, count in counts.items() if not count]
    if not empty:
        return
    raise UserError(
        f"split: no image is left for {' and '.join(empty)}: {sum(counts.values()):,} images form "
        f"{summary.groups:,} groups (the largest has {summary.largest_group:,} images), "
        f"{summary.moved:,} images moved out of their upstream split; every split needs a group. "
        "Ingest more images, or make groups smaller (split.id_block, split.near_duplicates)"
    )


def _print(summary: SplitSummary, section: SplitSection) -> None:
    counts = {"train": summary.train, "val": summary.val, "test": summary.test}
    total = sum(counts.values())
    shares = ", ".join(f"{name} {n:,} ({n / total:.1%})" for name, n in counts.items())
    print(f"split: {shares}")
    print(f"split: {summary.groups:,} groups, the largest of {summary.largest_group:,} images")
    if section.near_duplicates:
        print(
            f"split: {summary.near_duplicate_images:,} near-duplicate images in "
            f"{summary.near_duplicate_groups:,} sets kept together"
        )
    if section.upstream:
        print(f"split: {summary.moved:,} images left the source's split to keep a group whole")
