"""The certificate: it passes for what was trained, and a difference of one token fails with its place."""

from __future__ import annotations

import json
import shutil
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agents import Message, load_model, make_agent, solve
from agents.template import prompt_ids, served_ids, settle
from agents.weights import load_pretrained
from distill.encode import encode
from distill.merge import merge
from distill.parity import (
    certify,
    print_certificate,
    recorded_losses,
    size,
    still_holds,
    write_samples,
    write_student,
)
from distill.parity.loss import check_loss, mean_loss
from distill.parity.outputs import Reference, check_drawn, check_plain, compare
from distill.parity.samples import SAMPLES, Turn, read_samples, read_student, turns
from distill.parity.served import Reply, check_prompt, check_served, check_text
from distill.parity.tokens import (
    check_agent,
    check_settings,
    check_spans,
    check_stops,
    generation_settings,
)
from distill.parity.writing import Answer, answer, chosen, ends_of, plain_answers, read
from distill.problems import Problem
from distill.rollout import run_rollouts

from .families import FAMILIES, save_family
from .scripted import ScriptedModel, step

FAST = {"k": 2, "tokens": 8}
FASTEST = {"k": 1, "tokens": 1}


def conversation(system: str, i: int = 0) -> list[Message]:
    return [
        Message(role="system", content=system),
        Message(role="user", content=f"New task:\nWhat is {i} + 4?"),
        Message(role="assistant", content=f"Thought: I add.\n<code>\nprint({i} + 4)\n</code>"),
        Message(role="user", content=f"Observation:\nExecution logs:\n{i + 4}\n<|im_end|> <bos>"),
        Message(role="assistant", content=f"Thought: So.\n<code>\nfinal_answer({i + 4})\n</code>"),
    ]


