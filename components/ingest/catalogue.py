"""Files, annotations and records of a source while it is read, on disk instead of in memory.

A source may list millions of files, and joining them with their annotations needs all of
them at once. A temporary SQLite database does that in the same memory for any number.
"""

import sqlite3
from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Final

from components.ingest.records import Record
from components.ingest.sources.base import Member
from components.shared.closing import Closing
from components.shared.reasons import kind_of
from components.shared.table import Rejection

PICTURED: Final = 8  # rejected rows of each kind of reason that keep their thumbnail

_SCHEMA = """
CREATE TABLE files (path TEXT PRIMARY KEY, folder TEXT, stem TEXT, size INTEGER) WITHOUT ROWID;
CREATE INDEX by_folder ON files (folder, stem);
CREATE TABLE annotations (key TEXT, origin TEXT, value TEXT);
CREATE INDEX by_key ON annotations (key);
CREATE TABLE claimed (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE records (image_id TEXT PRIMARY KEY, path TEXT, value TEXT, data BLOB);
CREATE TABLE selected (image_id TEXT PRIMARY KEY, value TEXT, rank BLOB);
CREATE INDEX by_path ON records (path);
CREATE TABLE rejected (path TEXT, reason TEXT, thumbnail BLOB);
CREATE INDEX by_rejected_path ON rejected (path);
"""

_ALL = "SELECT selected.value, data FROM selected JOIN records USING (image_id) ORDER BY image_id"
_LOWEST = (
    "SELECT selected.value, data FROM selected JOIN records USING (image_id) "
    "WHERE image_id IN (SELECT image_id FROM selected ORDER BY rank, image_id LIMIT ?) "
    "ORDER BY image_id"
)


