"""Fuzzing: whatever bytes a source holds, the step ends with a table or with a clear error.

Real small files are damaged in every way that a text or a binary format may be, and given to
the parsers through the step itself. Nothing but `UserError` comes out, no example takes more
than seconds, and none takes much memory.
"""

import csv
import io
import json
import pickle
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from components.ingest.config import IngestSection
from components.ingest.formats.plain_pickle import PickleError, read_plain_pickle
from components.ingest.ingest import ingest
from components.ingest.sources.base import read_each
from components.ingest.sources.locate import open_source
from components.shared.errors import UserError
from components.shared.images_io import UnreadableImageError, inspect_image, open_image

MOST_MEMORY = 64 << 20  # bytes; what the examples hold is a thousandth

bounded = settings(
    max_examples=80,
    deadline=10_000,  # milliseconds for one example, on a busy machine
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
many = settings(bounded, max_examples=400)


@contextmanager
def _little_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


# How to damage


@st.composite
def damaged(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Draw one of some files with bytes changed, cut out, doubled, or put in from elsewhere."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 512]))
        match draw(st.sampled_from(["set", "flip", "cut", "double", "insert", "end"])):
            case "set":
                value = draw(st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFF, 0x39]))
                data[at : at + length] = bytes([value]) * len(data[at : at + length])
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at : at + length]
            case "double":
                data[at:at] = data[at : at + length]
            case "insert":
                data[at:at] = draw(st.binary(max_size=16))
            case "end":
                del data[at:]
    return bytes(data)


SCALARS: Any = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "nan", "1e999", "-1", "a/../../b", "\0", "é", "1", 1, 0, -1, 10**400])
)  # fmt: skip
JSON: Any = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn, content: Any) -> Any:
    """Draw a JSON document with some of its values replaced, dropped or repeated."""
    if draw(st.integers(0, 7)) == 0:
        return draw(JSON)
    if isinstance(content, dict):
        kept = {key: draw(mutated(value)) for key, value in content.items()
                if draw(st.integers(0, 15))}  # fmt: skip
        return kept | (draw(st.dictionaries(st.text(max_size=5), JSON, max_size=1)))
    if isinstance(content, list):
        items = [draw(mutated(value)) for value in content]
        return items * draw(st.sampled_from([1, 1, 1, 2]))
    return content


