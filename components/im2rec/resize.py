"""Resizing encoded images with OpenCV."""

import cv2
import numpy as np

from components.shared.errors import UserError


def resize_images(
    images: list[tuple[str, bytes]], edge: int, quality: int
) -> list[tuple[str, bytes]]:
    """Return each `(image_id, bytes)` with the bytes resized; see `resize_shorter_edge`."""
    cv2.setNumThreads(1)  # processes share the cores already
    return [(name, resize_shorter_edge(data, edge, quality, name)) for name, data in images]


def resize_shorter_edge(data: bytes, edge: int, quality: int, name: str) -> bytes:
    """Return the image as JPEG, its shorter edge at most `edge` pixels.

    EXIF orientation is applied, since JPEG written here carries none. A smaller image keeps its
    size: enlarging adds bytes and no detail.

    Args:
        data: encoded image bytes.
        edge: pixels.
        quality: JPEG quality, 1 to 100.
        name: of the image, for errors.

    Raises:
        UserError: if OpenCV cannot decode the image.
    """
    # OpenCV raises its own error at no bytes, and returns None at bytes that are no image.
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if pixels is None:
        raise UserError(f"image '{name}': OpenCV cannot decode it; run ingest again")
    height, width = pixels.shape[:2]
    scale = edge / min(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise UserError(f"image '{name}': OpenCV cannot encode it as JPEG")
    return encoded.tobytes()
