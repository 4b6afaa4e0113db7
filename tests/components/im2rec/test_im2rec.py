"""im2rec, read back by MXNet itself."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import mxnet as mx
import numpy as np
import numpy.typing as npt
import pytest

from components.im2rec.config import Im2RecSection
from components.im2rec.im2rec import im2rec
from components.shared.errors import UserError
from components.shared.recordio import RecordSet
from components.shared.shards import read_images
from components.shared.table import fingerprint, iter_rows
from components.shared.task import SPLITS, Task

Dataset = Callable[[Task, Sequence[dict[str, Any]]], Path]


def run(folder: Path, task: Task, **settings: Any) -> Path:
    records = folder / "records"
    section = Im2RecSection(**settings)
    im2rec(section, task, folder / "images", folder / "augmented", folder / "table", records)
    return records


def read_by_mxnet(records: Path, split: str) -> dict[int, tuple[npt.NDArray[np.float32], bytes]]:
    """All records of a split as MXNet reads them: label and image bytes by id."""
    stem = records / split
    reader = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    found = {}
    for key in reader.keys:
        header, image = mx.recordio.unpack(reader.read_idx(key))
        assert header.id == key
        found[key] = (np.atleast_1d(header.label), image)
    return found


def boxes(*values: Sequence[float]) -> list[dict[str, float]]:
    keys = ("label", "xmin", "ymin", "xmax", "ymax")
    return [dict(zip(keys, box, strict=True)) for box in values]


DETECT: list[dict[str, Any]] = [
    {"image_id": "b", "split": "train", "boxes": boxes((0, 0.1, 0.2, 0.5, 0.6), (1, 0, 0, 1, 1))},
    {"image_id": "a", "split": "val", "boxes": boxes((1, 0.25, 0.25, 0.75, 0.75))},
    {"image_id": "dir/c.d", "split": "test", "boxes": []},
    {"image_id": "e", "split": "train", "boxes": boxes((0, 1 / 3, 0.2, 2 / 3, 0.6))},
]
COUNT: list[dict[str, Any]] = [
    {"image_id": f"{n:05d}", "split": split, "count": n}
    for n, split in enumerate(("train", "train", "val", "test", "train"))
]
CLASSIFY: list[dict[str, Any]] = [
    {"image_id": f"i{n}", "split": split, "label": n % 2}
    for n, split in enumerate(("train", "val", "test", "train"))
]


@pytest.mark.parametrize(
    ("task", "rows"), [("detect", DETECT), ("count", COUNT), ("classify", CLASSIFY)]
)
def test_every_record_equals_its_row(
    dataset: Dataset, task: Task, rows: list[dict[str, Any]]
) -> None:
    folder = dataset(task, rows)
    records = run(folder, task)
    images = read_images(folder / "images", [row["image_id"] for row in rows])
    for split in SPLITS:
        expected = [row for row in iter_rows(folder / "table") if row["split"] == split]
        found = read_by_mxnet(records, split)
        assert RecordSet(records).ids(split) == [row["image_id"] for row in expected]
        assert len(found) == len(expected)
        for index, row in enumerate(expected):
            label, image = found[index]
            assert image == images[row["image_id"]], "bytes must pass through untouched"
            if task == "detect":
                assert label[:2].tolist() == [2, 5]
                flat = [
                    [b[k] for k in ("label", "xmin", "ymin", "xmax", "ymax")] for b in row["boxes"]
                ]
                np.testing.assert_allclose(
                    label[2:].reshape(-1, 5), np.array(flat).reshape(-1, 5), atol=1e-6
                )
            else:
                assert label.tolist() == [row["count" if task == "count" else "label"]]


def test_lists_are_in_the_form_of_the_built_in_algorithms(dataset: Dataset) -> None:
    records = run(dataset("detect", DETECT), "detect")
    lines = (records / "train.lst").read_text().splitlines()
    first = "0 2 5 0 0.100000 0.200000 0.500000 0.600000 1 0 0 1 1 b.jpg"
    assert lines[0].split("\t") == first.split()
    assert (records / "test.lst").read_text() == "0\t2\t5\tdir/c.d.jpg\n"


def test_the_folder_describes_itself(dataset: Dataset) -> None:
    folder = dataset("detect", DETECT)
    records = RecordSet(run(folder, "detect"))
    assert records.task == "detect"
    assert records.classes == ("a", "b")
    assert records.counts == {"train": 2, "val": 1, "test": 1}
    assert records.fingerprint == fingerprint(folder / "table")


@pytest.mark.parametrize("workers", [1, 2])
def test_resizing_keeps_labels_and_shortens_edges(dataset: Dataset, workers: int) -> None:
    folder = dataset("count", COUNT)
    records = run(folder, "count", resize=20, quality=90, workers=workers)
    for split in SPLITS:
        for _, image in read_by_mxnet(records, split).values():
            height, width = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape[:2]
            assert min(height, width) == 20
            assert width / height == pytest.approx(1.55, abs=0.1)  # 60 to 64 by 40


def test_the_result_does_not_depend_on_the_number_of_processes(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    digests = []
    for workers in (1, 2):
        records = run(folder, "count", resize=20, workers=workers)
        digests.append(
            [(records / f"{s}.{e}").read_bytes() for s in SPLITS for e in ("rec", "idx")]
        )
    assert digests[0] == digests[1]


def test_a_small_image_is_not_enlarged(dataset: Dataset) -> None:
    records = run(dataset("count", COUNT), "count", resize=512)
    _, image = read_by_mxnet(records, "val")[0]
    assert cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR).shape[0] == 40


def test_mxnets_detection_iterator_takes_our_files(dataset: Dataset) -> None:
    records = run(dataset("detect", DETECT), "detect")
    iterator = mx.io.ImageDetRecordIter(
        path_imgrec=str(records / "train.rec"),
        path_imgidx=str(records / "train.idx"),
        data_shape=(3, 32, 32),
        batch_size=2,
        label_pad_width=16,
    )
    batch = next(iter(iterator))
    assert batch.data[0].shape == (2, 3, 32, 32)
    # The iterator puts channels, height, width and length before the label itself.
    np.testing.assert_allclose(
        batch.label[0].asnumpy()[0, 4:11], [2, 5, 0, 0.1, 0.2, 0.5, 0.6], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": None}, "'00000': no split"),
        ({"count": None}, "'00000': no count in the image table"),
        ({"unlisted": True}, "'00000': in no row of the table"),
        ({"times": 2}, "'00000': twice in the shards"),
        ({"times": 0}, "1 images of the table are in no shard, e.g. 00000"),
    ],
)
def test_what_does_not_fit_together_is_named(
    dataset: Dataset, change: dict[str, Any], expected: str
) -> None:
    folder = dataset("count", [{**COUNT[0], **change}, *COUNT[1:]])
    with pytest.raises(UserError, match=expected):
        run(folder, "count")
    assert not (folder / "records").exists()


def test_an_empty_split_is_named(dataset: Dataset) -> None:
    folder = dataset("count", [{**row, "split": "train"} for row in COUNT])
    with pytest.raises(UserError, match="no image in split val, test"):
        run(folder, "count")


def test_an_image_that_cannot_be_decoded_is_named(dataset: Dataset) -> None:
    folder = dataset("count", [{**COUNT[0], "image": b"no image"}, *COUNT[1:]])
    with pytest.raises(UserError, match="'00000': OpenCV cannot decode it"):
        run(folder, "count", resize=20)
