"""The fingerprint that keeps a cached ingest from being reused for other data."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from components.ingest.config import IngestSection
from components.ingest.source_version import source_version


def _version(uri: Path | str) -> str:
    return source_version(IngestSection(format="folders", uri=str(uri)))


def test_moving_a_source_changes_nothing(write: Any, tmp_path: Path) -> None:
    folder = write({"cat/1.jpg": b"1", "dog/2.jpg": b"22"})
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert _version(copy) == _version(folder) == _version(f"file://{folder}")


def test_any_change_changes_it(write: Any) -> None:
    folder = write({"cat/1.jpg": b"1", "dog/2.jpg": b"22"})
    seen = {_version(folder)}
    (folder / "cat/3.jpg").write_bytes(b"3")
    seen.add(_version(folder))
    (folder / "cat/3.jpg").rename(folder / "cat/4.jpg")
    seen.add(_version(folder))
    (folder / "cat/4.jpg").write_bytes(b"33")
    seen.add(_version(folder))
    os.utime(folder / "dog/2.jpg", (1, 1))
    seen.add(_version(folder))
    (folder / "dog/2.jpg").unlink()
    seen.add(_version(folder))
    assert len(seen) == 6


def test_an_archive(write: Any) -> None:
    archive = write({"a.zip": b"1"}) / "a.zip"
    before = _version(archive)
    archive.write_bytes(b"12")
    assert _version(archive) != before


@pytest.mark.parametrize("uri", ["https://host/a.zip", "s3://bucket/prefix"])
def test_a_remote_source_is_its_address(uri: str) -> None:
    assert _version(uri) == uri


def test_no_source_to_look_at() -> None:
    assert _version("/no/such/folder") == "missing:/no/such/folder"
    assert source_version(IngestSection()) == "synthetic"


def test_an_edited_list_of_images_to_take(write: Any) -> None:
    folder = write({"cat/1.jpg": b"1", "ids.txt": b"1\n"})
    listed = IngestSection(format="folders", uri="s3://bucket/x", ids=str(folder / "ids.txt"))
    before = source_version(listed)
    (folder / "ids.txt").write_bytes(b"2\n")
    assert before != source_version(listed) != _version("s3://bucket/x")


def test_a_link_that_leads_elsewhere(write: Any) -> None:
    folder = write({".v1/1.jpg": b"1", ".v2/1.jpg": b"22"})
    link = folder / "cat"
    link.symlink_to(".v1")
    before = _version(folder)
    link.unlink()
    link.symlink_to(".v2")
    assert _version(folder) != before
