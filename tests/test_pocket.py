"""The pocket world: splits that share nothing, a teacher that solves it, a base that has the skills."""

from __future__ import annotations

import json
import random
import re

import pytest

from agents import load_model, make_agent, make_thinker, solve
from agents.models import POCKET, FirstThought
from distill.pocket import hops, sums, world
from distill.pocket.base_text import SKILLS, base_chat, skill_chat
from distill.pocket.teacher import PocketTeacher
from distill.scoring import score
from distill.solvers import load_tools
from tools.retrieval import LexicalIndex


@pytest.mark.parametrize("seed", [0, 7])
def test_test_problems_share_no_question_and_no_fact_with_training(seed):
    train = {p.question for name in world.TRAINING for p in world.problems(name, 150, seed)}
    test = {p.question for name in world.BENCHMARKS for p in world.problems(name, 100, seed + 1)}
    assert not train & test
    titles = {
        side: {e.title for e in world.entries(side, s)}
        for side, s in (("train", seed), ("test", seed + 1))
    }
    assert not titles["train"] & titles["test"]


def test_what_the_base_reads_is_on_the_training_side():
    rng = random.Random(3)
    titles = {e.title for s in range(5) for e in world.entries("test", s)}
    texts = "\n".join(content for _ in range(3000) for _, content in base_chat(rng))
    named = set(re.findall(r"(?=\b((?:The )?[A-Z][a-z]+ [A-Z][a-z]+)\b)", texts))
    assert len(named) > 1000 and not named & titles
    assert not any(
        p.question in texts for p in world.problems("sums", 200) + world.problems("sums_ood", 200)
    )


def test_the_base_reads_no_agent_turn():
    rng = random.Random(4)
    for _ in range(3000):
        for role, content in base_chat(rng):
            assert role != "assistant" or not ("Thought:" in content and "<code>" in content)


def test_the_same_seed_makes_the_same_world():
    assert world.problems("hops", 20, 5) == world.problems("hops", 20, 5)
    assert world.problems("hops", 20, 5) != world.problems("hops", 20, 6)


@pytest.mark.parametrize(("name", "look_ups"), [("hops", 2), ("hops_ood", 3)])
def test_a_question_is_the_chain_that_its_facts_answer(name, look_ups):
    facts = {e.title: e.facts for e in world.entries("test")}
    for problem in world.problems(name, 60):
        chain = hops.parse(problem.question)
        assert len(chain.relations) == look_ups
        x = chain.entity
        for relation in chain.relations:
            x = facts[x][relation]
        assert problem.answers == (x,)


@pytest.mark.parametrize(("name", "operations"), [("sums", (1, 2)), ("sums_ood", (3,))])
def test_a_sum_is_its_code(name, operations):
    for problem in world.problems(name, 60):
        parsed = sums.parse(problem.question)
        assert parsed.operations in operations and str(parsed.answer) == problem.answers[0]
        variables = {}
        exec(parsed.code.replace("print(n)", ""), variables)  # our own arithmetic, not a model's
        assert variables["n"] == parsed.answer


def test_an_article_states_its_facts():
    for entry in world.entries("train"):
        for relation, value in entry.facts.items():
            assert hops.read(entry.text, entry.title, relation) == value


def solver(teacher, name, index=None):
    side = "train" if name.endswith("_train") else "test"
    tools = load_tools("wiki_search", LexicalIndex.build(world.passages(side)))
    return lambda: make_agent(teacher, tools)


@pytest.mark.parametrize("name", [*world.TRAINING, *world.BENCHMARKS])
def test_the_teacher_without_mistakes_solves_everything(name):
    make = solver(PocketTeacher(mistakes=0), name)
    for problem in world.problems(name, 25):
        assert score(problem, solve(make(), problem.question).answer) == 1.0
        assert (
            score(problem, solve(make_thinker(PocketTeacher(mistakes=0)), problem.question).answer)
            == 1.0
        )


def test_the_teacher_makes_each_of_its_mistakes():
    make = solver(load_model("pocket-teacher"), "hops_train")
    runs = [solve(make(), p.question) for p in world.problems("hops_train", 150)]
    right = [
        score(p, t.answer) for p, t in zip(world.problems("hops_train", 150), runs, strict=True)
    ]
    assert 0.80 < sum(right) / len(right) < 0.99
    kinds = {step.error for t in runs for step in t.steps}
    assert {"parsing", "execution"} <= kinds
    assert any(step.finish_reason == "length" for t in runs for step in t.steps)


def test_the_teacher_begins_as_it_is_told():
    make = solver(FirstThought(PocketTeacher(mistakes=0), "Thought: Well then.\n"), "sums")
    problem = world.problems("sums", 1)[0]
    trajectory = solve(make(), problem.question)
    assert trajectory.messages[2].content.startswith("Thought: Well then.\n<code>")
    assert score(problem, trajectory.answer) == 1.0


def test_the_teacher_does_not_pretend():
    for question in ("What is love?", "Who wrote The Nothing Nowhere?"):
        trajectory = solve(make_thinker(PocketTeacher()), question)
        assert trajectory.answer is None


@pytest.mark.parametrize("skill", SKILLS)
def test_every_skill_has_held_out_questions(skill):
    assert skill_chat(random.Random(0), skill)[-1][0] == "assistant"


def test_the_base_is_small_safe_and_has_its_card():
    folder = POCKET["pocket-base"]
    assert sum(f.stat().st_size for f in folder.iterdir()) < 16e6
    assert {f.suffix for f in folder.iterdir()} <= {".json", ".safetensors", ".jinja", ".md"}
    skills = json.loads((folder / "card.json").read_text())["skills"]
    assert skills.keys() == SKILLS.keys() and skills["read"] > 0.8
