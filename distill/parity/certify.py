"""Certify a student: take its recorded samples through every form of it, and write down what was equal."""

from __future__ import annotations

import io
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agents.models import resolve
from agents.weights import adapter_base, load_pretrained, load_tokenizer

from ..merge import stored_dtype
from ..run import versions, write_json
from . import outputs, tokens, writing
from .files import CERTIFICATE, check_files, digests
from .loss import check_loss
from .records import Certificate, Check, Recorded, Student, Tokens
from .samples import MOST, SAMPLES, Turn, read_samples, read_student, template_digest, turns
from .served import check_served
from .size import too_large


def certify(
    student: str,
    *,
    out: Path | None = None,
    rollouts: Path | None = None,
    k: int = 8,
    tokens: int = 32,
    served: str | None = None,
    merged: str | None = None,
    exported: str | None = None,
    seed: int = 0,
) -> Certificate:
    """Check that what was trained is what is served; write `parity.json` and return it.

    student: a folder with `parity_samples.jsonl`, as training leaves it. out: a folder for the certificate
    instead of the student's. rollouts: a folder whose rollouts are encoded in the place of recorded samples.
    k: prompts that every form of the student answers with up to `tokens` tokens; all there are, where there
    are fewer. served: an endpoint that serves it (http://host:port/v1#name). merged, exported: folders that
    it was merged and exported into; without the first, it is merged into a temporary folder.
    Models are loaded one at a time in float32: a 0.5B student takes about 5 GB of memory, and 2 GB of temporary
    disk; what this machine cannot hold is not tried.
    Raises ValueError for a caller's mistake, and for a student that cannot be loaded, whose certificate then
    says so; what differs is told in the certificate.
    """
    start = time.monotonic()
    asked = Asked(k, tokens, seed, served, merged, exported)
    asked.sensible()
    folder, refused = student_folder(student), None
    with _quiet(), writing.one_at_a_time():
        with _none_of_before(out or folder):
            whole(folder)
            facts, forms = read_student(folder), tokenizers(folder)
        tokenizer = forms["our engine"]
        recorded = encoded(rollouts, facts, tokenizer) if rollouts else read_samples(folder)
        found = [turn for line in recorded for turn in turns(line, tokenizer)]
        if not found:
            raise ValueError(f"Nothing in {rollouts or folder / SAMPLES} was trained on.")
        checks: list[Check] = []
        try:
            checks += _weightless(folder, facts, forms, found)
            for check in _checks(folder, facts, forms, recorded, found, asked):
                checks.append(check)
        except writing.LoadError as error:
            refused = error
            checks.append(Check(name="our engine", passed=False, detail=str(error)))
        checks = [_without_places(check, folder) for check in checks]
    certificate = Certificate(
        student=folder.resolve().name,
        passed=all(check.passed is not False for check in checks),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        source="rollouts" if rollouts else "training",
        rollouts=len(recorded),
        turns=len(found),
        k=min(k, len(found)),
        tokens=tokens,
        seed=seed,
        checks=tuple(checks),
        template=template_digest(tokenizer),
        **_base(folder),
        digests=_digests(folder, asked),
        versions=versions(),
        seconds=round(time.monotonic() - start, 2),
    )
    write_certificate(certificate, out or folder)
    if refused:
        raise refused
    return certificate


def write_certificate(certificate: Certificate, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / CERTIFICATE, certificate.model_dump(mode="json"))


@dataclass(frozen=True)
class Asked:
    """What a certificate was asked to look at, beside the student."""

    k: int
    tokens: int
    seed: int
    served: str | None
    merged: str | None
    exported: str | None

    def sensible(self) -> None:
        if self.k < 1 or self.tokens < 1:
            raise ValueError(f"k and tokens start at 1, not {self.k} and {self.tokens}.")
        for name in ("merged", "exported"):
            if (place := getattr(self, name)) and not Path(place).exists():
                raise ValueError(f"{name} names a folder, and there is no {place}.")
        if self.served and not self.served.startswith(("http://", "https://")):
            raise ValueError(f"{self.served!r} is no endpoint; name it http://host:port/v1#model.")


def student_folder(student: str) -> Path:
    """Raises ValueError for what is no folder on this machine."""
    if student.startswith(("http://", "https://", "litellm:")):
        raise ValueError(
            f"{student} is served: name the student's folder, and the endpoint with --served."
        )
    folder = Path(resolve(student))
    if not folder.is_dir():
        raise ValueError(
            f"A certificate belongs to files on this machine, and {student} is on the Hub: fetch it with "
            f"`hf download {student} --local-dir DIR`, and name DIR."
        )
    return folder


