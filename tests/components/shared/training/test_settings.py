import pytest

from components.shared.errors import UserError
from components.shared.training.config import TrainSection
from components.shared.training.settings import lookup, override


def test_replaces_settings_at_any_depth_and_leaves_the_rest() -> None:
    section = TrainSection(epochs=7)
    changed = override(section, {"learning_rate": 0.5, "augment.mixup": 0.25})
    assert (changed.learning_rate, changed.augment.mixup, changed.epochs) == (0.5, 0.25, 7)
    assert section.learning_rate != 0.5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 0.1}, "learning_rat: unknown key; did you mean 'learning_rate'"),
        ({"augment.mixupp": 0.1}, r"augment\.mixupp: unknown key; did you mean 'mixup'"),
        ({"learning_rate": -1}, "learning_rate: .*greater than 0; got -1"),
        ({"batch_size": 16.5}, "batch_size: .*16.5"),
        (
            {"learning_rate.log": True},
            r"learning_rate\.log: 'learning_rate' has no settings inside",
        ),
        ({"optimiser.name": "sgd"}, "optimiser: unknown key; did you mean 'optimizer'"),
        (
            {"mirror_average": True, "augment.horizontal_flip": 0.0},
            r"mirror_average needs augment\.horizontal_flip or augment\.vertical_flip above 0",
        ),
    ],
)
def test_wrong_settings_are_explained(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"hyperparameters: {message}"):
        override(TrainSection(), values)


def test_looks_up_by_dotted_key() -> None:
    assert lookup(TrainSection(batch_size=5), "batch_size") == 5
    assert lookup(TrainSection(), "augment.horizontal_flip") == 0.5
    with pytest.raises(UserError, match="unknown key"):
        lookup(TrainSection(), "augment.nothing")
