"""A folder on this machine."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from components.ingest.sources.base import (
    MACHINE_FAULTS,
    Member,
    PassOver,
    bounded_read,
    ignore,
)
from components.ingest.sources.hidden import is_visible

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FolderSource:
    """The files below a folder. Links are not followed out of it; hidden files are not read."""

    archive = None

    def __init__(self, folder: Path, uri: str = "") -> None:
        self.uri = uri or str(folder)
        self._folder = folder.resolve()

    def members(self, pass_over: PassOver = ignore) -> Iterator[Member]:
        """Yield every visible file."""
        # A list instead of recursion: folders may be nested deeper than Python's stack.
        waiting = [("", False)]
        while waiting:
            prefix, linked = waiting.pop()
            try:
                yield from self._list(prefix, linked, waiting, pass_over)
            except OSError as error:
                if error.errno in MACHINE_FAULTS:
                    raise
                pass_over(prefix.rstrip("/"), f"folder cannot be listed: {error.strerror}")

    def _list(
        self, prefix: str, linked: bool, waiting: list[tuple[str, bool]], pass_over: PassOver
    ) -> Iterator[Member]:
        """Yield the files of one folder, and put its subfolders among those that wait."""
        with os.scandir(self._folder / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if not is_visible(path, pass_over):
                    continue
                is_link = entry.is_symlink()
                fault = self._fault(entry, linked) if is_link else ""
                if fault:
                    pass_over(path, fault)
                elif entry.is_dir():
                    waiting.append((path + "/", linked or is_link))
                elif entry.is_file():
                    yield Member(path, entry.stat().st_size)
                else:
                    kind = stat.S_IFMT(entry.stat().st_mode)
                    pass_over(path, f"{_KINDS.get(kind, 'a special file')}; not read")

    def _fault(self, entry: os.DirEntry[str], linked: bool) -> str:
        """Say why a link is not followed, or nothing."""
        here = Path(entry.path)
        try:
            target = here.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself
            return "a link that leads nowhere"
        if not target.is_relative_to(self._folder):
            return "a link that leads out of the folder; not followed"
        if target.is_dir() and here.is_relative_to(target):
            return "a link to a folder that it lies in; not followed"
        # A few folders that all link to each other would be listed without end.
        if target.is_dir() and linked:
            return "a link to a folder, in a folder reached by a link; not followed"
        return ""

    def holds(self, path: str) -> bool:
        """Whether there is a file of this path."""
        return (self._folder / path).is_file()

    def holds_folder(self, path: str) -> bool:
        """Whether there is a folder of this path, in the folder itself."""
        folder = self._folder / path
        return folder.is_dir() and folder.resolve().is_relative_to(self._folder)

    def open(self, path: str) -> BinaryIO:
        """Open a file.

        Raises:
            OSError: if it is not there, not a plain file, or out of the folder.
        """
        file = self._folder / path
        # Only a link is resolved, which takes long; what leads to it was looked at before.
        is_link = file.is_symlink()
        if ".." in file.parts or (is_link and not file.resolve().is_relative_to(self._folder)):
            raise OSError(f"{path} leads out of the folder")
        if not file.is_file():  # opening a named pipe would wait for a writer
            raise FileNotFoundError(f"no such file as {path}")
        return file.open("rb")

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        for path in paths:
            with self.open(path) as stream:
                yield bounded_read(stream, path)
