"""The KFP component of the predict step."""

from kfp import dsl

from components.shared.images import TRAINER


@dsl.component(base_image=TRAINER, install_kfp_package=False)
def predict(
    config: str,
    model: dsl.Input[dsl.Model],
    records: dsl.Input[dsl.Dataset],
    predictions: dsl.Output[dsl.Dataset],
) -> None:
    """Run the model over the validation and test images."""
    from pathlib import Path

    from components.predict.config import PredictSection
    from components.predict.predict import predict
    from components.shared.step import reported_errors

    with reported_errors():
        predict(
            PredictSection.from_json(config),
            Path(model.path),
            Path(records.path),
            Path(predictions.path),
        )