def distilled(base: Path, folder: Path, seed: int = 1, rollouts: int = 3) -> Path:
    """A student as training leaves it: a random adapter beside its base, and what it was trained on."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    shutil.copytree(base, folder)
    tokenizer = settle(AutoTokenizer.from_pretrained(base))
    torch.manual_seed(seed)
    adapted = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=2, lora_alpha=4, target_modules="all-linear", init_lora_weights=False),
    )
    adapted.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = folder / "adapter_config.json"
    named = {**json.loads(config.read_text()), "base_model_name_or_path": "."}
    config.write_text(json.dumps(named))
    if (settings := folder / "generation_config.json").is_file():
        written = {
            **json.loads(settings.read_text()),
            "max_new_tokens": 64,
        }  # room for what is trained
        settings.write_text(json.dumps(written))
    system = make_agent(ScriptedModel(), []).system_prompt
    talks = [conversation(system, i) for i in range(rollouts)]
    items = [(f"sums/{i}/0", m, encode(tokenizer, m)) for i, m in enumerate(talks)]
    write_samples(folder, items, recorded_losses(adapted, items))
    write_student(folder, tokenizer, method="agent", prompt="student", tags="code")
    return folder


@pytest.fixture(scope="module")
def student(tiny, tmp_path_factory):
    return distilled(tiny, tmp_path_factory.mktemp("students") / "student")


@pytest.fixture
def copy(student, tmp_path):
    return Path(
        shutil.copytree(student, tmp_path / "copy", ignore=shutil.ignore_patterns("parity.json"))
    )


@pytest.fixture(scope="module")
def engine(student):
    return load_model(str(student))


def failed(certificate) -> dict:
    return {check.name: check for check in certificate.checks if check.passed is False}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_what_is_served_as_trained_passes(copy, capfd):
    certificate = certify(str(copy), k=4, tokens=12)
    assert capfd.readouterr() == ("", "")
    assert certificate.passed and (certificate.rollouts, certificate.turns) == (3, 6)
    tried = {check.name for check in certificate.checks if check.passed}
    assert tried == {
        "prompt tokens", "prompt tokens, reloaded", "trained tokens", "chat template", "prompt and tags",
        "generation settings", "stop tokens", "engine's prompt", "sampled, one seed", "engine = generate",
        "adapter unmerged", "merged: prompts", "merged", "files as trained", "weights as trained", "context",
    }  # fmt: skip
    written = (copy / "parity.json").read_text()
    assert json.loads(written) == certificate.model_dump(mode="json")
    assert str(copy.parent) not in written and str(Path.cwd()) not in written
    assert still_holds(copy) is None
    print_certificate(certificate)
    assert "What was trained is what is served." in capfd.readouterr().out


PLANTED = {
    "a newline between turns": ("<|im_end|>\n", "<|im_end|>\n\n", 2),
    "a space after its header": ("<|im_start|>assistant\n", "<|im_start|>assistant \n", 2),
    "a space at the end of messages": ("['content'] }}", "['content'] }} ", 2),
    "another end of a turn": ("<|im_end|>", "<|endoftext|>", 2),
    "a system prompt that is folded": (
        "{% for message in messages %}",
        "{% set messages = [{'role': 'user', 'content': messages[0].content ~ messages[1].content}] "
        "+ messages[2:] %}{% for message in messages %}",
        2,
    ),
    "an observation that reads otherwise": (
        "['content'] }}",
        "['content'] | replace('Observation:\n', 'Observation:') }}",
        4,
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_one_other_token_of_the_template_fails_with_its_place(copy, planted, capsys):
    old, new, turn = PLANTED[planted]
    edit(copy / "chat_template.jinja", old, new)
    certificate = certify(str(copy), **FAST)
    wrong = failed(certificate)
    assert not certificate.passed
    assert {"prompt tokens", "chat template", "engine's prompt", "merged: prompts"} <= set(wrong)
    place = wrong["prompt tokens"].place
    assert (place.rollout, place.turn) == ("sums/0/0", turn)
    now = tokens_of(copy, turn)
    trained = read_samples(copy)[0].samples[0].input_ids
    assert now[: place.token] == list(trained[: place.token])
    assert now[place.token] != trained[place.token]
    assert f" {trained[place.token]}]" in place.recorded and f" {now[place.token]}]" in place.found
    print_certificate(certificate)
    shown = capsys.readouterr().out
    assert f"sums/0/0, message {turn}, token {place.token}" in shown and "NOT" in shown
    assert "did not pass" in still_holds(copy)


def tokens_of(folder: Path, turn: int) -> list[int]:
    from transformers import AutoTokenizer

    line = read_samples(folder)[0]
    chat = [{"role": m.role, "content": m.content} for m in line.messages[:turn]]
    return prompt_ids(AutoTokenizer.from_pretrained(folder), chat)


def test_a_changed_added_token_fails(copy):
    edit(copy / "tokenizer.json", '"<|im_start|>"', '"<|im_begin|>"')
    assert "prompt tokens" in failed(certify(str(copy), **FAST))


def test_a_start_of_text_that_is_gone_fails(tmp_path):
    base = save_family("llama-3.2", tmp_path / "base")
    folder = distilled(base, tmp_path / "student", rollouts=1)
    edit(folder / "tokenizer_config.json", '"bos_token": "<|begin_of_text|>"', '"bos_token": null')
    check = failed(certify(str(folder), **FAST))["prompt tokens, reloaded"]
    assert check.place.token == 0 and "<|begin_of_text|>" in check.place.recorded


def test_tokens_that_change_places_fail(copy):
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    first, second = turns(read_samples(copy)[0], None)[0].reply[:2]
    names = {number: name for name, number in vocabulary.items()}
    vocabulary[names[first]], vocabulary[names[second]] = second, first
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    wrong = failed(certify(str(copy), **FAST))
    assert {"prompt tokens", "trained tokens"} <= set(wrong)


def test_a_mask_that_was_not_as_it_should_be_fails(copy):
    line = json.loads((copy / SAMPLES).read_text().splitlines()[1])
    labels = line["samples"][0]["labels"]
    first = next(i for i, label in enumerate(labels) if label >= 0)
    labels[first + 2] += 1
    (copy / SAMPLES).write_text(json.dumps(line) + "\n")
    check = failed(certify(str(copy), **FAST))["trained tokens"]
    assert (check.place.rollout, check.place.turn, check.place.token) == ("sums/1/0", 2, first + 2)


def test_another_system_prompt_or_other_tags_fail(copy, tokenizer):
    found = turns(read_samples(copy)[0], tokenizer)
    student = json.loads((copy / "student.json").read_text())
    (copy / "student.json").write_text(json.dumps({**student, "prompt": "teacher"}))
    check = check_agent(found, read_student(copy), copy)
    assert check.passed is False and "teacher" in check.detail and check.place.turn == 0
    (copy / "student.json").write_text(json.dumps({**student, "tags": "markdown"}))
    check = check_agent(found, read_student(copy), copy)
    assert check.passed is False and "markdown" in check.detail


def test_settings_of_generation_that_do_not_stop_or_say_other_words_fail(copy):
    settings = json.loads((copy / "generation_config.json").read_text())
    other = {**settings, "eos_token_id": 0, "repetition_penalty": 1.1}
    (copy / "generation_config.json").write_text(json.dumps(other))
    wrong = failed(certify(str(copy), **FAST))
    assert "generation_config.json ends a turn with" in wrong["stop tokens"].detail
    assert "repetition_penalty 1.1" in wrong["generation settings"].detail


def test_stops_that_were_trained_and_are_not_those_of_now_fail(copy):
    edit(copy / "student.json", '"stops": [\n  2', '"stops": [\n  7')
    assert "student.json" in failed(certify(str(copy), **FAST))["stop tokens"].detail


def test_a_merged_folder_of_another_adapter_fails(student, tiny, tmp_path):
    other = distilled(tiny, tmp_path / "other", seed=2)
    merge(str(other), tmp_path / "merged", dtype="float32")
    wrong = failed(certify(str(student), out=tmp_path, merged=str(tmp_path / "merged"), **FAST))
    assert set(wrong) == {"merged"} and "other weights" in wrong["merged"].detail


def test_a_merged_folder_that_would_write_on_fails(student, tmp_path):
    merge(str(student), tmp_path / "merged", dtype="float32")
    settings = tmp_path / "merged/generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "eos_token_id": 0}))
    wrong = failed(certify(str(student), out=tmp_path, merged=str(tmp_path / "merged"), **FAST))
    assert "do not stop on '<|im_end|>'" in wrong["merged: prompts"].detail


def test_an_exported_student_is_compared(student, tmp_path, capfd):
    from distill.export import export

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(str(student), tmp_path / "gguf", quantization="f16")
    capfd.readouterr()
    certificate = certify(str(student), out=tmp_path, exported=str(tmp_path / "gguf"), **FAST)
    assert certificate.passed and set(certificate.digests) == {"student", "exported"}
    assert capfd.readouterr().err == ""
    checks = {c.name: c for c in certificate.checks if c.name.startswith("exported")}
    assert [c.passed for c in checks.values()] == [True, True]
    assert "(F16)" in checks["exported"].detail


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_passes(family, tmp_path):
    folder = distilled(save_family(family, tmp_path / "base"), tmp_path / "student", rollouts=1)
    certificate = certify(str(folder), **FAST)
    assert certificate.passed, failed(certificate)


# The weights and settings of training -------------------------------------------------------------


def change_weights(file: Path, part: str, change) -> None:
    """Of the first tensor with that part of a name; of all, if there is a star after it."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(file)
    names = [name for name in tensors if part.rstrip("*") in name]
    for name in names if part.endswith("*") else names[:1]:
        tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, file, metadata={"format": "pt"})


