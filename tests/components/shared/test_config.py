"""Config sections: unknown keys and wrong values are explained, one line each."""

from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from components.shared.config import Section, explain
from components.shared.errors import UserError


class _Inner(Section):
    rate: float = Field(0.1, gt=0, lt=1)


class _Rule(Section):
    metric: str
    at_least: float | None = None


class _Outer(Section):
    epochs: int = Field(3, ge=1)
    mode: Literal["fast", "slow"] = "fast"
    inner: _Inner = _Inner()
    rules: list[_Rule] = Field([])
    maybe: _Inner | None = None

    @model_validator(mode="after")
    def _fits(self) -> "_Outer":
        if self.mode == "slow" and self.epochs == 1:
            raise ValueError("Slow needs more than one epoch")
        return self


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"epoch": 3}', "epoch: unknown key; did you mean 'epochs'?"),
        ('{"x": 3}', "x: unknown key; known keys: epochs, inner, maybe, mode, rules"),
        ('{"inner": {"rte": 0.1}}', "inner.rte: unknown key; did you mean 'rate'?"),
        ('{"maybe": {"rte": 0.1}}', "maybe.rte: unknown key; did you mean 'rate'?"),
        (
            '{"rules": [{"metric": "ap", "atleast": 1}]}',
            "rules.0.atleast: unknown key; did you mean 'at_least'?",
        ),
        ('{"rules": [{}]}', "rules.0.metric: is required"),
        ('{"epochs": 0}', "epochs: input should be greater than or equal to 1; got 0"),
        ('{"epochs": "many"}', "epochs: input should be a valid integer"),
        ('{"epochs": 1.5}', "epochs: input should be a valid integer"),
        ('{"inner": {"rate": NaN}}', "inner.rate: input should be a finite number"),
        ('{"mode": "quick"}', "mode: input should be 'fast' or 'slow'; got 'quick'"),
        ('{"mode": "slow", "epochs": 1}', "slow needs more than one epoch"),
        ("{", "config: invalid JSON"),
    ],
)
def test_a_wrong_section_is_explained(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        _Outer.from_json(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_mistake_has_its_line() -> None:
    with pytest.raises(ValidationError) as caught:
        _Outer.model_validate({"epochs": 0, "inner": {"rate": 2, "rte": 1}})
    lines = explain(caught.value, _Outer).splitlines()
    assert sorted(line.split(":")[0] for line in lines) == ["epochs", "inner.rate", "inner.rte"]


def test_a_section_survives_the_trip_as_text() -> None:
    section = _Outer(epochs=7, rules=[_Rule(metric="ap50", at_least=0.5)], maybe=None)
    assert _Outer.from_json(section.model_dump_json()) == section


def test_a_section_cannot_be_changed() -> None:
    section = _Outer()
    with pytest.raises(ValidationError, match="frozen"):
        section.epochs = 5  # type: ignore[misc]
