"""A tokenizer as llama.cpp's metadata: its tokens, what they are, how they are joined and how text is split first.

llama.cpp splits text by rules it knows under a name. Which name a tokenizer goes by is read off its own rules,
not guessed from the model's name; a tokenizer with other rules is refused, as it would read other tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CASED = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    rf"{CONTRACTIONS}?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    rf"{CONTRACTIONS}?"
)
SPLITS = {
    rf"{CONTRACTIONS}|{_WORD}|\p{{N}}|{_REST}": "qwen2",
    rf"{CONTRACTIONS}|{_WORD}|\p{{N}}{{1,3}}|{_REST}": "llama-bpe",
    rf"{_CASED}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "gpt-4o",
}
"""Regular expression that a byte-level tokenizer splits by first: llama.cpp's name of it."""
SPACE = "▁"
PHI = ("phi-3", "phi3")
KEEPING = ("<unk>", "<s>", "<|endoftext|>")
"""Tokens after which llama.cpp keeps space in a model with one of those names; after all others it drops it."""


def vocabulary(tokenizer, rows: int) -> dict[str, object]:
    """The metadata under `tokenizer.ggml.`, for a model whose embedding has so many rows.

    Raises ValueError for a tokenizer that llama.cpp cannot be told.
    """
    from agents.template import end_of_turn_id

    spec = specification(tokenizer)
    tokens, types = _tokens(spec, rows)
    found = {"model": _kind(spec), "pre": splitting(spec), "tokens": tokens, "token_type": types}
    found["merges"] = [" ".join(merge) for merge in _merges(spec)]
    if found["model"] == "llama":
        found["scores"] = _scores(spec, tokens)
        found["add_space_prefix"] = any(n["type"] == "Prepend" for n in _flat(spec["normalizer"]))
    end = end_of_turn_id(tokenizer)
    ids = {
        "bos": tokenizer.bos_token_id, "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id, "eos": end, "eot": end,
    }  # fmt: skip
    found |= {f"{name}_token_id": at for name, at in ids.items() if at is not None}
    return found | {"add_bos_token": adds_bos(tokenizer), "add_eos_token": False}


def specification(tokenizer) -> dict:
    """The tokenizer's own description of itself."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("The tokenizer has no tokenizer.json; GGUF is made from one.")
    return json.loads(backend.to_str())


def adds_bos(tokenizer) -> bool:
    """Whether the start token is put before every text, and so is not a part of the chat's own text."""
    bos = tokenizer.bos_token_id
    if bos is None or tokenizer("q").input_ids[:1] != [bos]:
        return False
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "q"}], tokenize=False)
    return chat.startswith(tokenizer.bos_token)


def splitting(spec: dict) -> str:
    """llama.cpp's name of how the tokenizer splits text before it joins characters to tokens."""
    if _kind(spec) == "llama":
        return "default"
    steps = list(_flat(spec["pre_tokenizer"]))
    kinds, last = [step["type"] for step in steps], steps[-1]
    if last["type"] == "ByteLevel" and not last["add_prefix_space"]:
        first = steps[0]
        if kinds == ["Split", "ByteLevel"] and not last["use_regex"] and _isolates(first):
            name = SPLITS.get(first["pattern"].get("Regex"))
            if name == "llama-bpe" and not spec["model"].get("ignore_merges"):
                return "smaug-bpe"  # the same expression, and no whole words before merging
            if name:
                return name
        if kinds == ["Digits", "ByteLevel"] and last["use_regex"] and first["individual_digits"]:
            return "smollm"
        if kinds == ["ByteLevel"] and last["use_regex"]:
            return "gpt-2"
    raise ValueError(
        "llama.cpp has no name for how this tokenizer splits text "
        f"({', '.join(kinds)}); it knows that of: qwen2, llama-bpe, smaug-bpe, gpt-4o, smollm, gpt-2."
    )


def remarks(tokenizer) -> list[str]:
    """Texts that llama.cpp reads as other tokens: a sentence each."""
    spec = specification(tokenizer)
    found = []
    if any(step["type"] in ("NFC", "NFKC") for step in _flat(spec["normalizer"])):
        found.append(
            "llama.cpp does not compose accents that are written as characters of their own."
        )
    if _kind(spec) == "llama" and not _complete(spec):
        found.append("llama.cpp may join characters that this tokenizer has no merge for.")
    if any(t["lstrip"] or t["rstrip"] != stripped(spec, t) for t in spec["added_tokens"]):
        found.append("llama.cpp keeps or drops space beside some special tokens otherwise.")
    return found


