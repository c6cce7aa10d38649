"""The checks of what the weights write: our engine, plain transformers, unmerged, merged, exported.

Every form answers the same prompts greedily in float32, and reads our engine's answers to tell how far its
logits are off. Sums in another order differ in the last digits, so where two tokens are as good as equally
likely, two forms may choose differently; such a near-tie is told, and no fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.weights import adapter_base, attach_adapter, fold_adapter, load_pretrained

from .records import Check, Place
from .samples import Turn
from .tokens import (
    AROUND,
    SETTINGS,
    check_prompts,
    decoded,
    difference,
    ends_early,
    ids_of,
    rendered,
    settings_in,
    too_short,
)
from .writing import OF_EACH, Answer, loaded, plain_answers, read

NOISE = {"F32": 1e-5, "BF16": 2e-2}
"""What another order of the same sums may change, of the largest logit."""
ROUNDING = {"F32": 1e-3, "F16": 1e-2, "BF16": 5e-2, "Q8_0": 1e-1}
"""How far logits may be off for weights kept in that type, of the largest logit."""


@dataclass
class Reference:
    """Our engine's answers, which every other form must give too."""

    turns: Sequence[Turn]
    answers: Sequence[Answer]
    tokenizer: object
    ends: set[int]
    """Tokens at which our engine ends a reply."""
    kept: str = "F32"
    """The type our engine computes in."""
    logits: Sequence = ()
    """Of plain transformers, per answer (written + 1, vocabulary): before each token, and after all."""

    @property
    def finite(self) -> bool:
        """Whether there are logits to compare with, all of them numbers."""
        return bool(self.logits) and _no_numbers(self.logits) is None

    @property
    def scale(self) -> float:
        """The largest logit."""
        return max(float(rows.abs().max()) for rows in self.logits)

    @property
    def noise(self) -> float:
        """How near two logits lie whose tokens may be taken for each other."""
        return NOISE[self.kept] * self.scale


def check_sent(ours: Reference) -> Check:
    """Our engine, asked by messages, sent its model exactly the recorded tokens."""
    name, n = "engine's prompt", len(ours.turns)
    for turn, answer in zip(ours.turns, ours.answers, strict=True):
        if place := difference(turn, turn.prompt, answer.prompt, ours.tokenizer):
            why = "our engine sends other tokens than those that were trained after"
            return Check(name=name, passed=False, detail=why, compared=n, place=place)
    told = "as it was sent for the answers below"
    return Check(name=name, passed=True, detail=told, compared=n)


