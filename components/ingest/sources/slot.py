"""A place on disk for one download, which processes share and which outlives them."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from uuid import uuid4

from components.shared.closing import Closing
from components.shared.errors import UserError
from components.shared.files import write_text


@dataclass(frozen=True)
class Version:
    """What is known of the file that a server offers.

    Attributes:
        tag: names exactly these bytes: a strong ETag or a date of change; empty for neither.
        total: bytes; None when the server does not say.
        md5: of the bytes, in hexadecimal digits; empty when the server does not say.
    """

    tag: str = ""
    total: int | None = None
    md5: str = ""


class Slot(Closing):
    """The files of one download, `<digest>.*`; use as a context manager, which locks them.

    `.part` is what has come so far and `.json` of which version; `.whole` is the checked file.
    The lock is the kernel's: it ends with the process, however that ends.

    Attributes:
        is_ours: whether this process is to download; else the whole file is there already.
    """

    def __init__(self, folder: Path, key: str) -> None:
        stem = hashlib.sha256(key.encode()).hexdigest()[:32]
        self.folder = folder
        self.part, self.whole, self._state, self._lock = (
            folder / f"{stem}.{kind}" for kind in ("part", "whole", "json", "lock")
        )
        self._held = -1
        self.is_ours = False

    def __enter__(self) -> Self:
        while True:
            self._held = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
            if self._lock_any() and self._is_current():
                return self
            os.close(self._held)  # its file was deleted, or its holder died, while we waited

    def _lock_any(self) -> bool:
        """Take the lock for ourselves, or for reading what another process downloads."""
        self.is_ours = self._try(fcntl.LOCK_EX)
        if self.is_ours:
            return True
        print("ingest: another process downloads or reads the same file; using its download")
        fcntl.flock(self._held, fcntl.LOCK_SH)
        return self.whole.exists()

    def close(self) -> None:
        """Release the lock."""
        os.close(self._held)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._held, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_current(self) -> bool:
        try:
            return os.stat(self._lock).st_ino == os.fstat(self._held).st_ino  # noqa: PTH116
        except FileNotFoundError:
            return False

    def share(self) -> bool:
        """Let others use the whole file as well; return whether it is still there."""
        fcntl.flock(self._held, fcntl.LOCK_SH)
        return self.whole.exists()

    def clear(self) -> None:
        """Delete the download, unless another process uses it."""
        if not self._try(fcntl.LOCK_EX):
            return
        for path in (self.part, self.whole, self._state, self._lock):
            path.unlink(missing_ok=True)

    def begin(self, version: Version) -> None:
        """Begin to keep the bytes of a version; those of another are deleted first."""
        self.part.unlink(missing_ok=True)
        write_text(self._state, json.dumps(asdict(version)))
        self.part.touch(0o600)

    def version(self) -> Version:
        """Return which version the part is of."""
        try:
            return Version(**json.loads(self._state.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return Version()

    def size(self) -> int:
        """Return how many bytes have come."""
        return self.part.stat().st_size if self.part.exists() else 0


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder for as long as the block runs; delete those of killed processes."""
    for lock in parent.glob("scratch-*.lock"):
        with lock.open("w") as held, suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    lock = parent / f"scratch-{uuid4().hex}.lock"
    aside = lock.with_suffix(".new")
    with aside.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        aside.rename(lock)  # it has never been seen without its lock
        folder = lock.with_suffix("")
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def download_folder(asked: str) -> Path:
    """Return the folder for downloads, made if need be: the one asked for, or the user's cache.

    Raises:
        UserError: if it cannot be made, or is another user's.
    """
    for folder in [Path(asked).expanduser()] if asked else _defaults():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            continue
        # In a folder that all may write to, another user could have put one of this name.
        if asked or folder.stat().st_uid == os.getuid():
            return folder
        reason = "it is another user's"
    raise UserError(
        f"ingest.download_folder: {folder} cannot be written to ({reason}); name another folder"
    )


def _defaults() -> Iterator[Path]:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    yield (Path(cache) if cache.startswith("/") else Path("~/.cache").expanduser()) / "sightline"
    yield Path(tempfile.gettempdir()) / f"sightline-{os.getuid()}"


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Say what to do about a disk that is full; other troubles of the disk pass.

    Raises:
        UserError: if the disk or the quota is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise UserError(
            f"{folder}: the disk is full; make room or set ingest.download_folder, then run "
            "again: a download goes on where it was"
        ) from None
