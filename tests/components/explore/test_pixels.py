"""Pictures and pixel statistics."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.explore.pixels import load_pictures, measure, measure_images, reduced
from components.shared.images_io import UnreadableImageError, open_image
from components.shared.shards import ShardWriter

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]


def _encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def _scene(width: int = 800, height: int = 500) -> Image.Image:
    small = np.random.default_rng(0).integers(0, 255, (10, 16, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def test_a_reduced_jpeg_looks_like_the_whole_one() -> None:
    data = _encoded(_scene(), "JPEG", quality=95)
    whole = open_image(data).resize((160, 100), Image.Resampling.LANCZOS)
    small = reduced(data, 160)
    assert small.size == (160, 100)
    difference = np.asarray(small, float) - np.asarray(whole, float)
    assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_orientation_is_applied(format_: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = _encoded(_scene(), format_, exif=exif)
    small = reduced(data, 100)
    assert small.size in {(62, 100), (63, 100)}
    whole = open_image(data).resize(small.size)
    assert np.abs(np.asarray(small, float) - np.asarray(whole, float)).mean() < 3


@pytest.mark.parametrize(
    ("mode", "format_"), [("L", "JPEG"), ("CMYK", "JPEG"), ("P", "PNG"), ("RGBA", "PNG")]
)
def test_every_mode_becomes_rgb(mode: str, format_: str) -> None:
    assert reduced(_encoded(_scene().convert(mode), format_), 64).mode == "RGB"


def test_sixteen_bits_keep_their_range() -> None:
    pixels = np.full((40, 40), 257 * 100, np.uint16)
    assert reduced(_encoded(Image.fromarray(pixels), "PNG"), 20).getpixel((5, 5)) == (100, 100, 100)


@pytest.mark.parametrize("data", [b"", b"no image", _encoded(_scene(), "JPEG")[:900]])
def test_what_does_not_decode_is_said(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        reduced(data, 64)


def test_measures_are_those_of_the_pixels() -> None:
    image = _scene(200, 120)
    pixels = np.asarray(image, float) / 255
    found = measure(image)
    luma = pixels @ [0.299, 0.587, 0.114]
    assert found.brightness == pytest.approx(luma.mean(), abs=0.003)
    assert found.contrast == pytest.approx(luma.std(), abs=0.003)
    np.testing.assert_allclose(found.mean, pixels.mean((0, 1)))
    np.testing.assert_allclose(found.square, (pixels**2).mean((0, 1)))
    assert (found.darkest, found.brightest) == (
        round(pixels.min() * 255),
        round(pixels.max() * 255),
    )
    assert not found.colourless
    assert measure(image.convert("L").convert("RGB")).colourless


def test_one_shade_has_no_contrast() -> None:
    found = measure(Image.new("RGB", (8, 8), (51, 51, 51)))
    assert found.brightness == pytest.approx(0.2)
    assert found.contrast == pytest.approx(0, abs=1e-6)


def test_only_what_is_asked_for_is_read_and_damage_is_told_from_absence(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, shard_bytes=20_000) as writer:
        for number in range(40):
            data = _encoded(_scene(60, 40), "JPEG", quality=30 + number)
            writer.add(f"{number:02d}", data if number != 7 else data[:300])
    found = load_pictures(tmp_path, ["03", "07", "31", "99"], 32, 1)
    assert sorted(found) == ["03", "07", "31"]
    assert found["07"] is None
    assert found["03"] is not None
    assert found["03"].size == (32, 21)


def test_processes_change_nothing(
    row: Row, write_data: WriteData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.shared.parallel.PATIENCE_S", 0)
    paths = write_data([row(i, label=0) for i in range(70)], "classify", ("cat",))
    ids = [f"{i:04d}" for i in range(0, 70, 2)]
    one, two = (measure_images(paths.images, ids, workers) for workers in (1, 2))
    assert list(one) == list(two) == ids
    for image_id in ids:
        expected = pytest.approx(int(image_id) / 255)
        for found in (one[image_id], two[image_id]):
            assert found is not None
            assert found.brightness == expected
