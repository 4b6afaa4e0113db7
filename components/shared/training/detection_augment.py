"""Changes made to training images together with their boxes, a batch at a time.

Every change keeps the labels right: a box is clipped to what remains of it, and no object is
left half in the picture without its box.
"""

import math
from typing import Final

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from components.shared.augmentation.affine import move_all
from components.shared.augmentation.boxes import (
    TRIES,
    cut_down,
    have_inside,
    per_edge,
    visible_shares,
)
from components.shared.augmentation.config import Operations
from components.shared.augmentation.erasing import erase_some
from components.shared.augmentation.pixels import change_pixels, changes_pixels

SMALLEST_MOSAIC: Final = 2  # edge in pixels: each of the four images needs one

_MOST_STRETCH = 4 / 3
# Where the four images of a mosaic meet, as shares of the edge.
_MEETING_LOW, _MEETING_HIGH = 0.3, 0.7


def augment_detection(
    images: Tensor,
    targets: list[Tensor],
    section: Operations,
    generator: torch.Generator,
) -> tuple[Tensor, list[Tensor]]:
    """Change a batch at random: crop, mosaic, motion, flips, colours, erasing, in that order.

    An operation that is off draws nothing, but for the flips: results with others do not depend
    on whether it exists.

    Args:
        images: uint8 (N, 3, H, W). Not changed in place.
        targets: an image each, float (M, 5): class, xmin, ymin, xmax, ymax in [0, 1].
        section: what to change and by how much.
        generator: of all chance, on the CPU; the same state gives the same batch.

    Returns:
        The new images and targets, of the same types and number. The number of boxes changes:
        crops lose some, mosaics hold those of four images.
    """
    if section.crop_scale < 1:
        images, targets = _crop_all(images, targets, section, generator)
    if section.mosaic > 0:
        images, targets = _mosaic_some(images, targets, section.mosaic, generator)
    return _change_whole(images, targets, section, generator)


