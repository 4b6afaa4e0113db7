"""What a format must offer: find the annotated images of a source, and give their bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.records import Record
from components.ingest.sources.base import Source
from components.shared.addresses import shown
from components.shared.errors import UserError
from components.shared.task import Task

# What an image's name may end with. Files of other kinds beside images are not looked at.
IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm",
    ".pgm", ".jp2", ".avif",
)  # fmt: skip


@dataclass(frozen=True)
class Scan:
    """One run of a format over a source.

    Attributes:
        source: where the files are.
        catalogue: lists the source's files; takes records and what is rejected.
        section: the step's settings.
        task: what the labels are for.
        seed: of the project; only drawn images depend on it.
        workers: processes to parse annotations with.
    """

    source: Source
    catalogue: Catalogue
    section: IngestSection
    task: Task
    seed: int
    workers: int

    def missing(self, what: str) -> UserError:
        """Return the error for a source that does not have the format's layout.

        It names the first few files that could not be read, since they may be what is missing.
        """
        some = islice(self.catalogue.rejected(), 3)
        unread = "".join(f"; set aside: {one.path}: {one.reason}" for one in some)
        return UserError(
            f"ingest.uri: {shown(self.section.uri)}: no {what} found, which format "
            f"'{self.section.format}' needs; check ingest.uri and ingest.format{unread}"
        )


class Format(Protocol):
    """An upstream format. Picklable: worker processes load the images."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each annotated image; return the class names, in their order.

        What cannot be used is rejected with its reason.

        Raises:
            UserError: if the source does not have the format's layout.
        """
        ...

    def load(self, source: Source, records: Sequence[Record]) -> Iterator[bytes]:
        """Yield the encoded image of each record."""
        ...


class Files:
    """The part of a format whose images are files of the source."""

    def load(self, source: Source, records: Sequence[Record]) -> Iterator[bytes]:
        """Yield the encoded image of each record."""
        return source.read_many(record.path for record in records)


def is_image(path: str) -> bool:
    """Whether a file's name says that it is an image."""
    return path.lower().endswith(IMAGE_SUFFIXES)


def prefix_of(folder: str, roots: Sequence[str]) -> str:
    """Return what keeps ids of several roots apart: nothing for one root, else its path."""
    return f"{folder}/" if len(roots) > 1 and folder else ""
