"""A fingerprint of a source, so that a cached ingest is not reused after a change.

Imports nothing beyond the standard library and the config: the orchestrator calls it.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from components.ingest.config import IngestSection


def source_version(section: IngestSection) -> str:
    """Return text that changes when a local source does.

    It covers relative names, sizes and modification times of all files, not their contents:
    it must stay fast for millions of files. A remote source is taken to be what its address
    says; a missing one gets a version too, since reporting it is the step's business.
    """
    chosen = _ids_version(section)
    if section.format == "synthetic":
        return f"synthetic{chosen}"
    parts = urlsplit(section.uri)
    if parts.scheme not in {"", "file"} and "://" in section.uri:
        return section.uri + chosen
    path = Path(unquote(parts.path) if parts.scheme == "file" else section.uri).expanduser()
    if not path.exists():
        return f"missing:{section.uri}"
    digest = hashlib.sha256()
    total = 0  # the sum of the files' digests: independent of the order they are found in
    for name, status in _files(path):
        line = f"{name}\0{status.st_size}\0{status.st_mtime_ns}"
        one = hashlib.sha256(line.encode("utf-8", "surrogateescape")).digest()
        total = (total + int.from_bytes(one)) % 2**256
    digest.update(total.to_bytes(32))
    return digest.hexdigest() + chosen


def _ids_version(section: IngestSection) -> str:
    """Return text that changes with the list of images to take."""
    path = Path(section.ids) if section.ids else None
    if path is None or not path.is_file():
        return ""
    with path.open("rb") as file:
        return ";ids:" + hashlib.file_digest(file, "sha256").hexdigest()


def _files(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    if path.is_file():
        yield path.name, path.stat()
        return
    for folder, subfolders, names in os.walk(path):
        for name in subfolders:
            link = Path(folder, name)
            if link.is_symlink():  # walked to where it leads, if that is inside
                yield f"{link.relative_to(path)} -> {link.readlink()}", link.lstat()
        for name in names:
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                yield str(file.relative_to(path)), file.stat()
