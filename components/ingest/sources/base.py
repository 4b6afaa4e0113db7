"""What a source of files is, wherever they lie."""

import errno
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeVar

Item = TypeVar("Item")

# What reading a damaged file or archive member raises.
DAMAGE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)

# What no file is to blame for: a disk or a network share that fails, a process out of files or
# memory. Taking it for damage would lose good images.
MACHINE_FAULTS = frozenset(
    {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT, errno.ENOMEM}
)

MAX_READ = 512 * 1024 * 1024  # bytes of one file held in memory
_PIECE = 1024 * 1024

PassOver = Callable[[str, str], None]  # told the path of what a source does not read, and why


def ignore(_path: str, _reason: str) -> None:
    """Tell nobody what is passed over."""


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

    @property
    def archive(self) -> Path | None:
        """The file that holds all of them; None where each lies by itself."""
        ...

    def members(self, pass_over: PassOver = ignore) -> Iterator[Member]:
        """Yield every file, in any order; tell `pass_over` of each that is not read, and why."""
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
        OSError: if it is larger than `MAX_READ`.
    """
    pieces: list[bytes] = []
    total = 0
    # In pieces: asked for all at once, a decompressor would make room for all of it.
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        total += len(piece)
        if total > MAX_READ:
            raise OSError(f"{path} is larger than {MAX_READ >> 20} MiB; no image needs that")
    return b"".join(pieces)


@dataclass(frozen=True)
class Unread:
    """Stands for a file whose bytes cannot be had, and says why."""

    reason: str


def read_each(
    load: Callable[[Sequence[Item]], Iterator[bytes]], items: Sequence[Item]
) -> list[bytes | Unread]:
    """Return the bytes of each item; a damaged one costs no other.

    What concerns the whole source (a refused request, say) is raised as it comes.
    """
    try:
        return list(load(items))
    except DAMAGE:
        return [_read_one(load, item) for item in items]


def _read_one(load: Callable[[Sequence[Item]], Iterator[bytes]], item: Item) -> bytes | Unread:
    try:
        return next(load([item]))
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in MACHINE_FAULTS:
            raise
        return Unread(f"cannot be read: {error}")
