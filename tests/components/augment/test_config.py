from typing import Any

import pytest
from pydantic import ValidationError

from components.augment.config import AugmentSection, check_task
from components.shared.augmentation.config import OFF, Operations
from components.shared.errors import UserError
from components.shared.training.config import TrainAugmentSection


def test_copies_that_would_not_differ_are_refused() -> None:
    AugmentSection.model_validate(OFF)
    with pytest.raises(ValidationError, match="no operation that would change them"):
        AugmentSection.model_validate({**OFF, "copies": 1})


@pytest.mark.parametrize(
    ("old", "new"),
    [(0.9, "crop_scale: 0.81"), (1, "crop_scale: 1"), ("x", "crop_scale: its square")],
)
def test_the_crops_old_name_leads_to_the_new_one(old: object, new: str) -> None:
    message = f"min_crop is now called crop_scale, .* for min_crop: {old} write {new}"
    with pytest.raises(UserError, match=message):
        AugmentSection.from_json(f'{{"min_crop": {old!r}}}'.replace("'", '"'))


def test_other_unknown_keys_are_still_suggested_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'crop_scale'"):
        AugmentSection.from_json('{"crop_scal": 0.5}')


def test_both_sections_give_a_key_the_same_meaning_and_range() -> None:
    for name, field in Operations.model_fields.items():
        for section in (AugmentSection, TrainAugmentSection):
            own = section.model_fields[name]
            assert own.description == field.description, name
            assert own.metadata == field.metadata, name


@pytest.mark.parametrize("settings", [{"crop_scale": 0.9}, {"rotate": 5}, {"erasing": 0.1}])
def test_counting_refuses_what_may_remove_an_item(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"augment\..*leave its number"):
        check_task(AugmentSection(copies=1, **settings), "count")
