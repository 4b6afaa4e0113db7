"""Pictures for reports: thumbnails, and boxes drawn on images."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageColor, ImageDraw, ImageFont

_DARK = "#181818"
_DASH = 3  # a dash's and a gap's length, in line widths
# Longer edge in pixels and WebP quality, tried in turn until a picture is light enough.
_LADDER = ((480, 78), (400, 65), (320, 55), (240, 45), (160, 35))


@dataclass(frozen=True)
class DrawnBox:
    """A box to draw.

    Attributes:
        xmin, ymin, xmax, ymax: normalized to [0, 1], as in the image table.
        label: written at the box's upper left corner; empty for none.
        color: any colour Pillow knows.
        dashed: tells two sets of boxes apart without relying on colour.
    """

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    label: str = ""
    color: str = "#2dd4bf"
    dashed: bool = False


def thumbnail(image: Image.Image, edge: int) -> Image.Image:
    """Return an RGB copy whose longer edge is at most `edge` pixels; never enlarged."""
    copy = image.convert("RGB")
    copy.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return copy


def draw_boxes(image: Image.Image, boxes: Sequence[DrawnBox], edge: int = 480) -> Image.Image:
    """Return a thumbnail with boxes drawn on it; lines keep their width at any image size.

    Args:
        image: the original; unchanged.
        boxes: drawn in order, so the last lies on top.
        edge: the longer edge of the result in pixels, at most.
    """
    result = thumbnail(image, edge)
    draw = ImageDraw.Draw(result)
    width = max(2, round(max(result.size) / 110))
    font = ImageFont.load_default(size=max(10, round(max(result.size) / 26)))
    for box in boxes:
        at = _pixels(box, result.size)
        _casing(draw, at)
        _outline(draw, at, box, width)
    for box in boxes:  # after all outlines: a label is never struck through
        if box.label:
            _label(draw, _pixels(box, result.size), box, font, result.size)
    return result


def data_uri(image: Image.Image, limit: int) -> str:
    """Return the image as a WebP data URI of at most `limit` characters, as good as that allows.

    The smallest size that is still of use is never gone under, whatever the limit.
    """
    uri = ""
    for edge, quality in _LADDER:
        buffer = io.BytesIO()
        image = thumbnail(image, edge)
        image.save(buffer, "WEBP", quality=quality, method=4)
        uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
        if len(uri) <= limit:
            break
    return uri


def _pixels(box: DrawnBox, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the first and last pixel inside the half-open box, kept within the image."""
    (width, height) = size
    left = min(max(round(box.xmin * width), 0), width - 1)
    top = min(max(round(box.ymin * height), 0), height - 1)
    right = min(max(round(box.xmax * width) - 1, left), width - 1)
    bottom = min(max(round(box.ymax * height) - 1, top), height - 1)
    return left, top, right, bottom


def _casing(draw: ImageDraw.ImageDraw, at: tuple[int, int, int, int]) -> None:
    """Draw a dark line around an outline: no colour is seen on every background."""
    left, top, right, bottom = at
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_DARK)


def _outline(
    draw: ImageDraw.ImageDraw, at: tuple[int, int, int, int], box: DrawnBox, width: int
) -> None:
    left, top, right, bottom = at
    if min(right - left, bottom - top) < 2 * width:  # too small for an outline
        draw.rectangle(at, fill=box.color)
        return
    if not box.dashed:
        draw.rectangle(at, outline=box.color, width=width)
        return
    step = _DASH * width
    for x in range(left, right + 1, 2 * step):
        end = min(x + step, right)
        draw.rectangle((x, top, end, min(top + width - 1, bottom)), fill=box.color)
        draw.rectangle((x, max(bottom - width + 1, top), end, bottom), fill=box.color)
    for y in range(top, bottom + 1, 2 * step):
        end = min(y + step, bottom)
        draw.rectangle((left, y, min(left + width - 1, right), end), fill=box.color)
        draw.rectangle((max(right - width + 1, left), y, right, end), fill=box.color)


def _label(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int, int, int],
    box: DrawnBox,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """Write the label above the box, or inside it where the image ends."""
    left, top, _, _ = at
    x0, y0, x1, y1 = draw.textbbox((0, 0), box.label, font=font)
    width, height = round(x1 - x0) + 6, round(y1 - y0) + 5
    x = max(min(left, size[0] - width), 0)
    y = top - height if top >= height else top
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=box.color)
    draw.text((x + 3 - x0, y + 2 - y0), box.label, fill=_ink(box.color), font=font)


def _ink(color: str) -> str:
    """Black or white, whichever is read better on `color` (relative luminance, Rec. 709)."""
    red, green, blue = ImageColor.getrgb(color)[:3]
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128 else "white"
