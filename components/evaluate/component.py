"""The KFP component of the evaluate step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def evaluate(
    task: str,
    seed: int,
    config: str,
    predictions: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    images: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    verdict: dsl.Output[dsl.Artifact],
) -> str:
    """Measure the model on the test images and hold it against the gate.

    Returns `true` or `false`, as text and unnamed: kfp.local takes a condition that it cannot
    evaluate for false, and it can neither compare mixed types nor read a named output.
    """
    from pathlib import Path

    from components.evaluate.config import EvaluateSection
    from components.evaluate.evaluate import evaluate
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        result = evaluate(
            EvaluateSection.from_json(config),
            as_task(task),
            seed,
            predictions=Path(predictions.path),
            table=Path(table.path),
            images=Path(images.path),
            model=Path(model.path),
            report=Path(report.path),
            verdict=Path(verdict.path),
        )
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    if result.confusion is not None:
        classification.log_confusion_matrix(
            result.confusion.labels, result.confusion.matrix.tolist()
        )
    return "true" if result.verdict.passed else "false"