OTHER_WEIGHTS = {
    "no adapter": ("adapter_model.safetensors", "lora_B*", lambda w: w * 0),
    "another matrix": ("model.safetensors", "mlp.down", lambda w: w.flip(0)),
    "a weaker adapter": ("adapter_config.json", '"lora_alpha": 4', '"lora_alpha": 1'),
}


@pytest.mark.parametrize("planted", OTHER_WEIGHTS)
def test_other_weights_than_were_trained_fail(copy, planted):
    name, part, change = OTHER_WEIGHTS[planted]
    (edit if isinstance(change, str) else change_weights)(copy / name, part, change)
    wrong = failed(certify(str(copy), **FASTEST))
    assert set(wrong) == {"weights as trained", "files as trained"}
    assert name in wrong["files as trained"].detail
    trained = {line.problem: f"loss {line.loss:.6g}" for line in read_samples(copy)}["sums/0/0"]
    assert f"sums/0/0: {trained} when it was trained" in wrong["weights as trained"].detail


def test_the_rollout_that_is_furthest_off_is_named(student, engine):
    lines = read_samples(student)
    losses = [line.loss for line in lines]
    assert len(set(losses)) == 3
    other = [line.model_copy(update={"loss": line.loss + i}) for i, line in enumerate(lines)]
    check = check_loss(engine.model, other, 9, half=False)
    assert check.passed is False and f"sums/2/0: loss {losses[2] + 2:.6g}" in check.detail
    small = [line.model_copy(update={"loss": line.loss * 1.01}) for line in lines]
    assert check_loss(engine.model, small, 9, half=False).passed is False
    assert check_loss(engine.model, small, 9, half=True).passed
    unknown = [line.model_copy(update={"loss": None}) for line in lines]
    assert check_loss(engine.model, unknown, 9, half=False).passed is None


