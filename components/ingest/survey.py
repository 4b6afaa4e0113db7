"""Look through a source: list its files, read its annotations, select what is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.ingest.asked import list_members, open_catalogue
from components.ingest.catalogue import PICTURED, Catalogue
from components.ingest.classes import chosen_classes
from components.ingest.config import IngestSection
from components.ingest.formats.base import Format, Scan, is_image
from components.ingest.formats.registry import format_for
from components.ingest.records import Record
from components.ingest.select import select_records
from components.ingest.sources.base import Source, read_each
from components.ingest.sources.locate import open_source
from components.shared.addresses import shown
from components.shared.errors import UserError
from components.shared.images_io import encode_thumbnail
from components.shared.parallel import worker_count
from components.shared.reasons import kind_of
from components.shared.table import Rejection
from components.shared.task import Task


@dataclass(frozen=True)
class Survey:
    """What is to be read from a source.

    Attributes:
        source: where the files are.
        format: reads them.
        classes: class names, in the order of their labels.
        catalogue: takes what is rejected; the records are read from it.
        total: how many images are selected.
        records: them, by image id; to be read once.
    """

    source: Source
    format: Format
    classes: tuple[str, ...]
    catalogue: Catalogue
    total: int
    records: Iterator[Record]


@contextmanager
def surveyed(section: IngestSection, task: Task, seed: int, scratch: Path) -> Iterator[Survey]:
    """Open the source of `section` and select its images; no pixel is looked at.

    Args:
        section: where the images come from, and which to keep.
        task: what the labels are for.
        seed: decides the subset of `section.limit`, and the drawn scenes.
        scratch: a folder for the catalogue.

    Raises:
        UserError: if the source, its format, its classes or the task do not fit each other.
    """
    chosen = format_for(section, task)
    with (
        open_catalogue(section, scratch / "catalogue.sqlite") as catalogue,
        _files(section, catalogue) as source,
    ):
        scan = Scan(source, catalogue, section, task, seed, worker_count(section.workers))
        classes = _classes(chosen, scan)
        select_records(catalogue, section, task, seed, classes)
        _picture_rejected(scan)
        yield Survey(source, chosen, classes, catalogue, *catalogue.selection(section.limit))


@contextmanager
def _files(section: IngestSection, catalogue: Catalogue) -> Iterator[Source]:
    """Open the source and list its files; drawn scenes have none."""
    with open_source(section) as source:
        members = list_members(source, section, catalogue)
        if section.format != "synthetic" and not catalogue.add_files(members):
            raise UserError(f"ingest.uri: {shown(section.uri)}: holds no file")
        yield source


def _reject_elsewhere(scan: Scan) -> None:
    """List images where the format expects none, or that no annotation names."""
    for member in scan.catalogue.elsewhere():
        if is_image(member.path) and not scan.catalogue.is_accounted_for(member.path):
            reason = f"no annotation of format '{scan.section.format}' is about this image"
            scan.catalogue.reject(member.path, reason)


def _picture_rejected(scan: Scan) -> None:
    """Read some of the images that are rejected already, of each kind of reason the first."""
    some: dict[str, list[Rejection]] = {}
    for one in scan.catalogue.rejected():
        of_kind = some.setdefault(kind_of(one.reason), [])
        is_file = is_image(one.path) and scan.catalogue.file(one.path) is not None
        if is_file and len(of_kind) < PICTURED:
            of_kind.append(one)
    chosen = [one for of_kind in some.values() for one in of_kind]
    images = read_each(scan.source.read_many, [one.path for one in chosen])
    for one, data in zip(chosen, images, strict=True):
        if isinstance(data, bytes):
            scan.catalogue.reject(one.path, one.reason, encode_thumbnail(data))


def _classes(chosen: Format, scan: Scan) -> tuple[str, ...]:
    known = chosen.scan(scan)
    _reject_elsewhere(scan)
    if scan.section.classes and not known:
        raise UserError(
            f"ingest.classes: format '{scan.section.format}' has no classes for task "
            f"'{scan.task}'; leave ingest.classes out"
        )
    return chosen_classes(scan.section.classes, known, shown(scan.section.uri))
