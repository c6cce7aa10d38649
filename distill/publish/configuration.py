"""Write `agent.json`, which smolagents reads too, `prompts.yaml` as smolagents writes it, and `requirements.txt`."""

from __future__ import annotations

import sys
from pathlib import Path

from agents.agent import LIMITS
from agents.chat.options import EXAMPLES
from agents.chat.published import KEY
from agents.dialect import dialect

from ..run import write_json, write_text
from .facts import short
from .material import Material, compared, is_local, models
from .requirements import distribution, requirements
from .sources import ROOT

INDEX, REPORT, PROMPT = "index", "report", "prompts/system.txt"


def configure(m: Material, named: str, custom: bool, out: Path) -> None:
    """`agent.json`, which smolagents reads too, and `prompts.yaml` as smolagents writes it."""
    import yaml
    from smolagents.agents import EMPTY_PROMPT_TEMPLATES

    w = m.wanted
    ours = {
        "model": named,
        "tools": [tool.spec for tool in m.tools],
        "index": f"./{INDEX}" if isinstance(m.index, Path) else m.index,
        "samples": w.samples,
        "temperature": w.temperature,
        "max_steps": w.max_steps,
        "prompt": f"./{PROMPT}" if custom else w.prompt,
        "tags": w.tags,
        "imports": [name.strip() for name in w.imports.split(",") if name.strip()],
        "limits": w.limits or None,
        "title": m.title,
        "examples": list(w.examples or (EXAMPLES if w.model == "pocket" else ())),
        "report": f"./{REPORT}" if m.facts.study else None,
        "compare": compared(w, m.weights),
    }
    prompts = {**EMPTY_PROMPT_TEMPLATES, "system_prompt": m.prompt}
    loadable = [tool for tool in m.tools if tool.text is not None and tool.why_not is None]
    spoken = dialect(w.tags or m.weights.student.get("tags") or "code")
    settings = {
        "class": "CodeAgent",
        "tools": [tool.name for tool in loadable],
        "model": _model(m, named),
        "managed_agents": {},
        "prompt_templates": prompts,
        "max_steps": w.max_steps,
        "verbosity_level": 1,
        "planning_interval": None,
        "name": None,
        "description": None,
        "requirements": required(m).split(),
        "authorized_imports": ours["imports"],
        "executor_type": "local",
        "executor_kwargs": {},
        "max_print_outputs_length": LIMITS.output_chars,
        "code_block_tags": list(spoken.pair) if spoken.tags else None,
        KEY: {name: value for name, value in ours.items() if value is not None},
    }
    write_json(out / "agent.json", settings)
    text = yaml.safe_dump(
        prompts, default_style="|", sort_keys=False, allow_unicode=True, width=10_000
    )
    write_text(out / "prompts.yaml", text)


def required(m: Material) -> str:
    """The text of `requirements.txt`."""
    found = m.sources
    names = models(m)
    return requirements(
        found.libraries.union(*(tool.libraries for tool in m.tools)),
        weights=any(is_local(name) for name in names),
        endpoint=any(name.startswith("http") for name in names),
        dense=m.dense,
        names=[*names, *(f"{tool.kind}:" for tool in m.tools if tool.kind)],
        imports=[name for name in m.wanted.imports.split(",") if name.strip() and _installed(name)],
    )


def own_prompt(m: Material) -> bool:
    """Whether the prompt is a file of the user's, and not one of ours by name."""
    name = m.wanted.prompt or m.weights.student.get("prompt")
    return bool(name) and not (ROOT / "agents/prompts" / f"{name}.txt").is_file()


def _model(m: Material, named: str) -> dict:
    """The model in smolagents' words. It makes one of them even where another is given, so one that loads nothing."""
    if m.weights.kind == "endpoint" and named.startswith("http"):
        address, _, name = named.partition("#")
        return {"class": "OpenAIModel", "data": {"model_id": name, "api_base": address}}
    if m.weights.kind == "endpoint":
        return {"class": "LiteLLMModel", "data": {"model_id": named.removeprefix("litellm:")}}
    name = m.wanted.weights or m.wanted.model_repository
    name = name or (named if m.weights.kind == "hub" else short(m.weights.name))
    return {"class": "InferenceClientModel", "data": {"model_id": name}}


def _installed(module: str) -> bool:
    """Whether a package must be named for it; ValueError where none is here."""
    name = module.strip().partition(".")[0]
    return name not in sys.stdlib_module_names and bool(distribution(name))