def test_a_loss_is_of_the_weights_themselves(student, tiny):
    """Not of dropout, nor of the half precision that training computed in."""
    import torch

    model, _ = load_pretrained(str(tiny), torch.float32)
    samples = read_samples(student)[0].samples
    loss = mean_loss(model.eval(), samples)
    model._original_forward = model.forward
    model.forward = torch.autocast("cpu", torch.bfloat16)(model.forward)
    model.config.attention_dropout, wrapped = 0.5, model.forward
    assert mean_loss(model.train(), samples) == loss
    assert model.training and model.forward is wrapped


def test_a_stop_inside_a_trained_reply_fails(copy, tokenizer):
    found = [turn for line in read_samples(copy) for turn in turns(line, tokenizer)]
    [newline] = {i for i in found[0].reply if tokenizer.decode([i]) == "\n"}
    settings = json.loads((copy / "generation_config.json").read_text())
    (copy / "generation_config.json").write_text(
        json.dumps({**settings, "eos_token_id": [2, newline]})
    )
    configured = generation_settings(copy, None)
    check = check_stops(found, tokenizer, configured, None, read_student(copy))
    assert check.passed is False
    assert f"generation_config.json ends it at '\\n' ({newline})" in check.detail
    assert (check.place.rollout, check.place.turn) == ("sums/0/0", 2)
    assert check.place.token == len(found[0].prompt) + found[0].reply.index(newline)
    configured.eos_token_id = 2
    assert check_stops(found, tokenizer, configured, None, read_student(copy)).passed


@pytest.mark.parametrize("name", ["max_new_tokens", "max_length"])
def test_a_limit_below_a_trained_reply_fails(copy, tokenizer, name):
    from transformers import GenerationConfig

    found = [turn for line in read_samples(copy) for turn in turns(line, tokenizer)]
    whole = name == "max_length"
    longest = max(len(turn.prompt) * whole + len(turn.reply) for turn in found)
    check = check_settings(GenerationConfig(**{name: longest - 1}), found)
    assert check.passed is False and f"has {name} {longest - 1}" in check.detail
    assert f"takes {longest} tokens" in check.detail
    assert check_settings(GenerationConfig(**{name: longest}), found).passed


