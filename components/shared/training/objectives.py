"""What training means for each task: its targets, its loss, and what is measured an image."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from components.shared.models import Classifier, Network, expected_count
from components.shared.models.detection import Detector, average_precision
from components.shared.task import Task
from components.shared.training.config import TrainSection
from components.shared.training.data import Targets
from components.shared.training.detection_augment import augment_detection
from components.shared.training.image_augment import augment_images, mixup


@dataclass(frozen=True)
class Outcome:
    """What a batch gave: losses (N,), answers and truths of each image."""

    losses: Tensor
    answers: Any
    truths: Any


class Objective(ABC):
    """How a task is learned and judged.

    Attributes:
        metric: the validation metric by which an epoch is chosen.
        higher: whether more of it is better.
        judges_training: whether outcomes cost so little that training batches are judged too.
    """

    metric: ClassVar[str]
    higher: ClassVar[bool]
    judges_training: ClassVar[bool] = True

    def __init__(self, section: TrainSection, outputs: int, weights: Tensor | None = None) -> None:
        """Keep what training is about.

        Args:
            section: the settings.
            outputs: what the model tells apart.
            weights: of the classes in the loss, float (outputs,); None: all alike.
        """
        self._section = section
        self._outputs = outputs
        self._weights = weights

    def better(self, new: dict[str, float], old: dict[str, float] | None) -> bool:
        """Tell whether an epoch's metrics beat another's; the loss decides between equals."""
        if old is None:
            return True
        sign = 1 if self.higher else -1
        return (sign * new[self.metric], -new["loss"]) > (sign * old[self.metric], -old["loss"])

    @abstractmethod
    def augment(
        self, images: Tensor, targets: Targets, chance: torch.Generator
    ) -> tuple[Tensor, Targets]:
        """Change training images (uint8) at random, and bring targets into the loss's form."""

    @abstractmethod
    def loss(self, network: Network, outputs: Any, targets: Targets) -> Tensor:
        """Return what training lowers, for the targets that `augment` gave."""

    @abstractmethod
    def outcome(self, network: Network, outputs: Any, targets: Targets) -> Outcome:
        """Return what is measured an image, for targets as they were read."""

    def metrics(self, outcomes: Sequence[Outcome]) -> dict[str, float]:
        """Return `loss` and the task's metrics over all images of the batches."""
        losses = torch.cat([outcome.losses for outcome in outcomes])
        return {"loss": float(losses.double().mean()), **self._metrics(outcomes)}

    @abstractmethod
    def _metrics(self, outcomes: Sequence[Outcome]) -> dict[str, float]: ...


class Classify(Objective):
    """Classes: cross-entropy, judged by accuracy."""

    metric = "accuracy"
    higher = True

    def augment(
        self, images: Tensor, targets: Targets, chance: torch.Generator
    ) -> tuple[Tensor, Targets]:
        """Change the images, smooth and blend the targets: distributions (N, C)."""
        assert isinstance(targets, Tensor)  # noqa: S101 -- one class an image
        section = self._section
        changed = augment_images(images, section.augment, chance)
        soft = functional.one_hot(targets, self._outputs).float()
        soft = torch.lerp(soft, torch.full_like(soft, 1 / self._outputs), section.label_smoothing)
        if section.augment.mixup == 0:
            return changed, soft
        return mixup(changed, soft, section.augment.mixup, chance)

    def loss(self, network: Network, outputs: Any, targets: Targets) -> Tensor:
        """Return the mean loss of the batch."""
        assert isinstance(network, Classifier)  # noqa: S101
        assert isinstance(targets, Tensor)  # noqa: S101
        losses = network.losses(outputs, targets)
        if self._weights is not None:
            losses = losses * (targets * self._weights.to(targets.device)).sum(dim=1)
        return losses.mean()

    def outcome(self, network: Network, outputs: Any, targets: Targets) -> Outcome:
        """Answers: distributions (N, C)."""
        assert isinstance(network, Classifier)  # noqa: S101
        assert isinstance(targets, Tensor)  # noqa: S101
        # A count above the largest that was trained on is as wrong as the largest can be.
        known = targets.clamp(max=self._outputs - 1)
        losses = network.losses(outputs, functional.one_hot(known, self._outputs).float())
        return Outcome(losses, network.probabilities(outputs), targets)

    def _metrics(self, outcomes: Sequence[Outcome]) -> dict[str, float]:
        answers, truths = _joined(outcomes)
        return {"accuracy": float((answers.argmax(dim=1) == truths).double().mean())}


class Count(Classify):
    """Counts: judged by the root mean square error of the expected count.

    Accuracy, which is reported beside it, is that of the likeliest count.
    """

    metric = "rmse"
    higher = False

    def _metrics(self, outcomes: Sequence[Outcome]) -> dict[str, float]:
        answers, truths = _joined(outcomes)
        error = expected_count(answers.double()) - truths
        return {"rmse": float(error.square().mean().sqrt()), **super()._metrics(outcomes)}


class Detect(Objective):
    """Boxes: the detector's own loss, judged by COCO's average precision."""

    metric = "ap"
    higher = True
    judges_training = False

    def augment(
        self, images: Tensor, targets: Targets, chance: torch.Generator
    ) -> tuple[Tensor, Targets]:
        """Change images and boxes together."""
        assert isinstance(targets, list)  # noqa: S101
        return augment_detection(images, targets, self._section.augment, chance)

    def loss(self, network: Network, outputs: Any, targets: Targets) -> Tensor:
        """Return the sum of the detector's losses."""
        assert isinstance(network, Detector)  # noqa: S101
        assert isinstance(targets, list)  # noqa: S101
        return torch.stack(list(network.loss(outputs, targets).values())).sum()

    def outcome(self, network: Network, outputs: Any, targets: Targets) -> Outcome:
        """Answers: detections; losses: the batch's, which detectors share by boxes, for each."""
        assert isinstance(network, Detector)  # noqa: S101
        section = self._section
        found = network.decode(outputs, section.min_score, section.max_detections)
        loss = self.loss(network, outputs, targets).float().cpu()
        return Outcome(
            loss.expand(len(targets)),
            [rows.float().cpu() for rows in found],
            [boxes.cpu() for boxes in targets],
        )

    def _metrics(self, outcomes: Sequence[Outcome]) -> dict[str, float]:
        answers = [rows for outcome in outcomes for rows in outcome.answers]
        truths = [boxes for outcome in outcomes for boxes in outcome.truths]
        return average_precision(answers, truths)


_OBJECTIVES: dict[Task, type[Objective]] = {"classify": Classify, "count": Count, "detect": Detect}


def objective_class(task: Task) -> type[Objective]:
    """Return how a task is learned and judged."""
    return _OBJECTIVES[task]


def _joined(outcomes: Sequence[Outcome]) -> tuple[Tensor, Tensor]:
    answers = torch.cat([outcome.answers for outcome in outcomes]).float()
    return answers, torch.cat([outcome.truths for outcome in outcomes])
