"""What a source of files is, wherever they lie."""

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

from components.shared.errors import UserError

MAX_READ = 512 * 1024 * 1024  # bytes of one file held in memory


class Member(NamedTuple):
    """One file of a source: its path with forward slashes, and its size in bytes."""

    path: str
    size: int


class Source(Protocol):
    """Files that can be listed and read. Picklable: worker processes read for themselves."""

    @property
    def uri(self) -> str:
        """What a person calls the source; messages name it."""
        ...

    def members(self) -> Iterator[Member]:
        """Yield every file, in any order."""
        ...

    def open(self, path: str) -> BinaryIO:
        """Open a file as a stream of bytes, to be closed by the caller."""
        ...

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files, in the order of `paths`."""
        ...


def read(source: Source, path: str) -> bytes:
    """Return the contents of one file."""
    return next(iter(source.read_many([path])))


def bounded_read(stream: BinaryIO, path: str) -> bytes:
    """Read a stream to its end, refusing what no image or annotation needs.

    Raises:
        UserError: if it is larger than `MAX_READ`.
    """
    data = stream.read(MAX_READ + 1)
    if len(data) > MAX_READ:
        raise UserError(f"{path}: is larger than {MAX_READ >> 20} MiB; no image needs that")
    return data


class BytesSource:
    """Files held in memory, by path. For data that is made rather than read, and for tests."""

    def __init__(self, files: dict[str, bytes], uri: str = "memory") -> None:
        self.uri = uri
        self._files = files

    def members(self) -> Iterator[Member]:
        """Yield every file."""
        return (Member(path, len(data)) for path, data in self._files.items())

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        return io.BytesIO(self._files[path])

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        return (self._files[path] for path in paths)
