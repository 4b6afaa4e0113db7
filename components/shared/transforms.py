"""From encoded bytes to what a model sees: one way for training, prediction and serving."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional as transforms

from components.shared.errors import UserError
from components.shared.images_io import JPEG, UnreadableImageError, check_scans, open_image

# Mean and standard deviation of ImageNet's channels in [0, 1], which torchvision's pretrained
# weights expect (https://docs.pytorch.org/vision/stable/models.html).
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


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


class Window(NamedTuple):
    """A part of an image, in shares of its width and height."""

    left: float
    top: float
    width: float
    height: float

    def of(self, pixels: Tensor) -> Tensor:
        """Return this part of an image (3, H, W), at least one pixel."""
        height, width = pixels.shape[-2:]
        top = min(round(self.top * height), height - 1)
        left = min(round(self.left * width), width - 1)
        bottom = max(top + 1, round((self.top + self.height) * height))
        right = max(left + 1, round((self.left + self.width) * width))
        return pixels[:, top:bottom, left:right]


WHOLE: Final = Window(0, 0, 1, 1)


def read_image(data: bytes, size: int, window: Window = WHOLE) -> Tensor:
    """Decode an image and fit it, or a part of it, to the model's square.

    EXIF orientation is applied. The aspect ratio is not kept: nothing at the edges is lost, and
    normalized boxes stay as they are.

    Args:
        data: encoded bytes of any format that Pillow reads.
        size: edge in pixels.
        window: the part to show.

    Returns:
        RGB, uint8 (3, size, size).

    Raises:
        UnreadableImageError: saying what is wrong with the image.
    """
    pixels = window.of(_decode(data))
    if pixels.shape[-2:] == (size, size):
        return pixels
    resized: Tensor = transforms.resize(pixels, [size, size], antialias=True)
    return resized


def read_images(
    images: Sequence[bytes],
    size: int,
    pool: ThreadPoolExecutor | None,
    windows: Sequence[Window] | None = None,
) -> Tensor:
    """Decode a batch. Threads help, as decoding lets them run.

    Args:
        images: encoded.
        size: edge in pixels.
        pool: threads to decode in, or None.
        windows: the part of each image to show; None: the whole.

    Returns:
        uint8 (N, 3, size, size), channels last in memory, as models compute.

    Raises:
        ImageError: for the first image that cannot be decoded.
    """
    batch = torch.empty(
        len(images), 3, size, size, dtype=torch.uint8, memory_format=torch.channels_last
    )

    def read(index: int) -> None:
        window = windows[index] if windows else WHOLE
        try:
            batch[index] = read_image(images[index], size, window)
        except UnreadableImageError as error:
            raise ImageError(index, str(error)) from None

    for _ in pool.map(read, range(len(images))) if pool else map(read, range(len(images))):
        pass
    return batch


def normalize(images: Tensor) -> Tensor:
    """Turn uint8 (N, 3, S, S) into float32 of about zero mean and unit deviation a channel.

    Done on the device that computes: bytes are a quarter of what floats would be on the way.
    """
    mean = torch.tensor(MEAN, device=images.device).mul(255).view(1, 3, 1, 1)
    std = torch.tensor(STD, device=images.device).mul(255).view(1, 3, 1, 1)
    return images.to(torch.float32, memory_format=torch.channels_last).sub_(mean).div_(std)


def _decode(data: bytes) -> Tensor:
    """Decode to uint8 (3, H, W): JPEG the fast way, the rest (and its errors) by Pillow."""
    if data.startswith(JPEG):
        check_scans(data)
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
