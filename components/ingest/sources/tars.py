"""Tar archives from strangers, read by position from one plain file.

Nothing is ever written under a member's name, so no name can do harm. A compressed archive is
first unpacked to one plain tar file: it cannot be read from the middle, which parallel reading
needs. Where each member lies is kept in an SQLite file, for memory that does not grow.
"""

import bz2
import gzip
import io
import lzma
import sqlite3
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from components.ingest.sources.archives import Guard, most_unpacked, unpacks_to_more
from components.ingest.sources.base import Member, PassOver, bounded_read, ignore
from components.ingest.sources.hidden import is_visible
from components.ingest.sources.slot import disk_errors
from components.shared.errors import UserError

MAX_HEADER: Final = 1 << 20  # bytes that describe one member; names take a few hundred
MAX_PAX_HEADERS: Final = 1_000  # that hold for all members
XZ_MEMORY: Final = 256 << 20  # bytes; what `xz -9` packs needs 65 MiB
_PIECE = 1 << 20
_CHUNK = 10_000  # rows
_SCHEMA = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
CREATE TABLE members (place INTEGER PRIMARY KEY, path BLOB, start INTEGER, size INTEGER);
CREATE TABLE passed_over (path BLOB, reason TEXT);
"""


class TarSource:
    """The files of a tar archive; `open_tar` makes one."""

    def __init__(self, plain: Path, index: Path, uri: str) -> None:
        self.uri = uri
        self.archive = plain
        self._index = index
        self._db: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave the open database behind: every process opens its own."""
        return {**self.__dict__, "_db": None}

    def members(self, pass_over: PassOver = ignore) -> Iterator[Member]:
        """Yield every visible file."""
        for path, reason in self._rows().execute("SELECT path, reason FROM passed_over"):
            pass_over(_text(path), reason)
        for path, size in self._rows().execute("SELECT path, size FROM members ORDER BY place"):
            yield Member(_text(path), size)

    def open(self, path: str) -> BinaryIO:
        """Open a file; of members of the same path the first is used."""
        query = "SELECT start, size FROM members WHERE path = ? ORDER BY place LIMIT 1"
        found = self._rows().execute(query, (_bytes(path),)).fetchone()
        if found is None:
            raise FileNotFoundError(f"no such member as {path}")
        return io.BufferedReader(_Window(self.archive, *found))

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        for path in paths:
            with self.open(path) as stream:
                yield bounded_read(stream, path)

    def _rows(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(f"{self._index.as_uri()}?mode=ro", uri=True)
        return self._db


class _Window(io.RawIOBase):
    """The bytes of one member."""

    def __init__(self, plain: Path, start: int, size: int) -> None:
        super().__init__()
        self._file = plain.open("rb", buffering=0)
        self._file.seek(start)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        got = self._file.readinto(buffer[: self._left])
        self._left -= got
        return got

    def close(self) -> None:
        self._file.close()
        super().close()


def open_tar(archive: Path, uri: str, scratch: Path) -> TarSource | None:
    """Open a tar archive, plain or compressed; return None for a file that is none.

    Args:
        archive: the file.
        uri: what a person calls it.
        scratch: folder for the plain tar and the index, to be kept as long as the source.

    Raises:
        UserError: if it is damaged or a bomb, or a member is a link, a device or leads out.
    """
    plain = archive
    unpacked = _decompressor(archive)
    if unpacked is not None:
        plain = scratch / "plain.tar"
        _decompress(unpacked, archive, uri, plain)
    with plain.open("rb") as file:
        if not _is_header(file.read(tarfile.BLOCKSIZE)):
            return None
    index = (scratch / "members.sqlite").resolve()
    database = sqlite3.connect(index, isolation_level=None)
    try:
        database.executescript(_SCHEMA)
        database.execute("BEGIN")
        _Reader(plain, archive, uri, database).read()
        database.execute("CREATE INDEX by_path ON members (path)")
        database.execute("COMMIT")
    finally:
        database.close()
    return TarSource(plain, index, uri)


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return True  # an archive of nothing
    except Exception:  # whatever a block that is no header makes tarfile raise
        return False
    return True


# Compression


def _decompressor(archive: Path) -> Callable[[Path], Iterator[bytes]] | None:
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return lambda path: _pieces(cast(BinaryIO, gzip.open(path)))
    if start.startswith(b"BZh"):
        return lambda path: _pieces(cast(BinaryIO, bz2.open(path)))
    return _xz_pieces if start == b"\xfd7zXZ\0" else None


def _decompress(
    unpacked: Callable[[Path], Iterator[bytes]], archive: Path, uri: str, into: Path
) -> None:
    """Write the plain tar. To its end, for the checksums are there."""
    limit = most_unpacked(archive.stat().st_size)
    total = 0
    with disk_errors(into.parent), into.open("wb") as out:
        pieces = unpacked(archive)
        while True:
            try:
                piece = next(pieces, b"")
            except Exception as error:  # zlib.error, LZMAError, EOFError, BadGzipFile ...
                raise _not_whole(uri, error) from None
            if not piece:
                return
            total += len(piece)
            if total > limit:
                raise unpacks_to_more(uri, limit)
            out.write(piece)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(_PIECE):
            yield piece


def _xz_pieces(archive: Path) -> Iterator[bytes]:
    """Unpack xz; unlike `lzma.open`, with a bound to the memory an archive may ask for."""
    with archive.open("rb") as file:
        rest = b""
        while rest := rest or file.read(_PIECE):
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
            while not unpacker.eof:
                if not rest and unpacker.needs_input:
                    rest = file.read(_PIECE)
                    if not rest:
                        raise EOFError("its end is missing")
                if piece := unpacker.decompress(rest, _PIECE):
                    yield piece
                rest = b""
            # Streams may follow each other, with zeros between them.
            rest = unpacker.unused_data.lstrip(b"\0")


# Headers


class _Headers:
    """A tar file as tarfile reads its headers from, a bounded number of bytes for each member.

    tarfile reads what a header says that follows it (names, extended headers, maps of sparse
    files) whole into memory, and does not stop at the end of the file for all of them.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.budget = MAX_HEADER
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        self.budget -= max(size, tarfile.BLOCKSIZE)
        if size < 0 or self.budget < 0:
            raise tarfile.ReadError(f"a member's header takes more than {MAX_HEADER:,} bytes")
        self.last = self._file.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()


class _Reader:
    """Go through an archive's headers once, and write where each member's bytes are."""

    def __init__(self, plain: Path, archive: Path, uri: str, database: sqlite3.Connection) -> None:
        self._plain = plain
        self._uri = uri
        self._guard = Guard(uri, archive.stat().st_size)
        self._database = database

    def read(self) -> None:
        with self._plain.open("rb") as file:
            rows = self._rows(_Headers(file))
            self._database.executemany("INSERT INTO members VALUES (NULL, ?, ?, ?)", rows)

    def _rows(self, headers: _Headers) -> Iterator[tuple[bytes, int, int]]:
        for info in self._infos(headers):
            path = self._guard.admit(info.name, info.size)
            if info.isdir():
                continue
            if not info.isreg():
                raise UserError(
                    f"{self._uri}: member {info.name!r} is a link or a device; remove it"
                )
            if not path:
                self._pass_over(ascii(info.name), "member without a name")
            elif info.issparse():
                self._pass_over(path, "a sparse file; pack it again without --sparse")
            elif is_visible(path, self._pass_over):
                yield _bytes(path), info.offset_data, info.size

    def _infos(self, headers: _Headers) -> Iterator[tarfile.TarInfo]:
        try:
            tar = tarfile.open(fileobj=headers, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
            before = -1
            while (info := tar.next()) is not None:
                if info.offset <= before or tar.offset <= info.offset:
                    raise tarfile.ReadError(f"member {info.name!r} leads back to where it begins")
                if len(tar.pax_headers) > MAX_PAX_HEADERS:
                    raise tarfile.ReadError("too many headers that hold for all members")
                yield info
                before = info.offset
                tar.members = []  # it would keep all of them
                headers.budget = MAX_HEADER
            # tarfile ends at a damaged header, and at the end of a file that is cut between
            # two members, as if the archive ended there.
            if headers.last != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("its end is missing, or a header is damaged")
        except UserError:
            raise
        except (Exception, RecursionError) as error:  # a damaged header makes tarfile raise a lot
            raise _not_whole(self._uri, error) from None

    def _pass_over(self, path: str, reason: str) -> None:
        self._database.execute("INSERT INTO passed_over VALUES (?, ?)", (_bytes(path), reason))


def _not_whole(uri: str, error: BaseException) -> UserError:
    text = str(error) or type(error).__name__
    return UserError(f"{uri}: is not a whole tar archive ({text}); download it again")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
