"""The KFP component of the split step."""

from kfp import dsl

from components.shared.images import DATA


@dsl.component(base_image=DATA, install_kfp_package=False)
def split(
    task: str,
    seed: int,
    config: str,
    images: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    split_table: dsl.Output[dsl.Dataset],
    labels_csv: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Divide images into train, val and test, by group and never by row."""
    from pathlib import Path

    from components.shared.step import reported_errors
    from components.shared.task import as_task
    from components.split.config import SplitSection
    from components.split.split import split

    with reported_errors():
        summary = split(
            SplitSection.from_json(config),
            as_task(task),
            seed,
            Path(images.path),
            Path(table.path),
            Path(split_table.path),
            Path(labels_csv.path),
        )
        for name, value in summary.metrics().items():
            metrics.log_metric(name, value)
