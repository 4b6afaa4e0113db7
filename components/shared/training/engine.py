"""Train a model on RecordIO: what the steps train and tune share."""

import logging
import platform
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar

from components.shared.cores import usable_cores
from components.shared.errors import UserError
from components.shared.models import create_model, load_weights
from components.shared.training.checkpoints import Checkpoints, claimed, training_key
from components.shared.training.checks import check_settings
from components.shared.training.config import TrainSection
from components.shared.training.data import TrainingData
from components.shared.training.module import TrainingModule
from components.shared.training.objectives import objective_class
from components.shared.training.recorder import Best, Epoch, EpochEnd, Recorder

_AMPERE: Final = (8, 0)  # the first GPUs that compute in bfloat16

# True of all trainings here, and of no use to the reader of a log.
_IDLE_WARNINGS = (
    ".*does not have many workers.*",
    ".*isinstance.treespec, LeafSpec.*",
)


@dataclass(frozen=True)
class Fitted:
    """A training's result.

    Attributes:
        best: the epoch that is kept.
        history: all epochs.
        resumed_epochs: how many were done before this process took over.
        seconds: all epochs took.
        precision: what was computed in.
        device: what computed.
    """

    best: Best
    history: list[Epoch]
    resumed_epochs: int
    seconds: float
    precision: str
    device: str


def fit(
    section: TrainSection,
    data: TrainingData,
    seed: int,
    checkpoints: Path | None = None,
    on_epoch: EpochEnd | None = None,
) -> Fitted:
    """Train a model; see `fitting`, for those who have nothing to store."""
    with fitting(section, data, seed, checkpoints, on_epoch) as fitted:
        return fitted


@contextmanager
def fitting(
    section: TrainSection,
    data: TrainingData,
    seed: int,
    checkpoints: Path | None = None,
    on_epoch: EpochEnd | None = None,
) -> Iterator[Fitted]:
    """Train a model; validation images choose the epoch that is kept.

    The checkpoints are removed when the block ends in order: what it stores is never lost.

    Args:
        section: the settings.
        data: opened for `section.image_size`.
        seed: of the weights, the order and the changes of images.
        checkpoints: folder under which an interrupted training leaves its state, and finds it
            again; None: nothing is kept.
        on_epoch: called after each epoch; what it raises ends the training.

    Raises:
        UserError: if settings, task and data do not fit together, or the loss diverges.
    """
    check_settings(section, data.task)
    holder = (
        claimed(checkpoints, training_key(section, data, seed)) if checkpoints else nullcontext()
    )
    with holder as kept:
        with _quiet():
            fitted = _fit(section, data, seed, kept, on_epoch)
        yield fitted


def computing_precision(asked: Literal["auto", "bf16", "fp32"]) -> Literal["bf16-mixed", "32-true"]:
    """Return Lightning's name of the precision to compute in.

    Where the hardware has no bfloat16 arithmetic it is emulated, which is slower than float32.
    """
    if asked == "auto":
        asked = "bf16" if _has_bf16() else "fp32"
    return "bf16-mixed" if asked == "bf16" else "32-true"


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.get_device_capability() >= _AMPERE
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    flags = _cpu_flags()
    return bool(flags & {"avx512_bf16", "amx_bf16"})


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def _fit(
    section: TrainSection,
    data: TrainingData,
    seed: int,
    checkpoints: Checkpoints | None,
    on_epoch: EpochEnd | None,
) -> Fitted:
    weights = data.class_weights() if section.class_weights == "balanced" else None
    objective = objective_class(data.task)(_without_crops(section, data), data.outputs, weights)
    pl.seed_everything(seed, workers=True, verbose=False)
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    network = create_model(
        section.model,
        data.task,
        outputs=data.outputs,
        image_size=section.image_size,
        nms_threshold=section.nms_threshold,
        frozen_stages=section.frozen_stages,
    )
    load_weights(network.backbone, section.model, section.weights)
    module = TrainingModule(network, objective, section, seed)
    module = module.to(memory_format=torch.channels_last)
    recorder = Recorder(objective, section, checkpoints, on_epoch)
    newest = checkpoints.newest() if checkpoints else None
    if newest is not None:
        print(f"going on from {newest.name}", file=sys.stderr, flush=True)
    precision = computing_precision(section.precision)
    trainer = _trainer(section, recorder, precision)
    with _plain_errors():
        trainer.fit(
            module,
            data.train_loader(section.batch_size, section.workers, seed, section.augment),
            data.val_loader(section.batch_size, section.workers),
            ckpt_path=newest,
            weights_only=True,
        )
    assert recorder.best is not None  # noqa: S101 -- there is at least one epoch
    return Fitted(
        best=recorder.best,
        history=recorder.history,
        resumed_epochs=recorder.resumed_epochs,
        seconds=sum(epoch.seconds for epoch in recorder.history),
        precision=precision,
        device=_device_name(),
    )


def _without_crops(section: TrainSection, data: TrainingData) -> TrainSection:
    """Return the settings without what is done while images are read."""
    if not data.crops_while_reading(section.augment):
        return section
    augment = section.augment.model_copy(update={"crop_scale": 1.0})
    return section.model_copy(update={"augment": augment})


def _trainer(section: TrainSection, recorder: Recorder, precision: str) -> pl.Trainer:
    callbacks: list[pl.Callback] = [recorder]
    on_terminal = sys.stderr.isatty()
    if on_terminal:
        callbacks.append(TQDMProgressBar(leave=False))
    return pl.Trainer(
        accelerator="auto",
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        max_epochs=section.epochs,
        gradient_clip_val=section.gradient_clip or None,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=on_terminal,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Let an error of a reading process say what it says there, without torch's traceback."""
    try:
        yield
    except UserError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserError(str(error).rstrip().rpartition("UserError: ")[2]) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's hints about itself out of the log."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for text in _IDLE_WARNINGS:
            warnings.filterwarnings("ignore", text)
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
