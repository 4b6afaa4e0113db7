"""From packed pieces to the step's artifacts: equal images settled, one table, one report."""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from components.ingest.catalogue import PICTURED, Catalogue
from components.ingest.config import IngestSection
from components.ingest.content import EqualImages
from components.ingest.notes import PHRASES
from components.shared.addresses import shown
from components.shared.errors import UserError
from components.shared.files import written_aside
from components.shared.images_io import encode_thumbnail
from components.shared.shards import ShardWriter, iter_images, read_images, shard_paths
from components.shared.table import TableInfo, iter_batches, write_batches, write_rejected
from components.shared.task import Task


@dataclass(frozen=True)
class Piece:
    """Packed images: a folder of shards, and the table of the same images in the same order."""

    images: Path
    table: Path


def table_info(task: Task, classes: tuple[str, ...]) -> TableInfo:
    """Return what the table's schema says; counts have no classes."""
    return TableInfo(task, () if task == "count" else classes)


def finish(
    section: IngestSection,
    info: TableInfo,
    catalogue: Catalogue,
    pieces: Sequence[Piece],
    images: Path,
    table: Path,
    rejected: Path,
    scratch: Path,
) -> None:
    """Write the step's artifacts; the same for the same images however they are cut in pieces.

    Args:
        section: the step's settings.
        info: what the table is about.
        catalogue: holds what was rejected so far, and the numbers to print.
        pieces: in the table's order. The shards of a single piece may be in `images` already.
        images: folder of shards to write.
        table: image table to write.
        rejected: table to write of what could not be used, and why.
        scratch: a folder for intermediate files.

    Raises:
        UserError: if no image can be used.
    """
    with EqualImages(
        [piece.table for piece in pieces], scratch / "equal.sqlite", info.classes
    ) as equal:
        pictures = _pictures(pieces, islice(equal.faulty(), PICTURED))
        for image_id, path, reason in equal.faults():
            catalogue.reject(path, reason, pictures.get(image_id))
        with written_aside(table) as aside:
            rows = (batch for piece in pieces for batch in iter_batches(piece.table))
            written = write_batches(aside, map(equal.resolved, rows), info)
        if equal.dropped or [piece.images for piece in pieces] != [images]:
            _repack([piece.images for piece in pieces], equal, images)
    with written_aside(rejected) as aside:
        set_aside = write_rejected(aside, catalogue.rejected())
    _report(section, written, set_aside, catalogue)


def clear(images: Path) -> None:
    """Delete the shards of an attempt that broke off."""
    images.mkdir(parents=True, exist_ok=True)
    for path in shard_paths(images):
        path.unlink()


def _pictures(pieces: Sequence[Piece], ids: Iterable[str]) -> dict[str, bytes | None]:
    """Return thumbnails of a few images by id."""
    wanted = set(ids)
    found = (read_images(piece.images, wanted) for piece in pieces)
    return {one: encode_thumbnail(data) for images in found for one, data in images.items()}


def _repack(folders: Iterable[Path], equal: EqualImages, images: Path) -> None:
    """Write shards anew, without the images that are set aside."""
    aside = images.with_name(f".{images.name}.repacked")
    shutil.rmtree(aside, ignore_errors=True)
    with ShardWriter(aside) as writer:
        for folder in folders:
            for image_id, data in iter_images(folder):
                if not equal.is_dropped(image_id):
                    writer.add(image_id, data)
    shutil.rmtree(images, ignore_errors=True)
    aside.rename(images)


def _report(section: IngestSection, written: int, set_aside: int, catalogue: Catalogue) -> None:
    """Print the numbers, and refuse to go on with nothing."""
    print(f"ingest: {written:,} images; {set_aside:,} files or annotations set aside")
    for what, number in sorted(catalogue.tally.items()):
        if number:
            print(f"ingest: left out on purpose: {number:,} {what}")
    for note, number in sorted(catalogue.noted.items()):
        print(f"ingest: {number:,} {PHRASES[note]} (attribute '{note}')")
    if written:
        return
    some = islice(catalogue.rejected(), 3)
    examples = "; ".join(f"{one.path}: {one.reason}" for one in some)
    left_out = ", ".join(f"{number:,} {what}" for what, number in sorted(catalogue.tally.items()))
    raise UserError(
        f"ingest.uri: {shown(section.uri)}: no image can be used; set aside: {examples or 'none'}; "
        f"left out on purpose: {left_out or 'none'}; check ingest.format and the filters"
    )