@pytest.mark.parametrize(
    "text", ['{"a', "[]", '{"eos_token_id": "x"}', '{"max_new_tokens": "3"}', "\xff"]
)
def test_settings_of_generation_that_cannot_be_read_are_told(copy, text):
    (copy / "generation_config.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"generation_config\.json cannot be read"):
        generation_settings(copy, None)
    (copy / "generation_config.json").unlink()
    assert generation_settings(copy, None).eos_token_id == 2


def test_broken_settings_of_generation_fail(copy):
    (copy / "generation_config.json").write_text('{"a')
    check = failed(certify(str(copy), **FASTEST))["generation settings"]
    assert "generation_config.json cannot be read" in check.detail


def test_weights_that_are_no_numbers_fail(copy, tmp_path):
    merge(str(copy), tmp_path / "merged", dtype="float32")
    nan = ("model.safetensors", "norm", lambda w: w * float("nan"))
    change_weights(tmp_path / "merged" / nan[0], *nan[1:])
    wrong = failed(certify(str(copy), merged=str(tmp_path / "merged"), **FASTEST))
    assert set(wrong) == {"merged"} and "not finite numbers" in wrong["merged"].detail
    change_weights(copy / nan[0], *nan[1:])
    certificate = certify(str(copy), **FASTEST)
    wrong = failed(certificate)
    assert {"weights as trained", "engine = generate", "adapter unmerged"} <= set(wrong)
    assert "not finite numbers, in sums/" in wrong["engine = generate"].detail
    assert [c.passed for c in certificate.checks[-3:]] == [None, None, None]


def test_a_student_that_cannot_be_loaded_has_no_certificate_that_passed(copy):
    certify(str(copy), **FASTEST)
    assert still_holds(copy) is None
    change_weights(copy / "adapter_model.safetensors", "lora_B", lambda w: w * float("nan"))
    with pytest.raises(ValueError, match="NaN"):
        certify(str(copy), **FASTEST)
    written = json.loads((copy / "parity.json").read_text())
    assert not written["passed"] and "NaN" in written["checks"][-1]["detail"]
    assert "our engine" in still_holds(copy)
    (copy / "adapter_model.safetensors").write_bytes(b"\x08\x00\x00")
    with pytest.raises(ValueError, match="Could not load"):
        certify(str(copy), **FASTEST)
    assert str(copy) not in (copy / "parity.json").read_text()
    (copy / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match="half an adapter"):
        certify(str(copy))
    assert not (copy / "parity.json").exists()


def test_a_form_that_cannot_be_loaded_fails(student, tmp_path):
    merge(str(student), tmp_path / "merged", dtype="float32")
    (tmp_path / "merged/model.safetensors").write_bytes(b"\x08\x00\x00")
    wrong = failed(certify(str(student), out=tmp_path, merged=str(tmp_path / "merged"), **FASTEST))
    assert set(wrong) == {"merged"} and "cannot be read back" in wrong["merged"].detail


def test_samples_longer_than_the_context_fail(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    check = failed(certify(str(copy), **FASTEST))["context"]
    assert "the model holds 64" in check.detail and "sums/" in check.detail


def test_after_a_prompt_beyond_the_context_nothing_is_written(tiny):
    import torch

    model, _ = load_pretrained(str(tiny), torch.float32)
    model.config.max_position_embeddings = 3
    beyond = Answer([5, 6, 7, 8], [9, 10, 11], False)
    assert plain_answers(model, [beyond], 4) == [Answer(beyond.prompt, [], False)]
    assert len(read(model, beyond)) == 1


# The endpoint -------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves a student as vLLM does, with or without the ids that vLLM tells."""

    def __init__(self, model, *, ids: bool = True, counts: bool = True, stops: bool = True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.model, self.ids, self.counts, self.stops = model, ids, counts, stops
        self.name = f"http://127.0.0.1:{self.server_port}/v1#student"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, body: dict) -> tuple[int, dict]:
        if "return_token_ids" in body and not self.ids:
            return 400, {"error": {"message": "Unknown field: return_token_ids"}}
        talk = [
            {**m, "content": [{"type": "text", "text": m["content"]}]} for m in body["messages"]
        ]
        reply = self.model.generate(talk, max_tokens=body["max_tokens"], temperature=0.0)
        told = body.get("return_token_ids")
        choice = {
            "index": 0,
            "finish_reason": reply.raw["finish_reason"] if self.stops else "length",
            "message": {"role": "assistant", "content": reply.content},
            **({"token_ids": list(reply.raw["token_ids"])} if told else {}),
        }
        prompt = len(reply.raw["prompt_ids"]) if self.counts else 0
        return 200, {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "student",
            "choices": [choice],
            "usage": {"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1},
            **({"prompt_token_ids": list(reply.raw["prompt_ids"])} if told else {}),
        }


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self.server.answer(body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def ours(student, engine):
    """What our engine answers to two prompts."""
    found = [turn for line in read_samples(student) for turn in turns(line, engine.tokenizer)][:2]
    answers = [answer(engine, turn, 8) for turn in found]
    ours = Reference(found, answers, engine.tokenizer, ends_of(engine))
    check_plain(str(student), ours, 8)
    return ours


def served(ours, model, long=None, **habits) -> dict:
    with Server(model, **habits) as server:
        checks = check_served(server.name, ours, 8, long)
        server.shutdown()
    return {check.name.removeprefix("served: "): check for check in checks}


@pytest.mark.parametrize(
    ("habits", "told"),
    [
        ({}, "as the server reports them"),
        ({"ids": False}, "counted by the server, not reported"),
        ({"ids": False, "counts": False}, "neither reports"),
    ],
)
def test_a_server_is_asked_for_its_tokens_or_their_number(ours, engine, habits, told):
    checks = served(ours, engine, **habits)
    assert told in checks["prompt tokens"].detail and checks["greedy"].passed
    assert checks["prompt tokens"].passed is (None if "neither" in told else True)


@pytest.mark.parametrize("ids", [True, False])
def test_a_server_that_obeys_a_page_fails(student, engine, ids):
    """As vLLM and `transformers serve` do: a marker in an observation ends its turn."""
    turn = turns(read_samples(student)[0], engine.tokenizer)[1]
    ours = Reference([turn], [answer(engine, turn, 1)], engine.tokenizer, ends_of(engine))
    chat = [{"role": m.role, "content": m.content} for m in turn.messages]
    read = served_ids(engine.tokenizer, chat)
    reply = Reply("", "stop", read if ids else None, None, len(read))
    check = check_prompt(ours, [reply])
    assert check.passed is False and "a page could end a turn" in check.detail
    assert check_text(ours, [reply]).passed is None


@pytest.mark.parametrize("ids", [True, False])
def test_a_server_with_another_template_fails(ours, copy, ids):
    edit(copy / "chat_template.jinja", "<|im_end|>\n", "<|im_end|>\n\n")
    check = served(ours, load_model(str(copy)), ids=ids)["prompt tokens"]
    assert check.passed is False
    assert check.place.turn == 2 if ids else "it counts" in check.detail


@pytest.mark.parametrize("ids", [True, False])
def test_a_server_of_other_weights_fails(ours, tiny, ids):
    check = served(ours, load_model(str(tiny)), ids=ids)["greedy"]
    assert check.passed is False and check.place.token >= len(ours.answers[0].prompt)


def test_a_server_that_does_not_stop_fails(ours, copy):
    settings = copy / "generation_config.json"  # it ends at whatever it would write
    eos = {"eos_token_id": [2, *ours.answers[0].written]}
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **eos}))
    ending, long = load_model(str(copy)), (ours.turns[0], Answer(ours.answers[0].prompt, [], True))
    assert served(ours, ending)["stops"].passed is None  # nothing to look for
    assert served(ours, ending, long)["stops"].passed
    check = served(ours, ending, long, stops=False)["stops"]
    assert check.passed is False and "finish_reason is 'length'" in check.detail


def test_a_server_is_part_of_the_certificate(student, engine, tmp_path):
    with Server(engine) as server:
        certificate = certify(str(student), out=tmp_path, served=server.name, k=1, tokens=1)
        server.shutdown()
    assert certificate.passed
    assert [c.passed for c in certificate.checks if c.name.startswith("served")] == [
        True,
        True,
        None,
    ]


def test_a_server_that_is_away_fails_with_its_reason(ours):
    checks = check_served("http://127.0.0.1:9/v1#student", ours, 8, None)
    assert all(check.passed is False and "did not answer" in check.detail for check in checks)


# Which files it belongs to ------------------------------------------------------------------------


def test_a_certificate_holds_for_its_very_files(student, copy):
    assert "no parity.json" in still_holds(copy)
    certify(str(copy), **FAST)
    assert still_holds(copy) is None
    (copy / "README.md").write_text("A card does not matter.")
    assert still_holds(copy) is None
    edit(copy / "chat_template.jinja", "<|im_start|>", " <|im_start|>")
    assert "chat_template.jinja has changed" in still_holds(copy)
    shutil.copy(student / "chat_template.jinja", copy)
    (copy / "model-2.safetensors").write_bytes(b"x")
    assert "model-2.safetensors is new" in still_holds(copy)
    (copy / "model-2.safetensors").rename(copy / "parity.json")
    assert "no certificate" in still_holds(copy)


def test_an_adapter_apart_from_its_base_is_bound_to_both(student, tiny, tmp_path):
    base = Path(shutil.copytree(tiny, tmp_path / "base"))
    folder = Path(shutil.copytree(student, tmp_path / "adapter"))
    for name in ("config.json", "model.safetensors", "generation_config.json"):
        (folder / name).unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps({**config, "base_model_name_or_path": "../base"})
    )
    shutil.copy(student / "generation_config.json", base)
    certificate = certify(str(folder), **FAST)
    assert certificate.passed and certificate.base == "base" and still_holds(folder) is None
    edit(base / "chat_template.jinja", "<|im_start|>assistant", " <|im_start|>assistant")
    assert "chat_template.jinja of its base has changed" in still_holds(folder)
    wrong = failed(certify(str(folder), **FAST))
    assert "template of our engine" in wrong["chat template"].detail  # it loads the base's
    assert "prompt tokens" in wrong and "prompt tokens, reloaded" not in wrong


