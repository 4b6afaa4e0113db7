"""Downloads over HTTP: interrupted, refused, changed and damaged ones."""

import functools
import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from components.ingest.sources import retry
from components.ingest.sources.downloads import Options, downloaded
from components.ingest.sources.http import HttpFile
from components.ingest.sources.slot import download_folder
from components.shared.errors import UserError
from tests.components.ingest.servers import Fault, Files, Handler, Proxy, proxied, serving

DATA = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "BACKOFF_S", 0.001)


@pytest.fixture
def files() -> Files:
    return Files({"data.bin": DATA})


@pytest.fixture
def proxy(files: Files) -> Iterator[Proxy]:
    """A file server behind a proxy that harms its answers."""
    with serving(files.handler()) as upstream, proxied(upstream) as proxy:
        yield proxy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return download_folder(str(tmp_path / "downloads"))


def _get(proxy: Proxy, folder: Path, **options: Any) -> bytes:
    remote = HttpFile(f"{proxy.url}/data.bin", timeout=(5.0, 5.0))
    with downloaded(remote, Options(folder, **{"max_bytes": 1 << 40, **options})) as path:
        return path.read_bytes()


def _ranges(proxy: Proxy) -> list[str]:
    return [asked for _, _, asked in proxy.asked]


def test_a_download_is_whole_and_leaves_nothing(proxy: Proxy, folder: Path) -> None:
    assert _get(proxy, folder) == DATA
    assert list(folder.iterdir()) == []


def test_twenty_cuts_at_random_places(proxy: Proxy, folder: Path) -> None:
    """Each attempt brings some more bytes, so none of them counts as failed for good."""
    cuts = sorted(random.Random(1).sample(range(1, len(DATA)), 20))
    steps = [end - start for start, end in zip([0, *cuts[:-1]], cuts, strict=True)]
    proxy.faults = [Fault(cut_after=step) for step in steps]
    assert _get(proxy, folder) == DATA
    assert _ranges(proxy) == ["", *(f"bytes={cut}-" for cut in cuts)]


_CHILD = """
import sys
from pathlib import Path
from components.ingest.sources.downloads import Options, downloaded
from components.ingest.sources.http import HttpFile
with downloaded(HttpFile(sys.argv[1]), Options(Path(sys.argv[2]), 1 << 40)):
    print("whole", flush=True)
    sys.stdin.read()
"""


