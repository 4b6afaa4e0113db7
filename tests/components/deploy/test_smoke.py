"""The smoke test finds an endpoint that answers otherwise than predict did."""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.deploy.compare import Comparison
from components.deploy.smoke import (
    Sample,
    check_answers,
    check_refusal,
    choose_samples,
    measure,
)
from components.shared.errors import UserError
from components.shared.predictions import ModelIdentity, Prediction, write_predictions

Encode = Callable[..., bytes]
WriteRecords = Callable[..., Path]
CLASSIFY = Comparison("classify", 1e-3)


@pytest.fixture
def images(encoded: Encode) -> list[bytes]:
    return [encoded(20 + 8 * index, kind="PNG" if index % 3 else "JPEG") for index in range(25)]


def _predictions(path: Path, model: Any, images: Sequence[bytes]) -> Path:
    rows = [
        (f"t/{index:03d}", "test", prediction)
        for index, prediction in enumerate(model.predict(images))
    ]
    rows.append(("t/000", "val", Prediction(probabilities=(9.0, 9.0))))
    identity = ModelIdentity("brightness", "ab" * 32, "classify", ("dark", "light"))
    write_predictions(path, rows, identity)  # type: ignore[arg-type]
    return path


@pytest.fixture
def samples(
    tmp_path: Path, write_records: WriteRecords, model: Any, images: list[bytes]
) -> list[Sample]:
    predictions = _predictions(tmp_path / "predictions", model, images)
    return choose_samples(write_records("classify", images), predictions, 5)


def test_samples_are_spread_over_the_test_images(
    samples: list[Sample], images: list[bytes]
) -> None:
    assert [sample.image_id for sample in samples] == ["t/000", "t/005", "t/010", "t/015", "t/020"]
    assert [sample.image for sample in samples] == images[::5]
    lights = [(sample.expected.probabilities or (0, 0))[1] for sample in samples]
    assert lights == sorted(lights)


def test_no_more_samples_than_images(
    tmp_path: Path, write_records: WriteRecords, model: Any, images: list[bytes]
) -> None:
    predictions = _predictions(tmp_path / "predictions", model, images[:3])

    samples = choose_samples(write_records("classify", images[:3]), predictions, 16)

    assert [sample.image_id for sample in samples] == ["t/000", "t/001", "t/002"]


def test_without_test_images_there_is_nothing_to_verify(
    tmp_path: Path, write_records: WriteRecords
) -> None:
    with pytest.raises(UserError, match="holds no test images"):
        choose_samples(write_records("classify", []), tmp_path / "predictions", 5)


def test_an_image_that_predict_did_not_see(
    tmp_path: Path, write_records: WriteRecords, model: Any, images: list[bytes]
) -> None:
    predictions = _predictions(tmp_path / "predictions", model, images[:24])

    with pytest.raises(UserError, match=r"no prediction for test image 't/024' \(1 missing\)"):
        choose_samples(write_records("classify", images), predictions, 25)


def test_equal_answers_pass(
    serve: Callable[..., httpx.Client], model: Any, samples: list[Sample]
) -> None:
    assert check_answers(serve(model), samples, CLASSIFY) < 1e-6


def test_another_answer_is_named_with_image_both_answers_and_tolerance(
    serve: Callable[..., httpx.Client], model: Any, samples: list[Sample]
) -> None:
    odd = Prediction(label=1, probabilities=(0.25, 0.75))
    samples[3] = dataclasses.replace(samples[3], expected=odd)

    with pytest.raises(UserError) as caught:
        check_answers(serve(model), samples, CLASSIFY)

    message = str(caught.value)
    assert "test image 't/015'" in message
    assert "predict:  [0.25, 0.75]" in message
    assert "endpoint: [0.4" in message
    assert "0.001" in message


def test_a_request_that_fails_is_named(
    serve: Callable[..., httpx.Client], model: Any, samples: list[Sample]
) -> None:
    samples[2] = dataclasses.replace(samples[2], image=b"not an image")

    with pytest.raises(UserError, match=r"'t/010' with status 400: .*not an image"):
        check_answers(serve(model), samples, CLASSIFY)


def test_a_damaged_image_must_be_refused(
    serve: Callable[..., httpx.Client], model: Any, samples: list[Sample]
) -> None:
    check_refusal(serve(model))


def test_an_endpoint_that_answers_anything_is_caught(
    serve: Callable[..., httpx.Client],
    model: Any,
    samples: list[Sample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_up = [Prediction(label=0, probabilities=(1.0, 0.0))]
    monkeypatch.setattr(model, "predict", lambda images: made_up * len(images))

    with pytest.raises(UserError, match=r"with status 200; expected a 4xx refusal"):
        check_refusal(serve(model))


def test_latency_is_that_of_the_slow_requests_too(
    serve: Callable[..., httpx.Client],
    model: Any,
    samples: list[Sample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of five images takes 0.1 s longer: the 90th percentile shows it, the median not."""
    quick, turn, lock = model.predict, iter(range(1000)), threading.Lock()

    def slow(images: Sequence[bytes]) -> Any:
        with lock:
            place = next(turn)
        time.sleep(0.1 if place % 5 == 0 else 0)
        return quick(images)

    monkeypatch.setattr(model, "predict", slow)

    latency = measure(serve(model), samples)

    assert latency.median < 80
    assert latency.p90 > 100
