"""Reading an earlier profile from a file, a web server and S3."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from components.shared.errors import UserError
from components.validate.fetch import MOST_BYTES, read_text

KEY = "validate.drift.baseline"


class Handler(BaseHTTPRequestHandler):
    """Fails twice with 503 before it answers; `/large` never ends, `/gone` is not there."""

    failures = 2

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/gone":
            self.send_error(404)
            return
        if path == "/busy" and type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
            return
        body = b"x" * (MOST_BYTES + 10) if path == "/large" else b'{"version": 1}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.failures = 2
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="runs")
    client.put_object(Bucket="runs", Key="birds/profile.json", Body=b'{"version": 1}')
    yield "s3://runs/birds/profile.json"
    started.stop()


def test_a_file_is_read_by_path_and_by_address(tmp_path: Path) -> None:
    path = tmp_path / "old profile.json"
    path.write_text("héllo", "utf-8")
    assert read_text(str(path), KEY) == "héllo"
    assert read_text(path.as_uri(), KEY) == "héllo"


def test_a_server_that_is_busy_is_asked_again(server: str) -> None:
    assert read_text(f"{server}/busy", KEY, backoff=0.01) == '{"version": 1}'
    assert Handler.failures == 0


def test_s3_is_read_with_the_credentials_of_the_environment(s3: str) -> None:
    assert read_text(s3, KEY) == '{"version": 1}'
    with pytest.raises(UserError, match=r"birds/other.*S3 refused.*NoSuchKey"):
        read_text("s3://runs/birds/other", KEY)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{server}/gone", "HTTP 404"),
        ("{server}/large", "more than 1,048,576 bytes"),
        ("http://127.0.0.1:9/none", "cannot be downloaded"),
        ("{folder}/none.json", "cannot be read .No such file"),
        ("{folder}", "cannot be read .Is a directory"),
        ("{folder}/binary", "is not UTF-8"),
        ("ftp://host/x", r"give a file, http\(s\):// or s3://"),
        ("s3://bucket", "give s3://bucket/key"),
    ],
)
def test_what_cannot_be_read_is_explained(
    address: str, message: str, server: str, tmp_path: Path
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=f"^{KEY}: .*{message}"):
        read_text(address.format(server=server, folder=tmp_path), KEY, backoff=0.01)


@pytest.mark.parametrize("address", ["{server}/gone?sig=hidden", "http://127.0.0.1:9/x?sig=hidden"])
def test_a_signature_stays_out_of_messages(address: str, server: str) -> None:
    with pytest.raises(UserError) as caught:
        read_text(address.format(server=server), KEY, backoff=0.01)
    assert "hidden" not in str(caught.value)
