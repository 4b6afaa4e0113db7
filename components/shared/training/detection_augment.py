"""Changes made to training images together with their boxes, a batch at a time.

Every change keeps the labels right: a box is clipped to what remains of it, and no object is
left half in the picture without its box.
"""

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from components.shared.training.config import TrainAugmentSection

# An object of which less is left in a crop can no longer be told: such crops are not made.
LEAST_VISIBLE = 0.3

_CROP_TRIES = 10
_MOST_STRETCH = 4 / 3
# Where the four images of a mosaic meet, as shares of the edge.
_MEETING_LOW, _MEETING_HIGH = 0.3, 0.7


def augment_detection(
    images: Tensor,
    targets: list[Tensor],
    section: TrainAugmentSection,
    generator: torch.Generator,
) -> tuple[Tensor, list[Tensor]]:
    """Change a batch at random: crop, mosaic, flips and colours, in that order.

    Args:
        images: uint8 (N, 3, S, S). Not changed in place.
        targets: an image each, float (M, 5): class, xmin, ymin, xmax, ymax in [0, 1].
        section: what to change and by how much.
        generator: of all chance, on the CPU; the same state gives the same batch.

    Returns:
        The new images and targets, of the same types and number. The number of boxes changes:
        crops lose some, mosaics hold those of four images.
    """
    if section.crop_scale < 1:
        images, targets = _crop_all(images, targets, section.crop_scale, generator)
    if section.mosaic > 0:
        images, targets = _mosaic_some(images, targets, section.mosaic, generator)
    chance = torch.rand(2, len(images), generator=generator)
    images, targets = _flip(images, targets, chance[0] < section.horizontal_flip, axis=0)
    images, targets = _flip(images, targets, chance[1] < section.vertical_flip, axis=1)
    return _change_colours(images, section, generator), targets


