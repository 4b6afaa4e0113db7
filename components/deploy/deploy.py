"""Bring a registered model up as an endpoint, and verify it before anyone relies on it."""

import json
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.deploy.compare import Comparison
from components.deploy.config import DeploySection
from components.deploy.process import serve_command, serving
from components.deploy.smoke import Latency, check_answers, check_refusal, choose_samples, measure
from components.shared.archive import read_archive
from components.shared.errors import UserError
from components.shared.files import write_text
from components.shared.predictions import read_identity


@dataclass(frozen=True)
class Release:
    """What is to be served, and what it must repeat.

    Attributes:
        model: the model archive.
        version: the register step's JSON about it.
        predictions: predict's table, with the model's answers for the test images.
        records: the folder of RecordIO files with those images.
    """

    model: Path
    version: Path
    predictions: Path
    records: Path


def deploy(section: DeploySection, release: Release, endpoint: Path) -> None:
    """Serve the model, compare its answers with predict's on test images, and time them.

    The server runs as it would in production, as a process behind HTTP; it is stopped when the
    step ends, however it ends. `endpoint` is only written for a model that passed.

    Args:
        section: how much is tested, and how near the answers must be.
        release: the model and what it must repeat.
        endpoint: where to write JSON: `status` (verified), `model`, `model_version`,
            `registered_version`, `images` (sent), `max_difference`, `latency_ms` (`median`,
            `p90`), `command` (how to serve it), `checked_at`.

    Raises:
        UserError: if the server does not start, serves another model, answers differently,
            answers a damaged image, or is slower than allowed.
    """
    registered = _read_version(release.version)
    archive = read_archive(release.model)
    _check_identity(archive.sha256, registered["model_version"], release)
    card = archive.card
    comparison = Comparison(card.task, section.tolerance, card.min_score, card.max_detections)
    samples = choose_samples(release.records, release.predictions, section.smoke_images)
    with serving(release.model, section.start_timeout_s) as client:
        largest = check_answers(client, samples, comparison)
        check_refusal(client)
        latency = measure(client, samples)
    _judge(latency, section.max_latency_ms)
    document = {
        "status": "verified",
        "model": str(release.model),
        "model_version": registered["model_version"],
        "registered_version": registered["version"],
        "images": len(samples),
        "max_difference": largest,
        "latency_ms": asdict(latency),
        "command": shlex.join(serve_command(release.model, 8080)),
        "checked_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_text(endpoint, json.dumps(document, indent=2) + "\n")
    print(
        f"the endpoint repeats predict's answers for {len(samples)} test images (largest "
        f"difference {largest:.2g}); median latency {latency.median:.1f} ms"
    )


def _read_version(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {key: document[key] for key in ("model_version", "version")}
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: not a model version of the register step (expected JSON with "
            "model_version and version); run register again"
        ) from None


def _check_identity(found: str, expected: str, release: Release) -> None:
    if found != expected:
        raise UserError(
            f"{release.model}: is version {found}, but {release.version} names {expected}; "
            "register and deploy the same archive"
        )
    answered = read_identity(release.predictions).version
    if answered != expected:
        raise UserError(
            f"{release.predictions}: holds the predictions of version {answered}, not of "
            f"{expected}; run predict again with this model"
        )


def _judge(latency: Latency, most: float | None) -> None:
    if most is not None and latency.median > most:
        raise UserError(
            f"deploy.max_latency_ms: the median latency is {latency.median:.1f} ms; at most "
            f"{most:g} is allowed. Use a smaller model or train.image_size, or a faster machine"
        )
