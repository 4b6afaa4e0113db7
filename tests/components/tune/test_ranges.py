import pytest

from components.shared.errors import UserError
from components.shared.task import Task
from components.shared.training.config import TrainSection
from components.tune.config import RangeSection
from components.tune.ranges import own_values

SECTION = TrainSection(learning_rate=0.01, batch_size=32)


def space(**ranges: dict[str, object]) -> dict[str, RangeSection]:
    return {key.replace("__", "."): RangeSection(**value) for key, value in ranges.items()}


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"learning_rat": {"low": 0.1, "high": 1}}, "learning_rat: .*did you mean 'learning_rate'"),
        ({"batch_size": {"choices": [16.5, 32]}}, "batch_size: .*16.5"),
        ({"batch_size": {"low": 8.5, "high": 40}}, "batch_size: .*8.5"),
        ({"augment__mixup": {"low": -1, "high": 1}}, r"augment\.mixup: .*got -1"),
        ({"optimizer": {"choices": ["adamw", "lion"]}}, "optimizer: .*lion"),
        ({"learning_rate": {"low": 0.1, "high": 1}}, "leaves out the config's own .*0.01"),
        ({"optimizer": {"choices": ["sgd"]}}, "leaves out the config's own .*'adamw'"),
        ({"epochs": {"low": 1, "high": 9}}, "epochs: not a setting to search"),
        ({"step_epochs": {"choices": [1]}}, r"tune\.space\.step_epochs: "),
    ],
)
def test_spaces_that_train_would_refuse_are_refused(
    ranges: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        own_values(space(**ranges), SECTION, "classify")


@pytest.mark.parametrize(
    ("task", "ranges", "message"),
    [
        ("classify", {"model": {"choices": ["resnet18", "ssd_resnet50"]}}, "does not serve task"),
        ("count", {"augment__crop_scale": {"low": 0.5, "high": 1}}, "a crop can remove an item"),
    ],
)
def test_spaces_that_reach_what_the_task_refuses_are_refused(
    task: Task, ranges: dict[str, dict[str, object]], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        own_values(space(**ranges), SECTION, task)
