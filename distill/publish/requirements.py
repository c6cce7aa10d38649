"""The few packages that a published folder needs, each at the version that it was tried with here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from .sources import ROOT

ALWAYS = ("smolagents", "gradio", "numpy")
WEIGHTS = frozenset({"torch", "transformers", "peft", "safetensors"})
"""Libraries of local weights; what a server or a Hub's endpoint writes needs none of them."""
LEFT_OUT = frozenset({"pydantic"})
"""Comes with gradio. A Space installs gradio[mcp] beside this file, which takes no version as new as ours."""
DENSE = frozenset({"faiss", "langchain_community", "langchain_core"})
OPTIONAL = {
    "litellm": "litellm:",
    "mcp": "mcp:",
    "gradio_client": "space:",
    "langchain_core": "langchain:",
    "authlib": "",
    "spaces": "",
}
"""Libraries that only a model or tool whose name begins so takes; "": a Space has them, others do without."""


def requirements(
    libraries: Iterable[str],
    *,
    weights: bool,
    endpoint: bool,
    dense: bool,
    names: Iterable[str],
    imports: Iterable[str],
) -> str:
    """The text of `requirements.txt`.

    libraries: top-level names that the published files import. dense: there is an index by meaning.
    names: of the model and the tools. imports: modules that the model's code may import.
    Raises ValueError for a library that is not installed here, as no version of it was tried.
    """
    wanted = set(libraries) | set(ALWAYS)
    if not weights and not dense:
        wanted -= WEIGHTS
    if not endpoint:
        wanted.discard("openai")
    if not dense:
        wanted -= DENSE
    names = tuple(names)
    for library, prefix in OPTIONAL.items():
        if library in DENSE and dense:
            continue
        if not prefix or not any(name.startswith(prefix) for name in names):
            wanted.discard(library)
        else:
            wanted.add(library)
    wanted -= LEFT_OUT
    wanted |= {module.partition(".")[0] for module in imports}
    pinned = {pin(distribution(library)) for library in wanted if library not in _PYTHON}
    return "".join(f"{line}\n" for line in sorted(pinned, key=str.casefold))


def distribution(library: str) -> str:
    """The package that a library comes with; ValueError where none is installed."""
    found = _distributions().get(library)
    if not found:
        raise ValueError(
            f"{library} is imported and comes with no installed package: install it, or leave out what needs it."
        )
    return found[0]


def pin(package: str) -> str:
    """As `requirements.txt` of this repository pins it; else at the version that is installed."""
    name = _normal(package)
    if name in (ours := _ours()):
        return f"{name}=={ours[name]}"
    try:
        return f"{name}=={version(package).partition('+')[0]}"
    except PackageNotFoundError:
        raise ValueError(
            f"{package} is not installed here, so no version of it was tried."
        ) from None


def _normal(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


@cache
def _ours() -> dict[str, str]:
    """Versions by package, of the lines that name one version."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return {
        _normal(m[1]): m[2] for m in re.finditer(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", text, re.M)
    }


_PYTHON = sys.stdlib_module_names
