"""Augmented copies of the training images, made once and packed with the others."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Final

import torch

from components.augment.config import AugmentSection, check_task
from components.augment.counts import Change, Counts
from components.augment.originals import Originals
from components.augment.rows import Row, Stored, decode, store
from components.augment.transform import copy_seed, make_copy
from components.shared.files import written_aside
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import iter_rows, read_info, write_rows
from components.shared.task import Task
from components.shared.training.detection_augment import SMALLEST_MOSAIC

# Images that mosaics are completed with. They stay in memory, encoded, and the copies of every
# training image draw from them.
POOL: Final = 128

_COUNTED: Final = ("split", "label", "count", "boxes")


def augment(
    section: AugmentSection,
    task: Task,
    seed: int,
    images: Path,
    table: Path,
    augmented_images: Path,
    augmented_table: Path,
) -> Change:
    """Write `section.copies` changed copies of each training image; return what there is of each.

    Validation and test images are never copied: what they measure must not move. A copy belongs
    to its original's group, and depends on seed, image and copy number alone (a mosaic also on
    the images that it is completed with, which are chosen by seed and id).

    Args:
        section: the step's settings.
        task: decides what is safe: a crop may remove an item, so counting takes none.
        seed: of all copies.
        images: shards.
        table: the image table, with splits.
        augmented_images: folder for the shards of the copies; stays empty without copies.
        augmented_table: the old rows, then the copies' in the order of their originals; appears
            whole or not at all.

    Raises:
        UserError: if the settings do not suit the task, or a training image is not in the shards
            exactly once, or does not decode.
    """
    check_task(section, task)
    shutil.rmtree(augmented_images, ignore_errors=True)  # of an interrupted run
    augmented_images.mkdir(parents=True)
    change = Change()
    if not section.copies:
        for row in iter_rows(table, _COUNTED):
            _count(row, change.originals)
        shutil.copyfile(table, augmented_table)
        print("augment: no copies asked for")
        return change
    originals = Originals(table)
    rows = _counted(iter_rows(table), change.originals)
    with (
        written_aside(augmented_table) as aside,
        ShardWriter(augmented_images, "augmented") as shards,
    ):
        copies = _stored(_copies(section, task, seed, images, originals), shards)
        write_rows(aside, chain(rows, _counted(copies, change.copies)), read_info(table))
        originals.check_all_found(images)
    made, boxes = change.copies.images, change.copies.boxes
    print(
        f"augment: {made:,} copies{f' with {boxes:,} boxes' if task == 'detect' else ''}; "
        f"training images {change.originals.images:,} before, {len(originals) + made:,} after"
    )
    return change


def _counted(rows: Iterator[Row], counts: Counts) -> Iterator[Row]:
    """Count the training rows that go by."""
    for row in rows:
        _count(row, counts)
        yield row


def _count(row: Row, counts: Counts) -> None:
    if row["split"] == "train":
        counts.add(row)


@dataclass(frozen=True)
class _Work:
    """One image to copy, and for each copy the images that complete its mosaic, if it is one."""

    original: Stored
    others: list[list[Stored]]

    def size(self) -> int:
        """Return the bytes that go to the process which makes the copies."""
        return sum(len(data) for _, data in chain([self.original], *self.others))


def _copies(
    section: AugmentSection, task: Task, seed: int, images: Path, originals: Originals
) -> Iterator[Stored]:
    """Yield the copies' rows and bytes in the order of the shards, then of the copy number."""
    pool = originals.sample(images, POOL, seed, "mosaic") if section.mosaic > 0 else []
    stored = ((originals.take(name), data) for name, data in iter_images(images, originals))
    work = (_Work((row, data), partners(section, seed, row, pool)) for row, data in stored)
    function = partial(_copy_chunk, section=section, task=task, seed=seed)
    results = map_chunks(function, chunked(work, _Work.size), worker_count(section.workers))
    flat = (copy for chunk in results for copy in chunk)
    yield from progress(flat, section.copies * len(originals), "augmenting")


def partners(
    section: AugmentSection, seed: int, row: Row, pool: Sequence[Stored]
) -> list[list[Stored]]:
    """Return for each copy of an image the three others of its mosaic, or none if it is none."""
    chosen: list[list[Stored]] = []
    for number in range(1, section.copies + 1):
        of_mosaic = copy_seed(seed, f"mosaic/{row['image_id']}", number)
        chance = torch.Generator().manual_seed(of_mosaic)
        is_mosaic = bool(torch.rand((), generator=chance) < section.mosaic)
        if not is_mosaic or not pool or min(row["width"], row["height"]) < SMALLEST_MOSAIC:
            chosen.append([])
            continue
        places = torch.randint(len(pool), (3,), generator=chance).tolist()
        chosen.append([pool[place] for place in places])
    return chosen


def _stored(copies: Iterator[Stored], shards: ShardWriter) -> Iterator[Row]:
    """Put each copy's bytes into a shard as its row goes by: no list of rows is held."""
    for row, data in copies:
        shards.add(row["image_id"], data)
        yield row


def _copy_chunk(work: list[_Work], section: AugmentSection, task: Task, seed: int) -> list[Stored]:
    torch.set_num_threads(1)  # processes share the cores already
    made = []
    for item in work:
        row, data = item.original
        example = decode(row, data)
        for number, others in enumerate(item.others, start=1):
            found = [decode(*other) for other in others]
            copy_of = copy_seed(seed, row["image_id"], number)
            copy = make_copy(example, task, section, copy_of, found)
            made.append(store(row, number, copy, section.quality, [one for one, _ in others]))
    return made
