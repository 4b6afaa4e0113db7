"""Splits in several `.rec` files: MXNet reads each, our reader takes them as one."""

from pathlib import Path

import pytest

from components.shared import shards
from components.shared.recordio import RecordSet
from components.shared.table import iter_rows, read_info, write_rows
from components.shared.task import SPLITS, Task
from tests.components.im2rec.support import (
    COUNT,
    Dataset,
    RealRows,
    assert_mxnet_reads_the_table,
    read_by_mxnet,
    run,
)

PART_BYTES = 80_000


@pytest.mark.parametrize("task", ["detect", "count", "classify"])
def test_every_record_of_every_part_equals_its_row(
    dataset: Dataset, real_rows: RealRows, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_GROUP_BYTES", 30_000)  # several row groups a part
    folder = dataset(task, real_rows(task))
    table = folder / "table"
    info, rows = read_info(table), list(iter_rows(table))
    write_rows(table, reversed(rows), info)  # the table's order is not the shards'
    records = run(folder, task, part_bytes=PART_BYTES)
    parts = sorted(path.name for path in records.glob("train*.rec"))
    assert len(parts) > 2
    assert parts[0] == f"train-00000-of-{len(parts):05d}.rec"
    assert all(path.stat().st_size <= PART_BYTES for path in records.glob("*.rec"))
    assert not list(records.glob(".*"))
    assert_mxnet_reads_the_table(folder, records, task)


def test_a_part_is_as_full_as_the_next_record_allows(dataset: Dataset) -> None:
    rows = [{**COUNT[0], "image_id": f"{n:02d}", "image": b"x" * 68} for n in range(7)]
    records = run(dataset("count", [*rows, *COUNT[2:4]]), "count", part_bytes=350)  # 100 a record
    sizes = [path.stat().st_size for path in sorted(records.glob("train-*.rec"))]
    assert sizes == [300, 300, 100]


def test_a_record_larger_than_a_part_has_one_of_its_own(dataset: Dataset) -> None:
    sizes = (10, 5000, 20, 30)
    rows = [{**COUNT[0], "image_id": f"{n}", "image": b"x" * size} for n, size in enumerate(sizes)]
    records = run(dataset("count", [*rows, *COUNT[2:4]]), "count", part_bytes=200)
    found = [list(read_by_mxnet(records, f"train-{n:05d}-of-00003")) for n in range(3)]
    assert found == [[0], [1], [2, 3]]


def test_a_split_within_the_limit_keeps_its_plain_name(dataset: Dataset) -> None:
    records = run(dataset("count", COUNT), "count", part_bytes=1_000_000)
    assert {path.name for path in records.glob("*.rec")} == {f"{split}.rec" for split in SPLITS}


def test_the_digest_tells_sets_apart(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    digests = {
        RecordSet(run(folder, "count", **settings)).digest()
        for settings in ({}, {"part_bytes": 1000}, {"resize": 20}, {"resize": 20, "quality": 94})
    }
    assert len(digests) == 4
    again: Path = run(folder, "count")
    assert RecordSet(again).digest() in digests
