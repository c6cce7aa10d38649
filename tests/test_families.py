"""Every family of students, with its real template and kind of tokenizer: trained text is served text.

`python -m tests.test_families` prints a conversation per family as it is trained on, the trained text in brackets.
"""

from __future__ import annotations

import random
import tempfile
from datetime import datetime
from pathlib import Path

import pytest
from transformers.utils import chat_template_utils

from agents import template
from agents.local import end_ids
from agents.template import (
    CLOCK,
    DATE,
    FOLD,
    control_ids,
    end_of_turn_id,
    prompt_ids,
    served_ids,
    settle,
    whole_ids,
)
from agents.trajectory import Message
from distill.encode import check, encode, first_difference, spoken

from .families import END_OF_TURN, FAMILIES, save_family

PREAMBLES = {"gemma-2": FOLD, "llama-3.2": DATE, "smollm3": CLOCK}
"""Families whose template does not say the same everywhere by itself."""
ARCHITECTURES = {
    "chatml": "Qwen2", "qwen2.5": "Qwen2", "qwen3": "Qwen3", "llama-3.1": "Llama", "llama-3.2": "Llama",
    "gemma-2": "Gemma2", "gemma-3": "Gemma3", "gemma-4": "Gemma4", "phi-3.5": "Phi3", "phi-4-mini": "Phi3",
    "smollm2": "Llama", "smollm3": "SmolLM3",
}  # fmt: skip


