"""What a run in the registry holds: parameters, metrics, tags and files of one model."""

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.shared.errors import UserError
from components.shared.files import sha256_of
from components.shared.table import fingerprint

MODEL_FILE = "model.tar.gz"
MODEL_TAG = "model_sha256"
DATA_TAG = "data_fingerprint"
_COMMIT_TAG = "mlflow.source.git.commit"  # the name under which MLflow's pages show it


@dataclass(frozen=True)
class Candidate:
    """The outputs of a run that passed the gate.

    Attributes:
        config_text: the project's whole config, YAML.
        model: the model archive.
        verdict: JSON of the evaluate step: `{"verdict": {"passed": true, …}, "metrics": {…}}`.
        table: the image table that the model was trained and tested on.
        predictions: the model's predictions table.
    """

    config_text: str
    model: Path
    verdict: Path
    table: Path
    predictions: Path


@dataclass(frozen=True)
class Record:
    """A model that passed the gate, and what led to it.

    Attributes:
        model_sha256: of the archive's bytes; the model's version everywhere in Sightline.
        data_fingerprint: of the image table: ids, bytes, splits and labels.
        code_version: the commit the code was built from, or empty.
        params: the project's config, flattened to dotted keys.
        metrics: the evaluation's finite numbers, flattened to dotted keys.
        config_text: the project's config as written.
        files: artifact file name and where it lies now.
    """

    model_sha256: str
    data_fingerprint: str
    code_version: str
    params: dict[str, str]
    metrics: dict[str, float]
    config_text: str
    files: dict[str, Path]

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the run and of the model version."""
        tags = {MODEL_TAG: self.model_sha256, DATA_TAG: self.data_fingerprint}
        return tags | ({_COMMIT_TAG: self.code_version} if self.code_version else {})


def read_record(candidate: Candidate) -> Record:
    """Gather the record of a model.

    Raises:
        UserError: if the verdict is not one, or says that the model did not pass, or the
            config's text is not YAML.
    """
    return Record(
        model_sha256=sha256_of(candidate.model),
        data_fingerprint=fingerprint(candidate.table),
        code_version=os.environ.get("SIGHTLINE_CODE_VERSION", ""),
        params=_params(candidate.config_text),
        metrics=_metrics(candidate.verdict),
        config_text=candidate.config_text,
        files={
            MODEL_FILE: candidate.model,
            "verdict.json": candidate.verdict,
            "predictions.parquet": candidate.predictions,
        },
    )


def _params(config_text: str) -> dict[str, str]:
    try:
        config = yaml.safe_load(config_text)
    except yaml.YAMLError as error:
        raise UserError(f"config: is not valid YAML ({error}); check it before the run") from None
    if not isinstance(config, dict):
        raise UserError("config: expected keys and values at the top, as in configs/*.yaml")
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        for key, value in _flat(config)
    }


def _metrics(path: Path) -> dict[str, float]:
    """Return the evaluation's numbers; refuse a model that the gate did not let through."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        passed, metrics = document["verdict"]["passed"], document["metrics"]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path}: not a verdict of the evaluate step (expected JSON with verdict.passed and "
            "metrics); run evaluate again"
        ) from None
    if passed is not True:
        raise UserError(f"{path}: the gate did not let this model pass; it is not registered")
    return {
        key: float(value)
        for key, value in _flat(metrics)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(dotted key, leaf)`; a list, or an empty mapping, is a leaf."""
    if not isinstance(value, dict) or not value:
        yield _allowed(prefix), value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))


def _allowed(name: str) -> str:
    """Return a name that MLflow accepts for a parameter or metric."""
    return re.sub(r"[^\w./ -]", "_", name)[:250]
