"""The result of an evaluation, and its JSON form."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from components.evaluate.config import BenchmarkSection
from components.evaluate.gate import Verdict
from components.evaluate.intervals import Intervals
from components.evaluate.measured import Confusion, Metrics
from components.shared.predictions import ModelIdentity


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on the test images, and the verdict on it.

    Attributes:
        metrics: finite numbers by name, on the test images.
        thresholds: chosen on the validation images.
        rows: by class or count.
        confusion: truth by prediction (classify, count).
        fingerprint: of the image table.
        counts: images by split.
    """

    verdict: Verdict
    metrics: Metrics
    thresholds: Metrics
    intervals: Intervals
    rows: list[dict[str, Any]]
    confusion: Confusion | None
    identity: ModelIdentity
    model_sha256: str
    fingerprint: str
    counts: dict[str, int]
    benchmark: BenchmarkSection

    def to_json(self) -> str:
        """Return the verdict file: verdict, metrics, and what they were made from."""
        confusion = self.confusion
        content = {
            "version": "1",
            "verdict": asdict(self.verdict),
            "metrics": self.metrics,
            "thresholds": self.thresholds,
            "intervals": self.intervals.by_metric,
            "bootstrap": {
                "resamples": self.intervals.resamples,
                "unit": self.intervals.unit,
                "level": self.intervals.level,
            },
            "rows": self.rows,
            "confusion": confusion
            and {"labels": confusion.labels, "matrix": confusion.matrix.tolist()},
            "model": {**asdict(self.identity), "sha256": self.model_sha256},
            "data": {"fingerprint": self.fingerprint, "images": self.counts},
            "benchmark": self.benchmark.model_dump(),
        }
        return json.dumps(content, indent=1, allow_nan=False)
