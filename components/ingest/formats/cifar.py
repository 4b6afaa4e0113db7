"""The CIFAR-100 python archive (https://www.cs.toronto.edu/~kriz/cifar.html).

Pickles of NumPy arrays: `meta` with the class names, `train` and `test` with 3,072 bytes an
image: 1,024 red, 1,024 green, 1,024 blue, each row by row.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from components.ingest.formats.base import Scan
from components.ingest.formats.plain_pickle import PickleError, read_plain_pickle
from components.ingest.records import Record
from components.ingest.sources.base import Source, read
from components.shared.errors import UserError
from components.shared.images_io import encode_png

EDGE = 32
PLANES = 3 * EDGE * EDGE
SPLITS = ("train", "test")


def load_pickle(data: bytes, path: str) -> dict[str, Any]:
    """Read a dict of plain values and arrays from a pickle, without running code from it.

    Raises:
        UserError: if the pickle is damaged, or holds anything else.
    """
    try:
        found = read_plain_pickle(data)
    except PickleError as error:
        raise UserError(
            f"{path}: not a pickle of arrays ({error}); download the archive again"
        ) from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: holds a {type(found).__name__}; a dict is expected")
    return {_text(key): value for key, value in found.items()}


class CifarFormat:
    """Tiny images with one class each."""

    def scan(self, scan: Scan) -> Sequence[str]:
        """Add a record for each image of both splits."""
        roots = [folder for folder in scan.catalogue.folders() if _has_all(scan, folder)]
        if not roots:
            raise scan.missing("pickles 'meta', 'train' and 'test'")
        if len(roots) > 1:
            raise UserError(f"ingest.uri: {scan.section.uri}: CIFAR more than once: {roots}")
        path = _join(roots[0], "meta")
        names = _texts(_field(scan, path, "fine_label_names"), f"{path}: fine_label_names")
        for split in SPLITS:
            self._scan_split(scan, _join(roots[0], split), split, names)
        return names

    def _scan_split(self, scan: Scan, path: str, split: str, names: Sequence[str]) -> None:
        content = load_pickle(read(scan.source, path), path)
        missing = {"fine_labels", "data", "filenames"} - set(content)
        if missing:
            raise UserError(f"{path}: no {', '.join(sorted(missing))}; found {sorted(content)}")
        data, labels = content["data"], content["fine_labels"]
        files = _texts(content["filenames"], f"{path}: filenames")
        if not isinstance(labels, list):
            raise UserError(f"{path}: fine_labels must be a list, not {type(labels).__name__}")
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
                is_short = isinstance(label, int) and abs(label) < 2**63
                text = str(label) if is_short else f"of type {type(label).__name__}"
                scan.catalogue.reject(where, f"label {text} is not one of {len(names)} classes")
                continue
            # The file's name begins with a word of its WordNet synset, which is not the class.
            name = PurePosixPath(file)
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


def _texts(values: Any, where: str) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(one, str | bytes) for one in values):
        raise UserError(f"{where} must be a list of text; download the archive again")
    return [_text(one) for one in values]


def _text(value: str | bytes | int) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).encode("utf-8", "replace").decode()  # lone surrogates cannot be stored
