"""Zip and tar archives from strangers, read without trusting their names or sizes."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from components.ingest.sources.base import Member, bounded_read
from components.ingest.sources.local import is_hidden
from components.shared.errors import UserError

MAX_MEMBERS = 20_000_000
MAX_TOTAL = 4 * 1024**4  # bytes an archive may unpack to
MAX_RATIO = 200  # bytes unpacked a byte of archive; images hardly compress at all
FREE_BYTES = 100 * 1024 * 1024  # below this no ratio is suspicious

_ENCRYPTED = 0x1  # bit 0 of a zip member's flags


class ZipSource:
    """The files of a zip archive, each read straight out of it."""

    def __init__(self, archive: Path, uri: str = "") -> None:
        self.uri = uri or str(archive)
        self._archive = archive
        self._file: zipfile.ZipFile | None = None
        self._first: dict[str, zipfile.ZipInfo] | None = None

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file behind: every process opens its own."""
        return {**self.__dict__, "_file": None, "_first": None}

    def members(self) -> Iterator[Member]:
        """Yield every visible file; refuse the archive if any name or size is not credible."""
        guard = Guard(self.uri, self._archive.stat().st_size)
        for info in self._zip().infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UserError(f"{self.uri}: member {info.filename!r} is a link; remove it")
            if info.flag_bits & _ENCRYPTED:
                raise UserError(f"{self.uri}: member {info.filename!r} needs a password")
            path = guard.admit(info.filename, info.file_size)
            if path and not info.is_dir():
                yield Member(info.filename, info.file_size)

    def open(self, path: str) -> BinaryIO:
        """Open a file. zipfile stops at the size the archive states and checks its CRC."""
        archive = self._zip()
        if self._first is None:  # of equal names zipfile opens the last; the first is promised
            self._first = {info.filename: info for info in reversed(archive.infolist())}
        return cast(BinaryIO, archive.open(self._first[path]))

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        for path in paths:
            with self.open(path) as stream:
                yield bounded_read(stream, path)

    def _zip(self) -> zipfile.ZipFile:
        if self._file is None:
            try:
                self._file = zipfile.ZipFile(self._archive)
            except zipfile.BadZipFile as error:
                raise UserError(
                    f"{self.uri}: is not a whole zip archive ({error}); download it again"
                ) from None
        return self._file


class Guard:
    """Follow the members of an archive and refuse it when one is not credible."""

    def __init__(self, uri: str, packed: int) -> None:
        self._uri = uri
        self._limit = min(MAX_TOTAL, max(FREE_BYTES, packed * MAX_RATIO))
        self._members = 0
        self._total = 0

    def admit(self, name: str, size: int) -> str:
        """Return the member's clean path, or an empty one for a member to skip.

        Raises:
            UserError: if the name leads out of the archive, or the archive unpacks to more
                than it credibly holds.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise UserError(f"{self._uri}: member {name!r} leads out of the archive; not read")
        self._members += 1
        self._total += size
        if self._members > MAX_MEMBERS:
            raise UserError(f"{self._uri}: holds more than {MAX_MEMBERS:,} files")
        if self._total > self._limit:
            raise UserError(
                f"{self._uri}: would unpack to more than {self._limit:,} bytes, which no archive "
                f"of its size holds in images; unpack it yourself if you trust it"
            )
        return "" if any(is_hidden(part) for part in path.parts) else str(path)


def unpack_tar(archive: Path, uri: str, into: Path) -> None:
    """Unpack the plain files of a tar archive into a new folder.

    A compressed tar cannot be read from the middle, which parallel reading needs.

    Raises:
        UserError: if it is damaged, or a member is a link, a device or leads out of it.
    """
    guard = Guard(uri, archive.stat().st_size)
    try:
        with tarfile.open(archive, "r|*") as tar:
            for info in tar:
                _unpack(tar, info, guard, uri, into)
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise UserError(f"{uri}: a member is a file and a folder at once ({error})") from None
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble, not the archive's
        raise UserError(f"{uri}: is not a whole tar archive ({error}); download it again") from None


def _unpack(
    tar: tarfile.TarFile, info: tarfile.TarInfo, guard: Guard, uri: str, into: Path
) -> None:
    if info.isdir():
        return
    if not info.isreg():
        raise UserError(f"{uri}: member {info.name!r} is a link or a device; remove it")
    path = guard.admit(info.name, info.size)
    if not path:
        return
    target = into / path
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = tar.extractfile(info)
    if stream is None:
        raise UserError(f"{uri}: member {info.name!r} cannot be read; download it again")
    with stream, target.open("wb") as out:
        _copy(stream, out)


def _copy(stream: IO[bytes], out: BinaryIO) -> None:
    while chunk := stream.read(1 << 20):
        out.write(chunk)
