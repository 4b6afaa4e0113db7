"""From an HTTP request to the bytes of one image, or a reason why not."""

import asyncio
import base64
import binascii
import io
import json
from dataclasses import dataclass

from fastapi import Request
from PIL import Image, UnidentifiedImageError
from starlette.requests import ClientDisconnect

from components.shared.images_io import MAX_PIXELS, UnreadableImageError, check_scans

IMAGE_TYPES = ("image/jpeg", "image/png", "application/x-image")
JSON_TYPE = "application/json"

# So much of a body that is too large is read, and dropped, before the refusal is sent: a client
# that is still writing when the connection closes never gets to read why.
_DROPPED = 4


class RefusedError(Exception):
    """A request that cannot be answered: its HTTP status (4xx) and the reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What requests may cost.

    Attributes:
        body_bytes: largest body; SageMaker itself passes 25 MB on.
        pixels: most pixels (width times height) of an image.
        read_seconds: how long a client may take to send its body.
        waiting: most requests that wait for the model; further ones are refused at once, so that
            clients can go elsewhere.
        reading: most bodies that are read at a time; with `body_bytes` and `waiting` it bounds
            the memory.
    """

    body_bytes: int = 25 * 1024 * 1024
    pixels: int = MAX_PIXELS
    read_seconds: float = 60.0
    waiting: int = 128
    reading: int = 64


async def read_image(request: Request, limits: Limits) -> bytes:
    """Return the encoded image that a request carries.

    Raises:
        RefusedError: 400 (no image in it), 408 (too slow), 413 (too large), 415 (a content
            type or encoding that is not served).
    """
    body = await _read_body(request, limits)
    _check_encoding(request)
    content_type = request.headers.get("content-type", "")
    return await asyncio.to_thread(_checked_image_in, body, content_type, limits.pixels)


def _checked_image_in(body: bytes, content_type: str, pixels: int) -> bytes:
    image = image_in(body, content_type)
    check_size(image, pixels)
    return image


async def _read_body(request: Request, limits: Limits) -> bytes:
    declared = request.headers.get("content-length", "0")
    most = limits.body_bytes
    # A client that asks first (Expect: 100-continue) hears the refusal without sending a byte.
    asks = "expect" in request.headers
    if declared.isdigit() and int(declared) > (most if asks else _DROPPED * most):
        raise _too_large(most)
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(limits.read_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    body += chunk
                elif size > _DROPPED * most:
                    break
    except TimeoutError:
        raise RefusedError(408, f"the body took more than {limits.read_seconds:g} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "the connection closed before the body's end") from None
    if size > most:
        raise _too_large(most)
    return bytes(body)


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the body is larger than {most:,} bytes")


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise RefusedError(415, f"content encoding '{encoding}' is not served; send plain bytes")


def image_in(body: bytes, content_type: str) -> bytes:
    """Return the encoded image in a body, by the body's content type.

    Raises:
        RefusedError: 415 for an unknown content type, 400 if there is no image in the body.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media not in (*IMAGE_TYPES, JSON_TYPE):
        known = ", ".join((*IMAGE_TYPES, JSON_TYPE))
        raise RefusedError(415, f"content type '{media}' is not served; send one of {known}")
    image = _image_in_json(body) if media == JSON_TYPE else body
    if not image:
        raise RefusedError(400, "the image is empty")
    return image


def _image_in_json(body: bytes) -> bytes:
    expected = 'expected {"image": "<base64>"}'
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, f"the body is not JSON; {expected}") from None
    encoded = document.get("image") if isinstance(document, dict) else None
    if not isinstance(encoded, str):
        raise RefusedError(400, f"no text under the key 'image'; {expected}")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(400, f"'image' is not base64; {expected}") from None


def check_size(image: bytes, pixels: int) -> None:
    """Refuse, by its header alone, what is no image or would take too much memory to decode.

    Raises:
        RefusedError: 400 if it is no image, 413 if it has more than `pixels` pixels.
    """
    try:
        with Image.open(io.BytesIO(image)) as opened:
            width, height = opened.size
    except UnidentifiedImageError:
        raise RefusedError(400, "not an image that can be read") from None
    except Image.DecompressionBombError:
        raise RefusedError(413, f"the image has more than {pixels:,} pixels") from None
    except Exception as error:  # whatever a damaged header makes a decoder raise
        raise RefusedError(400, f"the image cannot be read: {error}") from error
    if width * height > pixels:
        raise RefusedError(
            413, f"the image has {width}x{height} pixels; the limit is {pixels:,} in all"
        )
    try:
        check_scans(image)
    except UnreadableImageError as error:
        raise RefusedError(413, f"the image {error}") from None
