"""Take from a source only the images whose ids the user lists (`ingest.ids`)."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.formats.base import IMAGE_SUFFIXES
from components.ingest.formats.bins import IMAGES, METADATA
from components.ingest.ids import read_ids
from components.ingest.records import Record
from components.ingest.sources.base import Member, Source
from components.ingest.sources.hidden import SYSTEM_FILES
from components.ingest.sources.local import FolderSource
from components.ingest.sources.locate import open_file
from components.ingest.sources.s3 import S3Source
from components.shared.errors import UserError

_NOT_ASKED: Final = "images that ingest.ids does not name"


class AskedCatalogue(Catalogue):
    """A catalogue of a source of which only the images on a list are wanted."""

    def __init__(self, path: Path, ids: Iterable[str], name: str) -> None:
        """Make an empty catalogue.

        Args:
            path: of the scratch database.
            ids: the list.
            name: what a person calls it.
        """
        super().__init__(path)
        self._name = name
        self._db.execute("CREATE TABLE asked (image_id TEXT PRIMARY KEY) WITHOUT ROWID")
        self._db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", ((one,) for one in ids))
        if not self._db.execute("SELECT EXISTS (SELECT 1 FROM asked)").fetchone()[0]:
            raise UserError(f"ingest.ids: {name}: holds no id; give one image id a line")

    def asked(self) -> Iterator[str]:
        """Yield the ids, sorted."""
        rows = self._db.execute("SELECT image_id FROM asked ORDER BY image_id")
        return (image_id for (image_id,) in rows)

    def records(self) -> Iterator[Record]:
        """Yield the records on the list, by image id; reject the ids that have none."""
        is_asked = "SELECT EXISTS (SELECT 1 FROM asked WHERE image_id = ?)"
        for record in super().records():
            if self._db.execute(is_asked, (record.image_id,)).fetchone()[0]:
                yield record
            else:
                self.tally[_NOT_ASKED] += 1
        missing = self._db.execute(
            "SELECT image_id FROM asked WHERE image_id NOT IN (SELECT image_id FROM records)"
        )
        for (image_id,) in missing:
            self.reject(f"{self._name}#{image_id}", "the source has no annotated image of this id")


def open_catalogue(section: IngestSection, path: Path) -> Catalogue:
    """Make the catalogue for a source, of all of it or of what `section.ids` names.

    Raises:
        UserError: if the list cannot be read, or names nothing.
    """
    if section.ids is None:
        return Catalogue(path)
    with open_file(section.ids, section, "ingest.ids") as file:
        name = PurePosixPath(urlsplit(section.ids).path).name
        return AskedCatalogue(path, read_ids(file, name), name)


def list_members(source: Source, section: IngestSection, catalogue: Catalogue) -> Iterator[Member]:
    """Yield a source's files; bins that are asked for by id are not looked for in a listing.

    What the source passes over is counted or rejected in the catalogue.
    """
    if section.format == "bins" and isinstance(catalogue, AskedCatalogue):
        if isinstance(source, S3Source):
            return _bins(catalogue, lambda _: False)
        if isinstance(source, FolderSource) and source.holds_folder(IMAGES):
            return _bins(catalogue, source.holds)

    def pass_over(path: str, reason: str) -> None:
        if reason == SYSTEM_FILES:
            catalogue.tally[SYSTEM_FILES] += 1
        else:
            catalogue.reject(path.encode("utf-8", "backslashreplace").decode(), reason)

    return source.members(pass_over)


def _bins(catalogue: AskedCatalogue, holds: Callable[[str], bool]) -> Iterator[Member]:
    """Yield where the images and the metadata of the ids must be; their sizes are not known."""
    for image_id in catalogue.asked():
        if "/" in image_id:
            continue  # no bin's id; it is rejected for having no record
        names = (f"{IMAGES}/{image_id}{suffix}" for suffix in IMAGE_SUFFIXES)
        yield Member(next(filter(holds, names), f"{IMAGES}/{image_id}.jpg"), 0)
        yield Member(f"{METADATA}/{image_id}.json", 0)
