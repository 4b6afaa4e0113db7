"""Encoded images: facts, decoding to RGB, and everything that cannot be used."""

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.shared.images_io import (
    ImageFacts,
    UnreadableImageError,
    encode_png,
    inspect_image,
    open_image,
)

WIDTH, HEIGHT = 48, 32


def _picture(mode: str = "RGB") -> Image.Image:
    """A horizontal ramp: dark on the left, bright on the right."""
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    return Image.fromarray(ramp).convert(mode)


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg(mode: str, options: dict[str, bool]) -> None:
    data = _encode(_picture(mode), "JPEG", quality=95, **options)
    assert inspect_image(data) == ImageFacts(WIDTH, HEIGHT, "jpeg", 1, (WIDTH, HEIGHT))
    _assert_ramp(open_image(data))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16"])
def test_png(mode: str) -> None:
    if mode == "I;16":
        wide = np.asarray(_picture("L"), np.uint16) * 257
        image = Image.fromarray(wide)
        assert image.mode == "I;16"
    else:
        image = _picture(mode)
    data = _encode(image, "PNG")
    facts = inspect_image(data)
    assert (facts.width, facts.height, facts.format) == (WIDTH, HEIGHT, "png")
    assert facts.passes_through
    _assert_ramp(open_image(data), coarse=mode == "1")


def _assert_ramp(image: Image.Image, *, coarse: bool = False) -> None:
    assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
    pixels = np.asarray(image, np.float64)
    assert np.ptp(pixels, axis=-1).max() <= 3  # gray
    if coarse:
        pixels = pixels.reshape(HEIGHT, 4, WIDTH // 4, 3).mean((2, 3))
        assert (np.diff(pixels.mean(0)) > 20).all()
        return
    assert np.abs(pixels[..., 0].mean(0) - np.linspace(0, 255, WIDTH)).max() <= 6


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF", "WEBP", "PPM"])
def test_other_formats_are_told_apart(kind: str) -> None:
    data = _encode(_picture(), kind)
    facts = inspect_image(data)
    assert facts.format == kind.lower()
    assert not facts.passes_through
    again = encode_png(open_image(data))
    assert inspect_image(again).format == "png"
    assert open_image(again).tobytes() == open_image(data).tobytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    data = _encode(_picture(), kind, exif=_exif(orientation))
    facts = inspect_image(data)
    sideways = orientation >= 5
    assert (facts.width, facts.height) == ((HEIGHT, WIDTH) if sideways else (WIDTH, HEIGHT))
    assert (facts.orientation, facts.stored_size) == (orientation, (WIDTH, HEIGHT))
    shown = np.asarray(open_image(data), np.int64)[..., 0]
    assert shown.shape == (facts.height, facts.width)
    # Exif 2.32: where the stored left edge (dark) appears.
    dark = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom",
            8: "bottom"}  # fmt: skip
    edges = {
        "left": shown[:, 0], "right": shown[:, -1], "top": shown[0], "bottom": shown[-1]
    }  # fmt: skip
    assert min(edges, key=lambda side: float(edges[side].mean())) == dark[orientation]


def test_a_nonsense_orientation_is_upright() -> None:
    assert inspect_image(_encode(_picture(), "JPEG", exif=_exif(42))).orientation == 1


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_truncation_is_found_wherever_it_is(options: dict[str, bool]) -> None:
    """The fast check finds what decoding every pixel finds."""
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    data = _encode(Image.fromarray(noise), "JPEG", **options)
    cuts = random.Random(0).sample(range(1, len(data) - 2), 60)
    for cut in cuts:
        assert _decodes(inspect_image, data[:cut]) == _decodes(open_image, data[:cut]), cut
    assert not any(_decodes(inspect_image, data[:cut]) for cut in cuts if cut < len(data) // 2)


def _decodes(function: Any, data: bytes) -> bool:
    try:
        function(data)
    except UnreadableImageError:
        return False
    return True


def _frames(kind: str) -> bytes:
    second = _picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _encode(_picture(), kind, save_all=True, append_images=[second])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html></html>", "not an image"),
        (_encode(_picture(), "PNG")[:60], "cannot be decoded"),
        (_frames("GIF"), "2 frames"),
        (_frames("PNG"), "2 frames"),
        (_frames("TIFF"), "2 frames"),
        (_encode(_picture("F"), "TIFF"), "floating-point"),
        (
            _encode(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF"),
            "32-bit",
        ),
    ],
)
@pytest.mark.parametrize("function", [inspect_image, open_image])
def test_what_cannot_be_used(function: Any, data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError, match=reason):
        function(data)


@pytest.mark.parametrize("function", [inspect_image, open_image])
def test_too_many_pixels_are_refused_before_decoding(function: Any) -> None:
    """Only the header is whole: a decoder would have said that the pixels are missing."""
    data = _encode(Image.new("L", (3000, 2000)), "PNG")[:60]
    with pytest.raises(UnreadableImageError, match=r"6,000,000 pixels .*limit is 5,999,999"):
        function(data, max_pixels=5_999_999)
    with pytest.raises(UnreadableImageError, match="decoded"):
        function(data, max_pixels=6_000_000)


def test_a_picture_larger_than_pillow_would_open() -> None:
    header = b"P5 20000 20000 255\n"
    with pytest.raises(UnreadableImageError, match="more than 178,956,970 pixels"):
        inspect_image(header, max_pixels=10**9)
