"""The KFP component of the augment step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def augment(
    task: str,
    seed: int,
    config: str,
    images: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    augmented_images: dsl.Output[dsl.Dataset],
    augmented_table: dsl.Output[dsl.Dataset],
) -> None:
    """Make changed copies of the training images."""
    from pathlib import Path

    from components.augment.augment import augment
    from components.augment.config import AugmentSection
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        augment(
            AugmentSection.from_json(config),
            as_task(task),
            seed,
            Path(images.path),
            Path(table.path),
            Path(augmented_images.path),
            Path(augmented_table.path),
        )
