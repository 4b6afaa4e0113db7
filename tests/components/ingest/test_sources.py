"""Sources on this machine: what is listed, and what is passed over with a reason."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.ingest.config import IngestSection
from components.ingest.sources.base import read, read_each
from components.ingest.sources.hidden import HIDDEN, SYSTEM_FILES
from components.ingest.sources.http import HttpFile
from components.ingest.sources.local import FolderSource
from components.ingest.sources.locate import open_source
from components.ingest.sources.retry import TransientError
from components.shared.errors import UserError


def _listed(folder: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    passed_over: dict[str, str] = {}
    source = FolderSource(folder)
    found = {member.path: read(source, member.path)
             for member in source.members(passed_over.__setitem__)}  # fmt: skip
    return found, passed_over


def test_hidden_files_are_told_from_those_of_systems(write: Any) -> None:
    folder = write({
        "a.txt": b"1", "set/b.txt": b"2", ".hidden.jpg": b"", "set/.x/c.jpg": b"",
        ".DS_Store": b"", "set/._b.txt": b"", "__MACOSX/c": b"", "Thumbs.db": b"",
        ".git/config": b"",
    })  # fmt: skip
    found, passed_over = _listed(folder)
    assert found == {"a.txt": b"1", "set/b.txt": b"2"}
    assert passed_over == {
        ".hidden.jpg": HIDDEN, "set/.x": HIDDEN,
        ".DS_Store": SYSTEM_FILES, "set/._b.txt": SYSTEM_FILES, "__MACOSX": SYSTEM_FILES,
        "Thumbs.db": SYSTEM_FILES, ".git": SYSTEM_FILES,
    }  # fmt: skip


def test_links_are_not_followed_out_of_a_folder(write: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("private")
    folder = write({"a.txt": b"1", "set/b.txt": b"2"})
    (folder / "stolen.txt").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "gone.txt").symlink_to(folder / "nothing")
    (folder / "inside.txt").symlink_to(folder / "a.txt")
    (folder / "linked").symlink_to(folder / "set")
    found, passed_over = _listed(folder)
    assert found == {"a.txt": b"1", "inside.txt": b"1", "set/b.txt": b"2", "linked/b.txt": b"2"}
    assert passed_over == {
        "stolen.txt": "a link that leads out of the folder; not followed",
        "loop": "a link to a folder that it lies in; not followed",
        "self": "a link that leads nowhere",
        "gone.txt": "a link that leads nowhere",
    }


def test_folders_that_all_link_to_each_other_come_to_an_end(write: Any) -> None:
    names = [f"f{index}" for index in range(12)]
    folder = write({f"{name}/a.txt": b"1" for name in names})
    for name in names:
        for other in names:
            (folder / name / f"to-{other}").symlink_to(folder / other)
    found, passed_over = _listed(folder)
    assert len(found) == 12 + 12 * 11  # itself, and through one link
    assert "in a folder reached by a link" in passed_over["f0/to-f1/to-f2"]


def test_special_files_are_named_and_never_opened(write: Any, tmp_path: Path) -> None:
    folder = write({"a.txt": b"1"})
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(folder)  # a socket's path may be 108 bytes long
        bound.bind("door.jpg")
        os.chdir(here)
    found, passed_over = _listed(folder)
    assert list(found) == ["a.txt"]
    assert passed_over == {"pipe.jpg": "a named pipe; not read", "door.jpg": "a socket; not read"}
    with pytest.raises(OSError, match="no such file"):
        FolderSource(folder).open("pipe.jpg")
    with pytest.raises(UserError, match="neither a folder nor a plain file"):
        open_source(IngestSection(format="voc", uri=str(folder / "pipe.jpg"))).__enter__()


def test_a_path_that_leads_out_is_not_opened(write: Any, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("private")
    folder = write({"a.txt": b"1"})
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    for path in ("../secret.txt", "link.txt"):
        with pytest.raises(OSError, match="leads out of the folder"):
            FolderSource(folder).open(path)


def test_a_folder_nested_deeper_than_pythons_stack(tmp_path: Path) -> None:
    depth = sys.getrecursionlimit() + 200
    top, here = tmp_path / "top", Path.cwd()
    top.mkdir()
    try:
        os.chdir(top)
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
        Path("a.txt").write_bytes(b"1")
        os.chdir(here)
        assert [len(path.split("/")) for path in _listed(top)[0]] == [depth + 1]
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-r", top], check=True)  # pytest's own way recurses too


def test_what_is_passed_over_is_listed_by_the_step(
    write: Any, picture: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write({
        "cat/1.jpg": picture(), "dog/2.jpg": picture(), "cat/.3.jpg": picture(),
        "cat/.DS_Store": b"", "dog/._2.jpg": b"", "readme.txt": b"",
    })  # fmt: skip
    os.mkfifo(folder / "cat" / "4.jpg")
    (folder / "dog" / "5.jpg").symlink_to("/etc/hostname")
    (folder / os.fsdecode(b"\xff.jpg")).symlink_to("/etc/hostname")
    got = run("classify", format="folders", uri=str(folder))
    assert set(got.rows) == {"cat/1", "dog/2"}
    assert got.rejected == {
        "cat/.3.jpg": HIDDEN,
        "cat/4.jpg": "a named pipe; not read",
        "dog/5.jpg": "a link that leads out of the folder; not followed",
        "\\udcff.jpg": "a link that leads out of the folder; not followed",
    }
    assert f"left out on purpose: 2 {SYSTEM_FILES}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/no/such/folder", "no such folder or archive"),
        ("s3:///prefix", "no bucket"),
        ("/dev/zero", "neither a folder nor a plain file"),
        ("https://", "check ingest.uri"),
    ],
)
def test_addresses_that_lead_nowhere(uri: str, message: str, tmp_path: Path) -> None:
    section = IngestSection(format="folders", uri=uri, download_folder=str(tmp_path))
    with pytest.raises(UserError, match=message):
        open_source(section).__enter__()


@pytest.mark.parametrize("fault", [errno.EIO, errno.EMFILE])
def test_a_disk_that_fails_is_no_damaged_file(fault: int) -> None:
    def load(_: object) -> Iterator[bytes]:
        raise OSError(fault, os.strerror(fault))

    with pytest.raises(OSError, match=os.strerror(fault)):
        read_each(load, ["a.jpg", "b.jpg"])


def test_an_address_that_is_signed_stays_out_of_messages() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    file = HttpFile(f"http://127.0.0.1:{port}/a.zip?X-Sig=SECRET")
    with pytest.raises(TransientError) as caught, file.open(0, ""):
        pass
    assert "SECRET" not in str(caught.value)