def _child(proxy: Proxy, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _CHILD, f"{proxy.url}/data.bin", str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _wait(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def _part_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.part"))


@pytest.mark.parametrize("sent_signal", [signal.SIGKILL, signal.SIGTERM])
def test_killed_processes_hand_on_what_they_have(
    proxy: Proxy, folder: Path, sent_signal: signal.Signals
) -> None:
    places = sorted(random.Random(sent_signal).sample(range(1, len(DATA)), 3))
    have = 0
    for place in places:
        proxy.faults = [Fault(cut_after=place - have, hold=True)]
        with _child(proxy, folder) as child:
            _wait(lambda at=place: _part_size(folder) == at, "the bytes do not come")
            child.send_signal(sent_signal)
        assert child.returncode == -sent_signal
        have = place
    assert list(folder.glob("*.whole")) == []
    assert _get(proxy, folder) == DATA
    assert _ranges(proxy) == ["", *(f"bytes={place}-" for place in places)]
    assert list(folder.iterdir()) == []


def test_a_process_killed_while_it_uses_the_file(proxy: Proxy, folder: Path) -> None:
    with _child(proxy, folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "whole\n"
        child.kill()
    assert len(list(folder.glob("*.whole"))) == 1
    assert _get(proxy, folder) == DATA
    assert _ranges(proxy) == ["", f"bytes={len(DATA) - 1}-"]  # only to see that it is the same


def test_two_processes_at_once_use_one_download(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(pause=0.2)]
    with _child(proxy, folder) as first, _child(proxy, folder) as second:
        for child in (first, second):
            assert child.stdout is not None
            while (line := child.stdout.readline()) != "whole\n":
                assert "another process downloads" in line
        assert [path.read_bytes() == DATA for path in folder.glob("*.whole")] == [True]
        first.communicate("")
        assert len(list(folder.glob("*.whole"))) == 1  # the second still reads it
        second.communicate("")
    assert (first.returncode, second.returncode) == (0, 0)
    assert list(folder.iterdir()) == []
    assert sum(asked == "" for asked in _ranges(proxy)) == 1


def test_many_threads_with_cuts_get_the_same_bytes(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(cut_after=100_000)] * 3
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(_get(proxy, folder))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [DATA] * 6
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("missing", [None, "conditions", "tags", "ranges"])
def test_a_file_that_changed_in_between_is_begun_anew(
    missing: str | None,
    proxy: Proxy,
    files: Files,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However little the server knows of HTTP, two files are never mixed."""
    if missing:
        setattr(files, missing, False)
    monkeypatch.setattr(retry, "ATTEMPTS", 1)
    proxy.faults = [Fault(cut_after=1_000)]
    with pytest.raises(UserError, match=r"1,000 of 300,000|IncompleteRead"):
        _get(proxy, folder)
    files.content["data.bin"] = DATA[::-1]
    assert _get(proxy, folder) == DATA[::-1]


@pytest.mark.parametrize("missing", ["ranges", "tags"])
def test_servers_that_cannot_resume_send_all_again(
    proxy: Proxy, files: Files, folder: Path, missing: str
) -> None:
    setattr(files, missing, False)
    proxy.faults = [Fault(cut_after=1_000), Fault(cut_after=2_000)]
    assert _get(proxy, folder) == DATA


def test_a_digest_lets_a_server_without_tags_resume(
    proxy: Proxy, files: Files, folder: Path
) -> None:
    files.tags = False
    proxy.faults = [Fault(cut_after=1_000)]
    assert _get(proxy, folder, sha256=SHA256) == DATA
    assert _ranges(proxy) == ["", "bytes=1000-"]


def test_a_server_that_tells_no_length(proxy: Proxy, files: Files, folder: Path) -> None:
    files.lengths = False
    assert _get(proxy, folder) == DATA


def test_busy_servers_are_asked_again(
    proxy: Proxy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr(retry, "BACKOFF_S", 1.0)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    proxy.faults = [
        Fault(503), Fault(502), Fault(429, headers={"Retry-After": "7"}),
        Fault(503, headers={"Retry-After": soon}),
    ]  # fmt: skip
    assert _get(proxy, folder) == DATA
    waits = [wait for wait in waits if wait]  # of the proxy
    assert 0.5 <= waits[0] <= 1
    assert 1 <= waits[1] <= 2
    assert waits[2] == 7
    assert 10 < waits[3] <= 20


def test_a_server_that_asks_for_hours(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(503, headers={"Retry-After": "7200"})]
    with pytest.raises(UserError, match=r"come back in 7,200 s.*run again"):
        _get(proxy, folder)


def test_patience_ends_and_what_came_stays(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(cut_after=5_000), *[Fault(503)] * retry.ATTEMPTS]
    with pytest.raises(UserError, match=rf"failed {retry.ATTEMPTS} times.*HTTP 503"):
        _get(proxy, folder)
    assert _part_size(folder) == 5_000
    assert list(folder.glob("*.whole")) == []
    assert _get(proxy, folder) == DATA
    assert _ranges(proxy)[-1] == "bytes=5000-"


def test_slow_bodies_come_through(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(pause=0.1)]
    assert _get(proxy, folder) == DATA


def test_a_body_that_stops_is_given_up_and_resumed(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(cut_after=9_000, hold=True)]
    remote = HttpFile(f"{proxy.url}/data.bin", timeout=(5.0, 0.3))
    with downloaded(remote, Options(folder, 1 << 40)) as path:
        assert path.read_bytes() == DATA
    assert _ranges(proxy) == ["", "bytes=9000-"]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_not_asked_again(proxy: Proxy, folder: Path, status: int) -> None:
    proxy.faults = [Fault(status)]
    with pytest.raises(UserError, match=rf"HTTP {status}.*check ingest\.uri"):
        _get(proxy, folder)
    assert len(proxy.asked) == 1


def test_another_file_than_the_digest_names(proxy: Proxy, folder: Path) -> None:
    with pytest.raises(
        UserError, match=rf"its SHA-256 is {SHA256}, but ingest\.sha256 is {'0' * 64}"
    ):
        _get(proxy, folder, sha256="0" * 64)
    assert list(folder.iterdir()) == []


def test_a_damaged_start_is_found_by_the_digest_and_fetched_again(
    proxy: Proxy, folder: Path
) -> None:
    proxy.faults = [Fault(cut_after=5_000, flip=17)]
    assert _get(proxy, folder, sha256=SHA256) == DATA
    assert _ranges(proxy) == ["", "bytes=5000-", ""]


def test_an_etag_of_s3_is_compared(proxy: Proxy, files: Files, folder: Path) -> None:
    files.headers = {"x-amz-request-id": "1"}
    assert _get(proxy, folder) == DATA
    proxy.faults = [Fault(flip=17)]
    with pytest.raises(UserError, match=r"its MD5 is .* but the server's ETag says"):
        _get(proxy, folder)
    files.headers["x-amz-server-side-encryption"] = "aws:kms"  # its ETag is no MD5
    proxy.faults = [Fault(flip=17)]
    assert _get(proxy, folder) != DATA


def test_too_many_bytes_are_refused_before_they_come(proxy: Proxy, folder: Path) -> None:
    with pytest.raises(UserError, match=r"has 300,000 bytes; ingest\.max_bytes allows 299,999"):
        _get(proxy, folder, max_bytes=299_999)
    assert _get(proxy, folder, max_bytes=300_000) == DATA


def test_too_many_bytes_without_a_length_are_refused_on_the_way(
    proxy: Proxy, files: Files, folder: Path
) -> None:
    files.lengths = False
    with pytest.raises(UserError, match=r"sends more than 100,000 bytes; ingest\.max_bytes"):
        _get(proxy, folder, max_bytes=100_000)
    assert list(folder.iterdir()) == []


def test_a_disk_without_room(proxy: Proxy, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(folder)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"300,000 bytes are to come, but 1,000 are free"):
        _get(proxy, folder)


def test_a_kept_download_is_asked_for_once(proxy: Proxy, files: Files, folder: Path) -> None:
    assert _get(proxy, folder, keep=True) == DATA
    assert _get(proxy, folder, keep=True) == DATA
    assert _ranges(proxy) == ["", f"bytes={len(DATA) - 1}-"]
    files.content["data.bin"] = DATA * 2
    assert _get(proxy, folder, keep=True) == DATA * 2


def test_a_kept_download_with_a_digest_needs_no_server(proxy: Proxy, folder: Path) -> None:
    assert _get(proxy, folder, keep=True, sha256=SHA256) == DATA
    assert _get(proxy, folder, keep=True, sha256=SHA256) == DATA
    assert len(proxy.asked) == 1


def test_an_error_while_the_file_is_used_keeps_it(proxy: Proxy, folder: Path) -> None:
    remote = HttpFile(f"{proxy.url}/data.bin")
    with pytest.raises(RuntimeError), downloaded(remote, Options(folder, 1 << 40)):
        raise RuntimeError("packing broke off")
    assert _get(proxy, folder) == DATA
    assert _ranges(proxy) == ["", f"bytes={len(DATA) - 1}-"]


def test_a_state_file_that_is_damaged_costs_the_start_only(proxy: Proxy, folder: Path) -> None:
    test_patience_ends_and_what_came_stays(proxy, folder)
    proxy.faults = [Fault(cut_after=5_000), *[Fault(503)] * retry.ATTEMPTS]
    with pytest.raises(UserError):
        _get(proxy, folder)
    (state,) = folder.glob("*.json")
    for content in (b"", b"[1, 2]", b'{"other": 1}', b"\xff"):
        state.write_bytes(content)
        assert _get(proxy, folder, keep=True) == DATA


def test_secrets_in_an_address_are_not_shown(proxy: Proxy, folder: Path) -> None:
    proxy.faults = [Fault(403)]
    address = proxy.url.replace("://", "://me:pass@")
    remote = HttpFile(f"{address}/data.bin?X-Amz-Signature=secret")
    with pytest.raises(UserError, match=r"data\.bin") as caught:
        downloaded(remote, Options(folder, 1 << 40)).__enter__()
    assert "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_nobody_there(folder: Path) -> None:
    with serving(Handler) as url:
        pass  # now the port is free
    with pytest.raises(UserError, match=rf"failed {retry.ATTEMPTS} times"):
        downloaded(HttpFile(f"{url}/a.zip"), Options(folder, 1 << 40)).__enter__()


def test_the_default_folder_is_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert download_folder("") == tmp_path / "cache" / "sightline"
    assert (tmp_path / "cache" / "sightline").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/no")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert download_folder("") == tmp_path / f"sightline-{os.getuid()}"
    with pytest.raises(UserError, match=r"ingest\.download_folder: /proc/no cannot be written"):
        download_folder("/proc/no")


# Through the step


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_an_ingest_cut_at_twenty_places_gives_the_same_files(
    picture: Any, run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _archive({f"{name}/{i}.jpg": picture() for name in ("cat", "dog") for i in range(8)})
    monkeypatch.setattr(retry, "ATTEMPTS", 1)  # each cut ends a run
    with serving(Files({"pets.zip": data}).handler()) as upstream, proxied(upstream) as proxy:
        settings = {"format": "folders", "uri": f"{proxy.url}/pets.zip",
                    "download_folder": str(folder)}  # fmt: skip
        whole = run("classify", **settings)
        cuts = sorted(random.Random(2).sample(range(1, len(data)), 20))
        have = 0
        for cut in cuts:
            proxy.faults = [Fault(cut_after=cut - have)]
            with pytest.raises(UserError):
                run("classify", **settings)
            have = cut
        assert run("classify", **settings).files() == whole.files()
    assert list(folder.iterdir()) == []
    assert len(whole.rows) == 16


def test_an_ingest_through_pythons_own_server(tmp_path: Path, run: Any, picture: Any) -> None:
    (tmp_path / "data set.zip").write_bytes(_archive({"cat/1.jpg": picture()}))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with serving(handler) as url:  # type: ignore[arg-type]
        got = run("classify", format="folders", uri=f"{url}/data%20set.zip",
                  download_folder=str(tmp_path / "downloads"))  # fmt: skip
    assert list(got.rows) == ["cat/1"]


def test_a_web_page_instead_of_an_archive(run: Any, folder: Path) -> None:
    page = Files({"a.zip": b"<!DOCTYPE html><html>Please log in</html>"})
    with serving(page.handler()) as url, pytest.raises(UserError, match="is a web page"):
        run("classify", format="folders", uri=f"{url}/a.zip", download_folder=str(folder))


def test_the_digest_of_an_archive_on_this_machine(tmp_path: Path, run: Any, picture: Any) -> None:
    data = _archive({"cat/1.jpg": picture()})
    path = tmp_path / "a.zip"
    path.write_bytes(data)
    right = hashlib.sha256(data).hexdigest().upper()
    assert run("classify", format="folders", uri=str(path), sha256=right).rows
    with pytest.raises(UserError, match=rf"its SHA-256 is {right.lower()}, .* {'a' * 64}"):
        run("classify", format="folders", uri=str(path), sha256="a" * 64)
    with pytest.raises(UserError, match=r"ingest\.sha256: .* is no archive"):
        run("classify", format="folders", uri=str(tmp_path), sha256="a" * 64)
