"""Numbers and lists as a reader says them."""

from collections.abc import Sequence

_NAMES = 5


def numbered(number: int, one: str, more: str) -> str:
    """Return `1 image` or `2 images`."""
    return f"{number:,} {one if number == 1 else more}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Return `a, b and c`; of a long list, its beginning."""
    if len(names) > _NAMES:
        return f"{', '.join(names[:_NAMES])} and {len(names) - _NAMES:,} more"
    return f" {last} ".join(filter(None, (", ".join(names[:-1]), names[-1])))
