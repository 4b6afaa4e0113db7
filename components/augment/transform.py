"""One augmented copy of an image, its boxes moved with it."""

import hashlib
from dataclasses import dataclass

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from components.augment.config import AugmentSection

Boxes = torch.Tensor


@dataclass(frozen=True)
class Copy:
    """An augmented image.

    Attributes:
        image: uint8, shape (3, height, width).
        boxes: float32, shape (N, 4): xmin, ymin, xmax, ymax, normalized, xmin < xmax,
            ymin < ymax.
        kept: which of the original's boxes these are, shape (N,).
    """

    image: torch.Tensor
    boxes: Boxes
    kept: torch.Tensor


def make_copy(image: torch.Tensor, boxes: Boxes, section: AugmentSection, seed: int) -> Copy:
    """Return a copy that depends on its arguments alone.

    A copy that would lose all its boxes to the crop is made again without one: an image without
    its objects would teach that they are background.

    Args:
        image: uint8, shape (3, height, width).
        boxes: shape (N, 4), normalized.
        section: probabilities and ranges.
        seed: see `copy_seed`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        copy = _draw(image, boxes, section, section.min_crop)
        if len(boxes) and not len(copy.boxes):
            copy = _draw(image, boxes, section, 1.0)
    return copy


def copy_seed(seed: int, image_id: str, copy: int) -> int:
    """Return the seed of one copy: the same whatever is done in parallel, in whatever order."""
    digest = hashlib.sha256(f"{seed}/{image_id}/{copy}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _draw(image: torch.Tensor, boxes: Boxes, section: AugmentSection, min_crop: float) -> Copy:
    height, width = image.shape[-2:]
    scale = torch.tensor([width, height, width, height], dtype=torch.float64)
    moved = tv_tensors.BoundingBoxes(
        boxes.to(torch.float64) * scale,
        format=tv_tensors.BoundingBoxFormat.XYXY,
        canvas_size=(height, width),
    )
    transform = v2.Compose(
        [
            v2.RandomHorizontalFlip(section.horizontal_flip),
            v2.RandomVerticalFlip(section.vertical_flip),
            v2.ColorJitter(section.brightness, section.contrast, section.saturation),
        ]
    )
    picture, moved = transform(tv_tensors.Image(image), moved)
    if min_crop < 1:
        picture, moved = _crop(picture, moved, min_crop)
    height, width = picture.shape[-2:]
    plain = moved.as_subclass(torch.Tensor)
    whole = _area(plain)
    edges = torch.tensor([width, height, width, height], dtype=torch.float64)
    clipped = torch.minimum(plain.clamp(min=0), edges)
    visible = _area(clipped) >= section.min_visible * whole
    # In the table's precision: a sliver at the edge must not round to a box without an inside.
    normalized = (clipped / edges).to(torch.float32)
    has_inside = (normalized[:, 2:] > normalized[:, :2]).all(dim=1)
    kept = torch.nonzero(visible & has_inside).flatten()
    return Copy(picture.as_subclass(torch.Tensor), normalized[kept], kept)


def _crop(
    picture: tv_tensors.Image, boxes: tv_tensors.BoundingBoxes, min_share: float
) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes]:
    """Keep a random window whose edges are at least `min_share` of the image's."""
    height, width = picture.shape[-2:]
    share = min_share + (1 - min_share) * torch.rand(2)
    new_height = max(1, round(height * float(share[0])))
    new_width = max(1, round(width * float(share[1])))
    top = int(torch.randint(height - new_height + 1, ()))
    left = int(torch.randint(width - new_width + 1, ()))
    shift = torch.tensor([left, top, left, top], dtype=torch.float64)
    # Not v2's crop: it clamps the boxes, and their whole area is needed to judge what is visible.
    moved = tv_tensors.wrap(boxes.as_subclass(torch.Tensor) - shift, like=boxes)
    window = picture[..., top : top + new_height, left : left + new_width]
    return tv_tensors.Image(window), moved


def _area(boxes: Boxes) -> torch.Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