def named(name: str, tokenizer) -> str:
    """The model's name, by which llama.cpp tells whether space after a special token is dropped, as in Phi-3.

    Raises ValueError for a tokenizer that drops it and lacks Phi-3's own tokens, which llama.cpp looks for.
    """
    spec = specification(tokenizer)
    told = any(mark in name.lower() for mark in PHI)
    if not _drops_space(spec):
        return re.sub("(?i)phi-?3", "phi 3", name) if told else name
    lacking = {*KEEPING, "</s>"} - {*spec["model"]["vocab"], *map(_content, spec["added_tokens"])}
    if lacking:
        raise ValueError(
            "The tokenizer drops space after special tokens, which llama.cpp does for Phi-3 alone; "
            f"it has no {min(lacking)}."
        )
    return name if told else f"{name} (phi-3)"


def stripped(spec: dict, token: dict) -> bool:
    """Whether llama.cpp drops space after this added token."""
    return _drops_space(spec) and token["content"] not in KEEPING


def _drops_space(spec: dict) -> bool:
    return any(token["rstrip"] for token in spec["added_tokens"] if token["special"])


def _content(token: dict) -> str:
    return token["content"]


def _kind(spec: dict) -> str:
    if spec["model"]["type"] == "BPE":
        if any(step["type"] == "ByteLevel" for step in _flat(spec["pre_tokenizer"])):
            return "gpt2"
        spaces = [n for n in _flat(spec["normalizer"]) if n["type"] == "Replace"]
        if spec["model"].get("byte_fallback") and any(n["content"] == SPACE for n in spaces):
            return "llama"
    raise ValueError(
        f"A {spec['model']['type']} tokenizer of this kind cannot be written as GGUF here; there are: "
        "byte-level BPE, and BPE over SentencePiece's ▁ with bytes for what it lacks."
    )


def _flat(step: dict | None) -> Iterator[dict]:
    """The steps of a normalizer or pre-tokenizer, whether it is one or a sequence."""
    if step is None:
        return
    inner = step.get("pretokenizers") or step.get("normalizers")
    if step["type"] == "Sequence":
        for one in inner or ():
            yield from _flat(one)
    else:
        yield step


def _isolates(split: dict) -> bool:
    """Two ways of saying that what matches is a piece of its own."""
    return (split["behavior"], split["invert"]) in (("Isolated", False), ("Removed", True))


def _tokens(spec: dict, rows: int) -> tuple[list[str], list[int]]:
    from gguf import TokenType

    plain = spec["model"]["vocab"] | {t["content"]: t["id"] for t in spec["added_tokens"]}
    found = {at: (text, TokenType.NORMAL) for text, at in plain.items()}
    spaced = _kind(spec) == "llama"
    if spaced:
        for at, (text, _) in found.items():
            if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
                found[at] = (text, TokenType.BYTE)
    for token in spec["added_tokens"]:
        text = token["content"]
        if token["special"] and token["id"] >= rows:
            del found[token["id"]]  # of pictures, in a model for text alone
        elif token["special"]:
            found[token["id"]] = (text, TokenType.CONTROL)
        elif not (
            spaced and SPACE in text
        ):  # else text becomes it by merging, once its spaces are marked
            found[token["id"]] = (text, TokenType.USER_DEFINED)
    unknown = spec["model"].get("unk_token")
    if spaced and unknown is not None:
        found[spec["model"]["vocab"][unknown]] = (unknown, TokenType.UNKNOWN)
    if max(found) >= rows:
        raise ValueError(
            f"The tokenizer has tokens up to {max(found)}, the model's embedding {rows} rows."
        )
    unused = {at: (f"[PAD{at}]", TokenType.UNUSED) for at in range(rows) if at not in found}
    both = {**found, **unused}
    tokens = [both[at][0] for at in range(rows)]
    if len(set(tokens)) < rows:
        raise ValueError(
            "Two tokens of this tokenizer have the same text; GGUF has no way for that."
        )
    return tokens, [int(both[at][1]) for at in range(rows)]


def _merges(spec: dict) -> list[tuple[str, str]]:
    return [
        tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge)
        for merge in spec["model"]["merges"]
    ]


def _scores(spec: dict, tokens: list[str]) -> list[float]:
    """Joined first where the score is highest: the order of the merges, turned round."""
    rank: dict[str, int] = {}
    for at, (left, right) in enumerate(_merges(spec)):
        rank.setdefault(left + right, at)
    return [-float(rank.get(token, len(rank) + 1000)) for token in tokens]


def _complete(spec: dict) -> bool:
    """Whether every two tokens that make a third have a merge, as they have where SentencePiece's was read."""
    vocab, merges = spec["model"]["vocab"], set(_merges(spec))
    return all(
        (token[:cut], token[cut:]) in merges
        for token in {left + right for left, right in merges}
        for cut in range(1, len(token))
        if token[:cut] in vocab and token[cut:] in vocab
    )
