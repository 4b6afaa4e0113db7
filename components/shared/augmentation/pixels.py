"""Colour, sharpness, noise and compression: changes that leave every object where it is.

torchvision's kernels take one strength a call, so those that have one are called an image at a
time; what they cost is small beside a training step.
"""

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from components.shared.augmentation.config import Operations

_LEAST_SIGMA = 0.1  # pixels; a narrower Gaussian changes nothing


def changes_pixels(section: Operations) -> bool:
    """Tell whether `change_pixels` would do anything."""
    names = ("hue", "grayscale", "blur", "noise")
    return section.jpeg_quality < 100 or any(getattr(section, name) > 0 for name in names)


def change_pixels(images: Tensor, section: Operations, generator: torch.Generator) -> Tensor:
    """Change hue, remove colour, blur, add noise and compress, in that order.

    Only operations that are on draw from the generator.

    Args:
        images: float32 (N, 3, H, W) in 0 ... 255. Not changed in place.
        section: what to change and by how much.
        generator: of all chance, on the CPU.

    Returns:
        As `images`.
    """
    if section.hue > 0:
        images = _turn_hue(images, section.hue, generator)
    if section.grayscale > 0:
        images = _remove_colour(images, section.grayscale, generator)
    if section.blur > 0:
        images = _blur(images, section.blur, generator)
    if section.noise > 0:
        images = _add_noise(images, section.noise, generator)
    if section.jpeg_quality < 100:
        images = _compress(images, section.jpeg_quality, generator)
    return images


def _turn_hue(images: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    turns = largest * (2 * torch.rand(len(images), generator=generator) - 1)
    changed = torch.empty_like(images)
    for index, turn in enumerate(turns.tolist()):
        changed[index] = transforms.adjust_hue(images[index] / 255, turn) * 255
    return changed


def _remove_colour(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(images), generator=generator) < probability
    grey = transforms.rgb_to_grayscale(images, num_output_channels=3)
    return torch.where(chosen.to(images.device)[:, None, None, None], grey, images)


def _blur(images: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    shorter = min(images.shape[-2:])
    sigmas = largest * shorter * torch.rand(len(images), generator=generator)
    changed = images.clone()
    for index, sigma in enumerate(sigmas.tolist()):
        if sigma < _LEAST_SIGMA:
            continue
        # The padding, which mirrors, must stay inside the image.
        reach = min(math.ceil(3 * sigma), shorter - 1)
        width, both = 2 * reach + 1, [sigma, sigma]
        # One axis after the other: the same, and much faster for a wide kernel.
        across = transforms.gaussian_blur(images[index], [width, 1], both)
        changed[index] = transforms.gaussian_blur(across, [1, width], both)
    return changed


def _add_noise(images: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    # Not torchvision's, which draws from the global generator.
    deviations = 255 * largest * torch.rand(len(images), 1, 1, 1, generator=generator)
    noise = deviations * torch.randn(images.shape, generator=generator)
    return (images + noise.to(images.device)).clamp(0, 255)


def _compress(images: Tensor, lowest: int, generator: torch.Generator) -> Tensor:
    qualities = torch.randint(lowest, 101, (len(images),), generator=generator)
    stored = images.round().clamp(0, 255).byte().cpu()
    changed = torch.empty_like(images)
    for index, quality in enumerate(qualities.tolist()):
        changed[index] = transforms.jpeg(stored[index].contiguous(), quality).to(images.device)
    return changed
