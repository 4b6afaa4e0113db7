"""From encoded bytes to what a model sees: one way for training, prediction and serving."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as transforms

from components.shared.errors import UserError
from components.shared.images_io import UnreadableImageError, open_image

# Mean and standard deviation of ImageNet's channels in [0, 1], which torchvision's pretrained
# weights expect (https://docs.pytorch.org/vision/stable/models.html).
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)

_JPEG = b"\xff\xd8\xff"


class ImageError(UserError):
    """An image of a batch that cannot be decoded.

    Attributes:
        index: its place in the batch.
        reason: what is wrong with it.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"image {index}: {reason}")
        self.index = index
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[int, str]]:
        """Survive the way from a worker process."""
        return type(self), (self.index, self.reason)


def read_image(data: bytes, size: int) -> Tensor:
    """Decode an image and fit it to the model's square.

    EXIF orientation is applied. The aspect ratio is not kept: nothing at the edges is lost, and
    normalized boxes stay as they are.

    Args:
        data: encoded bytes of any format that Pillow reads.
        size: edge in pixels.

    Returns:
        RGB, uint8 (3, size, size).

    Raises:
        UnreadableImageError: saying what is wrong with the image.
    """
    pixels = _decode(data)
    if pixels.shape[-2:] == (size, size):
        return pixels
    resized: Tensor = transforms.resize(pixels, [size, size], antialias=True)
    return resized


def read_images(images: Sequence[bytes], size: int, pool: ThreadPoolExecutor | None) -> Tensor:
    """Decode a batch: uint8 (N, 3, size, size). Threads help, as decoding lets them run.

    Raises:
        ImageError: for the first image that cannot be decoded.
    """
    read = partial(_read_one, size=size)
    each = enumerate(images)
    decoded = list(pool.map(read, each) if pool else map(read, each))
    return torch.stack(decoded) if decoded else torch.empty(0, 3, size, size, dtype=torch.uint8)


def normalize(images: Tensor) -> Tensor:
    """Turn uint8 (N, 3, S, S) into float32 of about zero mean and unit deviation a channel.

    Done on the device that computes: bytes are a quarter of what floats would be on the way.
    """
    mean = torch.tensor(MEAN, device=images.device).mul(255).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).mul(255).view(1, 3, 1, 1)
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(mean).div_(std)


def _read_one(numbered: tuple[int, bytes], size: int) -> Tensor:
    index, data = numbered
    try:
        return read_image(data, size)
    except UnreadableImageError as error:
        raise ImageError(index, str(error)) from None


def _decode(data: bytes) -> Tensor:
    """Decode to uint8 (3, H, W): JPEG the fast way, the rest (and its errors) by Pillow."""
    if data[:3] == _JPEG:
        try:
            # A copy, because torch warns of tensors over memory that must not be written to.
            encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            pixels: Tensor = decode_jpeg(
                encoded, mode=ImageReadMode.RGB, apply_exif_orientation=True
            )
        except RuntimeError:  # an odd or damaged file: Pillow reads it or says what is wrong
            pass
        else:
            return pixels
    picture: Tensor = transforms.pil_to_tensor(open_image(data))
    return picture
