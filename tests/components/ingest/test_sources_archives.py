"""Archives: every kind reads the same, and those that attack are refused or harmless."""

import fcntl
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.ingest.config import IngestSection
from components.ingest.sources import archives, tars
from components.ingest.sources.base import read
from components.ingest.sources.locate import open_source
from components.ingest.sources.slot import scratch_folder
from components.shared.errors import UserError

FILES = {"set/a.txt": b"first", "set/deep/b.txt": b"second", ".hidden": b"", "__MACOSX/c": b""}


def _zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo, mode: Any = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


def _plain_tar(path: Path, files: dict[str, bytes]) -> Path:
    return _tar(path, files, mode="w")


def _read(path: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return what an archive holds, and what of it is passed over."""
    passed_over: dict[str, str] = {}
    with open_source(IngestSection(format="folders", uri=str(path))) as source:
        members = list(source.members(passed_over.__setitem__))
        return {path: read(source, path) for path, _ in members}, passed_over


@contextmanager
def _little_memory() -> Iterator[None]:
    """Make sure that a block never has more than 20 MB in use at a time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def _fields(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """Return a tar header of these raw fields, with a right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size.ljust(12, b"\0")
    block[136:148] = b"00000000000\0"
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


END = bytes(1024)


# What is well


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (_zip, "a.zip"),
        (_plain_tar, "a.tar"),
        (_tar, "a.tar.gz"),
        (lambda path, files: _tar(path, files, mode="w:bz2"), "a.tar.bz2"),
        (lambda path, files: _tar(path, files, mode="w:xz"), "a.tar.xz"),
        (_zip, "named-otherwise.bin"),
    ],
)
def test_all_kinds_hold_the_same(make: Any, name: str, tmp_path: Path) -> None:
    found, passed_over = _read(make(tmp_path / name, FILES))
    assert found == {"set/a.txt": b"first", "set/deep/b.txt": b"second"}
    assert set(passed_over) == {".hidden", "__MACOSX/c"}


@pytest.mark.parametrize("make", [_zip, _plain_tar])
def test_names_are_made_plain(make: Any, tmp_path: Path) -> None:
    long = "x" * 300 + ".txt"  # longer than a file system takes
    files = {"./a//b.txt": b"1", "win\\c.txt": b"2", long: b"3", "é.txt": b"4", "e\u0301.txt": b"5"}
    found, _ = _read(make(tmp_path / "a", files))
    assert list(found) == ["a/b.txt", "win/c.txt", long, "é.txt", "e\u0301.txt"]
    assert list(found.values()) == list(files.values())


@pytest.mark.parametrize("make", [_zip, _tar])
def test_names_that_differ_in_case_or_normalisation_are_as_many_images(
    make: Any, tmp_path: Path, picture: Any, run: Any
) -> None:
    """Nothing is written under these names, so no file system can take one for the other."""
    names = ["cat/A.jpg", "cat/a.jpg", "cat/é.jpg", "cat/e\u0301.jpg", "dog/1.jpg"]
    files = {name: picture(seed=seed) for seed, name in enumerate(names)}
    got = run("classify", format="folders", uri=str(make(tmp_path / "a", files)))
    assert {row["source"]: got.images()[key] for key, row in got.rows.items()} == files


def test_several_xz_streams_with_padding(tmp_path: Path) -> None:
    plain = _plain_tar(tmp_path / "a.tar", {"a": b"1"}).read_bytes()
    halves = [lzma.compress(plain[:700]), lzma.compress(plain[700:])]
    (tmp_path / "a.tar.xz").write_bytes(halves[0] + bytes(8) + halves[1] + bytes(4))
    assert _read(tmp_path / "a.tar.xz")[0] == {"a": b"1"}


def test_zip64(tmp_path: Path, picture: Any, run: Any) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("cat/1.jpg", "dog/2.jpg"):
            with archive.open(name, "w", force_zip64=True) as out:
                out.write(picture())
    assert b"\x01\x00\x10\x00" in path.read_bytes()  # the extra field of 64-bit sizes
    assert set(run("classify", format="folders", uri=str(path)).rows) == {"cat/1", "dog/2"}


# Names


def test_a_zip_member_without_a_name(tmp_path: Path) -> None:
    """zipfile fails to tell whether that is a folder."""
    path = _zip(tmp_path / "a.zip", {"a.txt": b"1", "b": b"2"}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    entry = data.rindex(b"PK\x01\x02")
    nameless = bytearray(data[:entry] + data[entry:].replace(b"b", b"", 1))
    nameless[entry + 28] = 0  # the name's length, here and of the whole directory
    end = nameless.rindex(b"PK\x05\x06")
    nameless[end + 12] -= 1
    path.write_bytes(nameless)
    assert _read(path) == ({"a.txt": b"1"}, {"''": "member without a name"})


@pytest.mark.parametrize(
    "name",
    ["../outside.txt", "/etc/passwd", "a/../../b", "..\\outside", "C:\\a.txt", "\\\\host\\a"],
)
@pytest.mark.parametrize("make", [_zip, _tar])
def test_members_that_lead_out(make: Callable[..., Path], name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leads out of the archive"):
        _read(make(tmp_path / "evil", {"a.txt": b"1", name: b"2"}))
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_of_members_with_one_name_the_first_is_used(
    kind: str, tmp_path: Path, picture: Any, run: Any
) -> None:
    path, first = tmp_path / "twice", picture()
    members = [("cat/1.jpg", first), ("./cat/1.jpg", picture()), ("cat/1.jpg", picture()),
               ("dog/2.jpg", picture())]  # fmt: skip
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    got = run("classify", format="folders", uri=str(path))
    assert got.images()["cat/1"] == first
    assert got.rejected == {"cat/1.jpg": "listed twice in the source; the first is used"}


def test_a_member_that_is_a_file_and_a_folder(tmp_path: Path) -> None:
    """Nothing is unpacked under its name, so both can be had."""
    found, _ = _read(_tar(tmp_path / "both.tar.gz", {"a/1.jpg": b"1", "a/1.jpg/x.jpg": b"2"}))
    assert found == {"a/1.jpg": b"1", "a/1.jpg/x.jpg": b"2"}


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_tar_with_a_link_or_a_device(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("innocent.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(UserError, match=r"'innocent.txt' is a link or a device"):
        _read(_tar(tmp_path / "a.tar.gz", {"a.txt": b"1"}, info))


def test_zip_with_a_link(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("innocent.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="is a link"):
        _read(tmp_path / "a.zip")


# Bombs


@pytest.mark.parametrize("make", [_zip, _tar])
def test_a_bomb_by_its_ratio(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    path = make(tmp_path / "bomb", {"zeros": bytes(20 << 20)})
    with pytest.raises(UserError, match="would unpack to more than"):
        _read(path)


@pytest.mark.parametrize("make", [_zip, _tar])
def test_a_bomb_by_its_size(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL", 50_000)
    path = make(tmp_path / "bomb", {f"{index}": os.urandom(10_000) for index in range(9)})
    with pytest.raises(UserError, match="would unpack to more than 50,000 bytes"):
        _read(path)


def test_a_bomb_in_what_follows_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    plain = _plain_tar(tmp_path / "a.tar", {"a": b"1"}).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(plain + bytes(30 << 20)))
    with pytest.raises(UserError, match="would unpack to more than"):
        _read(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("make", [_zip, _tar])
def test_too_many_members(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        _read(make(tmp_path / "many", {"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_would_be_unpacked_in_one_go(
    method: int, tmp_path: Path, picture: Any, run: Any
) -> None:
    """A member of 60 MB of zeros that says it has 10 bytes, packed so that zipfile takes all."""
    path = _zip(tmp_path / "a.zip", {"cat/1.jpg": picture()}, zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr("cat/2.jpg", bytes(60 << 20))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # its entry in the directory; the size is at 24
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(data)
    with _little_memory():
        got = run("classify", format="folders", uri=str(path))
    assert list(got.rows) == ["cat/1"]
    assert "whose memory cannot be bounded; pack the archive again" in got.rejected["cat/2.jpg"]


def test_an_xz_that_asks_for_much_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "XZ_MEMORY", 1 << 20)
    path = _tar(tmp_path / "a.tar.xz", {"a": b"1"}, mode="w:xz")
    with pytest.raises(UserError, match=r"[Mm]emory usage limit"):
        _read(path)


def test_nested_archives_are_not_opened(tmp_path: Path, picture: Any, run: Any) -> None:
    inner = _zip(tmp_path / "inner.zip", {"cat/2.jpg": picture()}).read_bytes()
    files = {"cat/1.jpg": picture(), "cat/inner.zip": inner, "cat/3.jpg": inner}
    got = run("classify", format="folders", uri=str(_zip(tmp_path / "a.zip", files)))
    assert list(got.rows) == ["cat/1"]
    assert got.rejected == {"cat/3.jpg": "not an image that can be read"}


# Headers that lie


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (b"\xff" * 12, "states a size of -1"),
        (
            b"\xff" * 10 + b"\xfa\x00",
            "leads back to where it begins",
        ),  # tarfile goes round for ever
        (b"\x80" + b"\xff" * 11, "would unpack to more"),
    ],
)
def test_tar_members_of_impossible_sizes(size: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(_fields(b"a", b"00000000001\0") + _padded(b"1") + _fields(b"b", size) + END)
    with pytest.raises(UserError, match=message):
        _read(path)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_tar_headers_that_take_all_memory(kind: bytes, tmp_path: Path) -> None:
    """90 MB that tarfile would read whole, for the name of one member."""
    size = 90 << 20
    start = _fields(b"a", b"00000000001\0") + _padded(b"1") + _fields(b"h", b"%011o\0" % size, kind)
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(start + b"x" * size + END, 1))
    with (
        _little_memory(),
        pytest.raises(UserError, match="header takes more than 1,048,576 bytes"),
    ):
        _read(path)


def test_a_sparse_map_without_end(tmp_path: Path) -> None:
    """tarfile reads on for the map's next line at the end of the file, for ever."""
    pax = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    path = tmp_path / "a.tar"
    path.write_bytes(
        _fields(b"h", b"%011o\0" % len(pax), b"x") + _padded(pax)
        + _fields(b"a", b"00000001000\0") + b"9" * 512
    )  # fmt: skip
    with pytest.raises(UserError, match="is not a whole tar archive"):
        _read(path)


def test_sparse_members_are_not_read(tmp_path: Path) -> None:
    header = bytearray(_fields(b"hole.jpg", b"00000000001\0", b"S"))
    header[386:398], header[398:410] = b"00000000000\0", b"00000000001\0"  # the map: one piece
    header[483:495] = b"00000100000\0"  # the size it would have
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(_fields(b"a", b"00000000001\0") + _padded(b"1") + bytes(header)
                     + _padded(b"1") + END)  # fmt: skip
    found, passed_over = _read(path)
    assert found == {"a": b"1"}
    assert passed_over == {"hole.jpg": "a sparse file; pack it again without --sparse"}


def test_global_headers_without_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tars, "MAX_PAX_HEADERS", 50)
    parts = []
    for index in range(60):
        record = b"14 key%03d=abc\n" % index
        parts += [_fields(b"h", b"%011o\0" % len(record), b"g"), _padded(record),
                  _fields(b"a%d" % index, b"00000000000\0")]  # fmt: skip
    (tmp_path / "a.tar").write_bytes(b"".join(parts) + END)
    with pytest.raises(UserError, match="too many headers"):
        _read(tmp_path / "a.tar")


def test_a_zip_member_larger_than_it_says(tmp_path: Path, picture: Any, run: Any) -> None:
    files = {"cat/1.jpg": picture(), "cat/2.jpg": picture() + bytes(50_000)}
    path = _zip(tmp_path / "a.zip", files)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    path.write_bytes(data)
    got = run("classify", format="folders", uri=str(path))
    assert list(got.rows) == ["cat/1"]
    assert "Bad CRC" in got.rejected["cat/2.jpg"]


def test_an_encrypted_zip(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"member 'a.jpg' needs a password"):
        _read(path)


def test_a_zip_directory_that_points_nowhere(tmp_path: Path, picture: Any, run: Any) -> None:
    path = _zip(tmp_path / "a.zip", {"cat/1.jpg": picture(), "cat/2.jpg": picture()})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    got = run("classify", format="folders", uri=str(path))
    assert list(got.rows) == ["cat/1"]
    assert got.rejected["cat/2.jpg"].startswith("cannot be read: ")


# Damage


def _images(picture: Any) -> dict[str, bytes]:
    return {f"{name}/{i}.jpg": picture(seed=i) for i, name in enumerate(["cat", "dog", "dog"])}


def test_a_damaged_zip_member_costs_no_other_image(tmp_path: Path, picture: Any, run: Any) -> None:
    files = _images(picture)
    path = _zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(files["dog/1.jpg"]) + 400] ^= 0xFF
    path.write_bytes(data)
    got = run("classify", format="folders", uri=str(path))
    assert set(got.rows) == {"cat/0", "dog/2"}
    assert "Bad CRC" in got.rejected["dog/1.jpg"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_no_cut_archive_is_taken_for_whole(name: str, tmp_path: Path) -> None:
    files = {f"{index}": os.urandom(700) for index in range(20)}
    path = tmp_path / name
    mode = {"tar": "w", "gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(
        name.rsplit(".", maxsplit=1)[-1]
    )
    whole = (_tar(path, files, mode=mode) if mode else _zip(path, files)).read_bytes()
    assert len(_read(path)[0]) == 20
    # The last blocks of a plain tar are padding, which says nothing.
    needed = 20 * 1536 + 1 if name == "a.tar" else len(whole)
    for cut in [*range(0, needed, 512), needed - 1]:
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError, match=r"not a whole|neither a zip nor a tar"):
            _read(path)


