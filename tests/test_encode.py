"""Training tokens: the assistant's turns are trained on, nothing else, after inference's own tokens."""

from __future__ import annotations

import copy
import time
from dataclasses import replace

import pytest

from agents import Message, load_model, make_agent, solve
from agents.models import POCKET
from agents.template import end_of_turn_id, prompt_ids, reply_ids
from agents.trajectory import Step, Trajectory
from distill.encode import IGNORED, check, encode, first_difference, shorten, turn_weights

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

    def write(rows, *_):
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


def said(*contents: str, system: str | None = "Solve it.") -> tuple[Message, ...]:
    """A conversation of these turns, the user's first."""
    first = [Message(role="system", content=system)] if system is not None else []
    roles = ("user", "assistant") * len(contents)
    return (
        *first,
        *(Message(role=r, content=c) for r, c in zip(roles, contents, strict=False)),
    )


def trajectory(messages, *errors: str | None, stop="answered") -> Trajectory:
    turns = [i for i, m in enumerate(messages) if m.role == "assistant"]
    steps = [Step(message=i, error=e) for i, e in zip(turns, errors, strict=True)]
    return Trajectory(
        question="q", messages=messages, answer=None, stop=stop, model="m", method="agent",
        steps=tuple(steps),
    )  # fmt: skip


RUN = said("Q", "a", "o1", "b", "o2", "c", "o3", "d")


def test_white_space_around_the_models_words_makes_no_new_sample(tokenizer):
    loose = said("Q", "\n a\n", "o1", "  b")
    [sample] = encode(tokenizer, loose)
    assert [sample] == encode(tokenizer, said("Q", "a", "o1", "b"))
    check(tokenizer, loose, [sample])


def test_a_turn_without_weight_is_context(tokenizer):
    [sample] = encode(tokenizer, RUN, [0, 2, 0, 0])
    assert [tokenizer.decode(sample.input_ids[a:b]) for a, b in sample.spans()] == ["b<|im_end|>"]
    assert tokenizer.decode(sample.input_ids).endswith("b<|im_end|>")
    assert {w for w, x in zip(sample.weights, sample.labels, strict=True) if x != IGNORED} == {2}
    assert {w for w, x in zip(sample.weights, sample.labels, strict=True) if x == IGNORED} == {0}
    check(tokenizer, RUN, [sample], [0, 2, 0, 0])
    for other in ([0, 1, 0, 0], [0, 2, 0, 1], None):
        with pytest.raises(ValueError):
            check(tokenizer, RUN, [sample], other)


def test_a_conversation_without_any_weight_is_a_sample_without_loss(tokenizer):
    [sample] = encode(tokenizer, RUN, [0, 0, 0, 0])
    assert sample.input_ids and not sample.spans()
    check(tokenizer, RUN, [sample], [0, 0, 0, 0])


def test_weights_are_by_what_became_of_a_turn():
    run = trajectory(RUN, None, "execution", None, None)
    assert turn_weights(run) == [1, 1, 1, 1]
    assert turn_weights(run, mask_errors=True) == [1, 0, 1, 1]
    by_kind = {"first": 2, "error": 0.5, "other": 3, "final": 4}
    assert turn_weights(run, step_weights=by_kind) == [2, 0.5, 3, 4]
    assert turn_weights(run, mask_errors=True, step_weights=by_kind) == [2, 0, 3, 4]
    out_of_steps = trajectory(RUN, None, None, None, None, stop="max_steps")
    assert turn_weights(out_of_steps, step_weights={"final": 0}) == [1, 1, 1, 1]
    chain = Trajectory(
        question="q", messages=said("Q", "a"), answer="a", stop="answered", model="m", method="cot"
    )
    assert turn_weights(chain, step_weights={"final": 4}) == [4]
    empty = trajectory(said("Q", " ", "o", "b"), "parsing", None)
    assert turn_weights(empty) == [0, 1]
    for wrong in ({"last": 1}, {"final": -1}, {"final": float("nan")}):
        with pytest.raises(ValueError):
            turn_weights(run, step_weights=wrong)


@pytest.mark.parametrize(
    ("messages", "weights", "told"),
    [
        ((), None, "no turn of the assistant"),
        (said("Q"), None, "no turn of the assistant"),
        (said("Q", "a", "o", " "), None, "Message 4, of the assistant, is empty"),
        ((RUN[0], RUN[1], *RUN[1:]), None, "Message 2 is of the user .* join messages"),
        ((*RUN[:3], *RUN[2:]), None, "Message 3 is of the assistant"),
        (RUN[2:], None, "Message 0 is of the assistant"),
        ((RUN[0], *RUN), None, "Message 1 is of the system"),
        (RUN, [1, 1], "2 weights for 4 turns"),
        (RUN, [1, 1, 1, -1], "from 0 on, not -1"),
    ],
)
def test_what_is_no_conversation_is_refused_in_a_sentence(tokenizer, messages, weights, told):
    with pytest.raises(ValueError, match=told):
        encode(tokenizer, messages, weights)


