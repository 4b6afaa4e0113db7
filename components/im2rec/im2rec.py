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
from components.im2rec.resize import resize_shorter_edge
from components.shared.errors import UserError
from components.shared.parallel import chunked, map_chunks, worker_count
from components.shared.progress import progress
from components.shared.recordio import VERSION, RecordWriter, frame, pack
from components.shared.shards import iter_images
from components.shared.table import fingerprint, iter_rows, read_info
from components.shared.task import SPLITS, Split, Task

Label = float | npt.NDArray[np.float32]
_COLUMNS = ("image_id", "split", "format", "label", "count", "boxes")


@dataclass(frozen=True)
class Place:
    """Where an image goes: its split, its index there, its label, and its format."""

    split: Split
    index: int
    label: Label
    format: str


@dataclass(frozen=True)
class _Packed:
    """An image ready to be appended."""

    split: Split
    index: int
    framed: bytes


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
    _write_records(
        aside, places, chain(iter_images(images), iter_images(augmented_images)), section
    )
    info = read_info(table)
    meta = {
        "version": VERSION,
        "task": task,
        "classes": list(info.classes),
        "counts": counts,
        "fingerprint": fingerprint(table),
    }
    (aside / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8")
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
        places[image_id] = Place(split, taken[split], label_of(row, task), row["format"])
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
    found = ((image_id, data, _claim(image_id, places, waiting)) for image_id, data in images)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                RecordWriter(folder / f"{split}.rec", folder / f"{split}.idx")
            )
            for split in SPLITS
        }
        for packed in progress(_packed(found, section), len(places), "packing records"):
            writers[packed.split].write_framed(packed.index, packed.framed)
    if waiting:
        raise UserError(
            f"{len(waiting):,} images of the table are in no shard, e.g. "
            f"{', '.join(sorted(waiting)[:5])}; run ingest again"
        )


def _claim(image_id: str, places: dict[str, Place], waiting: set[str]) -> Place:
    if image_id not in waiting:
        problem = "twice in the shards" if image_id in places else "in no row of the table"
        raise UserError(f"image '{image_id}': {problem}; run ingest again")
    waiting.remove(image_id)
    return places[image_id]


def _packed(
    images: Iterator[tuple[str, bytes, Place]], section: Im2RecSection
) -> Iterator[_Packed]:
    if section.resize is None:
        for _, data, place in images:
            yield _Packed(place.split, place.index, frame(pack(place.index, place.label, data)))
        return
    resize = partial(_resize_chunk, edge=section.resize, quality=section.quality)
    chunks = chunked(images, lambda item: len(item[1]))
    for chunk in map_chunks(resize, chunks, worker_count(section.workers)):
        yield from chunk


def _resize_chunk(images: list[tuple[str, bytes, Place]], edge: int, quality: int) -> list[_Packed]:
    packed = []
    for image_id, data, place in images:
        resized = resize_shorter_edge(data, edge, quality, image_id)
        framed = frame(pack(place.index, place.label, resized))
        packed.append(_Packed(place.split, place.index, framed))
    return packed
