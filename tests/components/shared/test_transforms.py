import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from components.shared.images_io import UnreadableImageError
from components.shared.transforms import (
    MEAN,
    STD,
    ImageError,
    Window,
    normalize,
    read_image,
    read_images,
)


def photo(width: int = 60, height: int = 40) -> Image.Image:
    """A smooth picture that differs in every corner and channel."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    pixels = np.stack([255 * x, 255 * y, 120 * (1 - x)], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reference(image: Image.Image, size: int) -> Tensor:
    """The same transform as torchvision's own pieces make it, from pixels that are upright."""
    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize((size, size), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    transformed: Tensor = transform(image)
    return transformed


def ours(data: bytes, size: int) -> Tensor:
    return normalize(read_image(data, size)[None])[0]


def test_gives_what_torchvision_gives() -> None:
    image = photo()
    torch.testing.assert_close(ours(encode(image), 32), reference(image, 32), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda image: Image.fromarray(np.asarray(image)[..., ::-1]),  # BGR
        lambda image: image.transpose(Image.Transpose.TRANSPOSE),  # width and height exchanged
        lambda image: image.crop((10, 0, 50, 40)),  # centre crop
        lambda image: image.point(lambda value: value * 0.9),
    ],
)
def test_the_comparison_would_catch_a_mistake(wrong: object) -> None:
    image = photo()
    assert callable(wrong)
    gap = (ours(encode(image), 32) - reference(wrong(image), 32)).abs().max()
    assert gap > 0.1


def test_nearest_resizing_would_be_caught_on_fine_detail() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2] = 255
    image = Image.fromarray(pixels)
    aliased = image.resize((32, 32), Image.Resampling.NEAREST)
    torch.testing.assert_close(ours(encode(image), 32), reference(image, 32), atol=0.02, rtol=0)
    assert (ours(encode(image), 32) - reference(aliased, 32)).abs().max() > 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = photo()
    # What a camera stores so that the orientation brings the picture upright again.
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    data = encode(stored, kind, exif=exif.tobytes(), **options)
    gap = (ours(data, 32) - reference(upright, 32)).abs()
    assert gap.mean() < 0.03


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = photo().convert("L").convert("I;16") if mode == "I;16" else photo().convert(mode)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert read_image(encode(image, kind), 16).shape == (3, 16, 16)


def test_cmyk_jpeg_has_its_colours() -> None:
    red = Image.new("RGB", (32, 32), (220, 20, 20)).convert("CMYK")
    values = read_image(encode(red, "JPEG", quality=95), 16).float().mean(dim=(1, 2))
    assert values[0] > 180
    assert values[1:].max() < 90


def test_an_image_of_the_right_size_is_not_resampled() -> None:
    image = photo(32, 32)
    expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    assert torch.equal(read_image(encode(image), 32), expected)


def test_threads_change_nothing() -> None:
    images = [encode(photo(40 + index, 30)) for index in range(8)]
    with ThreadPoolExecutor(3) as pool:
        assert torch.equal(read_images(images, 24, pool), read_images(images, 24, None))
    assert read_images([], 24, None).shape == (0, 3, 24, 24)


@pytest.mark.parametrize("data", [b"", b"not an image", encode(photo(), "JPEG")[:700]])
def test_a_bad_image_is_named(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        read_image(data, 16)
    with pytest.raises(ImageError, match=r"^image 1: ") as caught:
        read_images([encode(photo()), data], 16, None)
    assert caught.value.index == 1


def test_real_faulty_files_are_read_or_refused(shared_data: Path) -> None:
    refused = []
    for path in sorted((shared_data / "flawed" / "images").iterdir()):
        try:
            assert read_image(path.read_bytes(), 32).dtype == torch.uint8
        except UnreadableImageError:
            refused.append(path.name)
    assert refused == ["00090.jpg"]  # truncated


def test_a_window_is_cut_before_the_image_is_fitted() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:20, 30:60] = (255, 0, 0)
    data = encode(Image.fromarray(pixels), "PNG")
    shown = read_image(data, 16, Window(left=0.5, top=0.25, width=0.5, height=0.25))
    assert shown.shape == (3, 16, 16)
    assert (shown[0] == 255).all()
    assert (shown[1:] == 0).all()
    assert read_image(data, 16, Window(1 - 1e-9, 0, 1e-9, 1)).shape == (3, 16, 16)


def test_each_image_of_a_batch_has_its_window() -> None:
    windows = [Window(0, 0, 0.5, 0.5), Window(0.2, 0.3, 0.4, 0.7)]
    data = [encode(photo()), encode(photo(80, 40))]
    batch = read_images(data, 24, None, windows)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    for image, one, window in zip(batch, data, windows, strict=True):
        assert torch.equal(image, read_image(one, 24, window))


def test_a_jpeg_of_thousands_of_scans_never_reaches_a_decoder() -> None:
    data = encode(photo(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(UnreadableImageError, match="scans; the limit is 200"):
        read_image(data[:-2] + scan * 3_000 + data[-2:], 16)
