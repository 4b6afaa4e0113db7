"""The model archive: one file with a model's weights, and all that is needed to use them.

A gzipped tar of `model.json` (see `ModelCard`), `weights.safetensors` and `README.md`. Equal
models give equal bytes, so the file's SHA-256 is the model's version. Reading neither unpickles
nor writes anything, so an archive from a stranger can do no harm.
"""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from components.shared.config import Section, explain
from components.shared.errors import UserError
from components.shared.files import written_aside
from components.shared.predictions import ModelIdentity
from components.shared.task import Axis, Task

CARD: Final = "model.json"
WEIGHTS: Final = "weights.safetensors"
README: Final = "README.md"

# More than any model here has; bounds what a damaged or hostile archive may unpack to.
_MOST_BYTES: Final = {CARD: 16 << 20, WEIGHTS: 4 << 30, README: 16 << 20}


class ModelCard(Section):
    """What a model is: enough to build, run and judge it."""

    version: Literal["1"] = "1"
    name: str
    task: Task
    classes: tuple[str, ...]
    outputs: int
    image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    nms_threshold: float
    min_score: float
    max_detections: int
    mirrored: tuple[Axis, ...] = ()  # answers are averaged over mirror images along these
    metrics: dict[str, float]  # on the validation images, at the epoch that was kept
    epoch: int  # 1 is the first
    seed: int
    settings: dict[str, Any]  # of the train section
    data: dict[str, Any]  # fingerprint and number of images by split
    libraries: dict[str, str]


@dataclass(frozen=True)
class Archive:
    """A model archive's content.

    Attributes:
        card: what the model is.
        weights: its state dictionary.
        sha256: of the archive file.
    """

    card: ModelCard
    weights: dict[str, Tensor]
    sha256: str

    @property
    def identity(self) -> ModelIdentity:
        """Which model it is, for a predictions table."""
        return ModelIdentity(self.card.name, self.sha256, self.card.task, self.card.classes)


def write_archive(path: Path, card: ModelCard, weights: Mapping[str, Tensor], readme: str) -> str:
    """Write a model archive, whole or not at all; return its SHA-256."""
    contiguous = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    files = {
        README: readme.encode(),
        CARD: card.model_dump_json(indent=2).encode(),
        WEIGHTS: safetensors.torch.save(contiguous),
    }
    packed = io.BytesIO()
    # Weights hardly compress: a low level is as small and several times faster.
    with (
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)  # no time, no owner: equal models, equal bytes
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    with written_aside(path) as aside:
        aside.write_bytes(packed.getbuffer())
    return hashlib.sha256(packed.getbuffer()).hexdigest()


def read_archive(path: Path) -> Archive:
    """Read a model archive.

    Raises:
        UserError: if the file is missing, damaged, or not such an archive.
    """
    files = _read_files(path)
    try:
        card = ModelCard.model_validate_json(files[CARD])
        weights = safetensors.torch.load(files[WEIGHTS])
    except ValidationError as error:
        raise _no_archive(path, f"{CARD}: {explain(error, ModelCard)}") from None
    except SafetensorError as error:
        raise _no_archive(path, f"{WEIGHTS}: {error}") from None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Archive(card, weights, digest)


def _read_files(path: Path) -> dict[str, bytes]:
    """Return the archive's known files; others are passed over."""
    files = {}
    try:
        with gzip.open(path) as unzipped, tarfile.open(fileobj=unzipped, mode="r:") as tar:
            for member in tar:
                if member.name not in _MOST_BYTES or not member.isfile():
                    continue
                if member.size > _MOST_BYTES[member.name]:
                    raise _no_archive(path, f"{member.name} has {member.size:,} bytes")
                content = tar.extractfile(member)
                files[member.name] = content.read() if content else b""
            while unzipped.read(1 << 20):  # on to gzip's checksum, which tar stops short of
                pass
    except FileNotFoundError:
        raise UserError(f"{path}: no such model archive; run train first") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise _no_archive(path, str(error)) from None
    missing = [name for name in (CARD, WEIGHTS) if name not in files]
    if missing:
        raise _no_archive(path, f"{missing[0]} is missing")
    return files


def _no_archive(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: not a whole model archive ({reason}); run train again")
