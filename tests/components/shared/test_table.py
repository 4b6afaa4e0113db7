"""The image table: what is written comes back, streamed, and refuses other files."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.shared import table
from components.shared.errors import UserError
from components.shared.table import (
    Rejection,
    TableInfo,
    fingerprint,
    iter_batches,
    iter_rejected,
    iter_rows,
    read_info,
    read_table,
    split_counts,
    write_batches,
    write_rejected,
    write_rows,
)

INFO = TableInfo("detect", ("cat", "guide dog"))


def _row(image_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "image_id": image_id, "sha256": "00", "width": 40, "height": 30, "format": "jpeg",
        "group": image_id, "split": None, "label": None, "count": None,
        "boxes": [{"label": 1, "xmin": 0.25, "ymin": 0.5, "xmax": 0.75, "ymax": 1.0}],
        "source": f"{image_id}.jpg", "attributes": {"upstream_split": "train"},
    }  # fmt: skip
    return row | changes


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [
        _row("a"),
        _row("b", boxes=[], attributes={}),
        _row("c", boxes=None, label=1, split="val"),
        _row("d", boxes=None, count=3, split="train"),
    ]
    path = tmp_path / "new" / "table.parquet"
    assert write_rows(path, iter(rows), INFO) == 4
    assert list(iter_rows(path)) == rows
    assert read_info(path) == INFO
    assert split_counts(path) == {"train": 1, "val": 1, "test": 0}


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    write_rows(tmp_path / "t", [_row("a")], INFO)
    assert list(iter_rows(tmp_path / "t", ["image_id", "width"])) == [
        {"image_id": "a", "width": 40}
    ]
    assert read_table(tmp_path / "t", ["group"]).column_names == ["group"]


def test_rows_are_written_and_read_a_row_group_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 10)
    write_rows(tmp_path / "t", (_row(f"{i:03d}") for i in range(25)), INFO)
    assert pq.ParquetFile(tmp_path / "t").num_row_groups == 3
    assert [row["image_id"] for row in iter_rows(tmp_path / "t")] == [f"{i:03d}" for i in range(25)]


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_rows(tmp_path / name, [_row("a"), _row("b")], INFO)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert write_rows(tmp_path / "t", [], INFO) == 0
    assert list(iter_rows(tmp_path / "t")) == []
    assert read_info(tmp_path / "t") == INFO


@pytest.mark.parametrize("missing", ["image_id", "sha256", "width", "source"])
def test_a_row_must_be_complete(missing: str, tmp_path: Path) -> None:
    row = _row("a")
    del row[missing]
    with pytest.raises(ValueError, match=missing):
        write_rows(tmp_path / "t", [row], INFO)


@pytest.mark.parametrize("metadata", [None, {"sightline.version": "999"}])
def test_other_files_are_refused(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    schema = pa.schema([("image_id", pa.string())], metadata=metadata)
    pq.write_table(pa.table({"image_id": ["a"]}).cast(schema), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet: not an image table of version 1"):
        read_info(tmp_path / "other.parquet")


def test_rejected(tmp_path: Path) -> None:
    rows = [Rejection("a.jpg", "truncated", b"small"), Rejection("b.xml#object2", "no area")]
    assert write_rejected(tmp_path / "r", rows) == 2
    assert list(iter_rejected(tmp_path / "r")) == rows
    assert [row.file for row in rows] == ["a.jpg", "b.xml"]


@pytest.mark.parametrize(
    "change",
    [
        {"split": "test"},
        {"sha256": "11"},
        {"label": 0},
        {"count": 2},
        {"boxes": [{"label": 1, "xmin": 0.25, "ymin": 0.5, "xmax": 0.75, "ymax": 0.9}]},
        {"boxes": []},
        {"boxes": None},
    ],
)
def test_fingerprint_sees_what_a_model_learns_from(change: dict[str, Any], tmp_path: Path) -> None:
    write_rows(tmp_path / "one", [_row("a"), _row("b")], INFO)
    write_rows(tmp_path / "two", [_row("a"), _row("b", **change)], INFO)
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "two")


def test_fingerprint_does_not_see_order_or_origin(tmp_path: Path) -> None:
    write_rows(tmp_path / "one", [_row("a"), _row("b")], INFO)
    write_rows(tmp_path / "two", [_row("b"), _row("a", source="elsewhere", attributes={})], INFO)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")


def test_bytes_do_not_depend_on_how_rows_come_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 7)
    write_rows(tmp_path / "rows", (_row(f"{i:02d}", split="val") for i in range(30)), INFO)
    written = []
    for size in (1, 4, 30):
        monkeypatch.setattr(table, "ROW_GROUP", size)
        batches = list(iter_batches(tmp_path / "rows"))
        monkeypatch.setattr(table, "ROW_GROUP", 7)
        assert write_batches(tmp_path / f"{size}", [*batches, batches[0].slice(0, 0)], INFO) == 30
        written.append((tmp_path / f"{size}").read_bytes())
    assert len(set(written)) == 1
    assert list(iter_rows(tmp_path / "4")) == list(iter_rows(tmp_path / "rows"))
    file = pq.ParquetFile(tmp_path / "4")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [7] * 4 + [
        2
    ]


def test_no_row_at_all(tmp_path: Path) -> None:
    assert write_batches(tmp_path / "none", [], INFO) == 0
    assert list(iter_rows(tmp_path / "none")) == []
    assert read_info(tmp_path / "none") == INFO


def test_reading_takes_the_same_memory_for_any_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "ROW_GROUP", 100)
    peaks = []
    for rows in (1_000, 10_000):
        path = tmp_path / f"{rows}"
        write_rows(path, (_row(f"{i:06d}") for i in range(rows)), INFO)
        before = pa.total_allocated_bytes()
        peaks.append(max(pa.total_allocated_bytes() for _ in iter_batches(path)) - before)
    assert peaks[1] < peaks[0] * 1.2 + 10_000
