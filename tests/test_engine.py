"""The engine: whoever joins or leaves, each reply is what plain `generate` writes; faults stay with their own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
import torch
import transformers as tf

from agents.engine import Engine, Row
from agents.recall import common, packed_tokens
from agents.stops import Stops

SMALL = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256,
    "initializer_range": 0.3, "eos_token_id": 7, "pad_token_id": 7, "bos_token_id": 6,
}  # fmt: skip
SLIDES = {"sliding_window": 9, "layer_types": ["sliding_attention", "full_attention"] * 2}
LONG = {
    "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 40,
    "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 4.0, 8.0],
}  # fmt: skip
FAMILIES = {
    "qwen2": lambda: tf.Qwen2Config(**SMALL),
    "llama": lambda: tf.LlamaConfig(**SMALL),
    "gemma2": lambda: tf.Gemma2Config(**SMALL | {"num_hidden_layers": 4} | SLIDES),
    "gemma3": lambda: tf.Gemma3TextConfig(**SMALL | {"num_hidden_layers": 4} | SLIDES),
    "gemma4": lambda: tf.Gemma4TextConfig(
        **SMALL | {"num_hidden_layers": 4} | SLIDES,
        global_head_dim=16, vocab_size_per_layer_input=300, hidden_size_per_layer_input=8,
        num_kv_shared_layers=2,
    ),
    "phi3, sliding": lambda: tf.Phi3Config(**SMALL, sliding_window=9),
    "phi3, long": lambda: tf.Phi3Config(
        **SMALL, rope_parameters=LONG, original_max_position_embeddings=40
    ),
    "mamba beside attention": lambda: tf.Qwen3NextConfig(
        **SMALL | {"num_hidden_layers": 4}, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16,
        shared_expert_intermediate_size=16, linear_key_head_dim=8, linear_value_head_dim=8,
        linear_num_key_heads=2, linear_num_value_heads=4,
    ),
}  # fmt: skip
READ_ALONE = {"mamba beside attention"}


class Letters:
    """A tokenizer whose tokens are single characters."""

    def decode(self, ids, skip_special_tokens=False) -> str:
        return "".join(chr(i) for i in ids)


NONE = Stops(Letters(), ())


def make(family: str = "qwen2", **changes):
    torch.manual_seed(0)
    config = FAMILIES[family]()
    for name, value in changes.items():
        setattr(config, name, value)
    return tf.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture
def engine(model):
    return Engine(model, [7])


def plain(model, ids: list[int], limit: int) -> list[int]:
    prompt = torch.tensor([ids])
    out = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=limit, do_sample=False
    )
    written = out[0, len(ids) :].tolist()
    return written[: written.index(7)] if 7 in written else written


def write(engine: Engine, ids: list[int], limit: int = 12, **settings) -> Row:
    row = Row(ids, limit, settings.pop("stops", NONE), **settings)
    engine.submit([row])
    row.done.result(60)
    return row


def tokens_read(engine: Engine) -> list[int]:
    """How many tokens each forward reads from now on."""
    counts, read = [], engine.decoder.read

    def counted(memories, tokens):
        counts.append(sum(map(len, tokens)))
        return read(memories, tokens)

    engine.decoder.read = counted
    return counts


def prompt(draw: Random, n: int) -> list[int]:
    return [draw.randrange(10, 290) for _ in range(n)]


@pytest.mark.parametrize("family", FAMILIES)
def test_whoever_joins_or_leaves_each_writes_what_generate_writes(family):
    """Runs of several steps in threads that start at random, prompts alike and unlike, read in small parts."""
    model = make(family)
    engine, draw = Engine(model, [7], batch_size=5), Random(1)
    engine.chunk = 11
    assert engine.decoder.packs == (family not in READ_ALONE)
    system = prompt(draw, 20)
    starts = [[*system, *prompt(draw, 3 + i)] for i in range(5)]
    starts += [prompt(draw, n) for n in (1, 2, 31)]

    def run(start: list[int]) -> list[tuple]:
        own, ids, found = Random(start[-1]), list(start), []
        for _ in range(3):
            time.sleep(own.random() / 50)
            limit = own.randrange(1, 10)
            rows = [Row(ids, limit, NONE) for _ in range(own.randrange(1, 3))]
            engine.submit(rows)
            for row in rows:
                row.done.result(60)
                found.append((list(ids), limit, row.written))
            ids = [*ids, *rows[0].written, *prompt(own, 7)]
        return found

    with ThreadPoolExecutor(8) as pool:
        written = [each for found in pool.map(run, starts) for each in found]
    for ids, limit, found in written:
        assert found == plain(model, ids, limit), (len(ids), limit)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_of_arrival_writes_the_same(model, engine, seed):
    draw = Random(seed)
    engine.chunk, engine.batch_size = draw.choice((1, 5, 64)), draw.choice((1, 2, 7))
    asked = [(prompt(draw, draw.randrange(1, 40)), draw.randrange(1, 12)) for _ in range(9)]
    asked += [([*ids, 11, 12], limit) for ids, limit in asked[:4]]
    rows = [Row(ids, limit, NONE) for ids, limit in asked]
    draw.shuffle(rows)
    for row in rows:
        engine.submit([row])
        time.sleep(draw.choice((0, 0, 0.005)))
    for row in rows:
        row.done.result(60)
        assert row.written == plain(model, row.ids, row.limit)


def test_a_row_may_end_with_its_first_token(model):
    ids = [20, 30, 40]
    first = plain(model, ids, 1)[0]
    engine = Engine(model, [first])
    row = write(engine, ids)
    assert (row.written, row.reason) == ([], "stop")


def test_several_rows_of_one_prompt_read_it_once(model, engine):
    counts, ids = tokens_read(engine), prompt(Random(0), 100)
    rows = [Row(ids, 4, NONE) for _ in range(6)]
    engine.submit(rows)
    written = [row.done.result(60) or row.written for row in rows]
    assert written == [plain(model, ids, 4)] * 6
    assert sum(counts) <= 100 + 5 + 6 * 4


def test_of_several_replies_to_one_prompt_one_is_kept(engine):
    ids = prompt(Random(0), 100)
    rows = [Row(ids, 6, NONE, temperature=3.0, seed=i) for i in range(4)]
    engine.submit(rows)
    assert len({tuple(row.done.result(60) or row.written) for row in rows}) > 1
    assert len(engine.recall) == 1  # the others would crowd out other runs


def test_a_drawn_token_is_the_one_that_its_own_number_draws(model, engine):
    row = write(engine, prompt(Random(0), 9), 8, temperature=1.3, seed=5)
    numbers = torch.rand(8, generator=torch.Generator().manual_seed(5))
    ids, expected = list(row.ids), []
    for number in numbers:
        with torch.inference_mode():
            chances = torch.softmax(model(torch.tensor([ids])).logits[0, -1] / 1.3, dim=-1)
        expected.append(int((chances.cumsum(0) < number * chances.sum()).sum()))
        ids.append(expected[-1])
    assert row.written == expected and len(set(expected)) > 3


def test_a_model_that_cannot_be_packed_is_found_out():
    """Here a layer takes something from the token before, of whatever sequence that is."""
    model = make()
    model.model.layers[1].register_forward_hook(lambda _, __, out: out + out.roll(1, dims=1))
    assert not Engine(model, [7]).decoder.packs
    assert model.config._attn_implementation == "sdpa"


def test_what_a_run_or_another_has_read_is_not_read_again(model, engine):
    draw = Random(0)
    system = prompt(draw, 100)
    first = write(engine, [*system, *prompt(draw, 5)])
    counts = tokens_read(engine)
    step = [*first.ids, *first.written, *prompt(draw, 6)]
    assert write(engine, step, 1).written == plain(model, step, 1)
    assert sum(counts) <= 7
    other = [*system, *prompt(draw, 8)]
    assert write(engine, other, 1).written == plain(model, other, 1)
    assert sum(counts) <= 7 + 8
    unlike = [9, *system]
    assert write(engine, unlike, 1).written == plain(model, unlike, 1)
    assert sum(counts) == 7 + 8 + 101


def test_what_is_kept_is_bounded_and_the_latest_is_kept(model):
    engine, draw = Engine(model, [7], memory=300_000), Random(0)
    for _ in range(12):
        row = write(engine, prompt(draw, 60), 2)
    assert 0 < engine.recall.nbytes <= 300_000
    counts = tokens_read(engine)
    write(engine, [*row.ids, 11], 1)
    assert sum(counts) <= 2


def test_a_long_prompt_does_not_stop_the_others(model, engine):
    engine.chunk, late = 8, Row(prompt(Random(0), 200), 1, NONE)
    counts = tokens_read(engine)
    row = Row([20, 30], 40, NONE, told=lambda: len(row.written) != 1 or engine.submit([late]))
    engine.submit([row])
    row.done.result(60)
    late.done.result(60)
    assert max(counts[1:26]) == 1 + 8 and sum(counts) == 2 + 39 + 200


def test_a_short_reply_beside_a_long_one_is_told_at_once(engine):
    gate = threading.Event()
    long = Row([20, 30, 40], 9, NONE, told=lambda: len(long.written) < 5 or gate.wait())
    engine.submit([long])
    assert write(engine, [50, 60], 2).reason == "length"
    assert not long.done.done()
    gate.set()
    long.done.result(60)


def test_a_cancelled_row_ends_at_its_next_token_and_frees_its_place(model):
    engine = Engine(model, [7], batch_size=2)
    cancelled = Row([20, 30, 40], 250, NONE, cancelled=lambda: len(cancelled.written) == 3)
    other = Row([50, 60], 40, NONE)
    waiting = Row([70, 80], 5, NONE)
    never = Row([71, 81], 5, NONE, cancelled=lambda: True)
    engine.submit([cancelled, other, never, waiting])
    cancelled.done.result(60)
    assert cancelled.reason == "cancelled"
    assert cancelled.written == plain(model, cancelled.ids, 3)
    waiting.done.result(60)
    other.done.result(60)
    assert other.written == plain(model, other.ids, 40)
    assert waiting.written == plain(model, waiting.ids, 5)
    assert (never.reason, never.written) == ("cancelled", [])


def test_an_error_is_told_to_its_own_row_alone(model, engine):
    read, asked = engine.decoder.read, []

    def scarce(memories, tokens):
        asked.append(len(tokens))
        if any(99 in new for new in tokens):
            raise torch.OutOfMemoryError("out of memory")
        return read(memories, tokens)

    engine.decoder.read = scarce
    big = Row([20, 99, 40], 5, NONE)
    broken = Row([21, 31], 5, NONE, told=lambda: 1 / 0)
    asks = Row([22, 32], 5, NONE, cancelled=lambda: {}["no"])
    fine = [Row([50 + i, 60], 8, NONE) for i in range(3)]
    engine.submit([fine[0], big, broken, asks, *fine[1:]])
    expected = ((big, torch.OutOfMemoryError), (broken, ZeroDivisionError), (asks, KeyError))
    for row, error in expected:
        with pytest.raises(error):
            row.done.result(60)
    for row in fine:
        row.done.result(60)
        assert row.written == plain(model, row.ids, 8)
    assert write(engine, [20, 30]).reason


def test_no_room_to_choose_is_told_to_its_own_row_alone(model, engine):
    choose = engine.decoder.choose

    def scarce(logits, temperatures, numbers):
        if 0.5 in temperatures:
            raise torch.OutOfMemoryError("out of memory")
        return choose(logits, temperatures, numbers)

    engine.decoder.choose = scarce
    rows = [Row([20, 30 + i], 6, NONE, temperature=0.5 * (i == 1)) for i in range(4)]
    engine.submit(rows)
    with pytest.raises(torch.OutOfMemoryError):
        rows[1].done.result(60)
    for row in (rows[0], *rows[2:]):
        row.done.result(60)
        assert row.written == plain(model, row.ids, 6)


def test_whatever_breaks_nobody_is_left_waiting(engine):
    plan, engine._plan = engine._plan, lambda: 1 / 0
    rows = [Row([20, 30 + i], 6, NONE) for i in range(3)]
    engine.submit(rows)
    for row in rows:
        with pytest.raises(ZeroDivisionError):
            row.done.result(60)
    engine._plan = plan
    assert write(engine, [20, 30]).reason


def test_work_between_rows_waits_for_what_was_asked_before(model, engine):
    gate, order = threading.Event(), []
    before = Row([20, 30, 40], 9, NONE, told=gate.wait)
    before.done.add_done_callback(lambda _: order.append("before"))
    engine.submit([before])
    thread = threading.Thread(target=lambda: engine.between(lambda: order.append("work")))
    thread.start()
    while not engine._waiting:
        time.sleep(0.001)
    after = Row([50, 60], 2, NONE)
    after.done.add_done_callback(lambda _: order.append("after"))
    engine.submit([after])
    gate.set()
    after.done.result(60)
    thread.join()
    assert order == ["before", "work", "after"]
    with pytest.raises(ZeroDivisionError):
        engine.between(lambda: 1 / 0)
    assert write(engine, [20, 30]).reason


def test_an_idle_engine_has_no_thread_and_wakes_up(model, engine, monkeypatch):
    monkeypatch.setattr("agents.engine.IDLE", 0.05)
    first = write(engine, [20, 30])
    thread = engine._thread
    thread.join(10)
    assert engine._thread is None
    assert write(engine, [20, 30]).written == first.written


def test_a_stop_string_is_found_wherever_it_ends():
    text = "ab</code>c"
    stops = Stops(Letters(), ("</code>", "é!"))
    ids = [ord(c) for c in text]
    assert [stops.reached(ids[:n]) for n in range(1, len(ids))] == [False] * 8 + [True]
    assert stops.cut(text) == "ab" and stops.cut("ab</cod") is None
    with pytest.raises(ValueError, match="empty"):
        Stops(Letters(), ("",))


def test_a_stop_string_inside_a_token_or_of_halves_of_characters_is_found(tokenizer):
    for text, stop in (
        ("x = 1;…y", "…"),
        ("so é… and", "é… "),
        ("a\n\nb", "\n"),
        ("1 + 2 =", "+ "),
    ):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        stops = Stops(tokenizer, (stop,))
        ends = [n for n in range(1, len(ids) + 1) if stops.reached(ids[:n])]
        first = next(n for n in range(1, len(ids) + 1) if stop in tokenizer.decode(ids[:n]))
        assert ends and ends[0] == first, text


def test_what_may_still_change_is_not_safe_to_show():
    stops = Stops(Letters(), ("</code>", "Obs:"))
    assert (
        stops.safe("a <") == "a " and stops.safe("a </cod") == "a " and stops.safe("a Ob") == "a "
    )
    assert stops.safe("a </codx") == "a </codx" and stops.safe("a</code>b") == "a"
    assert stops.safe("a\N{REPLACEMENT CHARACTER}") == "a"


def test_a_common_beginning_is_counted_in_tokens():
    a, b = packed_tokens([1, 2, 3, 4000]), packed_tokens([1, 2, 3, 5000, 6])
    assert (common(a, b), common(a, a), common(a, b""), common(b, b[:-4])) == (3, 4, 0, 4)
