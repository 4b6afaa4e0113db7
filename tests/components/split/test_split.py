"""The split step as a whole: what is kept together, where it goes, what is written."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image

from components.shared.errors import UserError
from components.shared.table import iter_rows, read_info, split_counts
from components.split.config import SplitSection
from components.split.split import SplitSummary, split

Row = Callable[..., dict[str, Any]]
WriteData = Callable[..., Any]


def run(data: Any, tmp_path: Path, seed: int = 0, **settings: Any) -> tuple[SplitSummary, Path]:
    out = tmp_path / "split.parquet"
    task = read_info(data.table).task
    section = SplitSection(**({"near_duplicates": False} | settings))
    paths = (data.images, data.table, out, tmp_path / "labels.csv")
    return split(section, task, seed, *paths), out


def splits(table: Path) -> dict[str, str]:
    return {row["image_id"]: row["split"] for row in iter_rows(table)}


def test_shares_are_met_in_total_and_in_each_class(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    labels = [0] * 100 + [1] * 50 + [2] * 10
    data = write_data([row(f"{i:04d}", label=label) for i, label in enumerate(labels)])

    summary, out = run(data, tmp_path)

    assert (summary.train, summary.val, summary.test) == (128, 16, 16)
    by_class = Counter((one["label"], one["split"]) for one in iter_rows(out))
    assert by_class[0, "test"] == 10
    assert by_class[1, "test"] == 5
    assert by_class[2, "test"] == 1


def test_one_absurd_count_costs_no_memory(row: Row, write_data: WriteData, tmp_path: Path) -> None:
    rows = [row(f"{i:02d}", count=i % 3) for i in range(40)]
    rows += [row("90", count=2**31 - 1), row("91")]  # the last has no count at all
    _, out = run(write_data(rows, task="count"), tmp_path)
    assert len(splits(out)) == 42


def test_everything_but_split_and_group_is_copied(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    box = {"label": 1, "xmin": 0.25, "ymin": 0.0, "xmax": 0.5, "ymax": 1.0}
    rows = [row(f"{i}", boxes=[box] * (i % 3), attributes={"k": "v"}) for i in range(30)]
    data = write_data(rows, task="detect")

    _, out = run(data, tmp_path)

    assert read_info(out) == read_info(data.table)
    for before, after in zip(iter_rows(data.table), iter_rows(out), strict=True):
        assert after.pop("split") in {"train", "val", "test"}
        before.pop("split")
        assert after == before


def test_another_seed_gives_another_split(row: Row, write_data: WriteData, tmp_path: Path) -> None:
    data = write_data([row(f"{i:04d}", label=0) for i in range(100)])
    first = splits(run(data, tmp_path, seed=1)[1])
    again = splits(run(data, tmp_path, seed=1)[1])
    other = splits(run(data, tmp_path, seed=2)[1])
    assert first == again
    assert first != other


def test_blocks_of_ids_stay_together_and_name_the_group(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    data = write_data([row(f"{i:05d}", count=i % 6) for i in range(1, 501)], task="count")

    summary, out = run(data, tmp_path, id_block=50)

    assert summary.groups == 11  # 1-49, 50-99, ... and 500
    by_group: dict[str, set[str]] = {}
    for one in iter_rows(out):
        by_group.setdefault(one["group"], set()).add(one["split"])
        first = int(one["image_id"]) // 50 * 50
        assert one["group"] == f"{first:05d}-{first + 49:05d}"
    assert all(len(found) == 1 for found in by_group.values())


def test_an_id_without_number_cannot_be_in_a_block(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    data = write_data([row("shelf", count=1)], task="count")
    with pytest.raises(UserError, match=r"split\.id_block: image id 'shelf' holds no number"):
        run(data, tmp_path, id_block=50)


class TestUpstream:
    """The source's own splits."""

    MAP: Final = {"train": "train", "valid": "val", "test": "test"}

    @staticmethod
    def rows(row: Row, **sizes: int) -> list[dict[str, Any]]:
        return [
            row(f"{name}/{i:03d}", label=i % 2, attributes={"upstream_split": name})
            for name, size in sizes.items()
            for i in range(size)
        ]

    def test_is_respected(self, row: Row, write_data: WriteData, tmp_path: Path) -> None:
        data = write_data(self.rows(row, train=20, valid=7, test=5))
        summary, out = run(data, tmp_path, upstream=self.MAP)
        assert split_counts(out) == {"train": 20, "val": 7, "test": 5}
        assert summary.moved == 0

    def test_a_missing_split_is_carved_from_train(
        self, row: Row, write_data: WriteData, tmp_path: Path
    ) -> None:
        data = write_data(self.rows(row, train=90, test=30))
        _, out = run(data, tmp_path, upstream={"train": "train", "test": "test"})
        # val is 0.1 of 0.8 + 0.1, of the 90 that upstream trains on.
        assert split_counts(out) == {"train": 80, "val": 10, "test": 30}
        assert {k for k, v in splits(out).items() if v == "test"} == {
            f"test/{i:03d}" for i in range(30)
        }

    def test_a_straddling_group_goes_to_the_most_held_out_split(
        self, row: Row, write_data: WriteData, tmp_path: Path
    ) -> None:
        rows = self.rows(row, train=20, valid=7, test=5)
        for one in rows:
            if one["image_id"] in {"train/000", "train/001", "test/000"}:
                one["group"] = "twins"
            if one["image_id"] in {"train/002", "valid/000"}:
                one["group"] = "pair"
        data = write_data(rows)

        summary, out = run(data, tmp_path, upstream=self.MAP)

        found = splits(out)
        assert found["train/000"] == found["train/001"] == found["test/000"] == "test"
        assert found["train/002"] == found["valid/000"] == "val"
        assert summary.moved == 3

    def test_an_unmapped_split_is_named(
        self, row: Row, write_data: WriteData, tmp_path: Path
    ) -> None:
        data = write_data(self.rows(row, train=3, extra=1))
        with pytest.raises(UserError, match=r"source's split 'extra', which is not mapped"):
            run(data, tmp_path, upstream={"train": "train"})

    def test_an_image_without_split_is_named(
        self, row: Row, write_data: WriteData, tmp_path: Path
    ) -> None:
        data = write_data([*self.rows(row, train=3), row("stray", label=0)])
        with pytest.raises(UserError, match="image 'stray' has no split in the source"):
            run(data, tmp_path, upstream={"train": "train"})

    def test_a_split_that_the_source_lacks_is_named(
        self, row: Row, write_data: WriteData, tmp_path: Path
    ) -> None:
        data = write_data(self.rows(row, train=3, val=1))
        with pytest.raises(UserError, match=r"'valid'; found: train, val"):
            run(data, tmp_path, upstream={"train": "train", "val": "val", "valid": "val"})


