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
    demo: dsl.Output[dsl.HTML],
    train_config: str = "",
) -> None:
    """Make changed copies of the training images, and a sheet that shows the changes.

    `train_config` holds settings of `train`, of which `augment` and `image_size` are read: the
    sheet then shows what training will see as well.
    """
    from pathlib import Path

    from components.augment.augment import augment
    from components.augment.config import AugmentSection
    from components.augment.demo import write_demo
    from components.shared.step import reported_errors
    from components.shared.task import as_task
    from components.shared.training.config import TrainSection

    with reported_errors():
        section = AugmentSection.from_json(config)
        train = TrainSection.from_json(train_config) if train_config else None
        inputs = Path(images.path), Path(table.path)
        outputs = Path(augmented_images.path), Path(augmented_table.path)
        change = augment(section, as_task(task), seed, *inputs, *outputs)
        write_demo(section, train, as_task(task), seed, *inputs, change, Path(demo.path))
