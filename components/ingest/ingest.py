"""Read a source into shards and an image table; list what had to be set aside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from components.ingest.catalogue import Catalogue
from components.ingest.classes import chosen_classes
from components.ingest.config import IngestSection
from components.ingest.formats.base import Format, Scan
from components.ingest.formats.registry import format_for
from components.ingest.pack import Packer, pack
from components.ingest.select import select_records
from components.ingest.sources.base import Source
from components.ingest.sources.locate import open_source
from components.shared.errors import UserError
from components.shared.parallel import worker_count
from components.shared.shards import shard_paths
from components.shared.table import TableInfo, write_rejected, write_rows
from components.shared.task import Task


def ingest(
    section: IngestSection, task: Task, seed: int, images: Path, table: Path, rejected: Path
) -> None:
    """Read the source of `section` and write what the other steps work with.

    Args:
        section: where the images come from, and which to keep.
        task: what the labels are for.
        seed: decides the subset of `section.limit`, and the drawn scenes.
        images: folder to write the shards of encoded images into, in the table's order.
        table: image table to write, sorted by image id; `split` is not set yet.
        rejected: table to write of what could not be used, and why.

    Raises:
        UserError: if the source, its format, its classes or the task do not fit each other,
            or no image can be used.
    """
    chosen = format_for(section.format, task)
    with (
        TemporaryDirectory(prefix="sightline-ingest-") as scratch,
        Catalogue(Path(scratch) / "catalogue.sqlite") as catalogue,
        _files(section, catalogue) as source,
    ):
        workers = worker_count(section.workers)
        scan = Scan(source, catalogue, section, task, seed, workers)
        classes = _classes(chosen, scan)
        select_records(catalogue, section, task, seed, classes)
        total, records = catalogue.selection(section.limit)
        packer = Packer(source, chosen, section, task, classes)
        _clear(images)
        rows = pack(packer, records, total, images, catalogue, workers)
        info = TableInfo(task, () if task == "count" else classes)
        written = _aside(table, lambda path: write_rows(path, rows, info))
        set_aside = _aside(rejected, lambda path: write_rejected(path, catalogue.rejected()))
        _report(section, written, set_aside, catalogue)


@contextmanager
def _files(section: IngestSection, catalogue: Catalogue) -> Iterator[Source]:
    """Open the source and list its files; drawn scenes have none."""
    with open_source(section) as source:
        if section.format != "synthetic" and not catalogue.add_files(source.members()):
            raise UserError(f"ingest.uri: {section.uri}: holds no file")
        yield source


def _classes(chosen: Format, scan: Scan) -> tuple[str, ...]:
    known = chosen.scan(scan)
    if scan.section.classes and not known:
        raise UserError(
            f"ingest.classes: format '{scan.section.format}' has no classes for task "
            f"'{scan.task}'; leave ingest.classes out"
        )
    return chosen_classes(scan.section.classes, known, scan.section.uri)


def _clear(folder: Path) -> None:
    """Delete the shards of an attempt that broke off."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in shard_paths(folder):
        path.unlink()


def _aside(path: Path, write: Callable[[Path], int]) -> int:
    """Write a file under another name and rename it when whole."""
    part = path.with_name(path.name + ".part")
    rows = write(part)
    part.replace(path)
    return rows


def _report(section: IngestSection, written: int, set_aside: int, catalogue: Catalogue) -> None:
    """Print the numbers, and refuse to go on with nothing."""
    print(f"ingest: {written:,} images; {set_aside:,} files or annotations set aside")
    for what, number in sorted(catalogue.tally.items()):
        if number:
            print(f"ingest: left out on purpose: {number:,} {what}")
    if written:
        return
    examples = "; ".join(f"{path}: {reason}" for path, reason in islice(catalogue.rejected(), 3))
    left_out = ", ".join(f"{number:,} {what}" for what, number in sorted(catalogue.tally.items()))
    raise UserError(
        f"ingest.uri: {section.uri}: no image can be used; set aside: {examples or 'none'}; "
        f"left out on purpose: {left_out or 'none'}; check ingest.format and the filters"
    )
