"""Settings of the split step."""

from typing import Self

from pydantic import Field, model_validator

from components.shared.config import Section
from components.shared.task import Split


class SplitSection(Section):
    """How images are divided; a group of images is never split apart."""

    train: float = Field(0.8, gt=0, lt=1, description="share of the images")
    val: float = Field(0.1, ge=0, lt=1, description="share; 0 when upstream has one")
    test: float = Field(0.1, ge=0, lt=1, description="share; 0 when upstream has one")
    upstream: dict[str, Split] = Field(
        {}, description="the source's own splits to keep, e.g. {train: train, valid: val}"
    )
    id_block: int | None = Field(
        None, ge=2, description="numeric ids of one block of this many stay together"
    )
    near_duplicates: bool = Field(True, description="keep near-duplicate images together")
    hash_distance: int = Field(
        8, ge=0, le=12, description="bits (of 64) that near-duplicates' hashes may differ by"
    )
    workers: int = Field(0, ge=0, description="processes; 0: one a core")

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test must sum to 1; they sum to {total:g}")
        return self

    @model_validator(mode="after")
    def _every_split_has_a_source(self) -> Self:
        for name, share in (("val", self.val), ("test", self.test)):
            if not share and name not in self.upstream.values():
                raise ValueError(f"{name} is 0 and upstream maps no split to {name}; give a share")
        return self

    @model_validator(mode="after")
    def _upstream_has_a_train_split(self) -> Self:
        if self.upstream and "train" not in self.upstream.values():
            raise ValueError("upstream must map one of the source's splits to train")
        return self
