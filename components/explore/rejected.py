"""What was set aside, by reason."""

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from PIL import Image

from components.shared.reasons import kind_of
from components.shared.table import Rejection, iter_rejected

_EXAMPLES: Final = 4  # of each reason
_REASONS: Final = 200  # different ones held in memory
OTHER: Final = "other reasons"


@dataclass
class Rejected:
    """What was set aside.

    Attributes:
        counts: kind of reason to rows.
        examples: kind of reason to some of its rows, those with a picture first.
    """

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Rejection]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All rows."""
        return self.counts.total()

    def by_frequency(self) -> list[tuple[str, int]]:
        """Return kinds of reasons and their rows, the most frequent first."""
        return sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))


def read_rejected(path: Path) -> Rejected:
    """Count the reasons, and take the first few rows of each."""
    found = Rejected()
    for rejection in iter_rejected(path):
        kind = kind_of(rejection.reason)
        if kind not in found.counts and len(found.counts) >= _REASONS:
            kind = OTHER
        found.counts[kind] += 1
        _keep(found.examples.setdefault(kind, []), rejection)
    return found


def picture_of(rejection: Rejection) -> Image.Image | None:
    """Return the file's picture, where the table has one that decodes."""
    if rejection.thumbnail is None:
        return None
    try:
        picture = Image.open(io.BytesIO(rejection.thumbnail), formats=["JPEG"])
        picture.load()
    except Exception:  # Pillow raises almost anything; the report can do without
        return None
    return picture


def _keep(examples: list[Rejection], rejection: Rejection) -> None:
    if len(examples) >= _EXAMPLES and rejection.thumbnail is None:
        return
    examples.append(rejection)
    examples.sort(key=lambda one: one.thumbnail is None)
    del examples[_EXAMPLES:]
