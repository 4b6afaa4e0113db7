"""The KFP component of the validate step."""

from kfp import dsl

from components.shared.images import DATA


@dsl.component(base_image=DATA, install_kfp_package=False)
def validate(
    task: str,
    seed: int,
    config: str,
    baseline: str,
    images: dsl.Input[dsl.Dataset],
    table: dsl.Input[dsl.Dataset],
    rejected: dsl.Input[dsl.Dataset],
    result: dsl.Output[dsl.Artifact],
    docs: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    profile: dsl.Output[dsl.Artifact],
) -> None:
    """Check the image table against expectations; stop the run when one is broken."""
    from pathlib import Path

    from components.shared.step import reported_errors
    from components.shared.task import as_task
    from components.validate.config import ValidateSection
    from components.validate.validate import Inputs, Outputs, validate

    with reported_errors():
        validate(
            ValidateSection.from_json(config),
            as_task(task),
            seed,
            baseline,
            Inputs(Path(images.path), Path(table.path), Path(rejected.path)),
            Outputs(Path(result.path), Path(docs.path), Path(report.path), Path(profile.path)),
        )
