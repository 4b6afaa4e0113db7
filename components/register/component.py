"""The KFP component of the register step."""

from kfp import dsl

from components.shared.images import AWS


@dsl.component(base_image=AWS, install_kfp_package=False)
def register(
    project: str,
    config: str,
    config_text: str,
    model: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    table: dsl.Input[dsl.Dataset],
    predictions: dsl.Input[dsl.Dataset],
    version: dsl.Output[dsl.Artifact],
) -> None:
    """Keep a model that passed the gate, with all that led to it, as the project's champion."""
    from pathlib import Path

    from components.register.config import RegisterSection
    from components.register.record import Candidate
    from components.register.register import register
    from components.shared.step import reported_errors

    with reported_errors():
        register(
            RegisterSection.from_json(config),
            project,
            Candidate(
                config_text,
                model=Path(model.path),
                verdict=Path(verdict.path),
                table=Path(table.path),
                predictions=Path(predictions.path),
            ),
            Path(version.path),
        )
