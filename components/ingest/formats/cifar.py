"""The CIFAR-100 python archive (https://www.cs.toronto.edu/~kriz/cifar.html).

Pickles of NumPy arrays: `meta` with the class names, `train` and `test` with 3,072 bytes an
image: 1,024 red, 1,024 green, 1,024 blue, each row by row.
"""

import io
import pickle
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct
from PIL import Image

from components.ingest.formats.base import Scan
from components.ingest.records import Record
from components.ingest.sources.base import Source, read
from components.shared.errors import UserError
from components.shared.images_io import encode_png
from components.shared.task import Task

EDGE = 32
PLANES = 3 * EDGE * EDGE
SPLITS = ("train", "test")


def _bytes_of(text: str = "", encoding: str = "latin1") -> bytes:
    """Stand in for `_codecs.encode` and `bytes`, with which protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it would make bytes of something else than text")
    return text.encode("latin1")


def _empty_array(kind: type, shape: tuple[int, ...], dtype: bytes) -> Any:
    """Stand in for NumPy's `_reconstruct`; a pickle fills the array afterwards."""
    if kind is not np.ndarray or shape != (0,):
        raise pickle.UnpicklingError("it would make an array of a strange kind")
    return _reconstruct(kind, shape, dtype)


# What a pickle of arrays may ask for, under the names of Python 2 and 3, NumPy 1 and 2.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("_codecs", "encode"): _bytes_of,
    ("__builtin__", "bytes"): _bytes_of,
    ("builtins", "bytes"): _bytes_of,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays, lists, dicts, text, bytes and numbers; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it would load {module}.{name}")
        return _ALLOWED[module, name]


def load_pickle(data: bytes, path: str) -> dict[str, Any]:
    """Read a dict of plain values and arrays from a pickle, without running code from it.

    Raises:
        UserError: if the pickle is damaged, or holds anything else.
    """
    try:
        found = _ArrayUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:
        raise UserError(
            f"{path}: not a pickle of arrays ({error}); download the archive again"
        ) from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: holds a {type(found).__name__}; a dict is expected")
    return {_text(key): value for key, value in found.items()}


class CifarFormat:
    """Tiny images with one class each."""

    tasks: tuple[Task, ...] = ("classify",)

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image of both splits."""
        roots = [folder for folder in scan.catalogue.folders() if _has_all(scan, folder)]
        if not roots:
            raise scan.missing("pickles 'meta', 'train' and 'test'")
        if len(roots) > 1:
            raise UserError(f"ingest.uri: {scan.section.uri}: CIFAR more than once: {roots}")
        path = _join(roots[0], "meta")
        names = [_text(name) for name in _field(scan, path, "fine_label_names")]
        for split in SPLITS:
            self._scan_split(scan, _join(roots[0], split), split, names)
        return names

    def _scan_split(self, scan: Scan, path: str, split: str, names: Sequence[str]) -> None:
        content = load_pickle(read(scan.source, path), path)
        missing = {"fine_labels", "data", "filenames"} - set(content)
        if missing:
            raise UserError(f"{path}: no {', '.join(sorted(missing))}; found {sorted(content)}")
        data, labels, files = content["data"], content["fine_labels"], content["filenames"]
        if (
            not isinstance(data, np.ndarray) or data.dtype != np.uint8
            or data.shape != (len(labels), PLANES) or len(files) != len(labels)
        ):  # fmt: skip
            raise UserError(
                f"{path}: data must be uint8 of {len(labels)} x {PLANES}, with as many filenames; "
                f"found {getattr(data, 'shape', type(data).__name__)} and {len(files)} filenames"
            )
        for row, (label, file) in enumerate(zip(labels, files, strict=True)):
            where = f"{path}#{row}"
            if not isinstance(label, int) or not 0 <= label < len(names):
                scan.catalogue.reject(where, f"label {label!r} is not one of {len(names)} classes")
                continue
            # The file's name begins with a word of its WordNet synset, which is not the class.
            name = PurePosixPath(_text(file))
            attributes = {"upstream_split": split, "filename": name.name}
            scan.catalogue.add(
                Record(f"{split}/{row:05d}", where, PLANES, label=names[label],
                       attributes=attributes, data=data[row].tobytes())
            )  # fmt: skip

    def load(self, source: Source, records: Sequence[Record]) -> Iterator[bytes]:  # noqa: ARG002
        """Yield each record's planes as a PNG."""
        for record in records:
            planes = np.frombuffer(record.data, np.uint8).reshape(3, EDGE, EDGE)
            pixels = np.ascontiguousarray(planes.transpose(1, 2, 0))
            yield encode_png(Image.fromarray(pixels))


def _has_all(scan: Scan, folder: str) -> bool:
    return all(scan.catalogue.file(_join(folder, name)) for name in ("meta", *SPLITS))


def _field(scan: Scan, path: str, name: str) -> Any:
    content = load_pickle(read(scan.source, path), path)
    if name not in content:
        raise UserError(f"{path}: no {name}; found {sorted(content)}")
    return content[name]


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
