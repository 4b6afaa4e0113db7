"""Changes made to training images that leave their class or count as it is, a batch at a time.

Works where the images are, so on a GPU the processor is left out of it. All chance is drawn on
the CPU: the same state of the generator gives the same batch on any device.
"""

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional
from torchvision.transforms.v2 import functional as transforms

from components.shared.augmentation.affine import move_all
from components.shared.augmentation.boxes import no_boxes
from components.shared.augmentation.config import Operations
from components.shared.augmentation.erasing import erase_some
from components.shared.augmentation.pixels import change_pixels
from components.shared.training.windows import draw_windows


def augment_images(images: Tensor, section: Operations, chance: torch.Generator) -> Tensor:
    """Flip, move, crop, recolour, degrade and erase each image by draws of its own.

    An operation that is off draws nothing, but for the flips: results with others do not depend
    on whether it exists.

    Args:
        images: uint8 (N, 3, H, W).
        section: what to change and by how much.
        chance: a CPU generator.

    Returns:
        float32 (N, 3, H, W), still in 0 ... 255.
    """
    changed = _flip(images, section, chance)
    changed = changed.to(torch.float32, memory_format=torch.channels_last)
    if section.moves():
        changed, _ = move_all(changed, no_boxes(len(images)), section, chance)
    if section.crop_scale < 1 or section.pad > 0:
        changed = _crop_and_shift(changed, section, chance)
    changed = change_pixels(_recolour(changed, section, chance), section, chance)
    if section.erasing > 0:
        changed, _ = erase_some(changed, no_boxes(len(images)), section, chance)
    return changed


def mixup(
    images: Tensor, targets: Tensor, alpha: float, chance: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Blend each image, and its target, with another of the batch.

    Zhang et al., https://arxiv.org/abs/1710.09412, with a share of its own for each image.

    Args:
        images: float (N, 3, S, S).
        targets: distributions (N, C).
        alpha: both parameters of the share's Beta distribution; small: hardly any blending.
        chance: a CPU generator.
    """
    count = len(images)
    share = _beta(alpha, count, chance).to(images.device)
    other = torch.randperm(count, generator=chance).to(images.device)
    blended = torch.lerp(images[other], images, share.view(-1, 1, 1, 1))
    return blended, torch.lerp(targets[other], targets, share.view(-1, 1))


def _beta(alpha: float, count: int, chance: torch.Generator) -> Tensor:
    """Draw from Beta(alpha, alpha), of which torch's sampler takes no generator."""
    seed = int(torch.randint(2**31, (1,), generator=chance))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        share: Tensor = Beta(alpha, alpha).sample((count,))
    return torch.maximum(share, 1 - share)


def _flip(images: Tensor, section: Operations, chance: torch.Generator) -> Tensor:
    drawn = torch.rand(2, len(images), 1, 1, 1, generator=chance)
    probabilities = (section.horizontal_flip, section.vertical_flip)
    for axis, draw, probability in zip((3, 2), drawn, probabilities, strict=True):
        if probability > 0:
            chosen = (draw < probability).to(images.device)
            images = torch.where(chosen, images.flip(axis), images)
    return images


def _crop_and_shift(images: Tensor, section: Operations, chance: torch.Generator) -> Tensor:
    """Show a window of each image at full size. What lies outside is reflected in."""
    centre, extent = draw_windows(len(images), section, chance)
    window = torch.zeros(len(images), 2, 3)
    window[:, 0, 0], window[:, 1, 1] = extent
    window[:, :, 2] = centre.T
    grid = functional.affine_grid(window.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _recolour(images: Tensor, section: Operations, chance: torch.Generator) -> Tensor:
    """Scale saturation, contrast and brightness, each image by factors of its own."""
    largest = torch.tensor([section.saturation, section.contrast, section.brightness])
    if not largest.any():
        return images
    factors = 1 + largest * (2 * torch.rand(len(images), 3, generator=chance) - 1)
    saturation, contrast, brightness = factors.to(images.device).view(-1, 3, 1, 1, 1).unbind(1)
    grey: Tensor = transforms.rgb_to_grayscale(images)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    images = torch.lerp(grey, images, saturation)
    images = torch.lerp(mean, images, contrast)
    return (images * brightness).clamp(0, 255)
