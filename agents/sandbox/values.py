"""Python values as JSON and back, exactly: a tuple comes back as a tuple. Anything else goes as its text."""

from __future__ import annotations

DEPTH = 50
TAG = "!"
SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset}


class NotDataError(ValueError):
    """The value is none of the types that are passed exactly."""


def encode(value, depth: int = 0):
    """A JSON value for None, bool, int, float, complex, str, bytes, list, tuple, set, frozenset and dict.

    Exact types only, so that nothing is shown otherwise than it would have been where it came from.
    Raises NotDataError for any other.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if depth >= DEPTH:
        raise NotDataError("nested too deeply")
    if kind is list:
        return [encode(item, depth + 1) for item in value]
    if kind is dict:
        if all(type(key) is str for key in value) and TAG not in value:
            return {key: encode(item, depth + 1) for key, item in value.items()}
        pairs = [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in value.items()]
        return {TAG: "dict", "of": pairs}
    if kind in SEQUENCES.values():
        return {TAG: kind.__name__, "of": [encode(item, depth + 1) for item in value]}
    if kind is complex:
        return {TAG: "complex", "of": [value.real, value.imag]}
    if kind is bytes:
        return {TAG: "bytes", "of": value.decode("latin-1")}
    raise NotDataError(f"a {kind.__name__}")


def decode(value):
    """The value that `encode` was given. Raises ValueError for what it never makes."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # lone surrogates go no further
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {decode(key): decode(item) for key, item in value.items()}
    try:
        kind, of = value[TAG], value["of"]
        if kind == "dict":
            return {decode(k): decode(v) for k, v in of}
        if kind == "complex":
            return complex(*of)
        if kind == "bytes":
            return of.encode("latin-1")
        return SEQUENCES[kind](decode(item) for item in of)
    except (KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise ValueError(f"no value: {error}") from None


def plainly(value, depth: int = 0):
    """The value in types that `encode` takes: subclasses as their base, arrays as lists, the rest as text."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if depth >= DEPTH:
        return str(value)
    for base in (bool, int, float, str, complex, bytes):
        if isinstance(value, base):
            return base(value)
    if isinstance(value, dict):
        return {plainly(k, depth + 1): plainly(v, depth + 1) for k, v in value.items()}
    for base in (list, tuple, set, frozenset):
        if isinstance(value, base):
            return base([plainly(item, depth + 1) for item in value])
    if callable(getattr(value, "tolist", None)):  # numpy's arrays and scalars
        return plainly(value.tolist(), depth + 1)
    return str(value)
