"""im2rec, read back by MXNet itself."""

import shutil
from typing import Any

import mxnet as mx
import numpy as np
import pytest

from components.shared import shards
from components.shared.errors import UserError
from components.shared.recordio import RecordSet
from components.shared.table import fingerprint, iter_rows, read_info, write_rows
from components.shared.task import Task
from tests.components.im2rec.support import (
    CLASSIFY,
    COUNT,
    DETECT,
    TURNED,
    Dataset,
    RealRows,
    assert_mxnet_reads_the_table,
    read_by_mxnet,
    run,
)


@pytest.mark.parametrize(
    ("task", "rows"), [("detect", DETECT), ("count", COUNT), ("classify", CLASSIFY)]
)
def test_every_record_equals_its_row(
    dataset: Dataset, task: Task, rows: list[dict[str, Any]]
) -> None:
    folder = dataset(task, rows)
    assert_mxnet_reads_the_table(folder, run(folder, task), task)


@pytest.mark.parametrize("task", ["detect", "count", "classify"])
def test_every_record_of_a_real_dataset_equals_its_row(
    dataset: Dataset, real_rows: RealRows, task: Task
) -> None:
    rows = real_rows(task)
    assert len(rows) >= 80
    folder = dataset(task, rows)
    assert_mxnet_reads_the_table(folder, run(folder, task), task)


def test_order_is_the_tables_even_when_the_shards_have_another(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    table = folder / "table"
    info, rows = read_info(table), list(iter_rows(table))
    write_rows(table, reversed(rows), info)
    records = run(folder, "count")
    assert RecordSet(records).ids("train") == ["00004", "00001", "00000"]
    assert_mxnet_reads_the_table(folder, records, "count")


@pytest.mark.parametrize("resize", [None, 20])
def test_reading_without_the_index_gives_the_tables_order(
    dataset: Dataset, resize: int | None
) -> None:
    records = run(dataset("count", COUNT), "count", resize=resize)
    reader = mx.recordio.MXRecordIO(str(records / "train.rec"), "r")
    found = [mx.recordio.unpack(reader.read())[0].id for _ in range(3)]
    assert found == [0, 1, 2]
    assert reader.read() is None


def test_augmented_copies_are_packed_with_the_others(dataset: Dataset) -> None:
    copy = {"image_id": "00000#aug1", "split": "train", "count": 0, "augmented": True}
    records = run(dataset("count", [*COUNT, copy]), "count")
    assert RecordSet(records).ids("train") == ["00000", "00001", "00004", "00000#aug1"]
    assert len(read_by_mxnet(records, "train")) == 4


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


@pytest.mark.parametrize("settings", [{}, {"resize": 20}, {"part_bytes": 4000}])
def test_the_result_does_not_depend_on_the_number_of_threads(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(shards, "_GROUP_BYTES", 3000)  # several row groups
    folder = dataset("count", [{**row, "image_id": f"{row['image_id']}{n}"} for n in range(5)
                               for row in COUNT])  # fmt: skip
    digests = []
    for workers in (1, 4):
        records = run(folder, "count", workers=workers, **settings)
        digests.append({path.name: path.read_bytes() for path in records.iterdir()})
    assert digests[0] == digests[1]


def test_readers_turn_an_image_that_passed_through_as_its_exif_tag_says(dataset: Dataset) -> None:
    """Its bytes are untouched, and so is the tag: MXNet's iterator and decoder apply it."""
    records = run(dataset("count", [{**COUNT[0], "image": TURNED}, *COUNT[1:]]), "count")
    assert read_by_mxnet(records, "train")[0][1] == TURNED
    assert mx.image.imdecode(TURNED).shape == (60, 40, 3)
    iterator = mx.io.ImageRecordIter(
        path_imgrec=str(records / "train.rec"), data_shape=(3, 60, 40), batch_size=1
    )
    pixels = next(iter(iterator)).data[0].asnumpy()[0]
    assert pixels[:, 0].mean() > 250, "what was left is on top"
    assert pixels[:, -1].mean() < 5


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


@pytest.mark.parametrize(("task", "rows"), [("count", COUNT), ("classify", CLASSIFY)])
def test_mxnets_image_iterator_takes_our_files(
    dataset: Dataset, task: Task, rows: list[dict[str, Any]]
) -> None:
    records = run(dataset(task, rows), task)
    train = [row for row in rows if row["split"] == "train"]
    iterator = mx.io.ImageRecordIter(
        path_imgrec=str(records / "train.rec"),
        path_imgidx=str(records / "train.idx"),
        data_shape=(3, 32, 32),
        batch_size=len(train),
    )
    batch = next(iter(iterator))
    assert batch.data[0].shape == (len(train), 3, 32, 32)
    key = "count" if task == "count" else "label"
    assert batch.label[0].asnumpy().tolist() == [row[key] for row in train]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": None}, "'00000': no split"),
        ({"count": None}, "'00000': no count in the image table"),
        ({"unlisted": True}, "'00000': in no row of the table"),
        ({"times": 2}, "'00000': twice in the shards"),
        ({"times": 0}, "1 images of the table are in no shard, e.g. 00000"),
        ({"image_id": "00001", "times": 0}, "'00001': twice in the image table"),
        ({"image_id": "a\tb"}, "'a\tb': a tab or line break"),
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


def test_an_empty_table_and_missing_shards_are_named(dataset: Dataset) -> None:
    folder = dataset("count", [])
    with pytest.raises(UserError, match="table: no image"):
        run(folder, "count")
    folder = dataset("count", COUNT)
    shutil.rmtree(folder / "images")
    with pytest.raises(UserError, match=r"5 images .* in no shard, e\.g\. 00000, 00001"):
        run(folder, "count")


def test_a_failed_run_leaves_the_earlier_records(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    before = {path: path.read_bytes() for path in run(folder, "count").iterdir()}
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(UserError, match="in no shard"):
        run(folder, "count")
    assert {path: path.read_bytes() for path in (folder / "records").iterdir()} == before
