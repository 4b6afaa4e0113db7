"""Read pickles of plain values and arrays without Python's unpickler.

The unpickler runs what a pickle asks for, and even one that refuses all classes but NumPy's
can be made to forge arrays over foreign memory (through the state of a dtype) or to take any
amount of memory (through the numbers of its memo). Here a pickle is only data: `pickletools`
takes its instructions apart, and those that make plain values are followed by hand.
"""

import io
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_INSTRUCTIONS: Final = 2_000_000  # CIFAR-100's training images take about 300,000

_KIND: Final = re.compile(r"[|<>=]?([biuf])([1248])")
_DTYPE: Final = ("numpy", "dtype")
_NDARRAY: Final = ("numpy", "ndarray")
# Under the names of Python 2 and 3, NumPy 1 and 2.
_RECONSTRUCT: Final = (
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")
)  # fmt: skip
_BYTES: Final = (("_codecs", "encode"), ("__builtin__", "bytes"), ("builtins", "bytes"))
_KNOWN: Final = frozenset({_DTYPE, _NDARRAY, *_RECONSTRUCT, *_BYTES})

_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: Final[dict[str, Callable[[], Any]]] = {
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple
}  # fmt: skip
_VALUES: Final = frozenset(
    {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
     "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
     "SHORT_BINBYTES", "BINBYTES", "BINBYTES8"}
)  # fmt: skip
_STRINGS: Final = frozenset({"STRING", "BINSTRING", "SHORT_BINSTRING"})  # Python 2's bytes
_PUTS: Final = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleError(Exception):
    """A pickle that is damaged, or holds anything but plain values; the message says what."""


@dataclass(frozen=True)
class _Name:
    """What a pickle calls `module.name`; nothing is imported."""

    module: str
    name: str


@dataclass
class _Dtype:
    """A NumPy dtype of numbers."""

    text: str

    def build(self, state: Any) -> None:
        """Take the byte order from a pickled state, and refuse what only other dtypes have."""
        order = state[1] if isinstance(state, tuple) and len(state) == 8 else None
        order = order.decode("latin1") if isinstance(order, bytes) else order
        is_plain = isinstance(order, str) and order in {"|", "<", ">", "="}
        if not is_plain or any(part is not None for part in state[2:5]):
            raise PickleError("it would make an array of something else than numbers")
        self.text = f"{order}{self.text[-2:]}"


@dataclass
class _Array:
    """An array whose bytes come afterwards."""

    value: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        match state:
            case (int(), tuple(shape), _Dtype(text), bool(by_column), bytes(data)):
                pass
            case _:
                raise PickleError("it would make an array in a strange way")
        if not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 8:
            raise PickleError("it would make an array of a strange shape")
        try:
            flat = np.frombuffer(data, np.dtype(text))
            self.value = flat.reshape(shape, order="F" if by_column else "C")
        except (ValueError, TypeError) as error:
            raise PickleError(f"it would make an array of a wrong size: {error}") from None


_MARK: Final = object()


