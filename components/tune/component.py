"""The KFP component of the tune step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def tune(
    task: str,
    seed: int,
    config: str,
    train_config: str,
    weights_version: str,  # noqa: ARG001
    records: dsl.Input[dsl.Dataset],
    best: dsl.OutputPath(str),  # type: ignore[valid-type]
    trials: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Search training settings; give the best as JSON text, {} for the config's own.

    `weights_version` is not read: it makes the cache notice that a file of weights has changed.
    """
    import json
    import os
    from pathlib import Path

    from components.shared.step import reported_errors
    from components.shared.task import as_task
    from components.shared.training.config import TrainSection
    from components.tune.config import TuneSection
    from components.tune.tune import tune

    with reported_errors():
        table = Path(trials.path)
        checkpoints = os.environ.get("SIGHTLINE_CHECKPOINTS", table.with_name("checkpoints"))
        found = tune(
            TuneSection.from_json(config),
            TrainSection.from_json(train_config),
            as_task(task),
            seed,
            Path(records.path),
            table,
            Path(report.path),
            Path(checkpoints),
        )
        Path(best).write_text(json.dumps(found))
