"""Lightning's view of a training: what happens to a batch."""

from typing import Any, Final, cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from components.shared.models import Network
from components.shared.training.config import TrainSection
from components.shared.training.data import Batch
from components.shared.training.objectives import Objective, Outcome
from components.shared.training.optimizers import create_optimizer, create_schedule
from components.shared.training.seeds import generator
from components.shared.transforms import normalize

# A moving average of few steps follows the weights closely, so that it forgets how they began.
_AVERAGE_WARMUP: Final = 10


class TrainingModule(pl.LightningModule):
    """A network, how it learns, and what an epoch gave.

    Attributes:
        network: what learns.
        average: the moving average of its weights, or None.
        train_metrics: of the last epoch, over its training batches.
        val_metrics: of the last epoch.
    """

    def __init__(
        self, network: Network, objective: Objective, section: TrainSection, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.average = _average(network, section.ema_decay) if section.ema_decay else None
        self.train_metrics: dict[str, float] = {}
        self.val_metrics: dict[str, float] = {}
        self._objective = objective
        self._section = section
        self._seed = seed
        self._losses: list[Tensor] = []
        self._train_outcomes: list[Outcome] = []
        self._val_outcomes: list[Outcome] = []

    @property
    def judged(self) -> Network:
        """The network that is validated and kept: the average, where there is one."""
        return self.network if self.average is None else cast(Network, self.average.module)

    def on_train_epoch_start(self) -> None:
        """Forget the last epoch."""
        self._losses, self._train_outcomes = [], []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss of a batch, changed at random on the device that computes."""
        images, targets = batch
        chance = generator(self._seed, "augment", self.current_epoch, index)
        changed, soft = self._objective.augment(images, targets, chance)
        outputs = self.network(normalize(changed))
        loss = self._objective.loss(self.network, outputs, soft)
        self._losses.append(loss.detach())
        if self._objective.judges_training:
            with torch.no_grad():
                outcome = self._objective.outcome(self.network, outputs.detach(), targets)
            self._train_outcomes.append(outcome)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Let the average follow."""
        if self.average is not None:
            self.average.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._val_outcomes = []

    def validation_step(self, batch: Batch, index: int) -> None:  # noqa: ARG002
        """Keep what a batch gave."""
        images, targets = batch
        outputs = self.judged(normalize(images))
        self._val_outcomes.append(self._objective.outcome(self.judged, outputs, targets))

    def on_validation_epoch_end(self) -> None:
        """Measure the epoch, over images and not over batches."""
        self.val_metrics = self._objective.metrics(self._val_outcomes)
        measured = self._objective.metrics(self._train_outcomes) if self._train_outcomes else {}
        # What is lowered, with blended and smoothed targets, is the training's loss.
        loss = float(torch.stack(self._losses).double().mean()) if self._losses else 0.0
        self.train_metrics = measured | {"loss": loss}

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer, and a schedule that moves at every step."""
        optimizer = create_optimizer(self.network, self._section)
        steps = int(self.trainer.estimated_stepping_batches)
        an_epoch = max(1, steps // self._section.epochs)
        schedule = create_schedule(optimizer, self._section, steps, an_epoch)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def _average(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential moving average of weights and of running statistics."""

    def follow(averages: Any, values: Any, count: Any) -> None:
        steps = int(count)
        share = min(decay, (1 + steps) / (_AVERAGE_WARMUP + steps))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, 1 - share)
            else:
                average.copy_(value)

    return AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
