"""Resizing encoded images with OpenCV."""

from dataclasses import dataclass

import cv2
import numpy as np

from components.shared.errors import UserError

# libjpeg decodes straight to a fraction of the size, from fewer coefficients of each block.
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded image, and what the image table says of it.

    Attributes:
        image_id: names it in errors.
        data: the encoded bytes.
        format: `jpeg` or `png`.
        shorter_edge: pixels.
    """

    image_id: str
    data: bytes
    format: str
    shorter_edge: int


def resize_images(images: list[Encoded], edge: int, quality: int) -> list[tuple[str, bytes]]:
    """Return `(image_id, JPEG bytes)` of each image; see `resize_shorter_edge`."""
    cv2.setNumThreads(1)  # processes share the cores already
    return [(image.image_id, resize_shorter_edge(image, edge, quality)) for image in images]


def resize_shorter_edge(image: Encoded, edge: int, quality: int) -> bytes:
    """Return the image as JPEG, its shorter edge at most `edge` pixels.

    EXIF orientation is applied, since JPEG written here carries none. A smaller image keeps its
    size: enlarging adds bytes and no detail. A much larger JPEG is decoded at a half, a quarter
    or an eighth of its size, never below `edge`: twice as fast, for a change of pixel values
    below JPEG's own loss.

    Args:
        image: the encoded image.
        edge: pixels.
        quality: JPEG quality, 1 to 100.

    Raises:
        UserError: if OpenCV cannot decode the image, or it is smaller than the table says.
    """
    reduction = _reduction(image, edge)
    # OpenCV raises its own error at no bytes, and returns None at bytes that are no image.
    encoded = np.frombuffer(image.data, np.uint8)
    pixels = cv2.imdecode(encoded, _REDUCED[reduction]) if image.data else None
    if pixels is None:
        raise UserError(f"image '{image.image_id}': OpenCV cannot decode it; run ingest again")
    height, width = pixels.shape[:2]
    scale = edge / min(height, width)
    if reduction > 1 and scale > 1:
        raise UserError(
            f"image '{image.image_id}': smaller than the {image.shorter_edge} pixels that the "
            "image table says its shorter edge has; run ingest again"
        )
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, resized = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UserError(f"image '{image.image_id}': OpenCV cannot encode it as JPEG")
    return resized.tobytes()


def _reduction(image: Encoded, edge: int) -> int:
    """Return the largest fraction to decode at that leaves `edge` pixels."""
    if image.format != "jpeg":  # others are decoded whole, and then shrunk with less care
        return 1
    return max(factor for factor in _REDUCED if factor == 1 or image.shorter_edge // factor >= edge)
