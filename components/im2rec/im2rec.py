"""Pack images and labels into RecordIO: `{train,val,test}.{rec,idx,lst}`."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.im2rec.config import Im2RecSection
from components.im2rec.labels import label_of, list_line
from components.im2rec.resize import Encoded, resize_images
from components.shared.errors import UserError
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.recordio import VERSION, RecordSet, RecordWriter
from components.shared.shards import iter_images
from components.shared.table import fingerprint, iter_rows, read_info
from components.shared.task import SPLITS, Split, Task

Label = float | npt.NDArray[np.float32]
_COLUMNS = ("image_id", "split", "format", "width", "height", "label", "count", "boxes")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image goes: its split, its index there, its label; and what it is, in pixels."""

    split: Split
    index: int
    label: Label
    format: str
    width: int
    height: int


def im2rec(
    section: Im2RecSection,
    task: Task,
    images: Path,
    augmented_images: Path,
    table: Path,
    records: Path,
) -> dict[str, int]:
    """Write one record an image; return the number of records in each split.

    Indices follow the table's order within each split. Bytes pass through untouched unless
    `section.resize` is set.

    Args:
        section: the step's settings.
        task: what the labels are for.
        images: shards of the ingested images.
        augmented_images: shards of the augmented copies.
        table: the image table, with splits.
        records: the folder to write; appears whole or not at all.

    Raises:
        UserError: if the table and the shards do not hold the same images, each once, or if
            a split is empty.
    """
    places = _places(table, task)
    counts = _counts(places, table)
    aside = records.with_name(f".{records.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _write_lists(aside, places, section)
    encoded = chain(iter_images(images), iter_images(augmented_images))
    _write_records(aside, places, encoded, section)
    info = read_info(table)
    meta = {
        "version": VERSION,
        "task": task,
        "classes": list(info.classes),
        "counts": counts,
        "fingerprint": fingerprint(table),
    }
    (aside / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
    _verify(aside)
    shutil.rmtree(records, ignore_errors=True)
    aside.rename(records)
    print("im2rec: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    return counts


def _places(table: Path, task: Task) -> dict[str, Place]:
    """Give each row of the table its place in its split, in the table's order."""
    places: dict[str, Place] = {}
    taken: dict[Split, int] = dict.fromkeys(SPLITS, 0)
    for row in iter_rows(table, _COLUMNS):
        image_id, split = row["image_id"], row["split"]
        if split not in taken:
            raise UserError(f"image '{image_id}': no split in the image table; run split first")
        if image_id in places:
            raise UserError(f"image '{image_id}': twice in the image table; run ingest again")
        about = (row["format"], row["width"], row["height"])
        places[image_id] = Place(split, taken[split], label_of(row, task), *about)
        taken[split] += 1
    return places


def _counts(places: dict[str, Place], table: Path) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(SPLITS, 0)
    for place in places.values():
        counts[place.split] += 1
    empty = [name for name, count in counts.items() if not count]
    if empty:
        raise UserError(
            f"{table}: no image in split {', '.join(empty)}; every split needs some: "
            "see the shares in the config's section 'split'"
        )
    return counts


def _write_lists(folder: Path, places: dict[str, Place], section: Im2RecSection) -> None:
    with ExitStack() as stack:
        files = {
            split: stack.enter_context((folder / f"{split}.lst").open("w", encoding="utf-8"))
            for split in SPLITS
        }
        for image_id, place in places.items():
            extension = "jpg" if section.resize or place.format == "jpeg" else place.format
            line = list_line(place.index, place.label, f"{image_id}.{extension}")
            files[place.split].write(line)


def _write_records(
    folder: Path,
    places: dict[str, Place],
    images: Iterator[tuple[str, bytes]],
    section: Im2RecSection,
) -> None:
    """Append each image as its shard is read; the index brings them into the table's order."""
    waiting = set(places)
    claimed = ((_claimed(image_id, places, waiting), data) for image_id, data in images)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                RecordWriter(folder / f"{split}.rec", folder / f"{split}.idx")
            )
            for split in SPLITS
        }
        ready = progress(_resized(claimed, places, section), len(places), "packing records")
        for image_id, data in ready:
            place = places[image_id]
            writers[place.split].write(place.index, place.label, data)
    if waiting:
        raise UserError(
            f"{len(waiting):,} images of the table are in no shard, e.g. "
            f"{', '.join(sorted(waiting)[:5])}; run ingest again"
        )


def _claimed(image_id: str, places: dict[str, Place], waiting: set[str]) -> str:
    """Return the id, which the table must hold and no earlier image may have."""
    if image_id not in waiting:
        problem = "twice in the shards" if image_id in places else "in no row of the table"
        raise UserError(f"image '{image_id}': {problem}; run ingest again")
    waiting.remove(image_id)
    return image_id


def _resized(
    images: Iterator[tuple[str, bytes]], places: dict[str, Place], section: Im2RecSection
) -> Iterator[tuple[str, bytes]]:
    """Yield the images in the same order, resized where the settings ask for it."""
    if section.resize is None:
        yield from images
        return
    encoded = (_encoded(name, data, places[name]) for name, data in images)
    resize = partial(resize_images, edge=section.resize, quality=section.quality)
    chunks = chunked(encoded, lambda image: len(image.data))
    for chunk in map_chunks(resize, chunks, worker_count(section.workers)):
        yield from chunk


def _encoded(image_id: str, data: bytes, place: Place) -> Encoded:
    return Encoded(image_id, data, place.format, place.width, place.height)


def _verify(folder: Path) -> None:
    """Read what was written: the number of records, and the last one of each split."""
    records = RecordSet(folder)
    for split, count in records.counts.items():
        reader = records.reader(split)
        if len(reader) != count or reader[count - 1].index != count - 1:
            raise RuntimeError(f"{folder / split}.rec: {len(reader):,} records, not {count:,}")
