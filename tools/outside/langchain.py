"""LangChain's tools (`langchain:module:attribute`), with their descriptions and positional arguments in order.

smolagents' own adapter gives every positional argument to the first parameter and drops the descriptions.
"""

from __future__ import annotations

import importlib

from smolagents import Tool

from .borrowed import BorrowedTool


def langchain_tools(text: str) -> list[Tool]:
    """`module:attribute`: a LangChain tool, a list of them, or what returns either when called.

    One whose `metadata` has `read_only` true may be tried by several candidates of a step; of any other a
    call is taken to change the world. Raises ValueError where there is no such thing.
    """
    module, _, attribute = text.strip().partition(":")
    if not module or not attribute:
        raise ValueError(f"langchain:{text} is not langchain:module:attribute.")
    try:
        from langchain_core.tools import BaseTool
    except ImportError:
        raise ValueError("LangChain's tools need a package: pip install langchain-core.") from None
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if not isinstance(found, BaseTool | list | tuple) and callable(found):
            found = found()
    except Exception as error:  # of somebody's module
        raise ValueError(
            f"langchain:{text} cannot be had: {type(error).__name__}: {str(error)[:500]}."
        ) from error
    found = list(found) if isinstance(found, list | tuple) else [found]
    if not found or not all(isinstance(one, BaseTool) for one in found):
        raise ValueError(f"langchain:{text} is no LangChain tool.")
    return [adapted(one) for one in found]


def adapted(tool) -> Tool:
    """One LangChain tool as ours."""
    schema = tool.tool_call_schema  # without what LangChain injects itself
    if tool.args_schema is None:  # a function of one text
        schema = {"type": "object", "properties": tool.args, "required": list(tool.args)}
    elif not isinstance(schema, dict):
        schema = schema.model_json_schema()
    return BorrowedTool(
        tool.name,
        tool.description,
        schema,
        tool.invoke,
        side_effects=not (tool.metadata or {}).get("read_only", False),
    )