def crop(image: Tensor, target: Tensor, window: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """Cut a window out of an image, and resize it to the image's size.

    Args:
        image: uint8 (3, S, S).
        target: (M, 5), see `augment_detection`.
        window: left, top, width and height in pixels, within the image.

    Returns:
        The image, and the boxes of which something lies in the window, clipped to it.
    """
    left, top, width, height = window
    size = image.shape[-1]
    cut = image[:, top : top + height, left : left + width]
    origin = target.new_tensor([left, top, left, top]) / size
    extent = target.new_tensor([width, height, width, height]) / size
    boxes = ((target[:, 1:] - origin) / extent).clamp(0, 1)
    remains = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    return _resize(cut, size, size), torch.cat([target[:, :1], boxes], dim=1)[remains]


def visible_shares(boxes: Tensor, window: Tensor) -> Tensor:
    """Return the share (M,) of the area of boxes (M, 4) that lies in a window (4,)."""
    low = torch.maximum(boxes[:, :2], window[:2])
    high = torch.minimum(boxes[:, 2:], window[2:])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return (high - low).clamp(min=0).prod(dim=1) / area.clamp(min=1e-12)


def mosaic(
    images: list[Tensor], targets: list[Tensor], meeting: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Fit four whole images into one.

    Shown whole, in the manner of contexts of different scale, not cut as in YOLOv4
    (https://arxiv.org/abs/2004.10934): cutting would lose objects.

    Args:
        images: four of uint8 (3, S, S): top left, top right, bottom left, bottom right.
        targets: of the four, (M, 5) each.
        meeting: column and row where the four meet, in 1 ... S - 1.
    """
    size = images[0].shape[-1]
    column, row = meeting
    canvas = torch.empty_like(images[0])
    boxes = []
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        left, right = (0, column) if index % 2 == 0 else (column, size)
        top, bottom = (0, row) if index < 2 else (row, size)
        canvas[:, top:bottom, left:right] = _resize(image, bottom - top, right - left)
        extent = target.new_tensor([right - left, bottom - top] * 2) / size
        origin = target.new_tensor([left, top] * 2) / size
        boxes.append(torch.cat([target[:, :1], target[:, 1:] * extent + origin], dim=1))
    return canvas, torch.cat(boxes)


def _crop_all(
    images: Tensor, targets: list[Tensor], least_area: float, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    pairs = [
        _crop_one(image, target, least_area, generator)
        for image, target in zip(images, targets, strict=True)
    ]
    return torch.stack([image for image, _ in pairs]), [target for _, target in pairs]


def _crop_one(
    image: Tensor, target: Tensor, least_area: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Try windows until one cuts no object down to an unrecognisable rest."""
    size = image.shape[-1]
    for chance in torch.rand(_CROP_TRIES, 4, generator=generator).tolist():
        window = _window(chance, least_area, size)
        left, top, width, height = window
        corners = target.new_tensor([left, top, left + width, top + height]) / size
        shares = visible_shares(target[:, 1:], corners)
        if not ((shares > 0) & (shares < LEAST_VISIBLE)).any():
            return crop(image, target, window)
    return image, target


def _window(chance: list[float], least_area: float, size: int) -> tuple[int, int, int, int]:
    """Turn four numbers in [0, 1) into left, top, width and height in pixels."""
    area = least_area + chance[0] * (1 - least_area)
    stretch = _MOST_STRETCH ** (chance[1] - 0.5)
    width = min(size, max(1, round(size * math.sqrt(area) * stretch)))
    height = min(size, max(1, round(size * math.sqrt(area) / stretch)))
    return int(chance[2] * (size - width + 1)), int(chance[3] * (size - height + 1)), width, height


def _mosaic_some(
    images: Tensor, targets: list[Tensor], probability: float, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Replace some images by a mosaic of themselves and three others of the batch."""
    count, size = len(images), images.shape[-1]
    chosen = torch.rand(count, generator=generator) < probability
    low, high = round(_MEETING_LOW * size), round(_MEETING_HIGH * size)
    mixed, mixed_targets = images.clone(), list(targets)
    for index in torch.where(chosen)[0].tolist():
        others = torch.randint(count, (3,), generator=generator).tolist()
        places = torch.randperm(4, generator=generator).tolist()
        members = [[index, *others][place] for place in places]
        column, row = torch.randint(low, high + 1, (2,), generator=generator).tolist()
        mixed[index], mixed_targets[index] = mosaic(
            [images[member] for member in members],
            [targets[member] for member in members],
            (column, row),
        )
    return mixed, mixed_targets


def _flip(
    images: Tensor, targets: list[Tensor], chosen: Tensor, axis: int
) -> tuple[Tensor, list[Tensor]]:
    """Mirror the chosen images (N,) along x (axis 0) or y (axis 1)."""
    where = chosen.to(images.device)[:, None, None, None]
    images = torch.where(where, images.flip(3 - axis), images)
    low, high = 1 + axis, 3 + axis
    flipped = []
    for target, is_chosen in zip(targets, chosen.tolist(), strict=True):
        mirrored = target.clone()
        mirrored[:, low], mirrored[:, high] = 1 - target[:, high], 1 - target[:, low]
        flipped.append(mirrored if is_chosen else target)
    return images, flipped


def _change_colours(
    images: Tensor, section: TrainAugmentSection, generator: torch.Generator
) -> Tensor:
    """Scale brightness, contrast and saturation, each image by factors of its own."""
    largest = torch.tensor([section.brightness, section.contrast, section.saturation])
    if not largest.any():
        return images
    factors = 1 + largest * (2 * torch.rand(len(images), 3, generator=generator) - 1)
    brightness, contrast, saturation = factors.to(images.device)[:, :, None, None, None].unbind(
        dim=1
    )
    colours = images.float() * brightness
    grey: Tensor = transforms.rgb_to_grayscale(colours)
    colours = grey + (colours - grey) * saturation
    mean = grey.mean(dim=(1, 2, 3), keepdim=True)
    colours = mean + (colours - mean) * contrast
    return colours.round().clamp(0, 255).byte()


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    resized: Tensor = transforms.resize(image, [height, width], antialias=True)
    return resized
