"""The smoke test: does the endpoint repeat what predict found, and how fast?"""

import base64
import io
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from components.deploy.answers import answer
from components.deploy.compare import Comparison
from components.shared.errors import UserError
from components.shared.predictions import Prediction, iter_predictions
from components.shared.recordio import RecordSet

_JSON_EVERY = 4  # this share of the images is sent as base64 in JSON too
_TIMED_REQUESTS = 20  # at least
_SHOWN = 300  # characters of an answer in a message


@dataclass(frozen=True)
class Sample:
    """A test image, and what predict found in it."""

    image_id: str
    image: bytes
    expected: Prediction


@dataclass(frozen=True)
class Latency:
    """Time from sending one request to having its answer, milliseconds, one client."""

    median: float
    p90: float


def choose_samples(records: Path, predictions: Path, count: int) -> list[Sample]:
    """Return up to `count` test images spread evenly over the test split.

    Raises:
        UserError: if there are no test images, or one of them is missing in the predictions.
    """
    record_set = RecordSet(records)
    reader, ids = record_set.reader("test"), record_set.ids("test")
    if not len(reader):
        raise UserError(f"{records}: holds no test images; give split.test a larger share")
    number = min(count, len(reader))
    chosen = [reader[place * len(reader) // number] for place in range(number)]
    images = {ids[record.index]: bytes(record.image) for record in chosen}
    found = {
        image_id: prediction
        for image_id, split, prediction in iter_predictions(predictions)
        if split == "test" and image_id in images
    }
    missing = [image_id for image_id in images if image_id not in found]
    if missing:
        raise UserError(
            f"{predictions}: holds no prediction for test image '{missing[0]}' ({len(missing)} "
            "missing); run predict again on these records"
        )
    return [Sample(key, image, found[key]) for key, image in images.items()]


def check_answers(client: httpx.Client, samples: Sequence[Sample], comparison: Comparison) -> float:
    """Send each image as bytes, and some as JSON too; return the largest difference found.

    Raises:
        UserError: if a request fails, or an answer differs by more than the tolerance: with the
            image, both answers and the tolerance.
    """
    largest = 0.0
    for place, sample in enumerate(samples):
        answers = [_ask(client, sample)]
        if place % _JSON_EVERY == 0:
            answers.append(_ask_in_json(client, sample))
        for found in answers:
            gap = comparison.difference(sample.expected, found)
            if gap > comparison.tolerance:
                raise UserError(_mismatch(sample, found, comparison, gap))
            largest = max(largest, gap)
    return largest


def check_refusal(client: httpx.Client) -> None:
    """Make sure that a damaged image is refused, and not answered with something made up.

    Raises:
        UserError: if the endpoint answers it.
    """
    response = client.post(
        "/invocations", content=_cut_jpeg(), headers={"Content-Type": "image/jpeg"}
    )
    if not response.is_client_error:
        raise UserError(
            "deploy: the endpoint answered a damaged image (a JPEG cut in half) with status "
            f"{response.status_code}; expected a 4xx refusal"
        )


def _cut_jpeg() -> bytes:
    """Return the first half of a JPEG of noise: a whole header, and pixels that break off.

    Not of a user's image: half of a file with a second picture inside can be a whole image.
    """
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 64).convert("RGB").save(buffer, "JPEG")
    whole = buffer.getvalue()
    return whole[: len(whole) // 2]


def measure(client: httpx.Client, samples: Sequence[Sample]) -> Latency:
    """Time requests one after another, on a server that has answered some already."""
    rounds = -(-_TIMED_REQUESTS // len(samples))
    times = []
    for sample in list(samples) * rounds:
        start = time.perf_counter()
        _ask(client, sample)
        times.append((time.perf_counter() - start) * 1000)
    p90 = statistics.quantiles(times, n=10, method="inclusive")[-1]
    return Latency(round(statistics.median(times), 3), round(p90, 3))


def _ask(client: httpx.Client, sample: Sample) -> Any:
    return _answer(
        client.post("/invocations", content=sample.image, headers=_type_of(sample.image)), sample
    )


def _ask_in_json(client: httpx.Client, sample: Sample) -> Any:
    body = {"image": base64.b64encode(sample.image).decode("ascii")}
    return _answer(client.post("/invocations", json=body), sample)


def _answer(response: httpx.Response, sample: Sample) -> Any:
    if response.status_code != httpx.codes.OK:
        raise UserError(
            f"deploy: the endpoint answered test image '{sample.image_id}' with status "
            f"{response.status_code}: {response.text[:_SHOWN]}"
        )
    return response.json()


def _type_of(image: bytes) -> dict[str, str]:
    if image.startswith(b"\xff\xd8\xff"):
        return {"Content-Type": "image/jpeg"}
    if image.startswith(b"\x89PNG"):
        return {"Content-Type": "image/png"}
    return {"Content-Type": "application/x-image"}


def _mismatch(sample: Sample, found: Any, comparison: Comparison, gap: float) -> str:
    wanted = json.dumps(answer(sample.expected, comparison.task))
    return (
        f"deploy: the endpoint's answer for test image '{sample.image_id}' differs from predict's "
        f"by {gap:.3g}; at most {comparison.tolerance:g} is allowed (deploy.tolerance)\n"
        f"  predict:  {wanted[:_SHOWN]}\n"
        f"  endpoint: {json.dumps(found)[:_SHOWN]}"
    )
