import optuna

from components.shared.training.config import TrainSection
from components.tune.config import RangeSection
from components.tune.ranges import own_values
from components.tune.space import suggest

SECTION = TrainSection(learning_rate=0.01, batch_size=32)


def space(**ranges: dict[str, object]) -> dict[str, RangeSection]:
    return {key.replace("__", "."): RangeSection(**value) for key, value in ranges.items()}


def test_draws_stay_in_their_ranges_and_kinds() -> None:
    searched = space(
        learning_rate={"low": 1e-3, "high": 0.1, "log": True},
        batch_size={"low": 8, "high": 64},
        optimizer={"choices": ["sgd", "adamw"]},
        augment__mixup={"low": 0, "high": 0.5},
    )
    own = own_values(searched, SECTION, "classify")
    assert own == {
        "learning_rate": 0.01,
        "batch_size": 32,
        "optimizer": "adamw",
        "augment.mixup": 0.0,
    }
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask(), searched, own) for _ in range(40)]
    assert all(1e-3 <= one["learning_rate"] <= 0.1 for one in drawn)  # type: ignore[operator]
    below = sum(one["learning_rate"] < 0.01 for one in drawn)  # type: ignore[operator]
    assert 10 < below < 30  # evenly on a logarithmic scale
    assert all(isinstance(one["batch_size"], int) for one in drawn)
    assert {one["optimizer"] for one in drawn} == {"sgd", "adamw"}
