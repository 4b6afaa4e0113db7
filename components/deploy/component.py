"""The KFP component of the deploy step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def deploy(
    config: str,
    model: dsl.Input[dsl.Model],
    version: dsl.Input[dsl.Artifact],
    predictions: dsl.Input[dsl.Dataset],
    records: dsl.Input[dsl.Dataset],
    endpoint: dsl.Output[dsl.Artifact],
) -> None:
    """Serve the registered model as in production, and verify its answers on test images."""
    from pathlib import Path

    from components.deploy.config import DeploySection
    from components.deploy.deploy import Release, deploy
    from components.shared.step import reported_errors

    with reported_errors():
        release = Release(
            model=Path(model.path),
            version=Path(version.path),
            predictions=Path(predictions.path),
            records=Path(records.path),
        )
        deploy(DeploySection.from_json(config), release, Path(endpoint.path))
