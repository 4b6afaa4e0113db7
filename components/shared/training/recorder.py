"""Keep an epoch's figures and the best weights; say a line; stop early; write checkpoints."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from components.shared.errors import UserError
from components.shared.progress import duration
from components.shared.training.checkpoints import Checkpoints
from components.shared.training.config import TrainSection
from components.shared.training.module import TrainingModule
from components.shared.training.objectives import Objective


@dataclass(frozen=True)
class Epoch:
    """What an epoch gave.

    Attributes:
        number: 1 is the first.
        train: `loss`, and for classes and counts the task's metrics, over the changed images
            that were learned from.
        val: `loss` and metrics over the validation images.
        learning_rate: at its end, of what learns fastest.
        seconds: it took, validation included.
    """

    number: int
    train: dict[str, float]
    val: dict[str, float]
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class Best:
    """The epoch to keep, and its weights."""

    epoch: int
    metrics: dict[str, float]
    weights: dict[str, Tensor]


EpochEnd = Callable[[Epoch, Best], None]


class DivergedError(UserError):
    """The loss is no longer a number: these settings lead nowhere."""


class Recorder(pl.Callback):
    """Follows a training. Its state travels in the checkpoints, so a resumed one has it all.

    Attributes:
        history: the epochs so far.
        best: the best of them, by validation.
        resumed_epochs: how many of them came from a checkpoint.
    """

    def __init__(
        self,
        objective: Objective,
        section: TrainSection,
        checkpoints: Checkpoints | None,
        on_epoch: EpochEnd | None,
    ) -> None:
        self.history: list[Epoch] = []
        self.best: Best | None = None
        self._objective = objective
        self._section = section
        self._checkpoints = checkpoints
        self._on_epoch = on_epoch
        self._began = time.monotonic()
        self._epoch_began = self._began
        self.resumed_epochs = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clock; end at once if the training was over when it was interrupted."""
        self._began = time.monotonic()
        if self.history and self.best is not None and self._is_over(self.history[-1], self.best):
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the epoch's clock."""
        self._epoch_began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch, keep its weights if they are the best, and write a checkpoint.

        Raises:
            DivergedError: if the loss is no longer a number.
        """
        assert isinstance(pl_module, TrainingModule)  # noqa: S101
        epoch = Epoch(
            number=trainer.current_epoch + 1,
            train=pl_module.train_metrics,
            val=pl_module.val_metrics,
            learning_rate=max(float(one["lr"]) for one in trainer.optimizers[0].param_groups),
            seconds=time.monotonic() - self._epoch_began,
        )
        _check_finite(epoch, self._section)
        self.history.append(epoch)
        self.best = self._better(epoch, pl_module)
        self._say(epoch, self.best)
        if self._is_over(epoch, self.best):
            trainer.should_stop = True
        if self._checkpoints is not None:
            self._checkpoints.save(epoch.number, trainer.save_checkpoint)
        if self._on_epoch is not None:
            self._on_epoch(epoch, self.best)

    def state_dict(self) -> dict[str, Any]:
        """Return plain values and tensors."""
        assert self.best is not None  # noqa: S101 -- checkpoints are written after an epoch
        return {
            "history": [asdict(epoch) for epoch in self.history],
            "best": {name: getattr(self.best, name) for name in ("epoch", "metrics", "weights")},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.history = [Epoch(**epoch) for epoch in state_dict["history"]]
        self.best = Best(**state_dict["best"])
        self.resumed_epochs = len(self.history)

    def _better(self, epoch: Epoch, module: TrainingModule) -> Best:
        if self.best and not self._objective.better(epoch.val, self.best.metrics):
            return self.best
        weights = {
            name: value.detach().to("cpu", copy=True)
            for name, value in module.judged.state_dict().items()
        }
        return Best(epoch.number, epoch.val, weights)

    def _is_over(self, epoch: Epoch, best: Best) -> bool:
        patience = self._section.early_stop_epochs
        return 0 < patience <= epoch.number - best.epoch

    def _say(self, epoch: Epoch, best: Best) -> None:
        done, left = len(self.history) - self.resumed_epochs, self._section.epochs - epoch.number
        remaining = (time.monotonic() - self._began) / done * left
        metrics = [f"{name} {value:.4f}" for name, value in epoch.val.items() if name != "loss"]
        print(
            f"epoch {epoch.number}/{self._section.epochs}: loss {epoch.train['loss']:.4f}, "
            f"validation loss {epoch.val['loss']:.4f}, {', '.join(metrics)} "
            f"(best {self._objective.metric} {best.metrics[self._objective.metric]:.4f}), "
            f"rate {epoch.learning_rate:.2g}, {epoch.seconds:.1f} s"
            + (f", {duration(remaining)} left" if left else ""),
            file=sys.stderr,
            flush=True,
        )


def _check_finite(epoch: Epoch, section: TrainSection) -> None:
    values = torch.tensor([epoch.train["loss"], epoch.val["loss"]])
    if not values.isfinite().all():
        raise DivergedError(
            f"train: the loss of epoch {epoch.number} is not a number; lower "
            f"train.learning_rate (now {section.learning_rate:g}) or set train.gradient_clip"
        )
