"""Why something was set aside: reasons by kind, though each names its own file and numbers."""

import re
from typing import Final

# What differs from row to row within one kind of reason.
_VARIABLE: Final = (
    (re.compile(r"\s*\([^)]*\d[^)]*\)"), ""),
    (re.compile(r"'[^']*'|\"[^\"]*\""), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"\S*/\S+|\S+\.[A-Za-z]\w{1,4}(?=[\s;:,]|$)"), "\N{HORIZONTAL ELLIPSIS}"),
    (re.compile(r"[+-]?\d[\d.,x]*"), "n"),
)


def kind_of(reason: str) -> str:
    """Return a reason without what differs from row to row: names, paths, numbers."""
    for pattern, instead in _VARIABLE:
        reason = pattern.sub(instead, reason)
    return reason.strip()
