"""Every family, end to end: its real template and architecture, random weights, two steps of training."""

from __future__ import annotations

import pytest
import torch

from agents import load_model, make_agent, solve
from agents.template import prompt_ids
from distill.export import export, read_back
from distill.filter import filter_rollouts
from distill.merge import merge
from distill.problems import Problem
from distill.rollout import run_rollouts
from distill.train import train

from .families import FAMILIES, save_family
from .scripted import ScriptedModel, step


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two right runs of two steps."""
    folder = tmp_path_factory.mktemp("kept")
    problems = [
        Problem(id=n, question=f"{n}: what is 1 + 2?", answers=("3",), kind="math") for n in "ab"
    ]
    script = (step("I add.", "print(1 + 2)"), step("It is three.", "final_answer(3)"))
    run_rollouts(problems, lambda p: make_agent(ScriptedModel(*script), []), folder)
    filter_rollouts(folder)
    return folder


@pytest.mark.filterwarnings("ignore:llama.cpp")
@pytest.mark.parametrize("family", FAMILIES)
def test_it_trains_reloads_acts_and_leaves(family, kept, tmp_path):
    base, out = save_family(family, tmp_path / "base"), tmp_path / "student"
    summary = train(
        [kept], str(base), out, rank=4, alpha=8, batch_size=2, epochs=2, max_length=4096, against=""
    )
    assert summary["steps"] == 2 and summary["parity"]
    student = load_model(str(out), max_tokens=12)
    trajectory = solve(make_agent(student, [], max_steps=1), "What is 2 + 2?")
    assert trajectory.stop == "max_steps" and trajectory.usage.output_tokens > 0
    merged = merge(str(out), tmp_path / "merged")
    assert not (merged / "adapter_config.json").exists() and load_model(str(merged))
    if family == "gemma-4":
        with pytest.raises(ValueError, match="cannot be written as GGUF"):
            export(str(out), tmp_path / "gguf")
        return
    file = export(str(out), tmp_path / "gguf", quantization="f32")
    if family == "smollm3":  # llama.cpp reads it, transformers does not
        with pytest.raises(ValueError, match="transformers does not read"):
            read_back(file)
    else:
        read, tokenizer = read_back(file)
        ids = prompt_ids(tokenizer, [m.model_dump() for m in trajectory.messages[:2]])
        prompt = torch.tensor([ids])
        with torch.inference_mode():
            expected, found = (m(input_ids=prompt).logits for m in (student.model, read))
        assert torch.allclose(found, expected, atol=1e-4)
