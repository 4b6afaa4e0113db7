"""What to say of a name that is not known."""

import difflib
from collections.abc import Iterable


def hint(name: str, known: Iterable[str], what: str = "known") -> str:
    """Return a question after the nearest known name, or all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"{what}: {', '.join(names)}"
