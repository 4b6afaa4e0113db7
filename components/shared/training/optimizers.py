"""Optimizers and learning rate schedules, from settings."""

import math
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from components.shared.models.stages import Staged
from components.shared.training.config import TrainSection

# Where a one-cycle schedule starts, and where it ends, as shares of the highest rate.
_ONECYCLE_START, _ONECYCLE_END = 1 / 25, 1e-4


def create_optimizer(network: nn.Module, section: TrainSection) -> Optimizer:
    """Return the optimizer of all parameters that learn.

    Weights decay; biases and the scales of normalisations do not, as decay would only hinder
    them (He et al., https://arxiv.org/abs/1812.01187). What follows the body learns at the full
    rate, and each stage of the body at `stage_rate` times that of the next (Howard and Ruder,
    https://arxiv.org/abs/1801.06146).
    """
    groups = [
        {"params": some, "lr": section.learning_rate * rate, "weight_decay": decay}
        for rate, parameters in _by_rate(network, section.stage_rate).items()
        for decay, some in _by_decay(parameters, section.weight_decay).items()
    ]
    match section.optimizer:
        case "sgd":
            nesterov = section.momentum > 0
            return SGD(groups, section.learning_rate, section.momentum, nesterov=nesterov)
        case "adam":
            return Adam(groups, section.learning_rate)
        case "adamw":
            return AdamW(groups, section.learning_rate)


def _by_rate(network: nn.Module, stage_rate: float) -> dict[float, list[nn.Parameter]]:
    """Return the parameters that learn by their share of the learning rate."""
    depths: dict[nn.Parameter, int] = {}
    for body in (module for module in network.modules() if isinstance(module, Staged)):
        for depth, stage in enumerate(reversed(body.stages()), start=1):
            depths |= {one: depth for module in stage for one in module.parameters()}
    groups: dict[float, list[nn.Parameter]] = {}
    for one in network.parameters():
        if one.requires_grad:
            groups.setdefault(stage_rate ** depths.get(one, 0), []).append(one)
    return groups


def _by_decay(parameters: list[nn.Parameter], decay: float) -> dict[float, list[nn.Parameter]]:
    groups: dict[float, list[nn.Parameter]] = {}
    for one in parameters:
        groups.setdefault(decay if one.ndim > 1 else 0.0, []).append(one)
    return groups


def create_schedule(
    optimizer: Optimizer, section: TrainSection, steps: int, steps_an_epoch: int
) -> LambdaLR:
    """Return the schedule that moves the learning rate after every step."""
    factor = partial(rate_factor, section=section, steps=steps, steps_an_epoch=steps_an_epoch)
    return LambdaLR(optimizer, factor)


def rate_factor(step: int, section: TrainSection, steps: int, steps_an_epoch: int) -> float:
    """Return the learning rate at a step, as a share of the highest.

    All schedules rise over the first `warmup_share` of the steps, but for `constant`.

    - onecycle: from 1/25 up and down to 1/10,000, on cosines (Smith and Topin,
      https://arxiv.org/abs/1708.07120);
    - cosine: from 0 up on a line, and down to 0 on a cosine;
    - step: from 0 up on a line, then lowered by `step_factor` at each of `step_epochs`;
    - constant: 1.

    Args:
        step: of all steps, from 0.
        section: the settings.
        steps: of the whole training.
        steps_an_epoch: of one epoch.
    """
    warmup = section.warmup_share * steps
    rise = (step + 1) / (warmup + 1) if step < warmup else 1.0
    fall = min(1.0, max(0.0, step - warmup) / max(1.0, steps - 1 - warmup))
    match section.schedule:
        case "constant":
            return 1.0
        case "onecycle":
            if step < warmup:
                return _cosine(_ONECYCLE_START, 1.0, rise)
            return _cosine(1.0, _ONECYCLE_END, fall)
        case "cosine":
            return rise * _cosine(1.0, 0.0, fall)
        case "step":
            lowered = sum(step >= epoch * steps_an_epoch for epoch in section.step_epochs)
            return float(rise * section.step_factor**lowered)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
