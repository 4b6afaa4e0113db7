from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from components.shared.models import create_model
from components.shared.training.config import TrainSection
from components.shared.training.optimizers import create_optimizer, create_schedule, rate_factor


def factors(section: TrainSection, steps: int = 100, an_epoch: int = 10) -> list[float]:
    return [rate_factor(step, section, steps, an_epoch) for step in range(steps)]


def test_onecycle_is_torchs() -> None:
    section = TrainSection(schedule="onecycle", warmup_share=0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule = OneCycleLR(
        optimizer, max_lr=1.0, total_steps=1000, pct_start=0.3, final_div_factor=400
    )
    theirs: list[float] = []
    for _ in range(1000):
        theirs.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    gaps = [abs(a - b) for a, b in zip(factors(section, 1000), theirs, strict=True)]
    assert max(gaps) < 0.01


def test_cosine_rises_on_a_line_and_falls_to_nothing() -> None:
    values = factors(TrainSection(schedule="cosine", warmup_share=0.1))
    assert values[:3] == pytest.approx([1 / 11, 2 / 11, 3 / 11])
    assert max(values) == values[10] == 1
    assert values[-1] == pytest.approx(0, abs=1e-9)
    assert values[10:] == sorted(values[10:], reverse=True)


def test_step_lowers_the_rate_at_its_epochs() -> None:
    section = TrainSection(schedule="step", warmup_share=0, step_epochs=[3, 5], step_factor=0.1)
    values = factors(section)
    assert values[29:31] == pytest.approx([1, 0.1])
    assert values[49:51] == pytest.approx([0.1, 0.01])


def test_constant_is_constant() -> None:
    assert set(factors(TrainSection(schedule="constant"))) == {1.0}


def test_every_schedule_serves_a_single_step() -> None:
    for schedule in ("constant", "onecycle", "cosine", "step"):
        for warmup in (0.0, 0.9):
            section = TrainSection(schedule=schedule, warmup_share=warmup)
            assert 0 <= rate_factor(0, section, 1, 1) <= 1


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_only_weights_decay_and_only_what_learns_is_optimized(name: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    network[0].requires_grad_(False)
    section = TrainSection(optimizer=name, weight_decay=0.1, learning_rate=0.3)
    optimizer = create_optimizer(network, section)
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    linear, norm = network[2], network[1]
    assert decays == {
        id(linear.weight): 0.1,
        id(linear.bias): 0,
        id(norm.weight): 0,
        id(norm.bias): 0,
    }


def test_the_schedule_drives_the_optimizer() -> None:
    network = nn.Linear(2, 2)
    section = TrainSection(optimizer="sgd", schedule="step", warmup_share=0, step_epochs=[1])
    optimizer = create_optimizer(network, section)
    schedule = create_schedule(optimizer, section, steps=4, steps_an_epoch=2)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"] / section.learning_rate)
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1, 1, 0.1, 0.1])


def test_stages_learn_the_slower_the_nearer_to_the_image() -> None:
    network = create_model("resnet18", "classify", outputs=3, image_size=32, frozen_stages=1)
    section = TrainSection(learning_rate=0.1, stage_rate=0.5)
    rates = {
        id(parameter): group["lr"]
        for group in create_optimizer(network, section).param_groups
        for parameter in group["params"]
    }
    body: Any = network.backbone
    assert rates[id(network.get_parameter("head.weight"))] == pytest.approx(0.1)
    assert rates[id(body.layer4[1].conv2.weight)] == pytest.approx(0.05)
    assert rates[id(body.layer4[1].bn2.bias)] == pytest.approx(0.05)
    assert rates[id(body.layer1[0].conv1.weight)] == pytest.approx(0.1 / 16)
    assert id(body.conv1.weight) not in rates  # frozen
    assert len(rates) == sum(one.requires_grad for one in network.parameters())


def test_a_detectors_pyramid_learns_at_the_full_rate() -> None:
    network = create_model("fcos_resnet18", "detect", outputs=3, image_size=64)
    section = TrainSection(learning_rate=0.1, stage_rate=0.5)
    body = {id(one) for one in network.backbone.parameters()}
    for group in create_optimizer(network, section).param_groups:
        in_body = {id(one) in body for one in group["params"]}
        assert in_body == {group["lr"] < 0.1}