def test_a_damaged_tar_header_is_not_the_end(tmp_path: Path) -> None:
    """tarfile ends there, without a word about the members that follow."""
    path = _plain_tar(tmp_path / "a.tar", {"a": b"1", "b": b"2", "c": b"3"})
    data = bytearray(path.read_bytes())
    data[1024 + 120] ^= 0xFF  # in the second header
    path.write_bytes(data)
    with pytest.raises(UserError, match="a header is damaged"):
        _read(path)


def test_a_damaged_byte_in_a_compressed_tar_is_found(tmp_path: Path) -> None:
    """tarfile's own stream reader does not compare gzip's checksum."""
    path = tmp_path / "a.tar.gz"
    plain = _plain_tar(tmp_path / "a.tar", {"a": os.urandom(5_000)}).read_bytes()
    data = bytearray(gzip.compress(plain, 0))  # stored, so that a change damages nothing else
    data[3_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"not a whole tar archive .*CRC"):
        _read(path)


def test_an_annotation_file_that_cannot_be_read_is_named(tmp_path: Path, run: Any) -> None:
    path = _zip(tmp_path / "a.zip", {
        "train/labels/detections.csv": b"ImageID,LabelName\n" * 5_000,
        "train/metadata/classes.csv": b"/m/1,Cat\n", "train/data/a.jpg": b"1",
    }, zipfile.ZIP_STORED)  # fmt: skip
    data = bytearray(path.read_bytes())
    data[60_000] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a.zip|labels/detections\.csv"):
        run("detect", format="openimages", uri=str(path))


def test_what_killed_processes_unpacked_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    left, used = tmp_path / "scratch-left", tmp_path / "scratch-used"
    for folder in (left, used):
        folder.mkdir()
        (folder / "plain.tar").write_bytes(b"x")
        folder.with_suffix(".lock").touch()
    with used.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with scratch_folder(tmp_path) as own:
            assert own.parent == tmp_path
            assert not [*own.iterdir()]
            assert not left.exists()
            assert (used / "plain.tar").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"scratch-used", "scratch-used.lock"}


def test_a_compressed_archive_is_unpacked_beside_the_downloads(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "a.tar.gz", FILES)
    folder = tmp_path / "downloads"
    section = IngestSection(format="folders", uri=str(archive), download_folder=str(folder))
    with open_source(section):
        assert [path.name for path in folder.rglob("plain.tar")] == ["plain.tar"]
    assert not [*folder.iterdir()]