def test_a_tokenizer_whose_padding_is_its_end_and_that_has_no_beginning(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.pad_token = other.eos_token
    assert other.bos_token is None
    check(other, RUN, encode(other, RUN))
    assert encode(other, RUN) == encode(tokenizer, RUN)


def test_the_longest_observations_are_shortened_first_and_say_so(tokenizer):
    long, short = "".join(f"row {i}\n" for i in range(900)), "x = 1\n" * 90
    messages = said("Q", "a", long, "b", short, "c", "last " * 120, "d")
    cut = shorten(tokenizer, messages, 3000)
    assert [len(s.input_ids) <= 3000 for s in encode(tokenizer, cut)] == [True]
    assert [i for i, (a, b) in enumerate(zip(messages, cut, strict=True)) if a != b] == [3]
    head, note, tail = cut[3].content.partition("\n[")[0], "characters are left out", "row 899\n"
    assert long.startswith(head) and note in cut[3].content and cut[3].content.endswith(tail)
    left_out = int(cut[3].content.split("\n[")[1].split(" ")[0])
    assert left_out == len(long) - len(cut[3].content.replace(f"\n[{left_out} {note} here]\n", ""))
    assert cut == shorten(tokenizer, messages, 3000)
    one_more = max(len(s.input_ids) for s in encode(tokenizer, cut))
    assert one_more > 2900  # no shorter than it must be


def test_what_fits_stays_as_it_is_and_what_cannot_is_none(tokenizer):
    assert shorten(tokenizer, RUN, 200) == RUN
    assert shorten(tokenizer, RUN, 20) is None
    question = said("Q" * 5000, "a", "o" * 5000, "b")
    assert shorten(tokenizer, question, 1000) is None


def test_the_last_observation_is_shortened_only_in_need(tokenizer):
    messages = said("Q", "a", "word " * 300, "b", "word " * 300, "c")
    most = len(
        encode(tokenizer, said("Q", "a", "word " * 60, "b", "word " * 300, "c"))[0].input_ids
    )
    assert shorten(tokenizer, messages, most)[5] == messages[5]
    less = shorten(tokenizer, messages, most // 2)
    assert "left out" in less[5].content and "left out" in less[3].content


def test_a_line_of_a_hundred_thousand_tokens_takes_seconds(tokenizer):
    messages = said("Q", "a", "0123456789" * 10_000, "b")
    start = time.process_time()
    samples = encode(tokenizer, messages)
    check(tokenizer, messages, samples)
    assert len(samples[0].input_ids) > 100_000
    assert len(encode(tokenizer, shorten(tokenizer, messages, 4000))[0].input_ids) <= 4000
    assert time.process_time() - start < 5


def test_a_text_that_the_tokenizer_writes_otherwise_is_the_same_text(tokenizer):
    """Qwen's tokenizer writes an accent and its letter as one; no reason to refuse a rollout."""
    messages = said("Q", "cafe\u0301 \U000f0000 .", "o", "b")
    check(tokenizer, messages, encode(tokenizer, messages))


def test_the_check_sees_a_control_token_in_the_models_words(tokenizer):
    messages = said("Q", "say <|im_end|> now")
    [sample] = encode(tokenizer, messages)
    check(tokenizer, messages, [sample])
    start, end = sample.spans()[0]
    words = tokenizer("say <|im_end|> now", add_special_tokens=False).input_ids
    assert words != reply_ids(tokenizer, "say <|im_end|> now")
    ids = [*sample.input_ids[:start], *words, sample.input_ids[end - 1]]
    wrong = replace(sample, input_ids=ids, labels=[*[IGNORED] * start, *ids[start:]])
    with pytest.raises(ValueError, match=r"Message 2, token \d+: '<\|im_end\|>' controls the chat"):
        check(tokenizer, messages, [wrong])


def test_the_first_difference_is_told_with_its_place_and_both_sides(tokenizer):
    one = tokenizer("The Oba is a river", add_special_tokens=False).input_ids
    [other] = tokenizer("x", add_special_tokens=False).input_ids
    assert first_difference(one, list(one), tokenizer) is None
    told = first_difference(one, [*one[:-1], other], tokenizer)
    assert told.startswith(f"token {len(one) - 1} is ") and f"'x' ({other})" in told
    assert first_difference(one[:3], one, tokenizer).startswith("token 3 is the end on one side")
    with pytest.raises(
        ValueError, match=r"Message 2: the tokens before it .* token \d+ is .*after"
    ):
        check(tokenizer, said("Q2", "a"), encode(tokenizer, said("Q1", "a")))
