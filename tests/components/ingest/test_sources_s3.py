"""S3: moto's server behind a proxy that refuses, cuts and delays."""

import functools
import hashlib
import io
import random
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from components.ingest.config import IngestSection
from components.ingest.sources import retry, s3
from components.ingest.sources.base import read
from components.ingest.sources.downloads import Options, downloaded
from components.ingest.sources.locate import open_source
from components.ingest.sources.s3 import Bucket, S3Object, S3Source
from components.shared import parallel
from components.shared.errors import UserError
from tests.components.ingest.servers import Fault, Proxy, proxied

DATA = random.Random(0).randbytes(400_000)


@dataclass(frozen=True)
class Store:
    """A bucket `photos` on a real S3 server, reached through a proxy."""

    client: Any
    proxy: Proxy
    bucket: Bucket

    def put(self, key: str, body: bytes | str, **options: Any) -> None:
        self.client.put_object(Bucket="photos", Key=key, Body=body, **options)

    def asked(self) -> list[tuple[str, str]]:
        """Path (without query) and range of the GET requests."""
        return [(path.partition("?")[0], span) for method, path, span in self.proxy.asked
                if method == "GET"]  # fmt: skip


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(retry, "BACKOFF_S", 0.001)
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="photos")
    with proxied(moto) as proxy:
        bucket = Bucket("photos", anonymous=False, endpoint_url=proxy.url)
        yield Store(client, proxy, bucket)
    for found in client.list_objects_v2(Bucket="photos").get("Contents", []):
        client.delete_object(Bucket="photos", Key=found["Key"])
    client.delete_bucket(Bucket="photos")


def _read_all(store: Store, uri: str, **settings: Any) -> dict[str, bytes]:
    section = IngestSection(format="folders", uri=uri, endpoint_url=store.proxy.url, **settings)
    with open_source(section) as source:
        return {path: read(source, path) for path, _ in sorted(source.members())}


# Objects


def test_a_prefix(store: Store) -> None:
    files = {f"set/{i:04d}.txt": str(i).encode() for i in range(50)}
    for name, data in files.items():
        store.put(f"some/{name}", data)
    for key in ("something-else.txt", "some/folder-mark/", "some/.DS_Store"):
        store.put(key, b"")
    assert _read_all(store, "s3://photos/some") == files


def test_a_listing_of_several_pages_with_refusals(store: Store) -> None:
    for index in range(30):
        store.put(f"set/{index:03d}", b"")
    bucket = store.bucket
    client = bucket._client()
    client.list_objects_v2 = functools.partial(client.list_objects_v2, MaxKeys=7)
    store.proxy.faults = [Fault(503), None, Fault(500), Fault(cut_after=20), None, Fault(429)]
    keys = [found["Key"] for found in bucket.objects("set/")]
    assert keys == [f"set/{index:03d}" for index in range(30)]


def test_an_object_through_refusals_cuts_and_slowness(store: Store) -> None:
    store.put("a/b.bin", DATA)
    store.proxy.faults = [
        Fault(503), Fault(cut_after=70_000), Fault(500), Fault(cut_after=1), Fault(pause=0.02)
    ]  # fmt: skip
    source = S3Source(store.bucket, "a")
    assert read(source, "b.bin") == DATA
    spans = [span for _, span in store.asked()]
    assert spans[:2] == ["", ""]
    assert spans[2] == spans[3] == "bytes=70000-"
    assert len(spans) == 5


def test_an_object_cut_at_twenty_places(store: Store) -> None:
    store.put("a.bin", DATA)
    cuts = sorted(random.Random(1).sample(range(1, len(DATA)), 20))
    steps = [end - start for start, end in zip([0, *cuts[:-1]], cuts, strict=True)]
    store.proxy.faults = [Fault(cut_after=step) for step in steps]
    with S3Source(store.bucket, "").open("a.bin") as stream:
        assert hashlib.sha256(stream.read()).digest() == hashlib.sha256(DATA).digest()


def test_a_body_that_stops_is_resumed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "TIMEOUT_S", (5.0, 0.5))
    store.put("a.bin", DATA)
    store.proxy.faults = [Fault(cut_after=100_000, hold=True)]
    assert read(S3Source(store.bucket, ""), "a.bin") == DATA


def test_a_store_that_stays_busy(store: Store) -> None:
    store.put("a.bin", DATA)
    store.proxy.faults = [Fault(503)] * retry.ATTEMPTS
    with pytest.raises(UserError, match=rf"s3://photos/a.bin: failed {retry.ATTEMPTS} times"):
        read(S3Source(store.bucket, ""), "a.bin")


def test_an_object_replaced_while_it_is_read(store: Store) -> None:
    store.put("a.bin", DATA)
    store.proxy.faults = [Fault(cut_after=70_000)]
    stream = S3Source(store.bucket, "").open("a.bin")
    start = stream.read(1_000)
    store.put("a.bin", DATA[::-1])
    with pytest.raises(OSError, match=r"a\.bin changed while it was read"):
        start += stream.read()


def test_an_empty_object(store: Store) -> None:
    store.put("a.bin", b"")
    assert read(S3Source(store.bucket, ""), "a.bin") == b""


