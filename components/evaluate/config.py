"""Settings of the evaluate step."""

from typing import Self

from pydantic import Field, model_validator

from components.shared.config import Section


class RuleSection(Section):
    """One rule of the gate: a metric on the test images, and what it must reach."""

    metric: str = Field(description="a metric's name, e.g. accuracy, rmse, ap50")
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self


class BenchmarkSection(Section):
    """Published figures to compare with. They were reached on other images: see `note`."""

    name: str = Field("", description="whose figures they are; empty: no benchmark")
    metrics: dict[str, float] = Field({}, description="metric names and published values")
    note: str = Field("", description="what makes the comparison fair or unfair")


class EvaluateSection(Section):
    """What is measured on the test images, and what a model must reach to be registered."""

    gate: list[RuleSection] = Field([], description="every rule must hold")
    benchmark: BenchmarkSection = BenchmarkSection()
    bootstrap: int = Field(1000, ge=0, description="resamples for confidence intervals; 0: none")
    confidence: float = Field(0.95, gt=0, lt=1, description="level of the intervals")
    worst_images: int = Field(24, ge=0, le=200, description="failures shown in the report")
