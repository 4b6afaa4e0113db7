"""Sources: folders, archives, web addresses and S3, and archives that attack."""

import functools
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from components.ingest.config import IngestSection
from components.ingest.sources import archives, http
from components.ingest.sources.base import Member, read
from components.ingest.sources.http import download
from components.ingest.sources.local import FolderSource
from components.ingest.sources.locate import open_source
from components.shared import parallel
from components.shared.errors import UserError

FILES = {"set/a.txt": b"first", "set/deep/b.txt": b"second", ".hidden": b"", "__MACOSX/c": b""}


def _zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _tar(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in extra:
            archive.addfile(info)
    return path


def _read_all(uri: str | Path, **settings: Any) -> dict[str, bytes]:
    section = IngestSection(format="folders", uri=str(uri), **settings)
    with open_source(section) as source:
        return {path: read(source, path) for path, _ in sorted(source.members())}


def test_folder_zip_and_tar_hold_the_same(write: Any, tmp_path: Path) -> None:
    expected = {"set/a.txt": b"first", "set/deep/b.txt": b"second"}
    assert _read_all(write(FILES)) == expected
    assert _read_all(_zip(tmp_path / "a.zip", FILES)) == expected
    assert _read_all(_tar(tmp_path / "a.tar.gz", FILES)) == expected


def test_archives_are_told_by_content_not_by_name(tmp_path: Path) -> None:
    assert _read_all(_zip(tmp_path / "dataset.bin", {"a": b"1"})) == {"a": b"1"}


def test_links_are_not_followed_out_of_a_folder(write: Any, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("private")
    folder = write({"a.txt": b"1"})
    (folder / "stolen.txt").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    (folder / "inside.txt").symlink_to(folder / "a.txt")
    assert _read_all(folder) == {"a.txt": b"1", "inside.txt": b"1"}


def test_a_named_pipe_is_no_file(write: Any) -> None:
    folder = write({"a.txt": b"1"})
    os.mkfifo(folder / "pipe")
    assert list(FolderSource(folder).members()) == [Member("a.txt", 1)]


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "a/../../b", "..\\outside"])
@pytest.mark.parametrize("make", [_zip, _tar])
def test_members_that_lead_out_of_the_archive(
    make: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="leads out of the archive"):
        _read_all(make(tmp_path / "evil", {"a.txt": b"1", name: b"2"}))
    assert not (tmp_path.parent / "outside.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_tar_with_a_link_or_a_device(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("innocent.txt")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(UserError, match=r"'innocent.txt' is a link or a device"):
        _read_all(_tar(tmp_path / "a.tar.gz", {"a.txt": b"1"}, info))


def test_zip_with_a_link(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("innocent.txt")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="is a link"):
        _read_all(tmp_path / "a.zip")


@pytest.mark.parametrize("make", [_zip, _tar])
def test_archive_bomb(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    path = make(tmp_path / "bomb", {"zeros": bytes(20 << 20)})
    with pytest.raises(UserError, match="would unpack to more than"):
        _read_all(path)


@pytest.mark.parametrize("make", [_zip, _tar])
def test_archive_of_too_many_files(
    make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        _read_all(make(tmp_path / "many", {"a": b"", "b": b"", "c": b""}))


def test_truncated_archives(tmp_path: Path) -> None:
    noise = os.urandom(100_000)
    whole = _tar(tmp_path / "a.tar.gz", {"a": noise, "b": noise}).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a whole tar archive"):
        _read_all(tmp_path / "half.tar.gz")
    whole = _zip(tmp_path / "a.zip", {"a": noise}).read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="neither a zip nor a tar archive"):
        _read_all(tmp_path / "half.zip")


def test_a_damaged_zip_member_costs_no_other_image(tmp_path: Path, picture: Any, run: Any) -> None:
    files = {f"{name}/{i}.jpg": picture(seed=i) for i, name in enumerate(["cat", "dog", "dog"])}
    path = _zip(tmp_path / "a.zip", files, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.index(files["dog/1.jpg"]) + 400
    data[at] ^= 0xFF
    path.write_bytes(data)
    got = run("classify", format="folders", uri=str(path))
    assert set(got.rows) == {"cat/0", "dog/2"}
    assert "Bad CRC" in got.rejected["dog/1.jpg"]


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("/no/such/folder", "no such folder or archive"),
        ("ftp://host/a.zip", "unknown scheme 'ftp'"),
        ("s3:///prefix", "no bucket"),
    ],
)
def test_addresses_that_lead_nowhere(uri: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _read_all(uri)


# HTTP


class _Flaky(BaseHTTPRequestHandler):
    """Answers with each of `replies` in turn: a status, or a body with its stated length."""

    replies: list[int | tuple[bytes, int]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        reply = self.replies.pop(0)
        if isinstance(reply, int):
            self.send_error(reply)
            return
        body, length = reply
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep the tests' output quiet."""


@pytest.fixture
def serve() -> Iterator[Callable[[Any], str]]:
    """Start a server with a handler; return its address."""
    servers: list[ThreadingHTTPServer] = []

    def serve(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def _flaky(*replies: int | tuple[bytes, int]) -> type[_Flaky]:
    return type("Flaky", (_Flaky,), {"replies": list(replies)})


def test_archive_over_http(serve: Any, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    _zip(folder / "data set.zip", FILES)
    url = serve(functools.partial(SimpleHTTPRequestHandler, directory=str(folder)))
    assert _read_all(f"{url}/data%20set.zip") == {
        "set/a.txt": b"first", "set/deep/b.txt": b"second"
    }  # fmt: skip


def test_download_tries_again_after_what_may_pass(serve: Any, tmp_path: Path) -> None:
    url = serve(_flaky(503, (b"ab", 4), (b"abcd", 4)))
    assert download(url, tmp_path / "got", backoff=0.01).read_bytes() == b"abcd"
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_download_that_never_comes_whole_leaves_no_file(serve: Any, tmp_path: Path) -> None:
    url = serve(_flaky(*[(b"ab", 4)] * http.ATTEMPTS))
    with pytest.raises(UserError, match=f"failed {http.ATTEMPTS} times"):
        download(url, tmp_path / "got", backoff=0.01)
    assert not (tmp_path / "got").exists()


def test_download_does_not_insist_on_a_missing_file(serve: Any, tmp_path: Path) -> None:
    url = serve(_flaky(404))
    with pytest.raises(UserError, match="HTTP 404"):
        download(url, tmp_path / "got")


# S3


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A real S3 server's bucket, and the settings that lead to it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client("s3", endpoint_url=url)
    client.create_bucket(Bucket="photos")
    yield {"client": client, "endpoint_url": url}
    server.stop()


def test_s3_prefix(bucket: dict[str, Any]) -> None:
    files = {f"set/{i:04d}.txt": str(i).encode() for i in range(50)}
    for name, data in files.items():
        bucket["client"].put_object(Bucket="photos", Key=f"some/{name}", Body=data)
    bucket["client"].put_object(Bucket="photos", Key="something-else.txt", Body=b"")
    bucket["client"].put_object(Bucket="photos", Key="some/folder-mark/", Body=b"")
    assert _read_all("s3://photos/some", endpoint_url=bucket["endpoint_url"]) == files


def test_s3_archive(bucket: dict[str, Any], tmp_path: Path) -> None:
    bucket["client"].upload_file(str(_zip(tmp_path / "a.zip", FILES)), "photos", "sets/a.zip")
    got = _read_all("s3://photos/sets/a.zip", endpoint_url=bucket["endpoint_url"])
    assert got == {"set/a.txt": b"first", "set/deep/b.txt": b"second"}


def test_s3_bins_read_by_several_processes(
    bucket: dict[str, Any], picture: Any, bin_json: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "PATIENCE_S", 0.0)
    put = functools.partial(bucket["client"].put_object, Bucket="photos")
    for index in range(40):
        put(Key=f"bins/bin-images/{index:05d}.jpg", Body=picture(seed=index))
        put(Key=f"bins/metadata/{index:05d}.json", Body=bin_json(index % 6, index % 6))
    got = run("count", format="bins", uri="s3://photos/bins", workers=2,
              endpoint_url=bucket["endpoint_url"])  # fmt: skip
    assert [row["count"] for row in got.rows.values()] == [index % 6 for index in range(40)]


def test_s3_without_credentials(bucket: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    bucket["client"].put_object(Bucket="photos", Key="open/a.txt", Body=b"1", ACL="public-read")
    got = _read_all("s3://photos/open", endpoint_url=bucket["endpoint_url"], anonymous=True)
    assert got == {"a.txt": b"1"}


def test_s3_bucket_that_does_not_exist(bucket: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"s3://nothing/.*NoSuchBucket.*check ingest\.uri"):
        _read_all("s3://nothing/here", endpoint_url=bucket["endpoint_url"])


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_with_one_name_the_first_is_used(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/1.jpg", b"first")
        archive.writestr("a/1.jpg", b"last")
    assert read(archives.ZipSource(path), "a/1.jpg") == b"first"


def test_a_tar_member_that_is_a_file_and_a_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "both.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("a/1.jpg", "a/1.jpg/x.jpg"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(UserError, match="a file and a folder at once"):
        archives.unpack_tar(path, "both.tar", tmp_path / "out")
