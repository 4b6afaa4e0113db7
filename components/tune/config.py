"""Settings of the tune step."""

from typing import Self

from pydantic import Field, model_validator

from components.shared.config import Section


class RangeSection(Section):
    """The values a hyperparameter may take: a range of numbers, or a list of choices."""

    low: float | None = None
    high: float | None = None
    log: bool = Field(False, description="sample the range on a logarithmic scale")
    integer: bool = Field(False, description="whole numbers only")
    choices: list[str | int | float] | None = None

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or not self.choices:
                raise ValueError("give either low and high, or a list of choices")
            return self
        if self.low is None or self.high is None or self.low >= self.high:
            raise ValueError("give low and high with low below high, or a list of choices")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic range must lie above 0")
        return self


class TuneSection(Section):
    """The search over training settings. The config's own settings are always the first trial."""

    trials: int = Field(0, ge=0, description="how many; 0: train with the config's settings")
    epochs: int = Field(3, ge=1, description="epochs of a trial")
    max_minutes: float | None = Field(None, gt=0, description="no new trial starts after this")
    space: dict[str, RangeSection] = Field(
        {}, description="train's settings to search, e.g. learning_rate, augment.mixup"
    )

    @model_validator(mode="after")
    def _has_a_space(self) -> Self:
        if self.trials and not self.space:
            raise ValueError("trials are asked for, but the space to search is empty")
        return self
