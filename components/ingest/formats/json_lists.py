"""Read the lists of a large JSON object piece by piece, in the same memory for any length."""

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, Final

import ijson
from ijson.common import ObjectBuilder

MAX_DEPTH: Final = 64  # of lists and objects in each other; a hostile file may nest without end
_STARTS: Final = ("start_map", "start_array")
_ENDS: Final = ("end_map", "end_array")


class JsonError(Exception):
    """A file that is not whole JSON; the message says where."""


def list_items(
    stream: BinaryIO, names: Collection[str], skipped: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield `(name, item)` for the items of the lists that a JSON object holds by these names.

    A list that is there but empty yields nothing; anything else than a list is passed over.

    Args:
        stream: JSON text.
        names: keys of the outermost object.
        skipped: keys within items that are left out, such as long outlines.

    Raises:
        JsonError: if the text is not JSON to its end, or nested deeper than `MAX_DEPTH`. Items
            before that place have been yielded by then.
    """
    reader = _Reader(names, skipped)
    try:
        for event, value in ijson.basic_parse(stream, use_float=True):
            if reader.take(event, value):
                yield reader.name, reader.item
    except ijson.JSONError as error:
        raise JsonError(" ".join(_text(error.args[0]).split())) from None
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 text: {error}") from None


class _Reader:
    """Follows the parser's events, and builds one item at a time."""

    def __init__(self, names: Collection[str], skipped: Collection[str]) -> None:
        self.name = ""
        self.item: Any = None
        self._names = frozenset(names)
        self._skipped = frozenset(skipped)
        self._depth = 0
        self._is_inside = False  # in a list that is asked for
        self._builder: ObjectBuilder | None = None
        self._skip_at: int | None = None  # the depth of the key whose value is left out

    def take(self, event: str, value: Any) -> bool:
        """Take the next event; return whether it completes an item."""
        if event in _ENDS:
            self._depth -= 1
        before = self._depth
        if event in _STARTS:
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise JsonError(f"nested more than {MAX_DEPTH} deep")
        if before == 1:
            self._notice(event, value)
        if not self._is_inside or before < 2:
            return False
        return self._build(event, value, before)

    def _notice(self, event: str, value: Any) -> None:
        """See where the lists begin and end; nothing at this depth is an item itself."""
        if event == "map_key":
            self.name = value
        elif event == "start_array":
            self._is_inside = self.name in self._names
        elif event == "end_array":
            self._is_inside = False

    def _build(self, event: str, value: Any, before: int) -> bool:
        if self._skip_at is not None:
            if before == self._skip_at and event not in _STARTS:
                self._skip_at = None  # a plain value, or the end of a nested one
            return False
        if event == "map_key" and before == 3 and value in self._skipped:
            self._skip_at = before
            return False
        if self._builder is None:
            self._builder = ObjectBuilder()
        self._builder.event(event, value)
        if self._depth > 2:
            return False
        self.item, self._builder = self._builder.value, None
        return True


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
