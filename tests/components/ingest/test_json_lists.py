"""Lists of a large JSON object, item by item: what the standard library reads, and no more."""

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.ingest.formats.json_lists import MAX_DEPTH, JsonError, list_items

NAMES = ("images", "annotations")


def read(text: str | bytes, *skipped: str) -> list[tuple[str, Any]]:
    data = text.encode() if isinstance(text, str) else text
    return list(list_items(io.BytesIO(data), NAMES, skipped))


def values() -> st.SearchStrategy[Any]:
    plain: st.SearchStrategy[Any] = (
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text('ab"é', max_size=4)
    )
    plain |= st.floats(allow_nan=False, allow_infinity=False)
    keys = st.sampled_from(["images", "a", "left out"])
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3)
    )


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from([*NAMES, "info"]), values(), max_size=3))
def test_items_are_those_of_the_standard_library(content: dict[str, Any]) -> None:
    expected = []
    for name, value in content.items():
        if name not in NAMES or not isinstance(value, list):
            continue
        for item in value:
            if isinstance(item, dict):
                item.pop("left out", None)
            expected.append((name, item))
    assert read(json.dumps(content), "left out") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "EOF"),
        ('{"images": [1, 2', "EOF"),
        ('{"images": [NaN]}', "invalid char"),
        ('{"images": [1]} and more', "trailing garbage"),
        (b'{"images": ["\xff\xfe"]}', "UTF"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), f"nested more than {MAX_DEPTH} deep"),
        ("[" * 1_000_000, f"nested more than {MAX_DEPTH} deep"),  # which must not cost memory
    ],
)
def test_what_is_not_whole_json_is_refused(text: str | bytes, reason: str) -> None:
    with pytest.raises(JsonError, match=reason):
        read(text)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_items_or_one_error(data: bytes) -> None:
    try:
        read(b'{"images": [' + data)
    except JsonError:
        return
