"""Encoded images: what they are, whether they decode, and their RGB pixels.

Everything that looks at pixels opens them here, so all steps agree on three things: EXIF
orientation is applied, every mode becomes 8-bit RGB, and the size is checked in the header
before a pixel is decoded.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image, UnidentifiedImageError

MAX_PIXELS: Final = 100_000_000
PILLOW_LIMIT: Final = 178_956_970  # above it Pillow refuses by itself, as a decompression bomb

# Pillow warns from half its limit on. The limit passed to each function here decides instead.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_ORIENTATION: Final = 0x0112  # EXIF tag 274
_SIDEWAYS: Final = (5, 6, 7, 8)  # orientations that swap width and height
_UNTOUCHED: Final = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png"}
_ANIMATED: Final = frozenset({"GIF", "PNG", "WEBP", "AVIF"})
# Pillow knows some thirty more. One of them (EPS) starts Ghostscript on what it is given, and
# none of the others holds photographs.
_FORMATS: Final = (
    "JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"
)  # fmt: skip
# Each scan of a progressive JPEG may cover all its pixels: a small file can take hours.
MAX_SCANS: Final = 200  # encoders write about ten
JPEG: Final = b"\xff\xd8\xff"  # the first bytes of every such file
_START_OF_SCAN: Final = b"\xff\xda"
_TURNED: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class UnreadableImageError(Exception):
    """An image that cannot be used; the message says why."""


@dataclass(frozen=True)
class ImageFacts:
    """What an encoded image is.

    Attributes:
        width: pixels, EXIF orientation applied.
        height: pixels, EXIF orientation applied.
        format: `jpeg`, `png`, or Pillow's name of another format in lower case; of an
            animation, which is its first frame here, `gif (first frame)` and the like.
        orientation: EXIF orientation, 1 (upright) to 8.
        stored_size: width and height as stored, before the orientation is applied.
    """

    width: int
    height: int
    format: str
    orientation: int
    stored_size: tuple[int, int]

    @property
    def passes_through(self) -> bool:
        """Whether every reader of the project takes these bytes as they are."""
        return self.format in _UNTOUCHED.values()


def inspect_image(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Return what an encoded image is, after decoding it once to see that it does decode.

    Args:
        data: the encoded image: JPEG, PNG, BMP, GIF, TIFF, WebP, PPM, JPEG 2000 or AVIF.
        max_pixels: width times height above which it is refused, before decoding.

    Raises:
        UnreadableImageError: if it is not an image, does not decode to the end, has several
            pages, has too many pixels, or has pixels without an agreed range.
    """
    image = _open(data, max_pixels)
    orientation = _orientation(image)
    stored = image.size
    width, height = stored[::-1] if orientation in _SIDEWAYS else stored
    name = _UNTOUCHED.get(image.format or "", (image.format or "").lower())
    if _is_animated(image):
        name += " (first frame)"
    # A JPEG's entropy-coded data is read to its end at any scale, so the smallest one shows
    # truncation as well as the full one, several times faster.
    with _decoding():
        image.draft("L", (1, 1))
        image.load()
    _check_range(image)
    return ImageFacts(width, height, name, orientation, stored)


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image to 8-bit RGB, EXIF orientation applied.

    16-bit grayscale is scaled to 8 bits; alpha is dropped, as the decoders of OpenCV and
    torchvision do.

    Raises:
        UnreadableImageError: as `inspect_image`.
    """
    return _decoded(_open(data, max_pixels), "RGB")


def encode_png(image: Image.Image) -> bytes:
    """Encode as PNG, without metadata."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def open_reduced(data: bytes, edge: int, mode: Literal["RGB", "L"] = "RGB") -> Image.Image:
    """Decode a small version of an image, EXIF orientation applied.

    A JPEG is decoded at the smallest of its own scales (halves, quarters, eighths) at which both
    sides have `edge` pixels, several times faster than the whole; other images come as they are.
    The size in the header may be as large as Pillow allows: ingest has judged it.

    Raises:
        UnreadableImageError: as `inspect_image`.
    """
    image = _open(data, PILLOW_LIMIT)
    with _decoding():
        image.draft(mode, (edge, edge))
    return _decoded(image, mode)


