"""Zip archives from strangers, each member read straight out of the archive."""

import stat
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from components.ingest.sources.archives import Guard
from components.ingest.sources.base import Member, PassOver, bounded_read, ignore
from components.ingest.sources.hidden import is_visible
from components.shared.errors import UserError

_ENCRYPTED = 0x1  # bit 0 of a member's flags
# zipfile unpacks the other methods in one go, whatever size the member states.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ZipSource:
    """The files of a zip archive."""

    def __init__(self, archive: Path, uri: str = "") -> None:
        self.uri = uri or str(archive)
        self.archive = archive
        self._file: zipfile.ZipFile | None = None
        self._by_path: dict[str, zipfile.ZipInfo] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave the open file behind: every process opens its own."""
        return {**self.__dict__, "_file": None, "_by_path": {}}

    def members(self, pass_over: PassOver = ignore) -> Iterator[Member]:
        """Yield every visible file; refuse the archive if any name or size is not credible."""
        guard = Guard(self.uri, self.archive.stat().st_size)
        for info in self._zip().infolist():
            if stat.S_ISLNK(info.external_attr >> 16):
                raise UserError(f"{self.uri}: member {info.filename!r} is a link; remove it")
            if info.flag_bits & _ENCRYPTED:
                raise UserError(f"{self.uri}: member {info.filename!r} needs a password")
            path = guard.admit(info.filename, info.file_size)
            if not path:  # looked at first: zipfile fails on an empty name
                pass_over(ascii(info.filename), "member without a name")
            elif not info.is_dir() and is_visible(path, pass_over):
                yield Member(path, info.file_size)

    def open(self, path: str) -> BinaryIO:
        """Open a file. zipfile stops at the size the archive states and checks its CRC.

        Raises:
            OSError: if the member is damaged or packed in a way that cannot be bounded.
        """
        archive = self._zip()
        info = self._by_path.get(path)
        if info is None:
            raise FileNotFoundError(f"no such member as {path}")
        if info.compress_type not in _METHODS:
            raise OSError(
                f"{path} is packed with method {info.compress_type}, whose memory cannot be "
                "bounded; pack the archive again with 'deflate' (zip's default) or 'store'"
            )
        try:
            return cast(BinaryIO, archive.open(info))
        except OSError:
            raise
        except Exception as error:  # a damaged header makes zipfile raise almost anything
            raise OSError(str(error) or type(error).__name__) from None

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        for path in paths:
            with self.open(path) as stream:
                yield bounded_read(stream, path)

    def _zip(self) -> zipfile.ZipFile:
        if self._file is None:
            try:
                self._file = zipfile.ZipFile(self.archive)
            except Exception as error:  # a damaged directory makes zipfile raise almost anything
                raise UserError(
                    f"{self.uri}: is not a whole zip archive ({error}); download it again"
                ) from None
            guard = Guard(self.uri, self.archive.stat().st_size)
            for info in self._file.infolist():  # of equal paths the first is used
                path = guard.admit(info.filename, info.file_size)
                self._by_path.setdefault(path, info)
        return self._file
