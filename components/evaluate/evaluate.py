"""The evaluate step: measure a model on the test images, and judge it."""

from pathlib import Path

from components.evaluate import classification, counting, detection
from components.evaluate.config import EvaluateSection
from components.evaluate.evaluation import Evaluation
from components.evaluate.gate import judge
from components.evaluate.intervals import bootstrap
from components.evaluate.join import Joined, join
from components.evaluate.measured import Measured
from components.evaluate.page import write_report
from components.shared.files import sha256_of, write_text
from components.shared.table import fingerprint, split_counts
from components.shared.task import Task


def evaluate(  # noqa: PLR0913, PLR0917 (four inputs, two outputs, three settings)
    section: EvaluateSection,
    task: Task,
    seed: int,
    predictions: Path,
    table: Path,
    images: Path,
    model: Path,
    report: Path,
    verdict: Path,
) -> Evaluation:
    """Measure the predictions on the test images; write report (HTML) and verdict (JSON).

    Args:
        section: the gate, the benchmark, and how much to show.
        task: what is predicted.
        seed: of the bootstrap.
        predictions: the predictions table of one model, for val and test.
        table: the image table with splits.
        images: shards that hold the test images, for the gallery.
        model: the model archive; named in the report by its SHA-256.
        report: where the report is written.
        verdict: where the verdict is written.

    Raises:
        UserError: if predictions and table do not belong together (see `join`), or hold what
            cannot be measured.
    """
    joined = join(predictions, table, task)
    measured = _measure(joined, task)
    intervals = bootstrap(
        measured.statistic,
        [sample.group for sample in joined.test],
        section.bootstrap,
        section.confidence,
        seed,
        measured.cost,
    )
    evaluation = Evaluation(
        verdict=judge(section.gate, measured.metrics, intervals.by_metric),
        metrics=measured.metrics,
        thresholds=measured.thresholds,
        intervals=intervals,
        rows=measured.rows,
        confusion=measured.confusion,
        identity=joined.identity,
        model_sha256=sha256_of(model),
        fingerprint=fingerprint(table),
        counts=split_counts(table),
        benchmark=section.benchmark,
    )
    write_report(
        report, evaluation, joined, measured, section.benchmark, images, section.worst_images
    )
    write_text(verdict, evaluation.to_json())
    return evaluation


def _measure(joined: Joined, task: Task) -> Measured:
    if task == "classify":
        return classification.measure(joined.test, joined.info.classes)
    if task == "count":
        return counting.measure(joined.test)
    return detection.measure(joined.val, joined.test, joined.info.classes)
