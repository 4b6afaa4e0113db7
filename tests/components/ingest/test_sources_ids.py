"""Ingest by id list: the lists that steps write, those that people write, and bins in S3."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from components.ingest.ids import read_ids, write_ids
from components.shared.errors import UserError
from components.shared.table import TableInfo, write_rows
from tests.components.ingest.servers import Fault, Files, proxied, serving


@pytest.fixture
def bins(write: Any, picture: Any, bin_json: Any) -> Path:
    files = {}
    for index in range(60):
        files[f"bin-images/{index:05d}.jpg"] = picture(seed=index)
        files[f"metadata/{index:05d}.json"] = bin_json(index % 6, index % 6)
    folder: Path = write(files)
    return folder


def _persisted(got: Any) -> str:
    """Write the list of an ingest, as its component does."""
    path: Path = got.folder / "ids"
    write_ids(got.folder / "table.parquet", path)
    return str(path)


def test_the_list_of_a_random_subset_gives_the_same_table(bins: Path, run: Any) -> None:
    subset = run("count", format="bins", uri=str(bins), limit=17, seed=3)
    again = run("count", format="bins", uri=str(bins), ids=_persisted(subset), seed=8)
    assert len(again.rows) == 17
    assert again.files() == {name: data for name, data in subset.files().items() if name != "ids"}


def test_ids_that_the_source_lacks_are_rejected(bins: Path, tmp_path: Path, run: Any) -> None:
    (bins / "metadata" / "00003.json").unlink()
    (bins / "bin-images" / "00004.jpg").unlink()
    (tmp_path / "ids.txt").write_text("# mine\n00001\n\n00003\n00004\n99999\n00001\n../../etc/x\n")
    got = run("count", format="bins", uri=str(bins), ids=str(tmp_path / "ids.txt"))
    assert list(got.rows) == ["00001"]
    no_image = "the source has no annotated image of this id"
    assert got.rejected["ids.txt#00003"] == no_image
    assert got.rejected["ids.txt#99999"] == got.rejected["ids.txt#../../etc/x"] == no_image
    assert "no such file as metadata/00003.json" in got.rejected["metadata/00003.json"]
    assert "no such file as bin-images/00004.jpg" in got.rejected["bin-images/00004.jpg"]


@pytest.mark.parametrize("format_", ["bins", "folders", "voc"])
def test_other_sources_are_filtered(
    format_: str, write: Any, picture: Any, bin_json: Any, voc_xml: Any, run: Any,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    files: dict[str, Any] = {}
    for index in range(20):
        if format_ == "bins":  # below a folder, so that they are not where ids lead
            files[f"deep/bin-images/{index:02d}.jpg"] = picture()
            files[f"deep/metadata/{index:02d}.json"] = bin_json(1, 1)
        elif format_ == "folders":
            files[f"{'cat' if index % 2 else 'dog'}/{index:02d}.jpg"] = picture()
        else:
            files[f"JPEGImages/{index:02d}.jpg"] = picture()
            files[f"Annotations/{index:02d}.xml"] = voc_xml((40, 30), ("cat", 1, 1, 20, 15))
    uri = str(write(files))
    task = {"bins": "count", "folders": "classify", "voc": "detect"}[format_]
    subset = run(task, format=format_, uri=uri, limit=7)
    again = run(task, format=format_, uri=uri, ids=_persisted(subset))
    assert len(again.rows) == 7
    assert (again.rows, again.images(), again.info) == (subset.rows, subset.images(), subset.info)
    assert "left out on purpose: 13 images that ingest.ids does not name" in capsys.readouterr().out


def test_a_limit_takes_some_of_the_list(bins: Path, tmp_path: Path, run: Any) -> None:
    (tmp_path / "ids.txt").write_text("".join(f"{index:05d}\n" for index in range(30)))
    got = run("count", format="bins", uri=str(bins), ids=str(tmp_path / "ids.txt"), limit=10)
    assert len(got.rows) == 10
    assert max(got.rows) < "00030"


# Lists

STRANGE = ["#1", "# 2", ' "3"', "4 ", "a,b", "é", "cat/5", '"', "6\u20287"]


def test_no_id_is_too_strange_for_a_list(tmp_path: Path) -> None:
    row = {"sha256": "", "width": 1, "height": 1, "format": "png", "group": "", "source": ""}
    rows = [{"image_id": image_id, **row} for image_id in STRANGE]
    write_rows(tmp_path / "table", rows, TableInfo("count", ()))
    write_ids(tmp_path / "table", tmp_path / "ids.txt")
    assert list(read_ids(tmp_path / "ids.txt", "ids.txt")) == STRANGE


@pytest.mark.parametrize("column", ["image_id", "id"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_lists_as_tables(kind: str, column: str, tmp_path: Path) -> None:
    path = tmp_path / f"ids.{kind}"
    if kind == "csv":
        path.write_text(f'\ufeffother,{column}\n1,00007\n\n2,"a,b"\n')
    else:
        pq.write_table(pa.table({"other": [1, 2], column: ["00007", "a,b"]}), path)
    assert list(read_ids(path, path.name)) == ["00007", "a,b"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ids.txt", b"", "holds no id"),
        ("ids.txt", b"# nothing\n\n", "holds no id"),
        ("ids.txt", b"\xff\xfe", "not UTF-8 text"),
        ("ids.txt", b"x" * 20_000, "line 1 is too long"),
        ("ids.txt", b'1\n"2\n', 'line 2: "2 is not an id in double quotes'),
        ("ids.csv", b"a,b\n1,2\n", "no column image_id or id; found a, b"),
        ("ids.csv", b"", "no column image_id or id; found none"),
        ("ids.csv", b"a,id\n1,2\n3\n", "line 3 has no image id"),
        ("ids.csv", b"id\n" + b"x" * 200_000, "not a CSV file"),
        ("ids.parquet", b"PAR1", "not a Parquet file"),
    ],
)
def test_files_that_are_no_lists(
    name: str, content: bytes, message: str, bins: Path, tmp_path: Path, run: Any
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"ingest\.ids: {name}: {message}"):
        run("count", format="bins", uri=str(bins), ids=str(tmp_path / name))


def test_a_list_with_a_row_without_id(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["1", None]}), tmp_path / "ids.parquet")
    with pytest.raises(UserError, match="column id has a row without id"):
        list(read_ids(tmp_path / "ids.parquet", "ids.parquet"))


def test_a_list_that_is_not_there(bins: Path, run: Any) -> None:
    with pytest.raises(UserError, match=r"ingest\.ids: /no/list\.txt: no such file"):
        run("count", format="bins", uri=str(bins), ids="/no/list.txt")


def test_a_list_on_the_web(bins: Path, tmp_path: Path, run: Any) -> None:
    with serving(Files({"ids.txt": b"00002\n00001\n"}).handler()) as url:
        got = run("count", format="bins", uri=str(bins), ids=f"{url}/ids.txt",
                  download_folder=str(tmp_path / "d"))  # fmt: skip
    assert list(got.rows) == ["00001", "00002"]


# S3


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_bins_in_s3_are_read_without_a_listing(
    moto: str, bins: Path, tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.ingest.sources.retry.BACKOFF_S", 0.001)
    client = boto3.client("s3", endpoint_url=moto)
    client.create_bucket(Bucket="bins")
    for path in bins.rglob("*.*"):
        client.upload_file(str(path), "bins", f"all/{path.relative_to(bins)}")
    local = run("count", format="bins", uri=str(bins), limit=12, seed=2)
    (tmp_path / "ids.txt").write_text("".join(f"{name}\n" for name in [*local.rows, "77777"]))
    client.upload_file(str(tmp_path / "ids.txt"), "bins", "ids.txt")
    dice = random.Random(5)
    with proxied(moto) as proxy:
        proxy.faults = [dice.choice([None, Fault(503), Fault(cut_after=30)]) for _ in range(30)]
        got = run("count", format="bins", uri="s3://bins/all", ids="s3://bins/ids.txt",
                  endpoint_url=proxy.url, download_folder=str(tmp_path / "d"))  # fmt: skip
        asked = {unquote(path) for _, path, _ in proxy.asked}
    assert got.rows == local.rows
    assert got.images() == local.images()
    assert got.rejected["ids.txt#77777"] == "the source has no annotated image of this id"
    assert (
        "s3://bins/all/metadata/77777.json: no such object" in got.rejected["metadata/77777.json"]
    )
    assert not [path for path in asked if "list-type" in path or path.rstrip("/") == "/bins"]
    names = [*local.rows, "77777"]  # of the last, an image is looked for to show it
    wanted = {f"/bins/all/bin-images/{name}.jpg" for name in names}
    wanted |= {f"/bins/all/metadata/{name}.json" for name in names}
    assert asked == wanted | {"/bins/ids.txt"}