class _Reader:
    """Follow the instructions of one pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self, data: bytes) -> Any:
        for number, (code, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
            if number >= MAX_INSTRUCTIONS:
                raise PickleError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
            if code.name == "STOP":
                return self._stack.pop()
            self._follow(code.name, argument)
        raise PickleError("its end is missing")

    def _follow(self, name: str, argument: Any) -> None:
        push = self._stack.append
        if name in {"PROTO", "FRAME"}:
            return
        if name in _VALUES:
            push(argument)
        elif name in _STRINGS:
            push(argument.encode("latin1"))
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _EMPTY:
            push(_EMPTY[name]())
        elif name == "MARK":
            push(_MARK)
        elif name in _PUTS:
            self._memo[int(argument)] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in _GETS:
            push(self._memo[int(argument)])
        else:
            self._combine(name, argument)

    def _combine(self, name: str, argument: Any) -> None:
        """Follow an instruction that makes one value of several."""
        if name in _TUPLES:
            self._stack.append(tuple(self._take(_TUPLES[name])))
        elif name == "TUPLE":
            self._stack.append(tuple(self._since_mark()))
        elif name == "LIST":
            self._stack.append(self._since_mark())
        elif name == "DICT":
            items = self._since_mark()
            self._stack.append({})
            self._set(items)
        elif name in {"APPEND", "APPENDS"}:
            items = self._take(1) if name == "APPEND" else self._since_mark()
            self._last(list).extend(items)
        elif name in {"SETITEM", "SETITEMS"}:
            self._set(self._take(2) if name == "SETITEM" else self._since_mark())
        else:
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        """Follow an instruction that would call something in an unpickler."""
        if name == "GLOBAL":
            self._stack.append(_named(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            self._stack.append(_named(*self._take(2)))
        elif name == "REDUCE":
            self._stack.append(_reduced(*self._take(2)))
        elif name == "BUILD":
            (state,) = self._take(1)
            if not isinstance(self._stack[-1], _Dtype | _Array):
                raise PickleError("it would change something that is no array")
            self._stack[-1].build(state)
        else:
            raise PickleError(f"it holds the instruction {name}, which plain values do not need")

    def _take(self, number: int) -> list[Any]:
        items = self._stack[-number:]
        if len(items) < number or any(item is _MARK for item in items):
            raise PickleError("it takes more than it has")
        del self._stack[-number:]
        return items

    def _since_mark(self) -> list[Any]:
        items = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _last(self, kind: type[Any]) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise PickleError(f"it would change something that is no {kind.__name__}")
        return self._stack[-1]

    def _set(self, items: list[Any]) -> None:
        into = self._last(dict)
        # Other keys may hold each other many times over; to hash them would never end.
        if not all(_is_key(key) for key in items[::2]):
            raise PickleError("it has a key that is neither text nor a number")
        into.update(zip(items[::2], items[1::2], strict=True))


def _is_key(value: Any) -> bool:
    return isinstance(value, str | bytes) or (isinstance(value, int) and abs(value) < 2**63)


def _named(module: Any, name: Any) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise PickleError("it would load something without a name")
    if (module, name) not in _KNOWN:
        raise PickleError(f"it would load {module}.{name}")
    return _Name(module, name)


def _reduced(called: Any, arguments: Any) -> Any:
    """Return what calling a known name makes, for the arguments that NumPy and bytes have."""
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise PickleError("it would call something that is no function")
    name = (called.module, called.name)
    if name in _BYTES:
        return _bytes_of(*arguments)
    if name == _DTYPE and arguments:
        text = arguments[0].decode("latin1") if isinstance(arguments[0], bytes) else arguments[0]
        if isinstance(text, str) and _KIND.fullmatch(text):
            return _Dtype(text)
        raise PickleError("it would make an array of something else than numbers")
    if name in _RECONSTRUCT and arguments[:2] == (_Name(*_NDARRAY), (0,)):
        return _Array()
    raise PickleError(f"it would call {called.module}.{called.name} in a strange way")


def _bytes_of(text: Any = "", encoding: Any = "latin1") -> bytes:
    """Return the bytes that protocol 2 writes as text."""
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise PickleError("it would make bytes of something else than text")
    return text.encode("latin1")


def read_plain_pickle(data: bytes) -> Any:
    """Return what a pickle holds: None, numbers, text, bytes, lists, tuples, dicts, arrays.

    Strings of Python 2 come as bytes. Arrays may stand for themselves or as values of a dict
    that is the whole; they cannot be written to.

    Raises:
        PickleError: if it is damaged, holds anything else, or too much.
    """
    try:
        found = _Reader().read(data)
        if isinstance(found, dict):
            return {key: _finished(value) for key, value in found.items()}
        return _finished(found)
    except PickleError:
        raise
    except Exception as error:  # what damaged instructions make pickletools and lookups raise
        raise PickleError(str(error) or type(error).__name__) from None


def _finished(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise PickleError("it holds an array without its bytes")
        return value.value
    if isinstance(value, _Name | _Dtype) or value is _MARK:
        raise PickleError("it holds something that is no plain value")
    return value