@pytest.fixture(scope="session")
def families(tmp_path_factory) -> dict[str, Path]:
    """A folder per family, as a release has it."""
    folder = tmp_path_factory.mktemp("families")
    return {name: save_family(name, folder / name) for name in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture
def student(family, families):
    """The family's tokenizer, settled."""
    return settle(loaded(families[family]))


def loaded(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def conversation(planted: str = "") -> tuple[Message, ...]:
    """A run of three steps; planted: what every message says beside its own."""
    return (
        Message(role="system", content=f"Solve tasks with code.{planted}"),
        Message(role="user", content=f"New task:\nWhich river is Lurra on?{planted}"),
        Message(
            role="assistant", content=f'Thought: I search.{planted}\n<code>\nprint("é")\n</code>'
        ),
        Message(role="user", content=f"Observation:\n311 km{planted}\n\n  two spaces\n"),
        Message(role="assistant", content=f"Thought: {planted} 1 + 2.\n<code>\nf(12)\n</code>"),
        Message(role="user", content=f"{planted}Error:\nNow let's retry."),
        Message(role="assistant", content="Done."),
    )


def markers(tokenizer) -> str:
    """Every added token of the family, and those that others end a turn with."""
    own = [token.content for token in tokenizer.added_tokens_decoder.values()]
    thoughts = ("</think>", "<|channel>", "<channel|>")  # these, templates cut out of what was said
    texts = [text for text in (*own, *END_OF_TURN.values()) if text not in thoughts]
    return " ".join(
        text for text in texts if "\u2581" not in text
    )  # Gemma's own way to write a space


def trained(tokenizer, samples) -> list[str]:
    return [tokenizer.decode(s.input_ids[a:b]) for s in samples for a, b in s.spans()]


def bracketed(tokenizer, sample) -> str:
    """The sample as text, what is trained on in brackets."""
    parts, at = [], 0
    for start, end in sample.spans():
        parts += [tokenizer.decode(sample.input_ids[at:start])]
        parts += [f"[[{tokenizer.decode(sample.input_ids[start:end])}]]"]
        at = end
    return "".join(parts)


def test_trained_text_is_each_turn_and_its_end_token_and_nothing_else(family, student):
    messages = conversation(markers(student))
    samples = encode(student, messages)
    print(f"\n{family}: {bracketed(student, samples[0])}")
    words = [m.content + END_OF_TURN[family] for m in messages if m.role == "assistant"]
    assert trained(student, samples) == words
    assert len(samples) == 1
    check(student, messages, samples)


def test_no_marker_in_a_text_becomes_a_control_token(student):
    """The chat holds as many control tokens as without the markers, in the words trained on but their end."""
    [plain], [planted] = (encode(student, conversation(text)) for text in (" x", markers(student)))
    control = control_ids(student)
    assert [i for i in planted.input_ids if i in control] == [
        i for i in plain.input_ids if i in control
    ]
    for start, end in planted.spans():
        assert [i for i in planted.input_ids[start:end] if i in control] == [
            end_of_turn_id(student)
        ]


def test_before_each_turn_stands_what_inference_sends(student):
    messages = conversation(markers(student))
    [sample] = encode(student, messages)
    chat = spoken(messages)
    for turn, (start, _) in zip((2, 4, 6), sample.spans(), strict=True):
        sent = student.apply_chat_template(
            chat[:turn],
            add_generation_prompt=True,
            return_dict=False,
            sanitize_control_tokens=True,
        )
        assert sample.input_ids[:start] == sent


def test_a_server_renders_the_same_from_the_saved_tokenizer(student, tmp_path):
    """transformers' plain rendering, of a tokenizer that knows nothing of us."""
    student.save_pretrained(tmp_path)
    served = loaded(tmp_path)
    chat = spoken(conversation())
    for turn in (2, 4, 6):
        sent = served.apply_chat_template(
            chat[:turn], add_generation_prompt=True, return_dict=False
        )
        assert sent == prompt_ids(student, chat[:turn]) == served_ids(student, chat[:turn])
    [here], [there] = (encode(tokenizer, conversation()) for tokenizer in (student, served))
    assert here == there


def test_a_chat_in_pieces_has_the_tokens_of_the_whole(family, student):
    """Random chats of white space, odd letters and control tokens."""
    draw = random.Random(family)
    texts = [
        "A",
        " ",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "é",
        "e\u0301",
        "\u2581",
        "12",
        "<",
        "|>",
        "日",
        "\x00",
    ]
    texts += [token.content for token in student.added_tokens_decoder.values()]
    for _ in range(15):
        said = ["".join(draw.choices(texts, k=draw.randrange(1, 9))) for _ in range(6)]
        roles = ("system", *("user", "assistant") * 2, "user")
        chat = [{"role": r, "content": c} for r, c in zip(roles, said, strict=True)]
        assert not first_difference(prompt_ids(student, chat), whole_ids(student, chat), student)


def test_a_chat_that_grows_is_encoded_where_it_grew(student):
    assert template._chat(student).cuts is not None
    chat = spoken(conversation(markers(student)))
    prompt_ids(student, chat[:4])
    before = list(template._chat(student).known)
    prompt_ids(student, chat[:6])
    pieces = [text for what, text in template._chat(student).known if what == "encode"]
    new = "".join(text for text in pieces if ("encode", text) not in before)
    assert "retry" in new and "river" not in new


def test_what_is_remembered_has_an_end(families, monkeypatch):
    tokenizer = settle(loaded(families["chatml"]))
    monkeypatch.setattr(template, "KEPT", 2000)
    for n in range(50):
        chat = [{"role": "user", "content": f"{n} " + "word " * 20 * n}]
        assert prompt_ids(tokenizer, chat) == whole_ids(tokenizer, chat)
        known = template._chat(tokenizer)
        assert known.kept == sum(len(text) for _, text in known.known) <= max(2000, 250 * n)


def test_a_line_break_before_the_end_of_a_turn_is_not_its_end(families):
    """Gemma's line breaks are added tokens too."""
    gemma = loaded(families["gemma-3"])
    gemma.chat_template = gemma.chat_template.replace("{{ '<end_of_turn>", "{{ '\n<end_of_turn>")
    assert gemma.chat_template != loaded(families["gemma-3"]).chat_template
    assert end_of_turn_id(settle(gemma)) == gemma.convert_tokens_to_ids("<end_of_turn>")


def test_a_turn_ends_with_the_token_of_the_family_and_everything_stops_on_it(
    family, student, families
):
    from transformers import AutoModelForCausalLM

    end = end_of_turn_id(student)
    assert student.convert_ids_to_tokens(end) == END_OF_TURN[family]
    model = AutoModelForCausalLM.from_pretrained(families[family])
    assert type(model).__name__ == f"{ARCHITECTURES[family]}ForCausalLM"
    assert end in end_ids(model, student)
    stops = model.generation_config.eos_token_id
    assert end in (stops if isinstance(stops, list) else [stops])


def test_another_day_is_the_same_chat(family, student, families, monkeypatch):
    chat = spoken(conversation())[:2]
    today = prompt_ids(student, chat)
    released = served_ids(loaded(families[family]), chat) if family != "gemma-2" else None

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2031, 3, 14)

    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    assert served_ids(student, chat) == today
    if family != "gemma-2":  # which refuses a system message
        changed = served_ids(loaded(families[family]), chat) != released
        assert changed == (PREAMBLES.get(family) in (DATE, CLOCK))


def test_only_templates_that_need_it_are_settled_and_once(family, student, families):
    released = loaded(families[family]).chat_template
    assert student.chat_template == PREAMBLES.get(family, "") + released
    again = student.chat_template
    assert settle(student).chat_template == again


def test_a_refused_system_message_opens_the_first_question(families):
    gemma = settle(loaded(families["gemma-2"]))
    text = gemma.decode(prompt_ids(gemma, spoken(conversation())[:2]))
    assert text == (
        "<bos><start_of_turn>user\nSolve tasks with code.\n\nNew task:\nWhich river is Lurra on?"
        "<end_of_turn>\n<start_of_turn>model\n"
    )
    alone = [{"role": "system", "content": "Only this."}]
    assert "<start_of_turn>user\nOnly this." in gemma.decode(prompt_ids(gemma, alone))


def test_a_template_that_drops_a_system_message_has_it_folded(families):
    deaf = loaded(families["chatml"])
    deaf.chat_template = deaf.chat_template.replace(
        "{% for message in messages %}", "{% for message in messages if message.role != 'system' %}"
    )
    assert settle(deaf).chat_template.startswith(FOLD)


def test_a_template_that_is_missing_or_hopeless_is_refused(families):
    tokenizer = loaded(families["chatml"])
    good = tokenizer.chat_template
    for written, told in (
        (None, "has no chat template; take an instruction-tuned model"),
        ("{{ raise_exception('Never.') }}", "cannot render an agent's chat: Never."),
        ("{% if %}", "cannot render an agent's chat"),
        ("{{ messages[0].content }}", "it leaves out what the user says"),
        (good + "{{ range(10**5) | random }}", "in different ways"),
    ):
        tokenizer.chat_template = written
        with pytest.raises(ValueError, match=told):
            settle(tokenizer)
    tokenizer.chat_template = {"default": good, "tools": "{{ tools }}"}
    assert settle(tokenizer).chat_template == good


def test_thoughts_that_a_template_puts_into_the_opening_only_make_a_sample_per_turn(families):
    """Qwen3 told not to think: an empty thought opens each reply, and is not shown again."""
    qwen = loaded(families["qwen3"])
    qwen.chat_template = "{%- set enable_thinking = false %}" + qwen.chat_template
    messages = conversation()
    samples = encode(settle(qwen), messages)
    assert len(samples) == 3
    assert trained(qwen, samples) == [
        m.content + "<|im_end|>" for m in messages if m.role == "assistant"
    ]
    check(qwen, messages, samples)


def test_the_agents_own_tags_are_one_token_where_the_release_has_them_so(families):
    """SmolLM3's template speaks of <code> among its tools; it is no control token for that."""
    smol = settle(loaded(families["smollm3"]))
    [sample] = encode(smol, conversation())
    assert sample.input_ids.count(smol.convert_tokens_to_ids("<code>")) == 2


def test_control_tokens_that_a_template_puts_together_are_named(families):
    """Phi-4-mini's tool tokens are not special, and nowhere whole in its template."""
    phi = settle(loaded(families["phi-4-mini"]))
    assert "<|tool_call|>" in phi.chat_control_tokens


def main() -> None:
    for name in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            tokenizer = settle(loaded(save_family(name, Path(folder))))
            print(f"--- {name}")
            for sample in encode(tokenizer, conversation(" <|im_end|><eos>")):
                print(bracketed(tokenizer, sample))


if __name__ == "__main__":
    main()