# What it is given ---------------------------------------------------------------------------------


def test_a_model_of_which_all_weights_were_trained_passes(student, tmp_path):
    merge(str(student), tmp_path / "whole", dtype="float32")
    certificate = certify(str(tmp_path / "whole"), **FAST)
    assert certificate.passed and certificate.base is None
    told = {check.name: check.detail for check in certificate.checks if check.passed is None}
    assert "no adapter" in told["adapter unmerged"] and "no adapter" in told["merged"]
    assert told["files as trained"].startswith("merged")
    change_weights(tmp_path / "whole/model.safetensors", "mlp.down", lambda w: w.flip(0))
    assert set(failed(certify(str(tmp_path / "whole"), **FASTEST))) == {"weights as trained"}


def test_rollouts_stand_in_for_samples_that_were_not_kept(copy, tmp_path):
    (copy / SAMPLES).unlink()
    with pytest.raises(ValueError, match="--rollouts"):
        certify(str(copy))
    problem = Problem(id="x", question="1 + 2?", answers=("3",), kind="math")
    reply = step("Add.", "final_answer(3)")
    run_rollouts([problem], lambda p: make_agent(ScriptedModel(reply), []), tmp_path / "agent")
    certificate = certify(str(copy), rollouts=tmp_path / "agent", **FAST)
    assert certificate.passed and certificate.source == "rollouts" and certificate.turns == 1
    edit(copy / "student.json", '"agent"', '"cot"')
    with pytest.raises(ValueError, match=r"of cot.*of agent"):
        certify(str(copy), rollouts=tmp_path / "agent")


