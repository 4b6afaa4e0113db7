"""The evaluation report: from the verdict down to single images."""

from collections.abc import Sequence
from pathlib import Path

from components.evaluate import plots
from components.evaluate.config import BenchmarkSection
from components.evaluate.evaluation import Evaluation
from components.evaluate.gallery import worst_pictures
from components.evaluate.join import Joined
from components.evaluate.measured import Measured
from components.evaluate.names import HEADLINES, NAMES
from components.shared.report import Kind, Report, Tile
from components.shared.task import Task

_BASELINES = {"accuracy": "baseline_accuracy", "rmse": "baseline_rmse"}


def write_report(
    path: Path,
    evaluation: Evaluation,
    joined: Joined,
    measured: Measured,
    benchmark: BenchmarkSection,
    images: Path,
    worst: int,
) -> None:
    """Write the report of an evaluation to `path`."""
    task = joined.info.task
    subtitle = f"Task {task}, {len(joined.test):,} test images that were never trained on"
    report = Report(f"Evaluation of {joined.identity.name}", subtitle)
    _verdict(report, evaluation)
    report.tiles(_tiles(evaluation, task, benchmark))
    _plots(report, evaluation, measured, task)
    _worst(report, joined, measured, images, worst)
    _numbers(report, evaluation, benchmark)
    _rows(report, measured, task)
    _provenance(report, evaluation, joined)
    report.write(path)


def _verdict(report: Report, evaluation: Evaluation) -> None:
    verdict = evaluation.verdict
    kind: Kind = "good" if verdict.passed else "bad"
    if not verdict.rules:
        kind = "info"
    lines = [rule.sentence for rule in verdict.rules]
    report.banner(verdict.sentence, lines, kind)


def _tiles(evaluation: Evaluation, task: Task, benchmark: BenchmarkSection) -> list[Tile]:
    tiles = []
    judged = {rule.metric: rule.passed for rule in evaluation.verdict.rules}
    for name in HEADLINES[task]:
        if name not in evaluation.metrics:
            continue
        details = []
        if name in evaluation.intervals.by_metric:
            low, high = evaluation.intervals.by_metric[name]
            details.append(f"{evaluation.intervals.level:.0%} interval {low:.3f} to {high:.3f}")
        baseline = evaluation.metrics.get(_BASELINES.get(name, ""))
        if baseline is not None:
            details.append(f"one answer for all: {baseline:.3f}")
        if benchmark.name and name in benchmark.metrics:
            details.append(f"{benchmark.name}: {benchmark.metrics[name]:.3f}")
        kind: Kind = "info" if name not in judged else ("good" if judged[name] else "bad")
        tiles.append(Tile(NAMES[name], f"{evaluation.metrics[name]:.3f}", "; ".join(details), kind))
    return tiles


def _numbers(report: Report, evaluation: Evaluation, benchmark: BenchmarkSection) -> None:
    intervals = evaluation.intervals
    made = "Measured on the test images; thresholds were chosen on the validation images. "
    if intervals.resamples:
        made += (
            f"Intervals are at {intervals.level:.0%}, from {intervals.resamples:,} bootstrap "
            f"resamples of {intervals.unit}."
        )
    else:
        made += "No intervals were asked for."
    if evaluation.thresholds:
        chosen = ", ".join(f"{k} {v:.3f}" for k, v in evaluation.thresholds.items())
        made += f" Threshold from validation: {chosen}."
    report.section("Numbers", made)
    headers = ["Metric", "Value", "From", "To"]
    compared = dict(benchmark.metrics) if benchmark.name else {}
    if compared:
        headers += [benchmark.name, "Difference"]
    rows = []
    for name in [*evaluation.metrics, *(set(compared) - set(evaluation.metrics))]:
        value = evaluation.metrics.get(name)
        low, high = intervals.by_metric.get(name, (None, None))
        row: list[object] = [NAMES.get(name, name), value, low, high]
        if compared:
            other = compared.get(name)
            both = value is not None and other is not None
            row += [other, value - other if both else None]  # type: ignore[operator]
        rows.append(row)
    report.table(headers, rows)
    if compared and benchmark.note:
        report.note(f"{benchmark.name}: {benchmark.note}")


