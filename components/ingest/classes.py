"""Which classes a project keeps, and in which order."""

import difflib
from collections.abc import Iterable, Sequence

from components.shared.errors import UserError


def chosen_classes(asked: Sequence[str], known: Iterable[str], uri: str) -> tuple[str, ...]:
    """Return the classes to keep: those asked for in that order, or all that are known.

    Raises:
        UserError: naming the classes that the source does not have, with the nearest names.
    """
    names = tuple(dict.fromkeys(known))
    if not asked:
        return names
    twice = sorted({name for name in asked if list(asked).count(name) > 1})
    if twice:
        raise UserError(f"ingest.classes: '{twice[0]}' is listed twice; list each class once")
    missing = [name for name in asked if name not in names]
    if missing:
        lines = [f"'{name}' {_suggestion(name, names)}" for name in missing]
        raise UserError(f"ingest.classes: not in {uri}: " + "; ".join(lines))
    return tuple(asked)


def _suggestion(name: str, known: Sequence[str]) -> str:
    lowered = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f"(did you mean '{lowered[near[0]]}'?)"
    shown = ", ".join(sorted(known)[:10]) + (", ..." if len(known) > 10 else "")
    return f"(it has: {shown or 'no class at all'})"
