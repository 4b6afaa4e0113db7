"""The KFP component of the train step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def train(
    task: str,
    seed: int,
    config: str,
    hyperparameters: str,
    weights_version: str,  # noqa: ARG001
    records: dsl.Input[dsl.Dataset],
    model: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train a model; write its archive and how the training went.

    `weights_version` is not read: it makes the cache notice that a file of weights has changed.
    """
    import json
    import os
    from pathlib import Path

    from components.shared.step import reported_errors
    from components.shared.task import as_task
    from components.train.config import TrainSection
    from components.train.train import train

    with reported_errors():
        archive = Path(model.path)
        checkpoints = os.environ.get("SIGHTLINE_CHECKPOINTS", archive.with_name("checkpoints"))
        found = train(
            TrainSection.from_json(config),
            json.loads(hyperparameters),
            as_task(task),
            seed,
            Path(records.path),
            archive,
            Path(report.path),
            Path(checkpoints),
        )
    for name, value in found.items():
        metrics.log_metric(name, value)
