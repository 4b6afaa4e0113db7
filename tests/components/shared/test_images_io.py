"""Encoded images: facts, decoding to RGB, and everything that cannot be used."""

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.shared.images_io import (
    ImageFacts,
    UnreadableImageError,
    encode_png,
    encode_thumbnail,
    inspect_image,
    open_image,
    open_reduced,
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
        (b"\xef\xbb\xbf \n<!DOCTYPE html><p>Not found", "it is a web page"),
        (b"<?xml version='1.0'?><svg/>", "it is XML or SVG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a PostScript or PDF document"),
        (b"%PDF-1.7", "a PostScript or PDF document"),
        (_frames("TIFF"), "several pages"),
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


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    second = _picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    data = _encode(_picture(), kind, save_all=True, append_images=[second], **options)
    facts = inspect_image(data)
    assert facts.format == f"{kind.lower()} (first frame)"
    assert not facts.passes_through  # other readers may take another frame
    _assert_ramp(open_image(data))


def _png(size: tuple[int, int], depth: int, kind: int, rows: bytes, *chunks: bytes) -> bytes:
    """Write a PNG that Pillow cannot write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "bands"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_16_bits(kind: int, bands: int) -> None:
    """Gray, RGB, and both with alpha."""
    ramp = np.linspace(0, 65535, WIDTH).astype(">u2")
    row = b"\0" + np.repeat(ramp[:, None], bands, axis=1).tobytes()
    data = _png((WIDTH, HEIGHT), 16, kind, row * HEIGHT)
    assert inspect_image(data).format == "png"
    _assert_ramp(open_image(data))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour(kind: str) -> None:
    """Transparency is dropped; the colour below it stays."""
    image = _picture("P")
    data = _encode(image, kind, transparency=image.getpixel((10, 0)))
    assert open_image(data).tobytes() == image.convert("RGB").tobytes()
    _assert_ramp(open_image(data))


def test_tiff_of_16_bits() -> None:
    data = _encode(Image.fromarray(np.asarray(_picture("L"), np.uint16) * 257), "TIFF")
    _assert_ramp(open_image(data))


def test_a_tiff_of_cmyk() -> None:
    _assert_ramp(open_image(_encode(_picture("CMYK"), "TIFF")))


def test_ghostscript_is_never_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow starts it for an EPS, whatever the file is called."""
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("it was started"))
    monkeypatch.setattr("PIL.EpsImagePlugin.has_ghostscript", lambda: True)
    data = _encode(_picture(), "EPS")
    for function in (inspect_image, open_image):
        with pytest.raises(UnreadableImageError, match="PostScript"):
            function(data)


@pytest.mark.parametrize("function", [inspect_image, open_image])
def test_a_jpeg_of_thousands_of_scans(function: Any) -> None:
    """Each decodes every pixel anew: such files keep a decoder busy for hours."""
    data = _encode(_picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    whole = data[:-2] + scan * 3 + data[-2:]
    function(whole)  # a few more do no harm
    with pytest.raises(UnreadableImageError, match=r"has 3,0\d\d scans; the limit is 200"):
        function(data[:-2] + scan * 3_000 + data[-2:])


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # Pillow's, of what it finds
def test_damaged_metadata_cost_no_image() -> None:
    """Whatever the metadata say, an image that passes the check can be opened."""
    exif = _exif(6)
    exif[0x9286] = "a comment"
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    data = bytearray(_encode(_picture(), "JPEG", exif=exif))
    start = data.index(b"Exif")
    end = start - 2 + int.from_bytes(data[start - 2 : start], "big")
    dice = random.Random(0)
    for _ in range(300):
        harmed = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            harmed[dice.randrange(start + 6, end)] = dice.choice([0, 1, 0x7F, 0xFF])
        facts = inspect_image(bytes(harmed))
        assert open_image(bytes(harmed)).size == (facts.width, facts.height)


def _tiff_exif(*entries: tuple[int, int, bytes]) -> bytes:
    """Write EXIF by hand: tags that Pillow reads, but would not write again."""
    body = b"".join(struct.pack("<HHI4s", tag, kind, 1, value) for tag, kind, value in entries)
    start = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return start + body + struct.pack("<I", 0)


@pytest.mark.parametrize(
    "odd",
    [
        (0x011A, 2, b"72\0\0"),  # XResolution as text
        (0x0100, 7, b"abcd"),  # ImageWidth as bytes of no type
        (0x0100, 9, struct.pack("<i", -5)),  # a negative ImageWidth
    ],
)
def test_odd_tags_beside_the_orientation_cost_no_image(odd: tuple[int, int, bytes]) -> None:
    orientation = (0x0112, 3, struct.pack("<HH", 6, 0))
    data = _encode(_picture(), "JPEG", exif=_tiff_exif(*sorted([orientation, odd])))
    assert inspect_image(data).orientation == 6
    assert open_image(data).size == (HEIGHT, WIDTH)
    assert open_reduced(data, 8).size[0] < open_reduced(data, 8).size[1]
    assert encode_thumbnail(data) is not None


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_reduced_image_is_large_enough_upright_and_of_the_mode(mode: Any) -> None:
    large = _picture().resize((480, 320))
    data = _encode(large, "JPEG", exif=_exif(6), quality=95)
    small = open_reduced(data, 32, mode)
    assert small.mode == mode
    assert small.size == (40, 60)  # an eighth
    whole = open_image(data).convert(mode).resize(small.size, Image.Resampling.BOX)
    difference = np.asarray(small, float) - np.asarray(whole, float)
    assert np.abs(difference).mean() < 2
    assert open_reduced(_encode(large, "PNG"), 32, mode).size == large.size


def test_a_thumbnail_is_small_and_only_of_what_decodes() -> None:
    thumbnail = encode_thumbnail(_encode(_picture().resize((900, 300)), "JPEG"), 90)
    assert thumbnail is not None
    assert inspect_image(thumbnail) == ImageFacts(90, 30, "jpeg", 1, (90, 30))
    assert encode_thumbnail(b"no image") is None
