"""Python values as JSON and back, exactly: a tuple comes back as a tuple. Anything else goes as its text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

DEPTH = 50
MAX_ARGUMENT, MAX_OUTPUT = 64_000, 200_000
"""Bytes, as JSON, of a tool call and of a value returned; smolagents shows the model 20,000 characters of it."""
MAX_TEXT = 60_000
"""Characters of a text or an error returned. Kept inside, and checked in the app."""
TAG = "!"
NUMBERS = re.compile(r"[<>|=][biufc][0-9]{1,2}")
"""The types of arrays that are passed, as numpy spells them."""
SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset}


class NotDataError(ValueError):
    """The value is none of the types that are passed exactly."""


class Handle:
    """What sandboxed code has of an object that a tool returned and that stays in the app, an image, say.

    It can be printed, and given to a tool or as the final answer, which then get the object itself.
    """

    def __init__(self, number: int, text: str):
        self.number, self.text = number, text

    def __repr__(self) -> str:
        return self.text


def encode(value, depth: int = 0, *, ordered: bool = False):
    """A JSON value for None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset and dict,
    numpy arrays of numbers, and handles.

    Exact types only, so that nothing is shown otherwise than it would have been where it came from.
    ordered: no set either that would be in another order when it comes out.
    Raises NotDataError for any other.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if depth >= DEPTH:
        raise NotDataError("nested too deeply")

    def each(items):
        return [encode(item, depth + 1, ordered=ordered) for item in items]

    if kind is list:
        return each(value)
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return dict(zip(value, each(value.values()), strict=True))
        return {TAG: "dict", "of": [each(pair) for pair in value.items()]}
    if kind in SEQUENCES.values():
        if ordered and kind is not tuple and not _keeps_its_order(value):
            raise NotDataError(f"a {kind.__name__} whose order would change")
        return {TAG: kind.__name__, "of": each(value)}
    if kind is complex:
        return {TAG: "complex", "of": [value.real, value.imag]}
    if kind is bytes:
        return {TAG: "bytes", "of": value.decode("latin-1")}
    if kind is Handle:
        return {TAG: "handle", "of": [value.number, value.text]}
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray" and value.dtype.kind in "biufc":
        content = value.tobytes().decode("latin-1")
        return {TAG: "array", "of": [value.dtype.str, list(value.shape), content]}
    raise NotDataError(f"a {kind.__name__}")


def decode(value, objects: Sequence | None = None, depth: int = 0):
    """The value that `encode` was given. Raises ValueError for what it never makes.

    objects: those that handles are of; without them a handle stays one.
    """

    def each(items) -> list:
        return [decode(item, objects, depth + 1) for item in items]

    if depth > DEPTH + 1:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # lone surrogates go no further
    if isinstance(value, list):
        return each(value)
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return dict(zip(each(value), each(value.values()), strict=True))
    try:
        kind, of = value[TAG], value["of"]
        if kind == "dict":
            return dict(map(each, of))
        if kind == "complex":
            return complex(*of)
        if kind == "bytes":
            return of.encode("latin-1")
        if kind == "array":
            return _array(*of)
        if kind == "handle":
            number, text = of
            if objects is None:
                return Handle(number, text)
            if type(number) is not int or not 0 <= number < len(objects):
                raise ValueError("no handle")
            return objects[number]
        return SEQUENCES[kind](each(of))
    except (KeyError, TypeError, AttributeError, UnicodeError, OverflowError) as error:
        raise ValueError(f"no value: {error}") from None


def _keeps_its_order(value: set | frozenset) -> bool:
    """Made again from its elements, in any process. (Not so of texts, whose hashes differ.)"""
    elements = list(value)
    return {type(e) for e in elements} <= {int, float, bool} and list(set(elements)) == elements


def _array(dtype: str, shape: list, content: str):
    import numpy

    if not NUMBERS.fullmatch(str(dtype)):
        raise ValueError("no array")
    dtype = numpy.dtype(dtype)
    sizes = [size for size in shape if type(size) is int and size >= 0]
    content = content.encode("latin-1")
    if len(sizes) != len(shape) or len(shape) > 32:
        raise ValueError("no array")
    if math.prod(sizes) * dtype.itemsize != len(content):
        raise ValueError("no array")
    return numpy.frombuffer(content, dtype).reshape(sizes).copy()


def plainly(value, keep=str, depth: int = 0):
    """The value in types that `encode` takes: subclasses as their base, and of the rest what `keep` gives."""
    if value is None or type(value) in (bool, int, float, str, Handle):
        return value
    if depth >= DEPTH:
        return str(value)
    for base in (bool, int, float, str, complex, bytes):
        if isinstance(value, base):
            return base(value)
    if isinstance(value, dict):
        pairs = value.items()
        return {plainly(k, str, depth + 1): plainly(v, keep, depth + 1) for k, v in pairs}
    for base in (list, tuple, set, frozenset):
        if isinstance(value, base):
            return base([plainly(item, keep, depth + 1) for item in value])
    if type(value).__module__ == "numpy" and callable(getattr(value, "tolist", None)):
        return plainly(value.tolist(), keep, depth + 1)
    return keep(value)
