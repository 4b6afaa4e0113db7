"""Changes of pixels: each does what torchvision's own kernel does, by a draw of each image."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from components.shared.augmentation.config import Operations
from components.shared.augmentation.pixels import change_pixels, changes_pixels

NOTHING = Operations()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photo(count: int = 32, height: int = 24, width: int = 32) -> Tensor:
    """Smooth coloured images, float 0 ... 255."""
    coarse = torch.rand(count, 3, 4, 4, generator=seeded(1)) * 255
    fine: Tensor = transforms.resize(coarse, [height, width], antialias=True)
    return fine.clamp(0, 255)


def change(images: Tensor, seed: int = 0, **settings: float) -> Tensor:
    before = images.clone()
    changed = change_pixels(images, Operations(**settings), seeded(seed))
    assert torch.equal(images, before), "the input is not changed"
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 255 + 1e-3
    return changed


def test_nothing_is_done_and_nothing_drawn_when_all_is_off() -> None:
    images, generator = photo(), seeded()
    assert not changes_pixels(NOTHING)
    assert torch.equal(change_pixels(images, NOTHING, generator), images)
    assert torch.equal(generator.get_state(), seeded().get_state())


@pytest.mark.parametrize(
    "settings",
    [{"hue": 0.2}, {"grayscale": 0.5}, {"blur": 0.05}, {"noise": 0.1}, {"jpeg_quality": 20}],
)
def test_images_change_each_in_its_own_way_and_again_the_same(settings: dict[str, float]) -> None:
    images = photo(1).repeat(16, 1, 1, 1)
    assert changes_pixels(Operations(**settings))
    changed = change(images, 3, **settings)
    assert len({float(image.double().std()) for image in changed}) > 1
    assert torch.equal(changed, change(images, 3, **settings))
    assert not torch.equal(changed, change(images, 4, **settings))


def test_hue_turns_colours_and_leaves_grey() -> None:
    red = torch.zeros(64, 3, 2, 2)
    red[:, 0] = 255
    changed = change(red, hue=0.5)
    assert changed.amax(dim=1).min() > 250
    assert (changed[:, 1] > 200).any()
    assert (changed[:, 2] > 200).any()
    little = change(red, hue=0.02)
    assert little[:, 0].min() > 250
    assert little[:, 1:].max() < 0.02 * 6 * 255 + 1
    grey = torch.full((4, 3, 2, 2), 77.0)
    torch.testing.assert_close(change(grey, hue=0.5), grey, atol=1e-3, rtol=0)


def test_grayscale_removes_the_colour_of_some() -> None:
    images = photo(200)
    changed = change(images, grayscale=0.25)
    grey = (changed.amax(dim=1) - changed.amin(dim=1)).amax(dim=(1, 2)) < 1e-3
    kept = (changed == images).all(dim=3).all(dim=2).all(dim=1)
    assert (grey ^ kept).all()
    assert 30 < grey.sum() < 70


def test_blur_is_a_gaussian_of_at_most_the_largest_sigma() -> None:
    """The spread of a blurred point is sigma, as a share of the shorter edge."""
    points = torch.zeros(64, 3, 101, 141)
    points[:, :, 50, 70] = 255
    changed = change(points, blur=0.03)[:, 0].double()
    for marginal, centre in ((changed.sum(dim=2), 50), (changed.sum(dim=1), 70)):
        places = torch.arange(marginal.shape[1]) - centre
        sigmas = ((marginal * places**2).sum(dim=1) / marginal.sum(dim=1)).sqrt()
        assert 2.5 < sigmas.max() < 3.05
        assert sigmas.min() < 0.7
        assert sigmas.std() > 0.4


def test_blur_reaches_no_further_than_a_small_image() -> None:
    tiny = photo(8, 3, 3)
    change(tiny, blur=0.05)
    change(torch.full((8, 3, 1, 1), 5.0), blur=0.05)


def test_noise_has_at_most_the_largest_deviation() -> None:
    flat = torch.full((100, 3, 32, 32), 128.0)
    changed = change(flat, noise=0.1) - flat
    deviations = changed.std(dim=(1, 2, 3)) / 255
    assert 0.09 < deviations.max() < 0.105
    assert deviations.min() < 0.02
    assert changed.mean().abs() < 0.5


def test_compression_is_jpegs_of_at_least_the_lowest_quality() -> None:
    image = (photo(1, 64, 64) + 40 * torch.randn(1, 3, 64, 64, generator=seeded())).clamp(0, 255)
    changed = change(image.repeat(32, 1, 1, 1), jpeg_quality=20)
    errors = (changed - image).abs().mean(dim=(1, 2, 3))
    whole = image[0].round().byte()
    worst = float((transforms.jpeg(whole, 20).float() - image[0]).abs().mean())
    best = float((transforms.jpeg(whole, 100).float() - image[0]).abs().mean())
    assert best - 0.3 <= errors.min()
    assert errors.max() <= worst + 0.3
    assert errors.max() - errors.min() > 0.5 * (worst - best)