def test_what_is_no_students_folder_is_refused(copy, tmp_path):
    for name, told in {
        "http://127.0.0.1:1/v1#x": "--served",
        "owner/name": "hf download owner/name",
        str(tmp_path): "holds no model",
    }.items():
        with pytest.raises(ValueError, match=told):
            certify(name)
    (copy / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match="half an adapter"):
        certify(str(copy))
    (copy / "adapter_model.safetensors").write_bytes(b"\x08\x00\x00")
    with pytest.raises(ValueError, match="Could not load"):
        certify(str(copy))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"k": 0}, "start at 1"),
        ({"tokens": 0}, "start at 1"),
        ({"merged": "nowhere"}, "no nowhere"),
        ({"exported": "nowhere"}, "no nowhere"),
        ({"served": "localhost:8000"}, "no endpoint"),
    ],
)
def test_settings_that_cannot_be_are_refused(student, settings, told):
    with pytest.raises(ValueError, match=told):
        certify(str(student), **settings)


def test_samples_that_cannot_be_read_are_refused(copy):
    (copy / SAMPLES).write_text('{"problem": "x"}\n')
    with pytest.raises(ValueError, match="line 1 is no recorded sample"):
        certify(str(copy))
    (copy / SAMPLES).write_text("")
    with pytest.raises(ValueError, match="empty"):
        certify(str(copy))


# Its parts ----------------------------------------------------------------------------------------


def test_turns_without_loss_are_passed_over(tokenizer, copy):
    messages = conversation("s")
    [sample] = encode(tokenizer, messages, [0.0, 1.0])
    write_samples(copy, [("sums/0/0", messages, [sample])])
    [turn] = turns(read_samples(copy)[0], tokenizer)
    assert turn.turn == 4 and turn.content == messages[4].content
    assert tokenizer.decode(turn.reply) == messages[4].content + "<|im_end|>"
    strange = [*messages[:4], Message(role="assistant", content="Another.")]
    write_samples(copy, [("sums/0/0", strange, [sample])])
    check = check_spans(turns(read_samples(copy)[0], tokenizer), tokenizer)
    assert check.passed is False and check.place.rollout == "sums/0/0"