def augment_mosaic(
    images: list[Tensor], targets: list[Tensor], section: Operations, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Put four images of any sizes into one, changed as `augment_detection` changes a batch.

    Args:
        images: four of uint8 (3, H, W); the result has the first one's size.
        targets: of the four, see `augment_detection`.
        section: what to change and by how much, but for the probability of a mosaic.
        generator: of all chance, on the CPU.
    """
    pairs = list(zip(images, targets, strict=True))
    if section.crop_scale < 1:
        pairs = [_crop_one(image, target, section, generator) for image, target in pairs]
    height, width = images[0].shape[-2:]
    placed = [pairs[place] for place in torch.randperm(4, generator=generator).tolist()]
    canvas, target = mosaic(
        [image for image, _ in placed],
        [target for _, target in placed],
        _meeting(height, width, generator),
        (height, width),
    )
    changed, changed_targets = _change_whole(canvas[None], [target], section, generator)
    return changed[0], changed_targets[0]


def _change_whole(
    images: Tensor, targets: list[Tensor], section: Operations, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Make the changes that follow crop and mosaic."""
    if section.moves():
        images, targets = move_all(images, targets, section, generator)
    chance = torch.rand(2, len(images), generator=generator)
    images, targets = _flip(images, targets, chance[0] < section.horizontal_flip, axis=0)
    images, targets = _flip(images, targets, chance[1] < section.vertical_flip, axis=1)
    images = _change_colours(images, section, generator)
    if changes_pixels(section):
        changed = change_pixels(images.float(), section, generator)
        images = changed.round().clamp(0, 255).byte()
    if section.erasing > 0:
        images, targets = erase_some(images, targets, section, generator)
    return images, targets


def crop(image: Tensor, target: Tensor, window: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """Cut a window out of an image, and resize it to the image's size.

    Args:
        image: uint8 (3, H, W).
        target: (M, 5), see `augment_detection`.
        window: left, top, width and height in pixels, within the image.

    Returns:
        The image, and the boxes of which something lies in the window, clipped to it.
    """
    left, top, width, height = window
    edges = image.shape[-2], image.shape[-1]
    cut = image[:, top : top + height, left : left + width]
    origin = per_edge(target.new_tensor([left, top, left, top]), *edges)
    extent = per_edge(target.new_tensor([width, height, width, height]), *edges)
    boxes = ((target[:, 1:] - origin) / extent).clamp(0, 1)
    return _resize(cut, *edges), torch.cat([target[:, :1], boxes], dim=1)[have_inside(boxes)]


def mosaic(
    images: list[Tensor], targets: list[Tensor], meeting: tuple[int, int], size: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Fit four whole images into one.

    Shown whole, in the manner of contexts of different scale, not cut as in YOLOv4
    (https://arxiv.org/abs/2004.10934): cutting would lose objects.

    Args:
        images: four of uint8 (3, H, W): top left, top right, bottom left, bottom right.
        targets: of the four, (M, 5) each.
        meeting: column and row where the four meet, inside the result.
        size: height and width of the result.
    """
    height, width = size
    column, row = meeting
    canvas = images[0].new_empty(3, height, width)
    boxes = []
    for index, (image, target) in enumerate(zip(images, targets, strict=True)):
        left, right = (0, column) if index % 2 == 0 else (column, width)
        top, bottom = (0, row) if index < 2 else (row, height)
        canvas[:, top:bottom, left:right] = _resize(image, bottom - top, right - left)
        extent = per_edge(target.new_tensor([right - left, bottom - top] * 2), height, width)
        origin = per_edge(target.new_tensor([left, top] * 2), height, width)
        boxes.append(torch.cat([target[:, :1], target[:, 1:] * extent + origin], dim=1))
    return canvas, torch.cat(boxes)


def _crop_all(
    images: Tensor, targets: list[Tensor], section: Operations, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    pairs = [
        _crop_one(image, target, section, generator)
        for image, target in zip(images, targets, strict=True)
    ]
    return torch.stack([image for image, _ in pairs]), [target for _, target in pairs]


def _crop_one(
    image: Tensor, target: Tensor, section: Operations, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Try windows until one cuts no object down to an unrecognisable rest."""
    edges = image.shape[-2], image.shape[-1]
    for chance in torch.rand(TRIES, 4, generator=generator).tolist():
        window = _window(chance, section.crop_scale, *edges)
        left, top, width, height = window
        corners = per_edge(target.new_tensor([left, top, left + width, top + height]), *edges)
        if not cut_down(visible_shares(target[:, 1:], corners), section.min_visible).any():
            return crop(image, target, window)
    return image, target


def _window(
    chance: list[float], least_area: float, height: int, width: int
) -> tuple[int, int, int, int]:
    """Turn four numbers in [0, 1) into left, top, width and height in pixels."""
    area = least_area + chance[0] * (1 - least_area)
    stretch = _MOST_STRETCH ** (chance[1] - 0.5)
    across = min(width, max(1, round(width * math.sqrt(area) * stretch)))
    down = min(height, max(1, round(height * math.sqrt(area) / stretch)))
    return int(chance[2] * (width - across + 1)), int(chance[3] * (height - down + 1)), across, down


def _mosaic_some(
    images: Tensor, targets: list[Tensor], probability: float, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Replace some images by a mosaic of themselves and three others of the batch."""
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    chosen = torch.rand(count, generator=generator) < probability
    mixed, mixed_targets = images.clone(), list(targets)
    for index in torch.where(chosen)[0].tolist():
        others = torch.randint(count, (3,), generator=generator).tolist()
        places = torch.randperm(4, generator=generator).tolist()
        members = [[index, *others][place] for place in places]
        mixed[index], mixed_targets[index] = mosaic(
            [images[member] for member in members],
            [targets[member] for member in members],
            _meeting(height, width, generator),
            (height, width),
        )
    return mixed, mixed_targets


def _meeting(height: int, width: int, generator: torch.Generator) -> tuple[int, int]:
    """Draw the column and the row where four images meet."""
    return _inner(width, generator), _inner(height, generator)


def _inner(edge: int, generator: torch.Generator) -> int:
    low, high = round(_MEETING_LOW * edge), round(_MEETING_HIGH * edge)
    return int(torch.randint(low, high + 1, (), generator=generator))


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


def _change_colours(images: Tensor, section: Operations, generator: torch.Generator) -> Tensor:
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