def encode_thumbnail(data: bytes, edge: int = 200) -> bytes | None:
    """Return a JPEG of at most `edge` pixels either way of an encoded image, if it decodes."""
    try:
        small = open_reduced(data, edge)
    except UnreadableImageError:
        return None
    small.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG")
    return buffer.getvalue()


def _open(data: bytes, max_pixels: int) -> Image.Image:
    """Read the header and refuse what no pixel needs to be decoded for."""
    if not data:
        raise UnreadableImageError("the file is empty")
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError:
        raise UnreadableImageError(_what_else(data)) from None
    except Image.DecompressionBombError:
        raise UnreadableImageError(f"has more than {PILLOW_LIMIT:,} pixels") from None
    except Exception as error:
        raise UnreadableImageError(f"cannot be decoded: {error}") from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise UnreadableImageError(
            f"has {pixels:,} pixels ({image.width}x{image.height}); the limit is {max_pixels:,}"
        )
    check_scans(data)
    # The pages of a TIFF are as many images; of an animation the first frame stands for all. A
    # phone's multi-picture JPEG (MPO) holds the photo first, then previews or depth.
    with _decoding():
        if image.format == "TIFF" and getattr(image, "is_animated", False):
            raise UnreadableImageError("has several pages; one is expected")
    return image


def check_scans(data: bytes) -> None:
    """Refuse a JPEG that takes hours to decode, whichever decoder it is for.

    Raises:
        UnreadableImageError: if it has more scans than any encoder writes.
    """
    scans = data.count(_START_OF_SCAN) if data.startswith(JPEG) else 0
    if scans > MAX_SCANS:
        raise UnreadableImageError(f"has {scans:,} scans; the limit is {MAX_SCANS}")


def _what_else(data: bytes) -> str:
    """Say what a file is that is no image."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image that can be read: it is a web page, an error message perhaps"
    if start.startswith((b"<?xml", b"<svg")):
        return "not an image that can be read: it is XML or SVG"
    if start.startswith((b"%!ps", b"%pdf")):
        return "not an image that can be read: it is a PostScript or PDF document"
    return "not an image that can be read"


def _decoded(image: Image.Image, mode: Literal["RGB", "L"]) -> Image.Image:
    """Decode an opened image: upright, 8-bit, of the mode."""
    with _decoding():
        image.load()
    _check_range(image)
    with _decoding():
        turned = _TURNED.get(_orientation(image))
        upright = image if turned is None else image.transpose(turned)
        if mode == "RGB":
            return _to_rgb(upright)
        return upright if upright.mode == "L" else _to_rgb(upright).convert("L")


def _is_animated(image: Image.Image) -> bool:
    return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; 1 where there is none, or metadata that cannot be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata make Pillow raise almost anything
        return 1
    is_known = isinstance(orientation, int) and orientation in range(1, 9)
    return orientation if is_known else 1


@contextmanager
def _decoding() -> Iterator[None]:
    """Whatever a damaged file makes Pillow raise becomes the reason to set it aside."""
    try:
        yield
    except UnreadableImageError:
        raise
    except Exception as error:
        text = str(error) or type(error).__name__
        raise UnreadableImageError(f"cannot be decoded: {text}") from error


def _check_range(image: Image.Image) -> None:
    """Refuse pixels that are not 8-bit or 16-bit: nothing says what is black and white."""
    if image.mode == "F":
        raise UnreadableImageError("has floating-point pixels; their range is not known")
    if image.mode == "I":
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]  # numbers in a one-band mode
            raise UnreadableImageError("has 32-bit pixels; their range is not known")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits at 255 instead of scaling them.
        image = image.convert("I").point(lambda value: value * (1 / 257) + 0.5).convert("L")
    return image.convert("RGB")
