"""Memory does not grow with the number of images, and work in processes keeps its order."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.ingest.catalogue import Catalogue
from components.ingest.config import IngestSection
from components.ingest.records import RawBox, Record
from components.ingest.select import select_records
from components.ingest.sources.base import Member
from components.shared import parallel
from components.shared.parallel import chunked, map_chunks


def _double(chunk: list[int]) -> list[int]:
    if 13 in chunk:
        raise ValueError("unlucky")
    return [2 * number for number in chunk]


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "PATIENCE_S", 0.0)
    chunks = [[number] for number in range(100, 150)]
    assert list(map_chunks(_double, chunks, workers)) == [[2 * c[0]] for c in chunks]


def test_an_error_in_a_process_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "PATIENCE_S", 0.0)
    with pytest.raises(ValueError, match="unlucky"):
        list(map_chunks(_double, [[number] for number in range(20)], 2))


def test_chunks_are_bounded_in_items_and_bytes() -> None:
    many = list(chunked(range(100), lambda _: 1))
    assert [len(chunk) for chunk in many] == [32, 32, 32, 4]
    large = list(chunked(range(5), lambda _: parallel.CHUNK_BYTES // 2))
    assert [len(chunk) for chunk in large] == [2, 2, 1]
    huge = list(chunked(range(3), lambda _: parallel.CHUNK_BYTES * 2))
    assert [len(chunk) for chunk in huge] == [1, 1, 1]


def _peak(folder: Path, images: int) -> int:
    """Return the most bytes in use while so many images are catalogued and read back."""
    members = (Member(f"data/{index:07d}.jpg", 9) for index in range(images))

    def records() -> Iterator[Record]:
        for index in range(images):
            box = RawBox("cat", 0.1, 0.1, 0.2, 0.2, f"labels#row{index}")
            yield Record(f"{index:07d}", f"data/{index:07d}.jpg", 9, boxes=(box,))

    folder.mkdir()
    tracemalloc.start()
    try:
        with Catalogue(folder / "c.sqlite") as catalogue:
            catalogue.add_files(members)
            for record in records():
                catalogue.add(record)
            select_records(catalogue, IngestSection(), "detect", 0, ["cat"])
            total, selection = catalogue.selection(None)
            assert sum(1 for _ in selection) == total == images
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_catalogue_takes_the_same_memory_for_any_number(tmp_path: Path) -> None:
    few, many = _peak(tmp_path / "few", 500), _peak(tmp_path / "many", 5_000)
    # What grows by 50 bytes an image would show: 4,500 more images. Threads of other tests'
    # servers may allocate a little meanwhile.
    assert many < few * 1.2 + 200_000