def test_at_most_sixteen_rollouts_are_kept(tokenizer, tmp_path):
    messages = conversation("s")
    samples = encode(tokenizer, messages)
    write_samples(tmp_path, [(f"sums/{i}/0", messages, samples) for i in range(50)])
    kept = [line.problem for line in read_samples(tmp_path)]
    assert len(kept) <= 16 and kept[0] == "sums/0/0" and kept[-1] >= "sums/40"
    items = [(f"sums/{i}/0", messages, samples) for i in range(50)]
    write_samples(tmp_path, items, list(range(50)))
    assert all(line.problem == f"sums/{line.loss:.0f}/0" for line in read_samples(tmp_path))
    with pytest.raises(ValueError, match="49 losses for 50"):
        write_samples(tmp_path, items, [1.0] * 49)


def test_prompts_are_taken_of_all_rollouts_first():
    all_turns = [Turn(f"r{i}", at, (), "", [], [], []) for i in range(4) for at in (2, 4, 6)]
    assert {turn.rollout for turn in chosen(all_turns, 4, seed=3)} == {"r0", "r1", "r2", "r3"}
    assert len(chosen(all_turns, 100, seed=3)) == 12
    assert chosen(all_turns, 5, seed=3) == chosen(all_turns, 5, seed=3)


def test_a_near_tie_is_told_and_is_no_fault(tokenizer):
    import torch

    turn = Turn("sums/0/0", 2, (), "", [5], [6, 2], [6, 2])
    logits = torch.zeros(3, len(tokenizer))
    logits[0, 30], logits[1, 31], logits[1, 32], logits[2, 2] = 9, 9, 9 - 1e-5, 9
    ours = Reference([turn], [Answer([5], [30, 31], True)], tokenizer, {2}, logits=[logits])
    tie = compare("x", ours, [Answer([5], [30, 32, 40], False)])
    assert tie.passed and "1 near-tie (sums/0/0, message 2" in tie.detail
    other = compare("x", ours, [Answer([5], [30, 33], True)])
    assert other.passed is False and other.place.token == 2
    longer = compare("x", ours, [Answer([5], [30, 31, 30], False)])
    assert longer.passed is False and "end of the turn" in longer.place.recorded
    assert compare("x", ours, [Answer([5], [30, 31], False)]).passed is False
    assert (
        compare("x", ours, [Answer([5], [30, 31], True)], [logits * float("nan")]).passed is False
    )


def test_a_student_too_large_for_this_machine_is_told_so(student, tmp_path, monkeypatch):
    monkeypatch.setattr(size, "SPARE", 1e9)
    certificate = certify(str(student), out=tmp_path)
    [untried] = [check for check in certificate.checks if check.passed is None]
    assert "GB of memory are needed" in untried.detail and "stop tokens" in {
        check.name for check in certificate.checks if check.passed
    }


def test_an_exported_file_that_cannot_be_read_back_fails(student, tmp_path):
    (tmp_path / "gguf").mkdir()
    certificate = certify(
        str(student), out=tmp_path, exported=str(tmp_path / "gguf"), k=1, tokens=1
    )
    assert "0 GGUF files" in failed(certificate)["exported"].detail


def test_samples_that_another_engine_draws_otherwise_fail(ours):
    drawn = [[30, 31], [30, 32], [33], [34], [35], [36], [37], [38]]
    assert check_drawn(ours, drawn, drawn).passed
    check = check_drawn(ours, drawn, [*drawn[:5], [40], *drawn[6:]])
    turn = ours.turns[1]
    assert check.passed is False
    assert (check.place.turn, check.place.token) == (turn.turn, len(turn.prompt))


def test_the_certificate_is_of_a_run_that_really_is_served(student, engine):
    """An agent's own request has the tokens that the certificate compared."""
    line = read_samples(student)[0]
    sent = []
    generate = engine.generate

    def listening(*args, **kwargs):
        reply = generate(*args, **{**kwargs, "max_tokens": 2})
        sent.append(reply.raw["prompt_ids"])
        return reply

    engine.generate = listening
    try:
        solve(
            make_agent(engine, [], max_steps=1),
            line.messages[1].content.removeprefix("New task:\n"),
        )
    finally:
        del engine.generate
    start = next(at for at, label in enumerate(line.samples[0].labels) if label >= 0)
    assert sent[0] == list(line.samples[0].input_ids[:start])