def _plots(report: Report, evaluation: Evaluation, measured: Measured, task: Task) -> None:
    report.section("Plots")
    curves = measured.curves
    if task == "detect":
        _detection_plots(report, measured)
        return
    if measured.confusion is not None:
        report.figure(
            plots.confusion_plot(measured.confusion),
            f"Confusion matrix of {len(measured.confusion.labels)} classes",
            "Confusion matrix: rows are the truth; shaded by the share of the row.",
        )
    if task == "count":
        report.figure(
            plots.per_count_plot(measured.rows),
            "Mean expected count over true count",
            "Expected count by true count. A flat line would mean that the images are not used.",
        )
        report.figure(
            plots.errors_plot(curves["truth"], curves["counted"]),
            "Histogram of reported minus true count",
            "How far off the reported counts are.",
        )
    elif len(measured.rows) > 2:
        report.figure(
            plots.recall_plot(measured.rows, "recall"),
            "Recall by class, worst first",
            "Recall by class, the worst first (20 at most).",
        )
    if "calibration" in curves:
        report.figure(
            plots.calibration_plot(curves["calibration"]),
            "Accuracy over confidence",
            f"Calibration: error {evaluation.metrics['ece']:.3f}. Under the line: too sure.",
        )
    if "confidence" in curves:
        confidence, correct = curves["confidence"], curves["correct"]
        report.figure(
            plots.confidence_plot(confidence, correct, None, "images"),
            "Histogram of confidence, correct and wrong answers",
            "Confidence of correct and wrong answers.",
        )
        report.figure(
            plots.coverage_plot(confidence, correct),
            "Accuracy over the share of images answered",
            "What is gained by leaving unsure images to a person.",
        )


def _detection_plots(report: Report, measured: Measured) -> None:
    curves = measured.curves
    if curves["precision_recall"]:
        report.figure(
            plots.precision_recall_plot(curves["precision_recall"]),
            "Precision over recall at IoU 0.5",
            "Precision and recall at IoU 0.5, one-to-one matching.",
        )
    if len(curves["score"]):
        report.figure(
            plots.confidence_plot(
                curves["score"], curves["hit"], measured.thresholds["confidence"], "detections"
            ),
            "Histogram of detection scores, correct and false",
            "Scores of all detections; the threshold was chosen on validation images (best F1).",
        )
    if len(curves["iou"]):
        report.figure(
            plots.iou_plot(curves["iou"]),
            "Histogram of IoU of correct detections",
            "How exactly the boxes fit, from the threshold upwards.",
        )
    if len(measured.rows) > 1:
        report.figure(
            plots.recall_plot(measured.rows, "ap"),
            "AP by class, worst first",
            "AP by class, the worst first (20 at most).",
        )


def _rows(report: Report, measured: Measured, task: Task) -> None:
    title = "By count" if task == "count" else "By class"
    names = list(measured.rows[0]) if measured.rows else []
    report.section(title)
    report.table(
        [_column(name) for name in names],
        ([str(row[name]) if name in ("class", "count") else row[name] for name in names]
         for row in measured.rows),
    )  # fmt: skip


def _worst(report: Report, joined: Joined, measured: Measured, images: Path, limit: int) -> None:
    if not limit:
        return
    threshold = measured.thresholds.get("confidence")
    how = {
        "classify": "Sorted by log loss: surest mistakes first.",
        "count": "Sorted by the error of the expected count.",
        "detect": "Sorted by missed and false boxes. Green: correct. Orange, with a score: false. "
        "Dashed blue: missed.",
    }[joined.info.task]
    pictures = worst_pictures(
        images, joined.test, measured.losses, joined.info.classes, threshold, limit
    )
    report.section("Worst images", how)
    unseen = min(limit, int((measured.losses > 0).sum())) - len(pictures)
    if unseen:
        report.note(f"{unseen} of the worst images are not shown: their bytes cannot be read.")
    report.gallery(pictures, wide=threshold is not None)


def _provenance(report: Report, evaluation: Evaluation, joined: Joined) -> None:
    report.section("Data and model")
    rows: list[Sequence[object]] = [
        ("Model", joined.identity.name),
        ("Model version", joined.identity.version),
        ("Model archive, SHA-256", evaluation.model_sha256),
        ("Data fingerprint", evaluation.fingerprint),
        ("Images", ", ".join(f"{name} {count:,}" for name, count in evaluation.counts.items())),
        ("Classes", ", ".join(joined.info.classes) or None),
    ]
    report.table(["What", "Value"], rows)


def _column(name: str) -> str:
    return {"n": "Images", "ap": "AP", "ap50": "AP50", "rmse": "RMSE", "f1": "F1"}.get(
        name, NAMES.get(name, name.replace("_", " ").capitalize())
    )
