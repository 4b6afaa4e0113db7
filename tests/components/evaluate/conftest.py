"""Image tables, predictions and samples made by hand."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.evaluate.join import Sample
from components.shared.predictions import (
    Detection,
    ModelIdentity,
    Prediction,
    write_predictions,
)
from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, write_rows
from components.shared.task import Task

Box = tuple[int, float, float, float, float]
SampleOf = Callable[..., Sample]


@dataclass(frozen=True)
class Project:
    """The files that evaluate reads, and those it writes."""

    predictions: Path
    table: Path
    images: Path
    model: Path
    report: Path
    verdict: Path


@pytest.fixture(scope="session")
def sample() -> SampleOf:
    """Make a sample; detections are `(label, score, xmin, ymin, xmax, ymax)`."""

    def make(
        image_id: str = "a",
        *,
        label: int | None = None,
        count: int | None = None,
        boxes: Sequence[Box] = (),
        detections: Sequence[tuple[int, float, float, float, float, float]] = (),
        prediction: Prediction | None = None,
        size: tuple[int, int] = (100, 100),
        group: str | None = None,
    ) -> Sample:
        found = tuple(Detection(*one) for one in detections)
        predicted = prediction or Prediction(boxes=found)
        return Sample(image_id, size, group or image_id, label, count, tuple(boxes), predicted)

    return make


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Write samples as table, predictions and shards."""

    def make(
        task: Task,
        classes: Sequence[str],
        val: Sequence[Sample],
        test: Sequence[Sample],
        change: Callable[[list[Any]], list[Any]] = lambda rows: rows,
        identity: ModelIdentity | None = None,
    ) -> Project:
        identity = identity or ModelIdentity("resnet18", "abc", task, tuple(classes))
        rows, predicted = [], []
        with ShardWriter(tmp_path / "images") as shards:
            for split, samples in (("train", val[:1]), ("val", val), ("test", test)):
                for one in samples:
                    chosen = replace(one, image_id=f"{split}/{one.image_id}")
                    rows.append(_row(chosen, split, task))
                    shards.add(chosen.image_id, _png(chosen.size))
                    if split != "train":
                        predicted.append((chosen.image_id, split, chosen.prediction))
        write_rows(tmp_path / "table.parquet", rows, TableInfo(task, tuple(classes)))
        write_predictions(tmp_path / "predictions.parquet", change(predicted), identity)
        (tmp_path / "model.tar.gz").write_bytes(b"a model")
        return Project(
            predictions=tmp_path / "predictions.parquet",
            table=tmp_path / "table.parquet",
            images=tmp_path / "images",
            model=tmp_path / "model.tar.gz",
            report=tmp_path / "out" / "report.html",
            verdict=tmp_path / "out" / "verdict.json",
        )

    return make


@pytest.fixture(scope="session")
def classified(sample: SampleOf) -> Callable[[int, int, int], list[Sample]]:
    """Samples of a classifier that is right more often than not: (images, classes, seed)."""

    def make(images: int, classes: int, seed: int) -> list[Sample]:
        rng = np.random.default_rng(seed)
        made = []
        for index in range(images):
            truth = int(rng.integers(classes))
            given = rng.dirichlet(np.ones(classes)) + 0.6 * (np.arange(classes) == truth)
            given /= given.sum()
            label = int(given.argmax())
            answer = Prediction(label, float(given[label]), tuple(given.tolist()))
            made.append(sample(f"{index:04d}", label=truth, prediction=answer, size=(48, 32)))
        return made

    return make


@pytest.fixture(scope="session")
def counted(sample: SampleOf) -> Callable[[int, int], list[Sample]]:
    """Samples of a counter of 0 to 5: (images, seed)."""

    def make(images: int, seed: int) -> list[Sample]:
        rng = np.random.default_rng(seed)
        made = []
        for index in range(images):
            truth = int(rng.integers(6))
            given = rng.dirichlet(np.ones(6)) + 0.5 * (np.arange(6) == truth)
            given /= given.sum()
            answer = Prediction(
                probabilities=tuple(given.tolist()),
                count=int(given.argmax()),
                count_expected=float(given @ np.arange(6)),
            )
            made.append(sample(f"{index:04d}", count=truth, prediction=answer, size=(32, 48)))
        return made

    return make


@pytest.fixture(scope="session")
def detected(sample: SampleOf) -> Callable[[int, int, int], list[Sample]]:
    """Samples of a detector: hits, misses, duplicates and inventions: (images, classes, seed).

    Coordinates are multiples of 1/256, exact as float32.
    """

    def make(images: int, classes: int, seed: int) -> list[Sample]:
        rng = np.random.default_rng(seed)
        return [_detected(sample, rng, f"{index:04d}", classes) for index in range(images)]

    return make


def _detected(sample: SampleOf, rng: np.random.Generator, name: str, classes: int) -> Sample:
    boxes, detections = [], []
    for _ in range(int(rng.integers(0, 9))):
        label = int(rng.integers(classes))
        box = _random_box(rng)
        boxes.append((label, *box))
        for _ in range(int(rng.integers(0, 3))):
            near = np.sort((np.array(box) + rng.integers(-6, 7, 4) / 256).reshape(2, 2), axis=0)
            if (near[0] < near[1]).all():
                answer = label if rng.random() < 0.9 else int(rng.integers(classes))
                detections.append((answer, _score(rng), *near.ravel().tolist()))
    detections.extend(
        (int(rng.integers(classes)), _score(rng) / 2, *_random_box(rng))
        for _ in range(int(rng.integers(0, 3)))
    )
    size = (int(rng.integers(40, 400)), int(rng.integers(40, 400)))
    return sample(name, boxes=boxes, detections=detections, size=size)


def _random_box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    x, y = rng.integers(0, 180, 2).tolist()
    width, height = rng.integers(6, 76, 2).tolist()
    return (x / 256, y / 256, (x + width) / 256, (y + height) / 256)


def _score(rng: np.random.Generator) -> float:
    return float(np.float32(rng.integers(1, 1000) / 1024))


def _row(one: Sample, split: str, task: Task) -> dict[str, Any]:
    sides = ("label", "xmin", "ymin", "xmax", "ymax")
    return {
        "image_id": one.image_id,
        "sha256": one.image_id,
        "width": one.size[0],
        "height": one.size[1],
        "format": "png",
        "group": one.group,
        "split": split,
        "label": one.label,
        "count": one.count,
        "boxes": [dict(zip(sides, box, strict=True)) for box in one.boxes]
        if task == "detect"
        else None,
        "source": one.image_id,
        "attributes": None,
    }


def _png(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, "PNG")
    return buffer.getvalue()
