"""Helpers for files: digests, and writing whole or not at all."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a path to write to, in the same folder; it becomes `path` when the block ends well.

    Nobody ever sees half a file, and of two writers at once each leaves a whole one. The
    folder is made. After an error nothing is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text (UTF-8), whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")
