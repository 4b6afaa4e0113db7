"""The train step: from records and settings to a model archive and a report."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from components.shared.archive import ModelCard, write_archive
from components.shared.signals import exit_on_sigterm
from components.shared.task import Task
from components.shared.training.checks import check_settings
from components.shared.training.config import TrainSection
from components.shared.training.data import TrainingData
from components.shared.training.engine import Fitted, fitting
from components.shared.training.settings import override
from components.shared.transforms import MEAN, STD
from components.train.readme import readme
from components.train.report import write_report

_LIBRARIES = ("torch", "torchvision", "lightning", "safetensors")


def train(
    section: TrainSection,
    hyperparameters: Mapping[str, object],
    task: Task,
    seed: int,
    records: Path,
    model: Path,
    report: Path,
    checkpoints: Path,
) -> dict[str, float]:
    """Train a model; write its archive and a report.

    The validation images choose the epoch that is kept; the test images are not read.

    Args:
        section: the config's settings.
        hyperparameters: settings that take their place, by dotted key; of the tune step.
        task: what the records' labels are for.
        seed: of all chance.
        records: folder of RecordIO files.
        model: the archive to write, see `components.shared.archive`.
        report: the HTML page to write.
        checkpoints: folder in which an interrupted training leaves its state; the same training
            started again goes on from there.

    Returns:
        Metrics of the epoch that is kept: `val_` and the name of each, `epoch`, and
        `epochs_trained`.

    Raises:
        UserError: if settings, records and task do not fit together, or the loss diverges.
    """
    chosen = override(section, hyperparameters)
    check_settings(chosen, task)
    with exit_on_sigterm():
        data = TrainingData(records, task, chosen.image_size)
        with fitting(chosen, data, seed, checkpoints) as fitted:
            card = _card(chosen, data, seed, fitted)
            write_archive(model, card, fitted.best.weights, readme(card))
            write_report(report, card, fitted, hyperparameters)
    _say(card, fitted)
    return {
        **{f"val_{name}": value for name, value in fitted.best.metrics.items()},
        "epoch": float(fitted.best.epoch),
        "epochs_trained": float(len(fitted.history)),
    }


def _card(section: TrainSection, data: TrainingData, seed: int, fitted: Fitted) -> ModelCard:
    return ModelCard(
        name=section.model,
        task=data.task,
        classes=data.classes,
        outputs=data.outputs,
        image_size=section.image_size,
        mean=MEAN,
        std=STD,
        nms_threshold=section.nms_threshold,
        min_score=section.min_score,
        max_detections=section.max_detections,
        mirrored=section.mirrored,
        metrics=fitted.best.metrics,
        epoch=fitted.best.epoch,
        seed=seed,
        settings=section.model_dump(mode="json"),
        data={"fingerprint": data.fingerprint, **data.counts},
        libraries={"python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
    )


def _say(card: ModelCard, fitted: Fitted) -> None:
    metrics = ", ".join(f"{name} {value:.4f}" for name, value in card.metrics.items())
    print(
        f"kept epoch {card.epoch} of {len(fitted.history)}: validation {metrics} "
        f"({fitted.seconds:.0f} s, {fitted.precision} on {fitted.device})"
    )
