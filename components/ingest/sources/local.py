"""A folder on this machine."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from components.ingest.sources.base import Member, bounded_read


class FolderSource:
    """The files below a folder. Links are not followed out of it; hidden files are skipped."""

    def __init__(self, folder: Path, uri: str = "") -> None:
        self.uri = uri or str(folder)
        self._folder = folder.resolve()

    def members(self) -> Iterator[Member]:
        """Yield every visible file."""
        yield from self._walk(self._folder, "")

    def _walk(self, folder: Path, prefix: str) -> Iterator[Member]:
        subfolders: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name) or not self._is_inside(entry):
                    continue
                if entry.is_dir():
                    subfolders.append(entry.name)
                elif entry.is_file():
                    yield Member(prefix + entry.name, entry.stat().st_size)
        for name in subfolders:
            yield from self._walk(folder / name, f"{prefix}{name}/")

    def _is_inside(self, entry: os.DirEntry[str]) -> bool:
        """Whether a link stays in the folder without leading back to where it lies."""
        if not entry.is_symlink():
            return True
        here, target = Path(entry.path), Path(entry.path).resolve()
        return target.is_relative_to(self._folder) and not here.is_relative_to(target)

    def open(self, path: str) -> BinaryIO:
        """Open a file."""
        return (self._folder / path).open("rb")

    def read_many(self, paths: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of files."""
        for path in paths:
            with self.open(path) as stream:
                yield bounded_read(stream, path)


def is_hidden(name: str) -> bool:
    """Whether a name is the operating system's or an editor's, not the dataset's."""
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