def test_without_credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    store.put("open/a.txt", b"1", ACL="public-read")
    assert _read_all(store, "s3://photos/open", anonymous=True) == {"a.txt": b"1"}


def test_a_bucket_that_does_not_exist(store: Store) -> None:
    with pytest.raises(UserError, match=r"s3://nothing/.*NoSuchBucket.*check ingest\.uri"):
        _read_all(store, "s3://nothing/here")


@pytest.mark.slow
def test_bins_through_faults_read_by_several_processes(
    store: Store, picture: Any, bin_json: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(40):
        store.put(f"bins/bin-images/{index:05d}.jpg", picture(seed=index))
        store.put(f"bins/metadata/{index:05d}.json", bin_json(index % 6, index % 6))
    settings = {"format": "bins", "uri": "s3://photos/bins", "endpoint_url": store.proxy.url}
    alone = run("count", **settings, workers=1)
    dice = random.Random(3)
    store.proxy.faults = [dice.choice([None, Fault(503), Fault(cut_after=300)]) for _ in range(80)]
    monkeypatch.setattr(parallel, "PATIENCE_S", 0.0)
    many = run("count", **settings, workers=2)
    assert [row["count"] for row in many.rows.values()] == [index % 6 for index in range(40)]
    assert many.files() == alone.files()


# Archives


def _archive(picture: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for index in range(10):
            archive.writestr(f"cat/{index}.jpg", picture(seed=index))
            archive.writestr(f"dog/{index}.jpg", picture(seed=100 + index))
    return buffer.getvalue()


def test_an_archive_cut_at_twenty_places(
    store: Store, picture: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _archive(picture)
    store.put("sets/pets.zip", data)
    settings = {"format": "folders", "uri": "s3://photos/sets/pets.zip",
                "endpoint_url": store.proxy.url,
                "download_folder": str(tmp_path / "d")}  # fmt: skip
    whole = run("classify", **settings)
    attempts = retry.ATTEMPTS
    monkeypatch.setattr(retry, "ATTEMPTS", 1)  # each cut ends an attempt
    have = 0
    for cut in sorted(random.Random(2).sample(range(1, len(data)), 20)):
        store.proxy.faults = [Fault(cut_after=cut - have)]
        with pytest.raises(UserError):
            _download(store, "sets/pets.zip", tmp_path / "d")
        have = cut
    monkeypatch.setattr(retry, "ATTEMPTS", attempts)
    assert run("classify", **settings).files() == whole.files()
    assert len(whole.rows) == 20
    assert list((tmp_path / "d").iterdir()) == []


def _download(store: Store, key: str, folder: Path, **options: Any) -> bytes:
    folder.mkdir(exist_ok=True)
    remote = S3Object(store.bucket, key)
    with downloaded(remote, Options(folder, **{"max_bytes": 1 << 40, **options})) as path:
        return path.read_bytes()


def test_the_etag_of_an_object_in_one_part_is_compared(store: Store, tmp_path: Path) -> None:
    store.put("a.zip", DATA)
    store.proxy.faults = [Fault(flip=5), None, Fault(flip=5)]  # the second asks for the last byte
    with pytest.raises(UserError, match=r"its MD5 is .* but the server's ETag says"):
        _download(store, "a.zip", tmp_path / "d")
    store.proxy.faults = [Fault(flip=5, cut_after=99)]  # of an earlier attempt: fetched again
    assert _download(store, "a.zip", tmp_path / "d") == DATA


def test_an_object_in_several_parts_has_no_md5(store: Store, tmp_path: Path) -> None:
    upload = store.client.create_multipart_upload(Bucket="photos", Key="a.zip")["UploadId"]
    body = random.Random(4).randbytes(5 << 20)
    parts = []
    for number, part in enumerate((body, DATA), 1):
        etag = store.client.upload_part(
            Bucket="photos", Key="a.zip", UploadId=upload, PartNumber=number, Body=part
        )["ETag"]
        parts.append({"ETag": etag, "PartNumber": number})
    store.client.complete_multipart_upload(
        Bucket="photos", Key="a.zip", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    store.proxy.faults = [Fault(cut_after=5 << 20)]
    assert _download(store, "a.zip", tmp_path / "d") == body + DATA


def test_an_archive_that_changed_in_between(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a.zip", DATA)
    store.proxy.faults = [Fault(cut_after=99), *[Fault(503)] * retry.ATTEMPTS]
    with pytest.raises(UserError):
        _download(store, "a.zip", tmp_path / "d")
    store.put("a.zip", DATA[::-1])
    assert _download(store, "a.zip", tmp_path / "d") == DATA[::-1]


def test_a_large_archive_is_refused_before_it_comes(store: Store, tmp_path: Path) -> None:
    store.put("a.zip", DATA)
    with pytest.raises(UserError, match=r"s3://photos/a.zip: has 400,000 bytes; ingest\.max_bytes"):
        _download(store, "a.zip", tmp_path / "d", max_bytes=1_000)


def test_a_wait_that_s3_asks_for(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    store.put("a.zip", DATA)
    store.proxy.faults = [Fault(503, headers={"Retry-After": "9"})]
    assert _download(store, "a.zip", tmp_path / "d") == DATA
    assert 9 in waits