def _picture(kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


PICTURE = _picture()


def _ingest(task: Any, name: str, files: dict[str, bytes], **more: Any) -> None:
    """Run the step on a folder of these files; a `UserError` is an answer too."""
    with TemporaryDirectory() as scratch:
        folder, out = Path(scratch, "in"), Path(scratch, "out")
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        _ingest_uri(task, name, folder, out, **more)


def _ingest_uri(task: Any, name: str, uri: Path, out: Path, **more: Any) -> None:
    section = IngestSection(**{"format": name, "uri": str(uri), "workers": 1, **more})
    try:
        ingest(section, task, 0, out / "images", out / "table.parquet", out / "rejected.parquet")
    except UserError as error:
        assert str(error)  # noqa: PT017 -- an answer, not what is tested


# Archives


def _archives() -> dict[str, list[bytes]]:
    files = {
        "cat/1.jpg": PICTURE,
        "dog/" + "x" * 80 + "/" + "y" * 80 + ".jpg": PICTURE,
        "dog/é.png": b"x" * 700,
    }
    zips: list[bytes] = []
    tars: list[bytes] = []
    packed: list[bytes] = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in files.items():
                with archive.open(name, "w", force_zip64=method == zipfile.ZIP_STORED) as out:
                    out.write(data)
        zips.append(buffer.getvalue())
    kinds = [(form, "") for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    kinds += [(tarfile.PAX_FORMAT, mode) for mode in (":gz", ":bz2", ":xz")]
    for form, mode in kinds:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=f"w{mode}", format=form) as tar:  # type: ignore[call-overload]
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
                tar.addfile(info, io.BytesIO(data))
        (packed if mode else tars).append(buffer.getvalue())
    return {"zip": zips, "tar": tars, "packed": packed}


ARCHIVES = _archives()


def _with_checksums(data: bytes) -> bytes:
    """Make the checksum of every tar header right again: damage that gets past it is found."""
    blocks = bytearray(data)
    for at in range(0, len(blocks) - 511, 512):
        if blocks[at + 257 : at + 262] == b"ustar":
            blocks[at + 148 : at + 156] = b" " * 8
            blocks[at + 148 : at + 156] = b"%06o\0 " % sum(blocks[at : at + 512])
    return bytes(blocks)


@pytest.mark.parametrize("kind", ["zip", "tar", "packed"])
def test_archives(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"

    @many
    @given(data=damaged(ARCHIVES[kind]), mend=st.booleans())
    def check(data: bytes, mend: bool) -> None:
        path.write_bytes(_with_checksums(data) if mend else data)
        with _little_memory():
            try:
                with open_source(IngestSection(format="folders", uri=str(path))) as source:
                    members = list(source.members())
                    read_each(source.read_many, [member.path for member in members])
            except UserError as error:
                assert str(path) in str(error)  # noqa: PT017

    check()


@bounded
@given(data=damaged([archive for kind in ARCHIVES.values() for archive in kind]))
def test_archives_through_the_step(data: bytes) -> None:
    with TemporaryDirectory() as scratch, _little_memory():
        Path(scratch, "archive").write_bytes(data)
        _ingest_uri("classify", "folders", Path(scratch, "archive"), Path(scratch, "out"))


# Pickles


PICKLES = [
    pickle.dumps(
        {
            b"data": np.arange(12, dtype=np.uint8).reshape(2, 6), b"fine_labels": [0, 1],
            b"filenames": ["a", b"b"], "n": (1, 2.5, None, True, -1, 2**70, [{}]),
        },
        protocol=protocol,
    )
    for protocol in range(5)
]  # fmt: skip


@many
@given(data=damaged(PICKLES) | st.binary(max_size=64))
def test_pickles(data: bytes) -> None:
    with _little_memory():
        try:
            read_plain_pickle(data)
        except PickleError as error:
            assert str(error)  # noqa: PT017


@bounded
@given(changes=mutated({"data": None, "fine_labels": [0, 1], "filenames": ["a", "b"]}),
       names=mutated(["bicycle", "bus"]))  # fmt: skip
def test_cifar_archives(changes: Any, names: Any) -> None:
    whole = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, 1], "filenames": ["a", "b"]}
    if isinstance(changes, dict):
        changes = whole | {key: value for key, value in changes.items() if value is not None}
    files = {"meta": {"fine_label_names": names}, "train": changes, "test": whole}
    _ingest("classify", "cifar", {name: pickle.dumps(data, 2) for name, data in files.items()})


# Images


def _image_seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "text"
    seeds = [_picture("JPEG", exif=exif), _picture("PNG", exif=exif)]
    seeds.append(_picture("JPEG", progressive=True))
    seeds += [_picture(kind) for kind in ("BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")]
    seeds.append(_picture("TIFF", compression="tiff_lzw"))
    frame = Image.new("P", (16, 12))
    for kind in ("GIF", "PNG", "WEBP"):
        seeds.append(_picture(kind, save_all=True, append_images=[frame.convert("RGB")]))
    return seeds


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of what it finds
@many
@given(data=damaged(_image_seeds()) | st.binary(max_size=64))
def test_images(data: bytes) -> None:
    with _little_memory():
        try:
            facts = inspect_image(data, max_pixels=1_000_000)
        except UnreadableImageError as error:
            assert str(error)  # noqa: PT017
            return
        if facts.passes_through:  # other steps open it, and count on it
            assert open_image(data, max_pixels=1_000_000).size == (facts.width, facts.height)


