"""The step from files to report and verdict."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.evaluate.config import EvaluateSection
from components.evaluate.evaluate import evaluate
from components.evaluate.evaluation import Evaluation
from components.evaluate.join import Sample
from components.evaluate.names import HEADLINES, METRICS
from components.shared.predictions import Prediction
from components.shared.task import Task

CLASSES = {"classify": ["bicycle", "motorcycle", "boat"], "count": [], "detect": ["RBC", "WBC"]}


@pytest.fixture
def run(
    project: Callable[..., Any],
    classified: Callable[[int, int, int], list[Sample]],
    counted: Callable[[int, int], list[Sample]],
    detected: Callable[[int, int, int], list[Sample]],
) -> Callable[..., tuple[Evaluation, Any]]:
    """Evaluate random predictions of a task."""

    def make(task: Task, section: EvaluateSection, images: int = 40) -> tuple[Evaluation, Any]:
        def samples(seed: int) -> list[Sample]:
            if task == "classify":
                return classified(images, 3, seed)
            return counted(images, seed) if task == "count" else detected(images, 2, seed)

        files = project(task, CLASSES[task], samples(1), samples(2))
        inputs = (files.predictions, files.table, files.images, files.model)
        return evaluate(section, task, 7, *inputs, files.report, files.verdict), files

    return make


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_writes_the_verdict_as_one_json(
    task: Task, run: Callable[..., tuple[Evaluation, Any]]
) -> None:
    metric = {"classify": "accuracy", "count": "rmse", "detect": "ap50"}[task]
    section = EvaluateSection.model_validate(
        {"gate": [{"metric": metric, "at_least": -1}, {"metric": "beauty", "at_most": 1}]}
    )
    result, files = run(task, section)
    written = json.loads(files.verdict.read_text())
    assert {"verdict", "metrics", "thresholds", "intervals", "model", "data", "benchmark"} <= set(
        written
    )
    assert written["metrics"] == result.metrics
    assert set(written["metrics"]) <= set(METRICS[task])  # so a gate may name each of them
    assert set(HEADLINES[task]) <= set(written["metrics"])
    assert all(math.isfinite(value) for value in written["metrics"].values())
    first, second = written["verdict"]["rules"]
    assert written["verdict"]["passed"] is False
    assert (first["passed"], second["passed"]) == (True, False)
    low, high = written["intervals"][metric]
    assert low < written["metrics"][metric] < high
    assert written["data"]["images"] == {"train": 1, "val": 40, "test": 40}
    assert set(written["thresholds"]) == ({"confidence"} if task == "detect" else set())


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_report_leads_with_the_verdict_and_needs_no_network(
    task: Task, run: Callable[..., tuple[Evaluation, Any]]
) -> None:
    section = EvaluateSection.model_validate(
        {
            "gate": [{"metric": "beauty", "at_least": 1}],
            "benchmark": {"name": "abid", "metrics": {"rmse": 0.93}, "note": "other images"},
            "worst_images": 5,
        }
    )
    _, files = run(task, section)
    page = files.report.read_text()
    body = page[page.index("<body>") :]
    verdict = body.index("Not passed: 1 of 1 rule failed.")
    assert verdict < body.index("<svg") < body.index("data:image/webp")
    assert body.count("data:image/webp") == 5
    assert "other images" in body
    assert "http" not in page
    assert "src=" not in page.replace('src="data:', "")
    assert len(page) < 5_000_000


def test_result_is_reproducible(run: Callable[..., tuple[Evaluation, Any]]) -> None:
    first, files = run("detect", EvaluateSection(bootstrap=50))
    page = files.report.read_text()
    second, files = run("detect", EvaluateSection(bootstrap=50))
    assert first.to_json() == second.to_json()
    assert files.report.read_text() == page


def test_without_a_gate_the_model_passes_and_the_report_says_so(
    run: Callable[..., tuple[Evaluation, Any]],
) -> None:
    result, files = run("count", EvaluateSection(bootstrap=0, worst_images=0))
    assert result.verdict.passed
    assert "no gate is set" in files.report.read_text()
    assert result.intervals.by_metric == {}


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_two_hundred_images_take_under_ten_seconds(
    task: Task, run: Callable[..., tuple[Evaluation, Any]]
) -> None:
    start = time.perf_counter()
    run(task, EvaluateSection(), images=200)
    assert time.perf_counter() - start < 10


def test_a_missing_images_folder_leaves_the_gallery_empty(
    run: Callable[..., tuple[Evaluation, Any]], tmp_path: Path
) -> None:
    _, files = run("classify", EvaluateSection(bootstrap=0))
    for shard in files.images.glob("*.parquet"):
        shard.unlink()
    inputs = (files.predictions, files.table, files.images, files.model)
    evaluate(
        EvaluateSection(bootstrap=0), "classify", 7, *inputs, tmp_path / "r.html", tmp_path / "v"
    )
    page = (tmp_path / "r.html").read_text()
    assert "24 of the worst images are not shown" in page
    assert "Nothing to show." in page


@pytest.mark.parametrize("task", ["classify", "count", "detect"])
def test_a_single_image_of_a_single_class(
    task: Task, project: Callable[..., Any], sample: Callable[..., Sample]
) -> None:
    answer = {
        "classify": Prediction(0, 1.0, (1.0,)),
        "count": Prediction(count=0, count_expected=0.0, probabilities=(1.0,)),
        "detect": Prediction(score=0.0, count=0, boxes=()),
    }[task]
    one = [sample(label=0, count=0, prediction=answer)]
    files = project(task, [] if task == "count" else ["only"], one, one)
    inputs = (files.predictions, files.table, files.images, files.model)
    result = evaluate(EvaluateSection(), task, 7, *inputs, files.report, files.verdict)
    perfect = {"classify": ("accuracy", 1), "count": ("rmse", 0), "detect": ("count_mae", 0)}
    name, value = perfect[task]
    assert result.metrics[name] == value
    assert "Passed" in files.report.read_text()


def test_many_classes_fit_one_page(
    project: Callable[..., Any], classified: Callable[[int, int, int], list[Sample]]
) -> None:
    names = [f"{index:03d}.A_breed_with_a_rather_long_name" for index in range(133)]
    files = project("classify", names, classified(20, 133, 1), classified(150, 133, 2))
    inputs = (files.predictions, files.table, files.images, files.model)
    result = evaluate(
        EvaluateSection(bootstrap=20), "classify", 7, *inputs, files.report, files.verdict
    )
    assert len(result.rows) == 133
    assert files.report.stat().st_size < 5_000_000
