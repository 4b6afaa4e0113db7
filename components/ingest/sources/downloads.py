"""Downloads that survive: resumed, tried again, checked, and never half taken for whole."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from components.ingest.sources.retry import Attempts, TransientError
from components.ingest.sources.slot import Slot, Version, disk_errors
from components.shared.errors import UserError
from components.shared.files import sha256_of
from components.shared.progress import progress

MIB: Final = 1 << 20
_MD5_TAG: Final = re.compile(r'"([0-9a-f]{32})"')
_OWN_ENCRYPTION: Final = "AES256"


@dataclass(frozen=True)
class Answer:
    """What a server sends.

    Attributes:
        version: which file it offers.
        start: position of the first byte that comes.
        pieces: the bytes; raises `TransientError` when they break off.
    """

    version: Version
    start: int
    pieces: Iterator[bytes] = field(repr=False)


class Remote(Protocol):
    """A file on a server."""

    @property
    def name(self) -> str:
        """What a person calls it; nothing secret is in it."""
        ...

    @property
    def key(self) -> str:
        """Text that no other file has."""
        ...

    def open(self, start: int, tag: str) -> AbstractContextManager[Answer]:
        """Ask for the bytes from `start` on, if the file is still the one that `tag` names.

        The answer starts there, or at 0 when it is another file or the server sends whole
        files only.

        Raises:
            TransientError: if another attempt may succeed.
            UserError: if none will.
        """
        ...


@dataclass(frozen=True)
class Options:
    """How to download.

    Attributes:
        folder: where what has come is kept; it outlives the process.
        max_bytes: more are refused.
        sha256: that the file must have; empty to take what the server says.
        keep: keep the whole file for the next run.
    """

    folder: Path
    max_bytes: int
    sha256: str = ""
    keep: bool = False


@contextmanager
def downloaded(remote: Remote, options: Options) -> Iterator[Path]:
    """Give the whole file, for as long as the block runs.

    After an interruption of any kind the next call goes on where this one was. When the
    block ends well the file is deleted, unless it is to be kept or another process uses it;
    after an error it stays, for the next attempt.

    Raises:
        UserError: if the server refuses, or answers too often with nothing, or the file is
            larger than `max_bytes` or not the one that `sha256` names.
    """
    slot = Slot(options.folder, remote.key)
    while True:
        with slot:
            if slot.is_ours:
                with disk_errors(options.folder):
                    _Download(remote, options, slot).run()
                if not slot.share():
                    continue  # another process was done with it in between, and deleted it
            elif options.sha256:
                check_sha256(slot.whole, options.sha256, remote.name)
            yield slot.whole
            if not options.keep:
                slot.clear()
            return


def check_sha256(path: Path, wanted: str, name: str) -> None:
    """Refuse a file that is not the one the config names.

    Raises:
        UserError: naming both digests.
    """
    fault = _sha256_fault(path, wanted, name)
    if fault:
        raise fault


def _sha256_fault(path: Path, wanted: str, name: str) -> UserError | None:
    """Return how a file differs from the one the config names; None if it does not."""
    found = sha256_of(path)
    if found == wanted.lower():
        return None
    return UserError(
        f"{name}: its SHA-256 is {found}, but ingest.sha256 is {wanted.lower()}; "
        "it is another file or a damaged one: check both"
    )


class _Download:
    """One download into a slot that is locked."""

    def __init__(self, remote: Remote, options: Options, slot: Slot) -> None:
        self._remote = remote
        self._options = options
        self._slot = slot
        self._resumed = False

    def run(self) -> None:
        """Leave the whole, checked file in the slot."""
        if self._slot.whole.exists():
            if self._options.sha256 and sha256_of(self._slot.whole) == self._options.sha256.lower():
                return
            self._slot.whole.replace(self._slot.part)  # to be compared with the server's
        self._fetch()
        if self._resumed and self._fault():
            # What an earlier attempt left may be to blame: once more, from the beginning.
            self._slot.begin(Version())
            self._fetch()
        fault = self._fault()
        if fault:
            self._slot.clear()
            raise fault
        self._slot.part.replace(self._slot.whole)

    def _fetch(self) -> None:
        """Make attempts until all bytes are there."""
        attempts = Attempts(self._remote.name)
        furthest = self._slot.size()
        while True:
            try:
                self._attempt()
            except TransientError as error:
                if self._slot.size() > furthest:
                    furthest = self._slot.size()
                    attempts.succeeded()
                attempts.failed(error)
            else:
                return

    def _attempt(self) -> None:
        known, have = self._slot.version(), self._slot.size()
        # Without a tag nobody knows whether the rest is of the same file, but a digest will tell.
        if not (known.tag or self._options.sha256) or have > (known.total or have):
            have = 0
        if have and have == known.total:
            have -= 1  # the last byte once more: the answer says whether the file is the same
        with self._remote.open(have, known.tag) as answer:
            total = answer.version.total
            self._check_size(total, answer.start)
            if answer.start:
                os.truncate(self._slot.part, answer.start)
                self._resumed = True
            else:
                self._slot.begin(answer.version)
            self._append(answer, total)
        found = self._slot.size()
        if total is not None and found != total:
            raise TransientError(f"{found:,} of {total:,} bytes came")

    def _check_size(self, total: int | None, start: int) -> None:
        """Refuse what is too large for the config or the disk, before it comes."""
        if total is None:
            return
        if total > self._options.max_bytes:
            raise self._too_large(f"has {total:,} bytes")
        free = shutil.disk_usage(self._slot.folder).free
        if total - start > free:
            raise UserError(
                f"{self._remote.name}: {total - start:,} bytes are to come, but {free:,} are "
                f"free in {self._slot.folder}; make room or set ingest.download_folder"
            )

    def _append(self, answer: Answer, total: int | None) -> None:
        name = self._remote.name.rpartition("/")[2]
        label = f"downloading {name}, MiB"
        if answer.start:
            label = f"downloading {name} from MiB {answer.start // MIB:,} on, MiB"
        expected = None if total is None else (total - answer.start) // MIB
        with self._slot.part.open("ab") as out:
            for _ in progress(self._write(answer, out), expected, label):
                pass

    def _write(self, answer: Answer, out: BinaryIO) -> Iterator[None]:
        """Write the bytes as they come; yield once a MiB."""
        size, yielded = answer.start, 0
        for piece in answer.pieces:
            out.write(piece)
            out.flush()
            size += len(piece)
            if size > self._options.max_bytes:
                raise self._too_large(f"sends more than {self._options.max_bytes:,} bytes")
            while (size - answer.start) // MIB > yielded:
                yielded += 1
                yield

    def _too_large(self, what: str) -> UserError:
        self._slot.clear()
        return UserError(
            f"{self._remote.name}: {what}; ingest.max_bytes allows {self._options.max_bytes:,}: "
            "raise it, or give another source"
        )

    def _fault(self) -> UserError | None:
        """Return how the file differs from what it is said to be; None if it does not."""
        if self._options.sha256:
            return _sha256_fault(self._slot.part, self._options.sha256, self._remote.name)
        wanted = self._slot.version().md5
        if not wanted:
            return None
        with self._slot.part.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        if digest.hexdigest() == wanted:
            return None
        return UserError(
            f"{self._remote.name}: its MD5 is {digest.hexdigest()}, but the server's ETag says "
            f"{wanted}; run again, or give ingest.sha256, which is then compared instead"
        )


def md5_of_tag(tag: str, encryption: str) -> str:
    """Return the MD5 that an ETag of S3 is, or nothing where it is none.

    It is for an object that was not uploaded in parts, nor encrypted with a key of KMS or the
    customer's (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).

    Args:
        tag: the ETag, in quotes.
        encryption: the server-side encryption; empty for none, AES256 for S3's own.
    """
    if encryption not in {"", _OWN_ENCRYPTION}:
        return ""
    found = _MD5_TAG.fullmatch(tag)
    return found[1] if found else ""
