"""The KFP component of the im2rec step."""

from kfp import dsl

from components.shared.images import RECORDIO


@dsl.component(base_image=RECORDIO, install_kfp_package=False)
def im2rec(
    task: str,
    config: str,
    images: dsl.Input[dsl.Dataset],
    augmented_images: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    records: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Pack images and labels into RecordIO."""
    from pathlib import Path

    from components.im2rec.config import Im2RecSection
    from components.im2rec.im2rec import im2rec
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        counts = im2rec(
            Im2RecSection.from_json(config),
            as_task(task),
            Path(images.path),
            Path(augmented_images.path),
            Path(table.path),
            Path(records.path),
        )
    for split, count in counts.items():
        metrics.log_metric(split, count)
