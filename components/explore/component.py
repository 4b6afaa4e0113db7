"""The KFP component of the explore step."""

from kfp import dsl

from components.shared.images import DATA


@dsl.component(base_image=DATA, install_kfp_package=False)
def explore(
    task: str,
    seed: int,
    config: str,
    images: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    rejected: dsl.Input[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Show what is in the data: counts, sizes, boxes and sample pictures."""
    from pathlib import Path

    from components.explore.config import ExploreSection
    from components.explore.explore import explore
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        explore(
            ExploreSection.from_json(config),
            as_task(task),
            seed,
            Path(images.path),
            Path(table.path),
            Path(rejected.path),
            Path(report.path),
        )
