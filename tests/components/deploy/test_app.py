"""The endpoint's contract over real HTTP: what is answered, what is refused, and how."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import httpx
import pytest

from components.deploy.request import Limits
from components.shared.predictions import Prediction

Encode = Callable[..., bytes]
Serve = Callable[..., httpx.Client]
JPEG = {"Content-Type": "image/jpeg"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client(serve: Serve, model: Any) -> httpx.Client:
    return serve(model)


def _as_json(image: bytes) -> str:
    return json.dumps({"image": base64.b64encode(image).decode()})


def test_ping_tells_which_model_is_ready(client: httpx.Client) -> None:
    response = client.get("/ping")

    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "model": "brightness",
        "version": "ab" * 32,
        "task": "classify",
        "classes": ["dark", "light é"],
    }


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("PNG", "application/x-image"),
        ("JPEG", "Image/JPEG; charset=binary"),
    ],
)
def test_image_bytes_are_answered(
    client: httpx.Client, encoded: Encode, kind: str, content_type: str
) -> None:
    image = encoded(200, kind=kind)

    response = client.post("/invocations", content=image, headers={"Content-Type": content_type})

    assert response.status_code == 200
    dark, light = response.json()
    assert light == pytest.approx(200 / 255, abs=0.02)
    assert dark == pytest.approx(1 - light)


def test_the_headers_name_classes_and_version(client: httpx.Client, encoded: Encode) -> None:
    response = client.post("/invocations", content=encoded(), headers=JPEG)

    assert json.loads(response.headers["X-Sightline-Classes"]) == ["dark", "light é"]
    assert response.headers["X-Sightline-Model-Version"] == "ab" * 32


def test_json_gives_the_same_answer_as_bytes(client: httpx.Client, encoded: Encode) -> None:
    image = encoded()

    plain = client.post("/invocations", content=image, headers=JPEG)
    wrapped = client.post("/invocations", content=_as_json(image), headers=JSON)

    assert wrapped.status_code == 200
    assert wrapped.json() == plain.json()


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"", JPEG, 400, "the image is empty"),
        (b"hello", JPEG, 400, "not an image"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, JPEG, 400, ""),
        (b"\x89PNG\r\n\x1a\n", JPEG, 400, ""),
        (b"x", {}, 415, "content type '' is not served; send one of image/jpeg"),
        (b"x", {"Content-Type": "text/plain"}, 415, "'text/plain' is not served"),
        (b"x", {"Content-Type": "image/"}, 415, "'image/' is not served"),
        (b"x", {**JPEG, "Content-Encoding": "gzip"}, 415, "'gzip' is not served"),
        (b"", JSON, 400, "not JSON"),
        (b"{", JSON, 400, "not JSON"),
        (b"\xff\xfe\xfd", JSON, 400, "not JSON"),
        (b"[" * 100_000, JSON, 400, "not JSON"),
        (b"[]", JSON, 400, "no text under the key 'image'"),
        (b"null", JSON, 400, "no text under the key 'image'"),
        (b'{"picture": "AAAA"}', JSON, 400, "no text under the key 'image'"),
        (b'{"image": 7}', JSON, 400, "no text under the key 'image'"),
        (b'{"image": null}', JSON, 400, "no text under the key 'image'"),
        (b'{"image": ["AAAA"]}', JSON, 400, "no text under the key 'image'"),
        (b'{"image": ""}', JSON, 400, "the image is empty"),
        (b'{"image": "A"}', JSON, 400, "not base64"),
        (b'{"image": "AA\\u00e9A"}', JSON, 400, "not base64"),
        (b'{"image": "data:image/png;base64,AAAA"}', JSON, 400, "not base64"),
        (b'{"image": "aGVsbG8="}', JSON, 400, "not an image"),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(
    client: httpx.Client, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    response = client.post("/invocations", content=body, headers=headers)

    assert response.status_code == status
    assert reason in response.json()["error"]
    assert client.get("/ping").status_code == 200


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_an_image_that_breaks_off_is_refused(
    client: httpx.Client, encoded: Encode, kind: str, share: float
) -> None:
    image = encoded(size=(320, 240), kind=kind)

    response = client.post("/invocations", content=image[: int(share * len(image))], headers=JPEG)

    assert response.status_code == 400
    assert response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/invocations", 405),
        ("POST", "/ping", 405),
        ("GET", "/docs", 404),
    ],
)
def test_other_paths_and_methods_are_refused_in_json(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert response.json()["error"]


class TestSize:
    """A request costs no more than the limits allow, whatever it claims."""

    @pytest.fixture
    def small(self, serve: Serve, model: Any) -> httpx.Client:
        return serve(model, Limits(body_bytes=10_000, pixels=64 * 64, read_seconds=0.5))

    def test_a_body_over_the_limit(self, small: httpx.Client) -> None:
        response = small.post("/invocations", content=b"x" * 10_001, headers=JPEG)

        assert response.status_code == 413
        assert "larger than 10,000 bytes" in response.json()["error"]

    def test_a_body_over_the_limit_that_does_not_tell_its_length(self, small: httpx.Client) -> None:
        def chunks() -> Iterator[bytes]:
            yield from (b"x" * 1_000 for _ in range(30))

        response = small.post("/invocations", content=chunks(), headers=JPEG)

        assert response.status_code == 413

    def test_a_client_that_asks_first_is_refused_before_it_sends(self, small: httpx.Client) -> None:
        answer = _raw(
            small,
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n",
        )

        assert answer.startswith(b"HTTP/1.1 413")

    def test_an_image_with_too_many_pixels(self, small: httpx.Client, encoded: Encode) -> None:
        image = encoded(size=(65, 64), kind="JPEG")

        response = small.post("/invocations", content=image, headers=JPEG)

        assert response.status_code == 413
        assert "65x64 pixels" in response.json()["error"]

    def test_a_decompression_bomb(self, client: httpx.Client) -> None:
        # A PNG header that claims 60,000 x 60,000 pixels.
        header = b"\x89PNG\r\n\x1a\n" + bytes.fromhex("0000000d49484452")
        size = (60_000).to_bytes(4, "big") * 2
        bomb = header + size + bytes.fromhex("0802000000") + b"\0\0\0\0"

        response = client.post("/invocations", content=bomb, headers=JPEG)

        assert response.status_code in (400, 413)

    def test_a_small_image_that_takes_hours_to_decode(
        self, client: httpx.Client, encoded: Encode
    ) -> None:
        data = encoded(size=(64, 64), kind="JPEG", progressive=True)
        scan = data[data.rindex(b"\xff\xda") : -2]

        response = client.post(
            "/invocations", content=data[:-2] + scan * 3_000 + data[-2:], headers=JPEG
        )

        assert response.status_code == 413
        assert "scans; the limit is 200" in response.json()["error"]

    def test_a_client_that_stops_sending(self, small: httpx.Client) -> None:
        answer = _raw(
            small,
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 100\r\n\r\nonly this",
        )

        assert answer.startswith(b"HTTP/1.1 408")
        assert small.get("/ping").status_code == 200

    def test_a_client_that_hangs_up_within_its_body(self, small: httpx.Client) -> None:
        host, port = small.base_url.host, small.base_url.port
        with socket.create_connection((host, port or 80)) as connection:
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
            )

        assert small.get("/ping").status_code == 200


def _raw(client: httpx.Client, request: bytes) -> bytes:
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port or 80), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


def test_ping_answers_while_the_model_works(serve: Serve, model: Any, encoded: Encode) -> None:
    client = serve(model)
    model.hold.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/invocations", content=encoded(), headers=JPEG)
        time.sleep(0.2)
        start = time.perf_counter()
        assert client.get("/ping").status_code == 200
        assert time.perf_counter() - start < 1
        assert not waiting.done()
        model.hold.set()

        assert waiting.result().status_code == 200


def test_those_who_wait_share_a_batch_and_each_gets_its_own_answer(
    serve: Serve, model: Any, encoded: Encode
) -> None:
    client = serve(model)
    levels = [40 + 20 * index for index in range(9)]
    broken = encoded()[:400]
    model.hold.clear()
    with ThreadPoolExecutor(10) as pool:
        ask = lambda image: client.post("/invocations", content=image, headers=JPEG)  # noqa: E731
        answers = [pool.submit(ask, encoded(level)) for level in levels]
        refused = pool.submit(ask, broken)
        time.sleep(0.3)
        model.hold.set()

        for level, answer in zip(levels, answers, strict=True):
            assert answer.result().json()[1] == pytest.approx(level / 255, abs=0.03)
        assert refused.result().status_code == 400
    assert max(model.batches) > 4


def test_a_fault_of_the_model_is_ours_and_the_server_lives_on(
    serve: Serve, model: Any, encoded: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(model)

    def fail(_: object) -> list[Prediction]:
        raise RuntimeError("out of memory, at /secret/path")

    with monkeypatch.context() as patched:
        patched.setattr(model, "predict", fail)
        broken = client.post("/invocations", content=encoded(), headers=JPEG)

    assert broken.status_code == 500
    assert "secret" not in broken.text
    assert client.post("/invocations", content=encoded(), headers=JPEG).status_code == 200


def test_too_many_who_wait_are_sent_away(serve: Serve, model: Any, encoded: Encode) -> None:
    client = serve(model, Limits(waiting=2))
    model.hold.clear()
    with ThreadPoolExecutor(10) as pool:
        asked = [
            pool.submit(client.post, "/invocations", content=encoded(), headers=JPEG)
            for _ in range(10)
        ]
        sent_away, _ = wait(asked, timeout=30, return_when=FIRST_COMPLETED)
        assert [answer.result().status_code for answer in sent_away] == [503] * len(sent_away)
        assert sent_away.pop().result().headers["Retry-After"] == "1"
        time.sleep(0.3)
        model.hold.set()
        statuses = [answer.result().status_code for answer in asked]

    assert set(statuses) == {200, 503}
    assert 2 <= statuses.count(200) <= 4


def test_too_many_bodies_at_a_time_are_refused_and_health_is_still_told(
    serve: Serve, model: Any, encoded: Encode
) -> None:
    client = serve(model, Limits(reading=1))
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port or 80)) as slow:
        slow.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\n"
            b"Content-Length: 9\r\n\r\nx"
        )
        deadline = time.monotonic() + 20
        answer = client.post("/invocations", content=encoded(), headers=JPEG)
        while answer.status_code == 200 and time.monotonic() < deadline:
            answer = client.post("/invocations", content=encoded(), headers=JPEG)
        assert answer.status_code == 503
        assert answer.json()["error"] == "too many requests are waiting; try again"
        assert client.get("/ping").status_code == 200
    while answer.status_code == 503 and time.monotonic() < deadline:
        answer = client.post("/invocations", content=encoded(), headers=JPEG)
    assert answer.status_code == 200