# Annotations


VOC = b"""<?xml version="1.0"?><annotation><filename>1.jpg</filename>
<size><width>16</width><height>12</height><depth>3</depth></size>
<object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>
<difficult>0</difficult></object></annotation>"""
VALUES = ["", "nan", "-inf", "1e999", "-3", "9" * 400, "&#0;", "<x/>", "\u0663", "1_0", " 4 "]
ENTITIES = b'<!DOCTYPE annotation [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@bounded
@given(
    data=damaged([VOC, VOC.replace(b'"?>', b'" encoding="utf-16"?>'), ENTITIES + VOC[21:]])
    | st.tuples(st.sampled_from([b">16<", b">1<", b">9<", b">cat<"]), st.sampled_from(VALUES)).map(
        lambda pair: VOC.replace(pair[0], b">" + pair[1].encode() + b"<")
    ),
    task=st.sampled_from(["detect", "count", "classify"]),
)
def test_voc(data: bytes, task: str) -> None:
    files = {"JPEGImages/1.jpg": PICTURE, "Annotations/1.xml": data,
             "ImageSets/Main/train.txt": data[:40]}  # fmt: skip
    _ingest(task, "voc", files)


COCO = {
    "images": [{"id": 1, "file_name": "1.jpg", "width": 16, "height": 12}],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 3, "bbox": [1, 2, 5, 6], "iscrowd": 0}],
    "categories": [{"id": 3, "name": "cat"}],
}


@bounded
@given(
    content=mutated(COCO).map(lambda content: json.dumps(content).encode())
    | damaged([json.dumps(COCO).encode()]),
    task=st.sampled_from(["detect", "count", "classify"]),
)
def test_coco(content: bytes, task: str) -> None:
    _ingest(task, "coco", {"1.jpg": PICTURE, "annotations/instances_x.json": content})


BIN = {"BIN_FCSKU_DATA": {"B1": {"quantity": 2, "name": "x"}}, "EXPECTED_QUANTITY": 2}


@bounded
@given(
    content=mutated(BIN).map(lambda content: json.dumps(content).encode())
    | damaged([json.dumps(BIN).encode()])
)
def test_bins(content: bytes) -> None:
    _ingest("count", "bins", {"bin-images/1.jpg": PICTURE, "metadata/1.json": content})


HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"
ROWS = f"{HEADER}\n1,xclick,/m/1,1,0.1,0.5,0.2,0.6,0,0,0\n1,xclick,/m/1,1,0.3,0.4,0.1,0.9,0,0,1\n"
CLASSES = b"/m/1,Cat\n/m/2,Dog\n"


def _csv(cells: list[Any]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return (ROWS + buffer.getvalue()).encode("utf-8", "surrogatepass")


@bounded
@given(
    labels=damaged([ROWS.encode()]) | st.lists(SCALARS, min_size=9, max_size=13).map(_csv),
    classes=st.just(CLASSES) | damaged([CLASSES]),
    task=st.sampled_from(["detect", "count", "classify"]),
)
def test_open_images(labels: bytes, classes: bytes, task: str) -> None:
    files = {"train/data/1.jpg": PICTURE, "train/labels/detections.csv": labels,
             "train/metadata/classes.csv": classes}  # fmt: skip
    _ingest(task, "openimages", files)


# Id lists


@bounded
@given(
    data=damaged([b"# list\n1\n2\n", b'"1"\n', b"id,other\n1,2\n"]),
    name=st.sampled_from(["ids.txt", "ids.csv", "ids.parquet"]),
)
def test_id_lists(data: bytes, name: str) -> None:
    with TemporaryDirectory() as scratch:
        (Path(scratch) / name).write_bytes(data)
        files = {"bin-images/1.jpg": PICTURE, "metadata/1.json": json.dumps(BIN).encode()}
        _ingest("count", "bins", files, ids=str(Path(scratch) / name))
