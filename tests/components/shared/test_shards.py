"""Shards: bytes come back untouched, in order, in files of a bounded size."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.shared.shards import ShardWriter, iter_images, iter_shard, shard_paths


def _images(number: int, size: int) -> list[tuple[str, bytes]]:
    generator = random.Random(0)
    return [(f"{i:04d}", generator.randbytes(size)) for i in range(number)]


def test_bytes_come_back_in_order(tmp_path: Path) -> None:
    images = [*_images(20, 1000), ("empty", b""), ("sub/folder/name", b"\x00\xff")]
    with ShardWriter(tmp_path / "shards") as writer:
        for image_id, data in images:
            writer.add(image_id, data)
    assert list(iter_images(tmp_path / "shards")) == images
    assert [path.name for path in shard_paths(tmp_path / "shards")] == ["images-00000.parquet"]


def test_shards_hold_at_most_their_bytes(tmp_path: Path) -> None:
    images = [*_images(10, 300), ("large", b"x" * 5000), *_images(3, 300)]
    with ShardWriter(tmp_path, "part", shard_bytes=1000) as writer:
        for image_id, data in images:
            writer.add(image_id, data)
    paths = shard_paths(tmp_path)
    assert paths[0].name == "part-00000.parquet"
    sizes = [[len(data) for _, data in iter_shard(path)] for path in paths]
    assert sizes == [[300] * 3, [300] * 3, [300] * 3, [300], [5000], [300] * 3]
    assert list(iter_images(tmp_path)) == images


def test_a_reader_needs_one_row_group_at_a_time(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        for image_id, data in _images(10, 3 * 1024 * 1024):
            writer.add(image_id, data)
    (path,) = shard_paths(tmp_path)
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)]
    assert len(groups) == 4
    assert max(groups) < 10 * 1024 * 1024


def test_only_the_images_asked_for(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, shard_bytes=100) as writer:
        for image_id, data in _images(6, 60):
            writer.add(image_id, data)
    assert [name for name, _ in iter_images(tmp_path, {"0001", "0004", "none"})] == ["0001", "0004"]


def test_no_image_no_shard(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards"):
        pass
    assert (tmp_path / "shards").is_dir()
    assert list(iter_images(tmp_path / "shards")) == []


def test_equal_images_give_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with ShardWriter(tmp_path / name) as writer:
            for image_id, data in _images(5, 100):
                writer.add(image_id, data)
    one, two = (shard_paths(tmp_path / name)[0].read_bytes() for name in ("one", "two"))
    assert one == two


def test_an_error_inside_still_closes_the_file(tmp_path: Path) -> None:
    def write() -> None:
        with ShardWriter(tmp_path) as writer:
            writer.add("a", b"1")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert list(iter_images(tmp_path)) == [("a", b"1")]
