"""Training tokens: the assistant's turns are trained on, nothing else, after inference's own tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents import Message, load_model, make_agent, solve
from agents.models import POCKET
from agents.template import end_of_turn_id, prompt_ids
from distill.encode import IGNORED, check, encode

from .scripted import ScriptedModel, step


@pytest.fixture
def messages(tool):
    """A real run: a search whose passage holds a chat marker, then an answer."""
    model = ScriptedModel(
        step("Look.", 'print(wiki_search("Oba"))'), step("Oba.", 'final_answer("Oba")')
    )
    return solve(make_agent(model, [tool]), "Which river?").messages


def test_loss_is_on_the_models_words_and_the_end_of_its_turns(tokenizer, messages):
    [sample] = encode(tokenizer, messages)
    trained = [tokenizer.decode(sample.input_ids[a:b]) for a, b in sample.spans()]
    assert trained == [m.content + "<|im_end|>" for m in messages if m.role == "assistant"]
    check(tokenizer, messages, [sample])


def test_before_each_turn_stands_what_inference_sends(tokenizer, messages):
    [sample] = encode(tokenizer, messages)
    model = load_model(str(POCKET["pocket-base"]))
    sent = []

    def write(rows):
        sent.append(rows[0].ids)
        rows[0].reason = "stop"

    model._write = write
    for turn in (2, 4):
        model.generate(
            [
                {"role": m.role, "content": [{"type": "text", "text": m.content}]}
                for m in messages[:turn]
            ]
        )
    assert [sample.input_ids[:start] for start, _ in sample.spans()] == sent


def test_a_marker_in_a_passage_is_no_marker_in_training(tokenizer, messages):
    assert "<|im_end|>" in messages[3].content
    [sample] = encode(tokenizer, messages)
    assert sample.input_ids.count(end_of_turn_id(tokenizer)) == len(messages)


def test_a_template_that_forgets_makes_a_sample_per_turn(tokenizer, messages, monkeypatch):
    """As Qwen3's does with thoughts: earlier turns look otherwise in later prompts."""
    forgetful = tokenizer.chat_template.replace(
        "message['content']", "(message['content'] if loop.last else 'gone')"
    )
    monkeypatch.setattr(tokenizer, "chat_template", forgetful)
    samples = encode(tokenizer, messages)
    assert len(samples) == 2
    check(tokenizer, messages, samples)


def test_the_check_sees_a_wrong_mask(tokenizer, messages):
    [sample] = encode(tokenizer, messages)
    (start, end), *_ = sample.spans()
    everything = replace(sample, labels=list(sample.input_ids))
    observation = replace(
        sample, labels=[*sample.labels[:end], sample.input_ids[end], *sample.labels[end + 1 :]]
    )
    less = replace(sample, labels=[*sample.labels[:start], IGNORED, *sample.labels[start + 1 :]])
    moved = replace(sample, labels=[0 if x != IGNORED else x for x in sample.labels])
    for wrong in (everything, observation, less, moved):
        with pytest.raises(ValueError):
            check(tokenizer, messages, [wrong])
    with pytest.raises(ValueError, match="trained on"):
        check(tokenizer, messages, [])


def test_the_check_sees_another_prompt(tokenizer, messages):
    other = (Message(role="system", content="Another prompt."), *messages[1:])
    with pytest.raises(ValueError, match="not those that inference sends"):
        check(tokenizer, other, encode(tokenizer, messages))


def test_the_end_of_a_turn_is_read_off_the_template(tokenizer, monkeypatch):
    assert tokenizer.decode([end_of_turn_id(tokenizer)]) == "<|im_end|>"
    monkeypatch.setattr(
        tokenizer, "chat_template", tokenizer.chat_template.replace("<|im_end|>", "<|endoftext|>")
    )
    assert tokenizer.decode([end_of_turn_id(tokenizer)]) == "<|endoftext|>"
    assert prompt_ids(tokenizer, [{"role": "user", "content": "q"}])
