"""Settings of the validate step."""

from typing import Any, Final, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from components.shared.config import Section
from components.shared.errors import UserError
from components.shared.task import Task
from components.validate.expectations import columns_in, form_of
from components.validate.names import BUILTIN, COLUMNS, FrameName, Severity, frames_of, unknown

_OWN: Final = ("name", "expectation", "on", "severity")


class CustomExpectation(Section):
    """One of Great Expectations' own expectations; its arguments stand beside these keys."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,59}$", description="how results and messages call it"
    )
    expectation: str = Field(description="as Great Expectations calls it")
    on: FrameName = Field("images", description="the frame whose columns it is about")
    severity: Literal["fail", "warn"] = Field("fail", description="fail stops the run")

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of the expectation."""
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _read_on(cls, given: Any) -> Any:
        """Accept `on` as YAML gives it: YAML 1.1 reads that key as the value true."""
        if isinstance(given, dict) and True in given:
            return {("on" if key is True else key): value for key, value in given.items()}
        return given

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        form = form_of(self.expectation)
        given = self.arguments
        for key in given:
            if key not in form.arguments:
                raise ValueError(
                    unknown(f"argument of {self.expectation}", key, (*form.arguments, *_OWN))
                )
        missing = form.missing([key for key, value in given.items() if value is not None])
        if missing:
            raise ValueError(f"{self.expectation} needs {missing}")
        for column in columns_in(given):
            if column not in COLUMNS[self.on]:
                raise ValueError(unknown(f"column of {self.on}", column, COLUMNS[self.on]))
        return self


class DriftSection(Section):
    """How far the data may move from an earlier run's before it is reported."""

    baseline: str = Field(
        "",
        description="an earlier run's profile: a file, http(s):// or s3:// address; without it "
        "the newest accepted run's, where the runner knows one",
    )
    severity: Severity = Field("warn", description="of all drift expectations; off compares not")
    max_psi: float = Field(
        0.2, gt=0, description="largest population stability index of any quantity"
    )
    max_ks: float = Field(
        0.2, gt=0, le=1, description="largest Kolmogorov-Smirnov distance of any quantity"
    )
    max_cramers_v: float = Field(
        0.15, gt=0, le=1, description="largest change of the class balance, as Cramér's V"
    )
    significance: float = Field(
        0.001, gt=0, lt=1, description="chance that a run of unchanged data reports any drift"
    )
    pixel_samples: int = Field(
        500, ge=0, le=100_000, description="images whose brightness and contrast are measured"
    )


class ValidateSection(Section):
    """What the image table must satisfy; a broken expectation stops the run."""

    min_images: int = Field(10, ge=1, description="fewest usable images")
    min_images_per_class: int = Field(2, ge=0, description="fewest images of any class or count")
    max_class_share: float = Field(0.99, gt=0, le=1, description="largest share of one class")
    largest_count: int = Field(1000, ge=1, description="largest count that is credible")
    max_rejected_share: float = Field(0.2, ge=0, le=1, description="largest share set aside")
    min_edge: int = Field(8, ge=1, description="shortest edge an image may have, pixels")
    max_aspect_ratio: float = Field(20.0, ge=1, description="longest edge over shortest")
    min_box_area: float = Field(
        1e-6, ge=0, le=1, description="smallest box, as a share of the image"
    )
    examples: int = Field(10, ge=1, description="offending rows shown for each expectation")
    expectations: dict[str, Severity] = Field(
        default_factory=dict,
        description="built-in expectations by name: fail, warn or off instead of the default",
    )
    custom: tuple[CustomExpectation, ...] = Field(
        (), description="expectations of Great Expectations, by its names and with its arguments"
    )
    drift: DriftSection = DriftSection()

    @field_validator("expectations", mode="before")
    @classmethod
    def _read_off(cls, given: Any) -> Any:
        """Accept `off` as YAML gives it: YAML 1.1 reads that word as the value false."""
        if not isinstance(given, dict):
            return given
        return {key: "off" if value is False else value for key, value in given.items()}

    @field_validator("expectations")
    @classmethod
    def _built_in(cls, given: dict[str, Severity]) -> dict[str, Severity]:
        for name in given:
            if name not in BUILTIN:
                raise ValueError(unknown("built-in expectation", name, BUILTIN))
        return given

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        taken = set(BUILTIN)
        for index, one in enumerate(self.custom):
            if one.name in taken:
                raise ValueError(
                    f"custom.{index}.name: '{one.name}' is taken; give every expectation a name "
                    "of its own"
                )
            taken.add(one.name)
        return self


def check_task(section: ValidateSection, task: Task) -> None:
    """Refuse names that a task does not have.

    Raises:
        UserError: naming the key, and what the task has instead.
    """
    for name in section.expectations:
        if task not in BUILTIN[name]:
            raise UserError(
                f"validate.expectations.{name}: it is for task {' or '.join(BUILTIN[name])}, "
                f"not for {task}; leave it out"
            )
    frames = frames_of(task)
    for index, one in enumerate(section.custom):
        key = f"validate.custom.{index}"
        if one.on not in frames:
            raise UserError(f"{key}.on: task {task} has no {one.on}; use {', '.join(frames)}")
        for column in columns_in(one.arguments):
            if column not in frames[one.on]:
                raise UserError(
                    f"{key}: for task {task}, {one.on} have no column '{column}'; known: "
                    f"{', '.join(frames[one.on])}"
                )
