"""Resizing: sizes, contents, orientation, and images that cannot be resized."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from components.im2rec.config import Im2RecSection
from components.im2rec.resize import Encoded, fitted, resized
from components.im2rec.size import target_size
from components.shared.errors import UserError
from components.shared.shards import read_images
from components.shared.task import SPLITS, Task
from tests.components.im2rec.support import (
    CLASSIFY,
    COUNT,
    DETECT,
    TURNED,
    Dataset,
    RealRows,
    as_jpeg,
    assert_mxnet_reads_the_table,
    decoded,
    difference,
    read_by_mxnet,
    run,
    shrunk,
    with_orientation,
)


def test_resizing_shortens_edges_and_keeps_labels_and_contents(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    originals = read_images(folder / "images", [row["image_id"] for row in COUNT])
    records = run(folder, "count", resize=24, quality=90)
    for split in SPLITS:
        expected = [row for row in COUNT if row["split"] == split]
        for index, (label, image) in read_by_mxnet(records, split).items():
            row = expected[index]
            assert label.tolist() == [row["count"]]
            original = originals[row["image_id"]]
            width = decoded(original).shape[1]
            whole = shrunk(original, (round(width * 24 / 40), 24))
            kept = decoded(as_jpeg(whole, 90))
            assert difference(decoded(image), kept) < difference(kept, whole), "JPEG's own loss"


@pytest.mark.parametrize("resize", [16, 60, 120, 200, 240, 300, 400])
def test_photographs_shrink_nearly_as_if_each_pixel_were_averaged(
    dataset: Dataset, real_rows: RealRows, resize: int
) -> None:
    """640 x 480 photographs, so from a factor of 30 to one of 1.2."""
    rows = real_rows("detect")[::10]
    records = run(dataset("detect", rows), "detect", resize=resize)
    for split in SPLITS:
        expected = [row for row in rows if row["split"] == split]
        for index, (_, image) in read_by_mxnet(records, split).items():
            whole = shrunk(expected[index]["image"], (round(640 * resize / 480), resize))
            kept = decoded(as_jpeg(whole))
            assert decoded(image).shape == whole.shape
            assert difference(decoded(image), kept) < difference(kept, whole), "JPEG's own loss"


@pytest.mark.parametrize(("width", "height"), [(201, 120), (200, 121), (203, 121)])
def test_an_odd_side_is_decoded_whole_so_that_nothing_moves(
    dataset: Dataset, width: int, height: int
) -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    image = as_jpeg(sharp)
    records = run(dataset("count", [{**COUNT[0], "image": image}, *COUNT[1:]]), "count", resize=32)
    size = (round(width * 32 / height), 32)
    assert read_by_mxnet(records, "train")[0][1] == as_jpeg(shrunk(image, size))


@pytest.mark.parametrize("resize", [16, 32])
def test_a_size_that_is_not_the_tables_is_an_error(dataset: Dataset, resize: int) -> None:
    rows = [{**COUNT[0], "width": 600, "height": 400}, *COUNT[1:]]
    with pytest.raises(UserError, match="'00000': 60 x 40 pixels, but the image table says 600 x"):
        run(dataset("count", rows), "count", resize=resize)


def test_a_small_image_is_not_enlarged(dataset: Dataset) -> None:
    records = run(dataset("count", COUNT), "count", resize=512)
    _, image = read_by_mxnet(records, "val")[0]
    assert decoded(image).shape[0] == 40


@pytest.mark.parametrize("resize", [20, 512])
def test_a_resized_image_is_upright_without_an_orientation_tag(
    dataset: Dataset, resize: int
) -> None:
    records = run(
        dataset("count", [{**COUNT[0], "image": TURNED}, *COUNT[1:]]),
        "count",
        resize=resize,
    )
    pixels = decoded(read_by_mxnet(records, "train")[0][1])
    assert pixels.shape[0] > pixels.shape[1]
    assert pixels[0].mean() > 250, "what was left is on top"
    assert pixels[-1].mean() < 5


@pytest.mark.parametrize("image", [b"no image", b""])
def test_an_image_that_cannot_be_decoded_is_named(dataset: Dataset, image: bytes) -> None:
    folder = dataset("count", [{**COUNT[0], "image": image}, *COUNT[1:]])
    with pytest.raises(UserError, match="'00000': OpenCV cannot decode it"):
        run(folder, "count", resize=20)


@pytest.mark.parametrize(
    ("task", "rows"), [("detect", DETECT), ("count", COUNT), ("classify", CLASSIFY)]
)
@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"resize_to": [30, 30]}, lambda width, height: (30, round(30 * height / width))),
        ({"resize_to": [300, 20]}, lambda width, height: (round(20 * width / height), 20)),
        ({"resize_to": [300, 300]}, lambda width, height: (width, height)),
        ({"resize_to": [33, 44], "fit": "exact", "enlarge": True}, lambda _w, _h: (33, 44)),
        ({"resize": 80, "enlarge": True}, lambda width, _: (2 * width, 80)),
        ({"resize_to": [30, 30], "part_bytes": 1500}, lambda w, h: (30, round(30 * h / w))),
    ],
)
def test_every_resized_record_has_the_size_asked_for_and_its_rows_label(
    dataset: Dataset,
    task: Task,
    rows: list[dict[str, Any]],
    settings: dict[str, Any],
    size: Callable[[int, int], tuple[int, int]],
) -> None:
    folder = dataset(task, rows)

    def is_same(found: bytes, original: bytes) -> bool:
        """The size asked for, and the picture: shrunk alike, the two are hardly different."""
        height, width = decoded(original).shape[:2]
        height_now, width_now = decoded(found).shape[:2]
        small = difference(shrunk(found, (8, 8)), shrunk(original, (8, 8)))
        return (width_now, height_now) == size(width, height) and small < 4

    assert_mxnet_reads_the_table(folder, run(folder, task, **settings), task, is_same)


@pytest.mark.parametrize(
    ("size", "settings", "expected"),
    [
        ((1280, 960), {}, (1280, 960)),
        ((1280, 960), {"resize": 256}, (341, 256)),
        ((960, 1280), {"resize": 256}, (256, 341)),
        ((200, 100), {"resize": 256}, (200, 100)),
        ((200, 100), {"resize": 256, "enlarge": True}, (512, 256)),
        ((1000, 500), {"resize_to": (300, 300)}, (300, 150)),
        ((500, 1000), {"resize_to": (300, 200)}, (100, 200)),
        ((10_000, 10), {"resize_to": (100, 100)}, (100, 1)),
        ((200, 100), {"resize_to": (300, 300)}, (200, 100)),
        ((200, 100), {"resize_to": (300, 300), "enlarge": True}, (300, 150)),
        ((200, 100), {"resize_to": (50, 60), "fit": "exact", "enlarge": True}, (50, 60)),
    ],
)
def test_the_size_that_settings_ask_for(
    size: tuple[int, int], settings: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert target_size(size, Im2RecSection(**settings)) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('{"resize": 256, "resize_to": [10, 10]}', "give either resize or resize_to"),
        ('{"fit": "exact", "resize": 100}', "fit 'exact' needs resize_to, and 'enlarge: true'"),
        ('{"fit": "exact", "resize_to": [10, 10]}', "fit 'exact' needs resize_to, and"),
        ('{"enlarge": true}', "enlarge needs a size"),
        ('{"resize_to": [10, 1]}', "resize_to.1: input should be greater than or equal to 8"),
        ('{"resize_to": [10]}', "resize_to.1: is required"),
    ],
)
def test_settings_that_do_not_fit_together_are_explained(settings: str, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        Im2RecSection.from_json(settings)


def encoded(data: bytes, size: tuple[int, int]) -> Encoded:
    return Encoded("a", memoryview(data), True, size)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("edge", [100, 40])
def test_every_orientation_is_applied_as_opencv_applies_it(orientation: int, edge: int) -> None:
    """100 pixels: decoded whole; 40: at half size. Orientation 1 takes the fast decoder."""
    rough = np.random.default_rng(0).integers(0, 255, (6, 10, 3), dtype=np.uint8)
    pixels = cv2.resize(rough, (200, 120), interpolation=cv2.INTER_CUBIC)
    data = with_orientation(as_jpeg(pixels), orientation)
    upright = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = upright.shape[:2]
    size = (round(width * edge / min(width, height)), round(height * edge / min(width, height)))
    found = decoded(bytes(resized(encoded(data, (width, height)), size, 95)))
    assert difference(found, cv2.resize(upright, size, interpolation=cv2.INTER_AREA)) < 5


@pytest.mark.parametrize("edge", [None, 240, 100])
def test_the_fast_decoder_gives_opencvs_pixels(real_rows: RealRows, edge: int | None) -> None:
    for row in real_rows("detect")[::12]:
        upright = encoded(row["image"], (640, 480))
        slow = encoded(with_orientation(row["image"], 0), (640, 480))  # not sure: OpenCV decides
        size = target_size((640, 480), Im2RecSection(resize=edge))
        assert resized(upright, size, 95) == resized(slow, size, 95)


@pytest.mark.parametrize("edge", [20, 10])
def test_grey_and_cmyk_jpegs_become_rgb(edge: int) -> None:
    grey = cv2.imencode(".jpg", np.full((40, 60), 77, np.uint8))[1].tobytes()
    ink = np.full((40, 60, 4), 255, np.uint8)  # inverted, as Adobe writes them: no ink, white
    cmyk = simplejpeg.encode_jpeg(ink, 95, "CMYK", "444")
    for data, value in ((grey, 77), (cmyk, 255)):
        found = decoded(bytes(resized(encoded(data, (60, 40)), (3 * edge // 2, edge), 95)))
        assert found.shape == (edge, 3 * edge // 2, 3)
        assert difference(found, np.full_like(found, value)) < 2


@pytest.mark.parametrize("sides", [(64, 48), (63, 48), (51, 37), (100, 90), (41, 39), (40, 38)])
def test_shrinking_keeps_the_mean_and_moves_nothing(sides: tuple[int, int]) -> None:
    """A ramp from left to right and from top to bottom stays one, at any factor."""
    width, height = sides
    across = np.linspace(0, 200, width)[None, :] + np.linspace(0, 50, height)[:, None]
    pixels = np.repeat(across[..., None], 3, 2).astype(np.uint8)
    found = np.asarray(fitted(pixels, (32, 24)), np.uint8)
    assert difference(found, cv2.resize(pixels, (32, 24), interpolation=cv2.INTER_AREA)) < 1
