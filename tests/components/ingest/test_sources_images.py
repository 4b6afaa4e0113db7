"""Hostile and unusual images through the whole step: used, or listed with the reason."""

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.shared.images_io import open_image

SIZE = (48, 32)


def _ramp(mode: str = "RGB") -> Image.Image:
    """Dark on the left, bright on the right."""
    ramp = np.tile(np.linspace(0, 255, SIZE[0]).astype(np.uint8), (SIZE[1], 1))
    return Image.fromarray(ramp).convert(mode)


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return _encode(_ramp(), "JPEG", exif=exif)


def _animation(kind: str) -> bytes:
    second = _ramp().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _encode(_ramp(), kind, save_all=True, append_images=[second])


def _deep(kind: str) -> bytes:
    return _encode(Image.fromarray(np.asarray(_ramp("L"), np.uint16) * 257), kind)


def _deep_rgb() -> bytes:
    """A PNG of three times 16 bits, which Pillow cannot write."""
    pixels = np.repeat((np.asarray(_ramp("L"), np.uint16) * 257).astype(">u2")[..., None], 3, 2)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", *SIZE, 16, 2, 0, 0, 0),
        b"IDAT": zlib.compress(rows), b"IEND": b"",
    }  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks.items()
    )


# File name, bytes, how the table calls its format, what it was converted from.
USED: dict[str, tuple[bytes, str, str]] = {
    "cmyk.jpg": (_encode(_ramp("CMYK"), "JPEG"), "jpeg", ""),
    "gray.jpg": (_encode(_ramp("L"), "JPEG"), "jpeg", ""),
    "deep-gray.png": (_deep("PNG"), "png", ""),
    "deep-rgb.png": (_deep_rgb(), "png", ""),
    "palette.png": (_encode(_ramp("P"), "PNG"), "png", ""),
    "palette-transparent.png": (_encode(_ramp("P"), "PNG", transparency=3), "png", ""),
    "alpha.png": (_encode(_ramp("RGBA"), "PNG"), "png", ""),
    "really-a-png.jpg": (_encode(_ramp(), "PNG"), "png", ""),
    "really-a-jpeg.png": (_encode(_ramp(), "JPEG"), "jpeg", ""),
    "really-a-bmp.jpg": (_encode(_ramp(), "BMP"), "png", "bmp"),
    "still.gif": (_encode(_ramp(), "GIF"), "png", "gif"),
    "moving.gif": (_animation("GIF"), "png", "gif (first frame)"),
    "moving.webp": (_animation("WEBP"), "png", "webp (first frame)"),
    "moving.png": (_animation("PNG"), "png", "png (first frame)"),
    "deep.tiff": (_deep("TIFF"), "png", "tiff"),
    "rotated.jpg": (_rotated(), "jpeg", ""),
}

_WHOLE = _encode(_ramp(), "JPEG")
_PNG = _encode(Image.new("L", (30_000, 30_000)), "PNG")[:100]
REJECTED: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "the file is empty"),
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", "it is a web page"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is XML or SVG"),
    "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it is a PostScript or PDF document"),
    "noise.jpg": (bytes(range(256)), "not an image"),
    "cut.jpg": (_WHOLE[: len(_WHOLE) // 2], "cannot be decoded"),
    "cut.png": (_encode(_ramp(), "PNG")[:80], "cannot be decoded"),
    "header-only.jpg": (_WHOLE[:2], "not an image"),
    "many-pixels.png": (_encode(Image.new("1", (11_000, 10_000)), "PNG"), "has 110,000,000 pixels"),
    "too-many-for-pillow.png": (_PNG, "more than 178,956,970 pixels"),
    "said-to-be-65535.jpg": (
        _WHOLE.replace(b"\x00\x20\x00\x30", b"\xff\xff\xff\xff", 1), "more than 178,956,970 pixels"
    ),
    "pages.tiff": (_animation("TIFF"), "several pages"),
    "floats.tiff": (_encode(_ramp("F"), "TIFF"), "floating-point"),
    "archive.jpg": (b"PK\x03\x04" + bytes(100), "not an image"),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_every_unusual_image(packed: bool, tmp_path: Path, write: Any, run: Any) -> None:
    files = {f"ramp/{name}": data for name, (data, *_) in (USED | REJECTED).items()}
    uri = write(files)
    if packed:
        uri = tmp_path / "images.zip"
        with zipfile.ZipFile(uri, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    got = run("classify", format="folders", uri=str(uri))
    rows = {Path(row["source"]).name: row for row in got.rows.values()}
    assert rows.keys() == USED.keys()
    assert {Path(path).name for path in got.rejected} == REJECTED.keys()
    for name, (_, reason) in REJECTED.items():
        assert reason in got.rejected[f"ramp/{name}"], name
    images = got.images()
    for name, (data, kind, origin) in USED.items():
        row = rows[name]
        assert (row["format"], row["attributes"].get("converted_from", "")) == (kind, origin), name
        stored = images[row["image_id"]]
        assert (stored == data) == (not origin), name
        image = open_image(stored)
        assert image.size == (row["width"], row["height"]), name
        pixels = np.asarray(image, np.float64)[..., 0]
        along = pixels.mean(1) if name == "rotated.jpg" else pixels.mean(0)
        assert np.abs(along - np.linspace(0, 255, along.size)).max() < 8, name
    assert (rows["rotated.jpg"]["width"], rows["rotated.jpg"]["height"]) == SIZE[::-1]