class Catalogue(Closing):
    """A scratch database for one run of the step; use as a context manager.

    Attributes:
        tally: numbers of what was left out on purpose, by what it was.
        noted: numbers of what was mended or is remarkable, by attribute (`notes.PHRASES`).
    """

    def __init__(self, path: Path) -> None:
        self.tally: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self._pictured: dict[str, list[tuple[str, str]]] = {}
        self._looked_through: set[str] = set()
        # No journal: a run that dies starts anew, and its scratch folder is deleted.
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + _SCHEMA)
        self._db.execute("BEGIN")  # one transaction for the whole run, never committed

    def close(self) -> None:
        """Close the database, which is of no more use."""
        self._db.close()

    # Files of the source

    def add_files(self, members: Iterable[Member]) -> int:
        """List the source's files; return how many. A path listed twice is rejected."""
        total = 0
        for member in members:
            fault = _name_fault(member.path)
            if fault:
                self.reject(ascii(member.path), fault)
                continue
            path = PurePosixPath(member.path)
            folder = "" if str(path.parent) == "." else str(path.parent)
            row = (member.path, folder, path.stem, member.size)
            added = self._db.execute("INSERT OR IGNORE INTO files VALUES (?,?,?,?)", row)
            if not added.rowcount:
                self.reject(member.path, "listed twice in the source; the first is used")
            total += added.rowcount
        return total

    def folders(self) -> list[str]:
        """Return the folders that hold files, sorted; the top one is the empty string."""
        rows = self._db.execute("SELECT DISTINCT folder FROM files ORDER BY folder")
        return [folder for (folder,) in rows]

    def folders_named(self, name: str) -> list[str]:
        """Return the folders of this name, anywhere in the source."""
        return [folder for folder in self.folders() if PurePosixPath(folder).name == name]

    def files(self, folder: str) -> Iterator[Member]:
        """Yield the files directly in a folder, by name."""
        rows = self._db.execute(
            "SELECT path, size FROM files WHERE folder = ? ORDER BY path", (folder,)
        )
        return (Member(path, size) for path, size in rows)

    def files_below(self, folder: str) -> Iterator[Member]:
        """Yield the files in a folder and its subfolders, by path."""
        if not folder:
            rows = self._db.execute("SELECT path, size FROM files ORDER BY path")
        else:  # "0" is the character after "/"
            rows = self._db.execute(
                "SELECT path, size FROM files WHERE path > ? AND path < ? ORDER BY path",
                (folder + "/", folder + "0"),
            )
        return (Member(path, size) for path, size in rows)

    def file(self, path: str) -> Member | None:
        """Return the file of this path, or None."""
        found = self._db.execute("SELECT size FROM files WHERE path = ?", (path,)).fetchone()
        return Member(path, found[0]) if found else None

    def with_stem(self, folder: str, stem: str) -> list[Member]:
        """Return the files in a folder that differ in their suffix only."""
        rows = self._db.execute(
            "SELECT path, size FROM files WHERE folder = ? AND stem = ? ORDER BY path",
            (folder, stem),
        )
        return [Member(path, size) for path, size in rows]

    def looked_through(self, folder: str) -> None:
        """Note that a format has decided about every image directly in a folder."""
        self._looked_through.add(folder)

    def elsewhere(self) -> Iterator[Member]:
        """Yield the files of folders that no format has looked through, by folder and path."""
        for folder in self.folders():
            if folder not in self._looked_through:
                yield from self.files(folder)

    # Annotations that wait for their image

    def annotate(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Keep `(key of the image, origin, value)` rows until their image turns up."""
        self._db.executemany("INSERT INTO annotations VALUES (?,?,?)", rows)

    def claim(self, key: str) -> list[tuple[str, str]]:
        """Return the `(origin, value)` rows of an image, in the order they were kept."""
        self._db.execute("INSERT OR IGNORE INTO claimed VALUES (?)", (key,))
        return self._db.execute(
            "SELECT origin, value FROM annotations WHERE key = ? ORDER BY rowid", (key,)
        ).fetchall()

    def claim_once(self, key: str) -> bool:
        """Claim an image's rows; return whether nobody had claimed them before."""
        added = self._db.execute("INSERT OR IGNORE INTO claimed VALUES (?)", (key,))
        return added.rowcount > 0

    def unclaimed(self) -> Iterator[tuple[str, list[str]]]:
        """Yield `(key, origins)` of annotations whose image never turned up, by key."""
        rows = self._db.execute(
            "SELECT key, origin FROM annotations "
            "WHERE key NOT IN (SELECT key FROM claimed) ORDER BY key, rowid"
        )
        for key, group in groupby(rows, key=lambda row: row[0]):
            yield key, [origin for _, origin in group]

    # What comes out

    def add(self, record: Record, origin: str = "") -> None:
        """Keep a record. An image listed twice is rejected; an id taken twice gets a suffix.

        Args:
            record: an annotated image.
            origin: what lists it, where that is a file of its own.
        """
        found = self._db.execute(
            "SELECT path FROM records WHERE image_id = ?", (record.image_id,)
        ).fetchone()
        if found and found[0] != record.path:  # a.jpg and a.png are two images
            suffix = PurePosixPath(record.path).suffix
            record = replace(record, image_id=record.image_id + suffix)
        added = self._db.execute(
            "INSERT OR IGNORE INTO records VALUES (?,?,?,?)",
            (record.image_id, record.path, record.to_json(), record.data),
        )
        if not added.rowcount:
            reason = f"image '{record.image_id}' is listed twice; the first is used"
            self.reject(origin or record.path, reason)

    def records(self) -> Iterator[Record]:
        """Yield the records, by image id."""
        rows = self._db.execute("SELECT value, data FROM records ORDER BY image_id")
        return (Record.from_json(value, data) for value, data in rows)

    def select(self, record: Record, rank: bytes) -> None:
        """Keep a record for packing; `rank` orders the selection when only some are taken."""
        self._db.execute(
            "INSERT INTO selected VALUES (?,?,?)", (record.image_id, record.to_json(), rank)
        )

    def selection(self, limit: int | None) -> tuple[int, Iterator[Record]]:
        """Return how many records are selected, and them by image id.

        Args:
            limit: take only so many, those of the lowest rank.
        """
        total = int(self._db.execute("SELECT COUNT(*) FROM selected").fetchone()[0])
        count = total if limit is None else min(limit, total)
        rows = self._db.execute(_ALL) if count == total else self._db.execute(_LOWEST, (count,))
        return count, (Record.from_json(value, data) for value, data in rows)

    def reject(self, path: str, reason: str, thumbnail: bytes | None = None) -> None:
        """List what cannot be used, and why.

        Of each kind of reason only the first rows with a picture, by path, keep it.
        """
        if thumbnail is not None and not self._keeps_picture(path, reason):
            thumbnail = None
        self._db.execute("INSERT INTO rejected VALUES (?,?,?)", (path, reason, thumbnail))

    def _keeps_picture(self, path: str, reason: str) -> bool:
        """Whether a row is among the first of its kind; if so, another may lose its picture."""
        kept = self._pictured.setdefault(kind_of(reason), [])
        if (path, reason) in kept:
            return False
        insort(kept, (path, reason))
        if len(kept) <= PICTURED:
            return True
        last = kept.pop()
        self._db.execute("UPDATE rejected SET thumbnail = NULL WHERE path = ? AND reason = ?", last)
        return last != (path, reason)

    def is_accounted_for(self, path: str) -> bool:
        """Whether a file has become a record or been rejected."""
        found = self._db.execute(
            "SELECT EXISTS (SELECT 1 FROM records WHERE path = ?1) "
            "OR EXISTS (SELECT 1 FROM rejected WHERE path = ?1)",
            (path,),
        ).fetchone()
        return bool(found[0])

    def rejected(self) -> Iterator[Rejection]:
        """Yield what was rejected by path; the same finding once."""
        rows = self._db.execute(
            "SELECT path, reason, MAX(thumbnail) FROM rejected "
            "GROUP BY path, reason ORDER BY path, reason"
        )
        return (Rejection(*row) for row in rows)


def _name_fault(path: str) -> str:
    """Say why a file's name cannot travel through text files, or return nothing."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the file's name is not valid UTF-8; rename it"
    if any(ord(character) < 32 for character in path):
        return "the file's name holds a control character; rename it"
    return ""
