"""Base of every config section, and validation errors a person can act on.

A section is a frozen pydantic model next to its step (`components/<step>/config.py`): every
default lives there and nowhere else. Between the orchestrator and a step a section travels
as JSON text, because KFP turns integers inside dict parameters into floats and refuses nulls.
"""

from collections.abc import Iterable
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from components.shared.errors import UserError
from components.shared.hints import hint


class Section(BaseModel):
    """A config section: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the JSON text that a pipeline parameter carries.

        Raises:
            UserError: naming each wrong key, what was expected, and the nearest known key.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise UserError(explain(error, cls)) from None


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Return one line a wrong key: its path, what was expected, and what was given.

    A rule that joins several sections names its keys itself.
    """
    return "\n".join(_line(details, model) for details in error.errors())


def _line(details: ErrorDetails, model: type[BaseModel]) -> str:
    path = ".".join(str(part) for part in details["loc"])
    if details["type"] == "extra_forbidden":
        return f"{path}: unknown key{_suggestion(details['loc'], model)}"
    if details["type"] == "missing":
        return f"{path}: is required"
    message = details["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if details["type"] == "value_error":
        return f"{path}: {message}" if path else message
    return f"{path or 'config'}: {message}; got {details['input']!r}"


def _suggestion(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Name the nearest known key, or all of them when none is near."""
    owner = _owner(loc[:-1], model)
    if owner is None:
        return ""
    return f"; {hint(str(loc[-1]), _keys(owner), 'known keys')}"


def _owner(path: Iterable[int | str], model: type[BaseModel]) -> type[BaseModel] | None:
    """Follow the path of an error through nested models, lists and unions."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None:
            return None
        field = _keys(current).get(str(part))
        if field is not None:
            current = _model_in(field.annotation)
    return current


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the key a user writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Find the first pydantic model inside an annotation such as `list[Rule] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
