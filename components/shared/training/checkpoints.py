"""Checkpoints of a training that may be killed at any moment.

A training has a folder named by a digest of all that determines it, so that the same training,
started again, goes on where it was, and another never takes its checkpoints.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import torch

from components.shared.files import sha256_of
from components.shared.training.config import TrainSection, is_weights_file
from components.shared.training.data import TrainingData

# Raised when what a checkpoint holds changes.
_VERSION: Final = 1
_KEPT: Final = 2  # the newest, and one before it in case the newest is damaged
_NAME = re.compile(r"epoch-(\d{5})-([0-9a-f]{8})\.ckpt")
_LOCK = "lock"
_FORGOTTEN_S: Final = 14 * 24 * 3600  # without a new checkpoint


def training_key(section: TrainSection, data: TrainingData, seed: int) -> str:
    """Return a digest of what determines a training: settings, data, seed, and surroundings."""
    settings = section.model_dump(mode="json", exclude={"workers"})
    parts = [_VERSION, settings, data.task, data.digest, seed, surroundings(section)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def surroundings(section: TrainSection) -> list[str]:
    """Return what determines a training beside settings and data.

    The code (the task's image, whose tag is made of it, in `SIGHTLINE_IMAGE`), torch, and the
    content of a file of weights.
    """
    weights = Path(section.weights)
    has_file = is_weights_file(section.weights) and weights.is_file()
    code = os.environ.get("SIGHTLINE_IMAGE", "")
    return [code, torch.__version__, sha256_of(weights) if has_file else ""]


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one training.

    Attributes:
        folder: where they lie, `epoch-<number>-<CRC-32>.ckpt`.
    """

    folder: Path

    def save(self, epoch: int, write: Callable[[Path], None]) -> None:
        """Store the state after an epoch (1 is the first), and drop those no longer needed.

        Args:
            epoch: how many are done.
            write: writes the state to the path that it is given.
        """
        aside = self.folder / f"aside-{os.getpid()}"
        write(aside)
        aside.replace(self.folder / f"epoch-{epoch:05d}-{_checksum(aside):08x}.ckpt")
        for old in self._newest_first()[_KEPT:]:
            old.unlink()

    def newest(self) -> Path | None:
        """Return the newest checkpoint that is whole; a damaged one is passed over, and said."""
        for path in self._newest_first():
            match = _NAME.fullmatch(path.name)
            if match and int(match[2], 16) == _checksum(path):
                return path
            print(f"{path}: damaged; going back to the checkpoint before it")
        return None

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*.ckpt"), reverse=True)


@contextmanager
def claimed(parent: Path, key: str) -> Iterator[Checkpoints]:
    """Hold a training's checkpoints for this process; remove them when it has succeeded.

    Where another process holds them, as it runs the same training now, this one gets a folder
    of its own. A process that dies gives its folder up, checkpoints and all.
    """
    lock, folder = _claim(parent, key)
    _forget_abandoned(parent)
    try:
        yield Checkpoints(folder)
        shutil.rmtree(folder)
    finally:
        lock.close()


def _forget_abandoned(parent: Path) -> None:
    """Delete what nobody has gone on with for long: its settings, data or code have changed."""
    for folder in parent.iterdir():
        if folder.is_dir() and time.time() - folder.stat().st_mtime > _FORGOTTEN_S:
            lock = _locked(folder / _LOCK)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.close()


def _claim(parent: Path, key: str) -> tuple[TextIO, Path]:
    number = 0
    while True:
        folder = parent / (f"{key}-{number}" if number else key)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _locked(folder / _LOCK)
        if lock is not None:
            return lock, folder
        number += 1


def _locked(path: Path) -> TextIO | None:
    """Return the lock file, held until it is closed; None if another holds it or removed it."""
    try:
        file = path.open("a")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    file.close()
    return None


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