def whole(folder: Path) -> None:
    """Raises ValueError for half an adapter."""
    adapter = (folder / "adapter_config.json").is_file()
    if adapter and not any(folder.glob("adapter_model.*")):
        raise ValueError(
            f"{folder} has an adapter_config.json and no adapter_model.safetensors: half an adapter. "
            "Train it again, or copy it whole."
        )


def tokenizers(folder: Path) -> dict[str, object]:
    """The tokenizers by whose they are: the one of our engine first, then the folder's as any server reads it."""
    from transformers import AutoTokenizer

    base = adapter_base(str(folder))
    found = {"our engine": load_tokenizer(base or str(folder))}
    if (folder / "tokenizer_config.json").is_file():
        try:
            found["the folder"] = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # of a dozen libraries, as in agents/weights.py
            line = next(iter(str(error).splitlines()), type(error).__name__)
            raise ValueError(f"Could not load the tokenizer of {folder}: {line}") from error
    return found


def encoded(rollouts: Path, facts: Student | None, tokenizer) -> list[Recorded]:
    """Rollouts as they would be trained on now; ValueError where they are of another method."""
    from ..encode import encode
    from ..filter import KEPT
    from ..rollout import read_lines, read_rollouts
    from ..training_data import student_messages

    kept = rollouts / KEPT
    found = list(read_lines(kept).values() if kept.is_file() else read_rollouts(rollouts))
    methods = {r.trajectory.method for r in found}
    method = facts.method if facts else next(iter(sorted(methods)), None)
    if method not in methods:
        raise ValueError(
            f"The student was trained on rollouts of {method}; those in {rollouts} are of "
            f"{', '.join(sorted(methods)) or 'no method: there are none'}."
        )
    found = [r for r in found if r.trajectory.method == method and r.trajectory.stop != "failed"]
    found = found[:: max(1, -(-len(found) // MOST))]
    conversations = student_messages(found, facts.prompt if facts else "student")
    return [
        Recorded(
            problem="/".join(map(str, rollout.key)),
            messages=tuple(messages),
            samples=tuple(
                Tokens(input_ids=tuple(s.input_ids), labels=tuple(s.labels))
                for s in encode(tokenizer, messages)
            ),
        )
        for rollout, messages in zip(found, conversations, strict=True)
    ]


def _weightless(folder: Path, facts: Student | None, forms: dict, found: list[Turn]) -> list[Check]:
    """The checks that need no weights."""
    tokenizer, checks = forms["our engine"], []
    checks.append(tokens.check_prompts(found, tokenizer))
    if "the folder" in forms:
        reloaded = forms["the folder"]
        checks.append(
            tokens.check_prompts(found, reloaded, "prompt tokens, reloaded", tokens.rendered)
        )
    checks.append(tokens.check_spans(found, tokenizer))
    checks.append(tokens.check_template(forms, facts))
    checks.append(tokens.check_agent(found, facts, folder))
    checks.append(check_files(folder, facts))
    return checks


def _checks(
    folder: Path,
    facts: Student | None,
    forms: dict,
    recorded: list[Recorded],
    found: list[Turn],
    asked: Asked,
) -> Iterator[Check]:
    """The other checks, the cheap ones first."""
    tokenizer, base = forms["our engine"], adapter_base(str(folder))
    settings, check = _settings(folder, base, found)
    yield check
    if why := too_large(folder, base):
        yield tokens.check_stops(found, tokenizer, settings, None, facts)
        yield Check(name="what it writes", passed=None, detail=why)
        return
    with writing.our_engine(str(folder), asked.seed) as engine:
        fits = [turn for turn in found if len(turn.prompt) < engine.context]
        picked = writing.chosen(fits, asked.k, asked.seed)
        kept = "F32" if engine.model.dtype.itemsize == 4 else "BF16"
        half = kept != "F32" or stored_dtype(base or str(folder)).itemsize < 4
        yield check_loss(engine.model, recorded, asked.k, half)
        yield tokens.check_context(found, engine.context)
        ours = outputs.Reference(
            picked,
            [writing.answer(engine, turn, asked.tokens) for turn in picked],
            engine.tokenizer,
            writing.ends_of(engine),
            kept,
        )
        drawn = writing.draw(engine, picked, asked.tokens)
        long = writing.long_answer(engine, picked, ours.answers) if asked.served else None
    yield tokens.check_stops(found, tokenizer, settings, ours.ends, facts)
    if not picked:
        return
    yield outputs.check_sent(ours)
    with writing.our_engine(str(folder), asked.seed) as engine:
        yield outputs.check_drawn(ours, drawn, writing.draw(engine, picked, asked.tokens))
    yield from outputs.check_plain(str(folder), ours, asked.tokens)
    if not ours.finite:
        why = "there are no logits to compare with"
        yield from (
            Check(name=n, passed=None, detail=why) for n in ("merged", "exported", "served")
        )
        return
    yield from _merged(folder, base, ours, found, asked)
    yield from _exported(ours, found, asked)
    if asked.served:
        yield from check_served(asked.served, ours, asked.tokens, long)
    else:
        yield Check(name="served", passed=None, detail="no endpoint was named")


def _settings(folder: Path, base: str | None, found: list[Turn]) -> tuple[object | None, Check]:
    """The generation settings, None where they cannot be read, and their check."""
    try:
        settings = tokens.generation_settings(folder, base)
    except ValueError as error:
        return None, Check(name="generation settings", passed=False, detail=str(error), compared=1)
    return settings, tokens.check_settings(settings, found)


def _merged(folder: Path, base, ours, found: list[Turn], asked: Asked) -> Iterator[Check]:
    """The folder it was merged into; else one made for this and removed again."""
    if base is None and not asked.merged:
        yield Check(name="merged", passed=None, detail="there is no adapter to merge")
        return
    with tempfile.TemporaryDirectory() as temporary:
        place = asked.merged
        if not place:
            from ..merge import merge

            place = str(Path(temporary, "merged"))
            try:
                merge(str(folder), Path(place), dtype="float32")
            except OSError as error:  # no disk for it, which is no fault of the student
                yield Check(name="merged", passed=None, detail=f"{error.strerror or error}")
                return
            except ValueError as error:
                yield Check(name="merged", passed=False, detail=f"it cannot be merged: {error}")
                return
        load = partial(_load, place)
        yield from outputs.check_form("merged", load, ours, found, asked.tokens, place)


def _load(place: str):
    import torch

    return load_pretrained(place, torch.float32)


def _exported(ours, found: list[Turn], asked: Asked) -> Iterator[Check]:
    if not asked.exported:
        yield Check(name="exported", passed=None, detail="no exported folder was named")
        return
    load = partial(_read_back, Path(asked.exported))
    yield from outputs.check_form("exported", load, ours, found, asked.tokens, asked.exported)


def _read_back(place: Path):
    """`read_back`, without transformers' progress bar, which cannot be turned off there."""
    from ..export import read_back

    with redirect_stderr(io.StringIO()):
        return read_back(place)


def _base(folder: Path) -> dict[str, str | None]:
    """Name of an adapter's base ("." beside it, a Hub id, or a folder's name), and its commit on the Hub."""
    base = adapter_base(str(folder))
    if base is None:
        return {"base": None}
    if Path(base).is_dir():
        beside = Path(base).resolve() == folder.resolve()
        return {"base": "." if beside else Path(base).resolve().name}
    from transformers import AutoConfig

    return {
        "base": base,
        "base_commit": getattr(AutoConfig.from_pretrained(base), "_commit_hash", None),
    }


def _digests(folder: Path, asked: Asked) -> dict[str, dict[str, str]]:
    """sha256 of what was compared, where it lies on this machine."""
    base = adapter_base(str(folder))
    parts = {"student": str(folder), "merged": asked.merged, "exported": asked.exported}
    if base and Path(base).is_dir() and Path(base).resolve() != folder.resolve():
        parts["base"] = base
    return {name: digests(Path(place)) for name, place in parts.items() if place}


def _without_places(check: Check, folder: Path) -> Check:
    """A certificate is published: it names no folder of this machine."""
    detail = check.detail
    for place in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
        detail = detail.replace(place, folder.resolve().name)
    return check.model_copy(update={"detail": detail})


@contextmanager
def _none_of_before(place: Path):
    """A student that cannot even be opened is left without the certificate of what it was."""
    try:
        yield
    except ValueError:
        (place / CERTIFICATE).unlink(missing_ok=True)
        raise


@contextmanager
def _quiet():
    """Without the libraries' hints to people."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.set_verbosity(level)