def test_a_split_that_would_be_empty_is_an_error(
    row: Row, write_data: WriteData, tmp_path: Path
) -> None:
    data = write_data([row(f"{i}", label=0, group="a" if i < 5 else "b") for i in range(10)])
    with pytest.raises(UserError, match=r"no image is left for .*2 groups"):
        run(data, tmp_path)


def test_an_empty_table_is_an_error(write_data: WriteData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="table is empty"):
        run(write_data([]), tmp_path)


def test_repeated_ids_are_an_error(row: Row, write_data: WriteData, tmp_path: Path) -> None:
    data = write_data([row("a", label=0), row("a", label=1)])
    with pytest.raises(UserError, match="image ids repeat"):
        run(data, tmp_path)


def test_near_duplicates_stay_together_under_the_smallest_name(
    row: Row,
    write_data: WriteData,
    photo: Callable[[int], Image.Image],
    encode: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    pictures = {f"{i:02d}": encode(photo(i)) for i in range(12)}
    pictures["a-copy"] = encode(photo(3).resize((150, 150)), "JPEG", quality=60)
    pictures["z-copy"] = encode(photo(3).crop((4, 4, 188, 188)), "JPEG", quality=90)
    data = write_data([row(name, label=0) for name in pictures], pictures)

    summary, out = run(data, tmp_path, near_duplicates=True)

    assert (summary.near_duplicate_groups, summary.near_duplicate_images) == (1, 3)
    together = [one for one in iter_rows(out) if one["group"] == "03"]
    assert {one["image_id"] for one in together} == {"03", "a-copy", "z-copy"}
    assert len({one["split"] for one in together}) == 1
    noted = {one["image_id"]: one["attributes"] for one in iter_rows(out)}
    assert {name: dict(found) for name, found in noted.items() if found} == {
        name: {"near_duplicates": "03"} for name in ("03", "a-copy", "z-copy")
    }


def test_other_attributes_stay_beside_that_of_near_duplicates(
    row: Row,
    write_data: WriteData,
    photo: Callable[[int], Image.Image],
    encode: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    pictures = {f"{i:02d}": encode(photo(i)) for i in range(8)}
    pictures["09"] = encode(photo(5), "PNG")
    data = write_data([row(name, label=0, attributes={"k": "v"}) for name in pictures], pictures)
    _, out = run(data, tmp_path, near_duplicates=True)
    found = {one["image_id"]: one["attributes"] for one in iter_rows(out)}
    assert found["05"] == found["09"] == {"k": "v", "near_duplicates": "05"}
    assert all(found[name] == {"k": "v"} for name in found.keys() - {"05", "09"})


def test_shards_may_have_another_order_than_the_table(
    row: Row,
    write_data: WriteData,
    photo: Callable[[int], Image.Image],
    encode: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    pictures = {f"{i:02d}": encode(photo(i % 9)) for i in range(10)}  # 09 is 00 again
    rows = [row(name, label=0) for name in pictures]
    shuffled = dict(sorted(pictures.items(), key=lambda item: item[0][::-1], reverse=True))
    usual, out = run(write_data(rows, pictures), tmp_path, near_duplicates=True)
    other = write_data(rows, shuffled, name="other")
    _, again = run(other, tmp_path / "again", near_duplicates=True)
    assert usual.near_duplicate_images == 2
    assert list(iter_rows(again)) == list(iter_rows(out))


BOX: Final = {"xmin": 0.25, "ymin": 0.0, "xmax": 0.5, "ymax": 1.0}


@pytest.mark.parametrize(
    ("task", "labels", "head", "values"),
    [
        ("classify", {"label": 1}, "label,class", "1,dog"),
        ("count", {"count": 4}, "count", "4"),
        (
            "detect",
            {"boxes": [{"label": label, **BOX} for label in (1, 0, 1)]},
            "boxes,classes",
            "3,cat;dog",
        ),
        ("detect", {"boxes": []}, "boxes,classes", "0,"),
    ],
)
def test_splits_and_labels_are_a_csv_file_too(
    task: str,
    labels: dict[str, Any],
    head: str,
    values: str,
    row: Row,
    write_data: WriteData,
    tmp_path: Path,
) -> None:
    rows = [row(f"{i}", **labels) for i in range(9)]
    rows.append(row('shelf, "left"', **labels))
    _, out = run(write_data(rows, task=task), tmp_path)
    lines = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"image_id,split,{head}"
    by_id = splits(out)
    assert lines[1] == f"0,{by_id['0']},{values}"
    assert f'"shelf, ""left""",{by_id[rows[-1]["image_id"]]},{values}' in lines
    assert len(lines) == 11


def test_images_without_bytes_are_an_error(row: Row, write_data: WriteData, tmp_path: Path) -> None:
    data = write_data([row(f"{i}", label=0) for i in range(5)])
    with pytest.raises(UserError, match="5 images of the table have no bytes"):
        run(data, tmp_path, near_duplicates=True)