def check_drawn(ours: Reference, drawn: list[list[int]], again: list[list[int]]) -> Check:
    """Two engines with one seed draw the same samples."""
    name, n = "sampled, one seed", len(drawn)
    for number, (first, second) in enumerate(zip(drawn, again, strict=True)):
        turn = ours.turns[number // OF_EACH]
        if place := difference(turn, first, second, ours.tokenizer, len(turn.prompt)):
            why = "two engines with the same weights and seed drew other tokens"
            return Check(name=name, passed=False, detail=why, compared=n, place=place)
    return Check(name=name, passed=True, detail="two engines drew the same tokens", compared=n)


def check_plain(folder: str, ours: Reference, tokens: int) -> list[Check]:
    """transformers' `generate` of the same weights, and before them of the adapter as PEFT runs it.

    Keeps the former's logits in `ours`: what other forms are compared with.
    """
    base, beside, name = adapter_base(folder), None, "engine = generate"
    try:
        with loaded(partial(unmerged, folder, base)) as (model, _):
            if base is not None:
                beside = plain_answers(model, ours.answers, tokens), read_all(model, ours)
                fold_adapter(model)
            ours.logits = read_all(model, ours)
            folded = plain_answers(model, ours.answers, tokens)
    except ValueError as error:
        return [Check(name=name, passed=False, detail=f"transformers cannot load it: {error}")]
    checks = [compare(name, ours, folded)]
    if beside is None:
        why = "all weights were trained; there is no adapter"
        return [*checks, Check(name="adapter unmerged", passed=None, detail=why)]
    return [*checks, compare("adapter unmerged", ours, *beside)]


def unmerged(folder: str, base: str | None):
    """A whole model; or a base with its adapter's layers in place, ValueError where none came in."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    model, tokenizer = load_pretrained(base or folder, torch.float32)
    if base is None:
        return model, tokenizer
    attach_adapter(model, folder, base)
    if not any(isinstance(module, BaseTunerLayer) for module in model.modules()):
        raise ValueError(f"The adapter {folder} changes nothing in {base}.")
    return model, tokenizer


def check_form(
    name: str, load: Callable, ours: Reference, turns: Sequence[Turn], tokens: int, folder: str
) -> list[Check]:
    """A folder that the student was turned into: its prompts and stops, and what its weights write.

    load: gives model and tokenizer.
    """
    try:
        with loaded(load) as (model, tokenizer):
            prompts = check_prompts(turns, tokenizer, f"{name}: prompts", rendered)
            if prompts.passed and (why := _ends_otherwise(model, tokenizer, turns, folder)):
                prompts = prompts.model_copy(update={"passed": False, "detail": why})
            written, logits = plain_answers(model, ours.answers, tokens), read_all(model, ours)
    except ValueError as error:
        return [Check(name=name, passed=False, detail=f"it cannot be read back: {error}")]
    return [prompts, compare(name, ours, written, logits, kept_type(Path(folder)))]


def _ends_otherwise(model, tokenizer, turns: Sequence[Turn], folder: str) -> str | None:
    """Why a form's generation settings would end a trained reply elsewhere; None if they would not."""
    settings = model.generation_config
    try:
        if Path(folder, SETTINGS).exists():  # a broken one is passed over where models are loaded
            settings = settings_in(folder)
    except ValueError as error:
        return f"its {error}"
    trained, stops = {turn.reply[-1] for turn in turns}, ids_of(settings.eos_token_id)
    if not trained <= stops:
        lacking = ", ".join(decoded(tokenizer, i) for i in sorted(trained - stops))
        return f"its generation settings do not stop on {lacking}"
    if early := ends_early(turns, stops, tokenizer):
        return f"its {SETTINGS} {early[0]}"
    cut = too_short(settings, turns)
    return f"its {SETTINGS} {'; it '.join(cut)}" if cut else None


def read_all(model, ours: Reference) -> list:
    return [read(model, answer) for answer in ours.answers]


def compare(
    name: str,
    ours: Reference,
    answers: Sequence[Answer],
    logits: Sequence = (),
    kept: str = "F32",
) -> Check:
    """Whether a form writes what our engine writes.

    logits: its own, of our engine's answers. kept: the type its weights are kept in.
    """
    n = len(answers)
    if (at := _no_numbers(ours.logits)) is None:
        at = _no_numbers(logits)
    if at is not None:
        turn = ours.turns[at]
        why = f"its logits are not finite numbers, in {turn.rollout}, message {turn.turn}"
        return Check(name=name, passed=False, detail=why, compared=n)
    off, told = _off(ours, logits), ""
    largest, scale = max(off, default=0.0), ours.scale
    if off:
        told = f"logits within {largest:.1e} of {scale:.3g}" + (
            f" ({kept})" if kept != "F32" else ""
        )
    if not largest <= ROUNDING.get(kept, 1e-1) * scale:
        turn = ours.turns[off.index(largest)]
        why = f"these are other weights: {told}, in {turn.rollout}, message {turn.turn}"
        return Check(name=name, passed=False, detail=why, compared=n)
    ties, equal = [], 0
    for number, other in enumerate(answers):
        parted = apart(ours, number, other)
        if parted is None:
            equal += len(other.written) + other.ended
            continue
        at, margin = parted
        place = answer_place(ours, number, other, at)
        if margin > 2 * max(largest, ours.noise):
            why = f"another token is written, {margin:.2g} apart in the logits {told}".rstrip()
            return Check(name=name, passed=False, detail=why, compared=n, place=place)
        equal += at
        ties.append(f"{place.rollout}, message {place.turn}: {margin:.1e} apart")
    tied = f"{len(ties)} near-tie{'s'[: len(ties) > 1]} ({ties[0]})" if ties else ""
    told = ", ".join(filter(None, (f"{equal} tokens equal", told, tied)))
    return Check(name=name, passed=True, detail=told, compared=n)


def _no_numbers(logits: Sequence) -> int | None:
    """The first answer with logits that are not finite; None if all are."""
    return next((at for at, rows in enumerate(logits) if not bool(rows.isfinite().all())), None)


def _off(ours: Reference, logits: Sequence) -> list[float]:
    """Per answer, how far the logits are from the reference's."""
    off = []
    for mine, other in zip(ours.logits, logits, strict=False):
        # A vocabulary may be padded, and a form's context be shorter.
        rows, width = (min(mine.shape[i], other.shape[i]) for i in (0, 1))
        off.append(float((mine[:rows, :width] - other[:rows, :width]).abs().max()))
    return off


def apart(ours: Reference, number: int, other: Answer) -> tuple[int, float] | None:
    """Where another answer parts from ours, and how far apart the two next tokens are in the logits."""
    mine, rows = ours.answers[number], ours.logits[number]
    pairs = enumerate(zip(mine.written, other.written, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), None)
    if at is None:
        if len(mine.written) == len(other.written) and mine.ended == other.ended:
            return None
        at = min(len(mine.written), len(other.written))
    return at, abs(_value(rows[at], mine, at, ours.ends) - _value(rows[at], other, at, ours.ends))


def _value(row, answer: Answer, at: int, ends: set[int]) -> float:
    """The logit of an answer's token at that place, or of the likeliest end where it ended there."""
    if at < len(answer.written):
        return float(row[answer.written[at]])
    if not answer.ended:
        return float("-inf")
    return max((float(row[i]) for i in ends if i < len(row)), default=float("-inf"))


def answer_place(ours: Reference, number: int, other: Answer, at: int) -> Place:
    turn, mine = ours.turns[number], ours.answers[number]
    return Place(
        rollout=turn.rollout,
        turn=turn.turn,
        token=len(mine.prompt) + at,
        recorded=_shown(ours.tokenizer, mine, at),
        found=_shown(ours.tokenizer, other, at),
    )


def _shown(tokenizer, answer: Answer, at: int) -> str:
    before = tokenizer.decode(answer.written[max(0, at - AROUND) : at])
    if at >= len(answer.written):
        return f"{before!r} [{'end of the turn' if answer.ended else 'nothing more'}]"
    token = answer.written[at]
    after = tokenizer.decode(answer.written[at + 1 : at + 1 + AROUND])
    return f"{before!r} [{decoded(tokenizer, token)} {token}] {after!r}"


def kept_type(place: Path) -> str:
    """The type of a folder's or GGUF file's weights, as it names it ("F32", "BF16", "Q8_0", …)."""
    files = [place] if place.is_file() else sorted(place.iterdir())
    if file := next((f for f in files if f.suffix == ".gguf"), None):
        import gguf

        number = gguf.GGUFReader(file).fields["general.file_type"].contents()
        return gguf.LlamaFileType(number).name.removeprefix("MOSTLY_").removeprefix("ALL_")
    if file := next((f for f in files if f.suffix == ".safetensors"), None):
        from safetensors import safe_open

        with safe_open(file, framework="pt") as tensors:
            return tensors.get_slice(next(iter(tensors.keys()))).get_dtype()
    return "F32"
