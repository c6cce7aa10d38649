"""What must not leave this machine is found wherever it stands, and never repeated."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from distill.publish.scan import HOME, Known, scan

LETTERS = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1aBc4eFg7h"
TOKENS = {  # put together here, so that nobody's scanner stops at this file
    "Hugging Face token": "hf" + "_" + LETTERS[:34],
    "API key (sk-)": "sk" + "-proj-" + LETTERS,
    "GitHub token": "gh" + "p_" + LETTERS,
    "AWS key": "AK" + "IA" + "ABCDEFGH12345678",
    "Google key": "AI" + "za" + LETTERS[:35],
    "API key": "gs" + "k_" + LETTERS,
    "AWS secret": "aws_secret" + "_access_key = " + LETTERS + "abcd",
    "Slack token": "xox" + "b-123456789012-" + LETTERS,
    "signed token (JWT)": ".".join(["ey" + "J" + LETTERS, "ey" + "J" + LETTERS, LETTERS]),
    "private key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "Bearer header": "Authorization: Bear" + "er " + LETTERS,
    "Authorization header": "authorization: ba" + "sic " + LETTERS,
    "token in an address": "https://" + LETTERS[:24] + "@word.example/x",
    "password in an address": "https://me:" + "pass@word.example/x",
    "key in an address": "https://a.example/v1?api_" + "key=" + LETTERS,
}
FORMS = {
    "as it is": lambda text: text,
    "in JSON": lambda text: json.dumps({"messages": [{"content": f"see {text} there"}]}),
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"a": f"x\n{text}\n/"})),
    "in Markdown": lambda text: "".join(f"\\{c}" if c in "_-*.:/@" else c for c in text),
    "in HTML": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "behind a name": lambda text: f"MY_{text}",
    "letters escaped": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "in base64": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "in base64 of an address": lambda text: base64.urlsafe_b64encode(f"?{text}".encode()).decode(),
}


def found(folder: Path, name: str, content: str | bytes, known: Known | None = None) -> list[str]:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return [str(finding) for finding in scan(folder, known or Known({}))]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", TOKENS)
def test_a_key_is_found_with_its_line_in_any_form(tmp_path, kind, form):
    shown = found(tmp_path, "rollouts.jsonl", "{}\n{}\n" + FORMS[form](TOKENS[kind]) + "\n{}\n")
    assert any(line.startswith(f"rollouts.jsonl:3: {kind}") for line in shown)
    assert TOKENS[kind] not in "".join(shown)


def test_values_of_the_environment_and_the_stored_token_are_found(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "correct horse battery")
    monkeypatch.setenv("HF_TOKEN", "a-token-of-no-shape")
    monkeypatch.setenv("OTHER_PASSWORD", "short")
    known = Known.here()
    shown = found(tmp_path, "a.json", '{"a": "correct horse battery"}', known)
    assert shown == ["a.json:1: the value of MY_API_KEY"]
    encoded = base64.b64encode(b"x=a-token-of-no-shape").decode()
    assert "b.txt:1: the value of HF_TOKEN, in base64" in found(tmp_path, "b.txt", encoded, known)
    assert len(found(tmp_path, "c.txt", "a short text", known)) == 2


def test_a_value_of_the_environment_is_found_in_other_spellings(tmp_path, monkeypatch):
    value = 'pässw/rd "x"'
    monkeypatch.setenv("SOME_PAT", value + "\n")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:only-the-password@db/x")
    known = Known.here()
    encoded = [base64.b64encode((before + value).encode()).decode() for before in ("", "a", "ab")]
    for spelling in (value.encode().hex(), *encoded):
        [line] = found(tmp_path, "a.md", f"see {spelling}.", known)
        assert line.startswith("a.md:1: the value of SOME_PAT, in ")
    assert found(tmp_path, "a.md", "is only-the-password", known) == [
        "a.md:1: the value of DATABASE_URL"
    ]
    wide = found(tmp_path, "a.md", ("x " + TOKENS["GitHub token"]).encode("utf-16"))
    assert wide == ["a.md: GitHub token"]


def test_code_that_is_not_ours_may_name_no_place_of_this_machine(tmp_path):
    (tmp_path / "there").mkdir()
    code = f"DATA = open('{tmp_path}/there')"
    assert found(tmp_path, "tools/own/mine.py", code) == [f"tools/own/mine.py:1: {HOME}"]


def test_places_of_this_machine_are_found(tmp_path):
    for place in ("/home/somebody/runs", "/Users/somebody/x", "/root/.cache", r"C:\Users\me\x"):
        assert found(tmp_path, "a.json", json.dumps({"at": place})) == [f"a.json:1: {HOME}"]
    (tmp_path / "there").mkdir()
    assert found(tmp_path, "a.json", f'{{"at": "{tmp_path}/there"}}') == [f"a.json:1: {HOME}"]
    assert found(tmp_path, "a.json", f'{{"at": "{tmp_path}/nowhere"}}') == []
    (tmp_path / "my own" / "x").mkdir(parents=True)
    assert found(tmp_path, "a.json", f'["{tmp_path}/my own/x"]') == [f"a.json:1: {HOME}"]
    known = Known.here([tmp_path / "work"])
    assert found(tmp_path, "a.json", f'"{tmp_path / "work"}/x"', known) == [f"a.json:1: {HOME}"]


def test_the_head_of_weights_a_picture_and_a_files_name_are_looked_at(tmp_path):
    from safetensors.numpy import save_file

    save_weights = {"metadata": {"made": f"by {TOKENS['GitHub token']}"}}
    import numpy

    save_file({"w": numpy.zeros(4)}, tmp_path / "w.safetensors", **save_weights)
    assert [str(f) for f in scan(tmp_path, Known({}))] == ["w.safetensors: GitHub token"]
    (tmp_path / "w.safetensors").unlink()
    picture = b"\x89PNG\r\n\x1a\n\0\0tEXtComment\0" + TOKENS["Slack token"].encode() + b"\0"
    assert found(tmp_path, "a.png", picture) == ["a.png: Slack token"]
    (tmp_path / "a.png").unlink()
    weights = b"\0" * 100_000 + b"correct horse battery" + b"\0" * 100
    known = Known({"correct horse battery": "the value of MY_API_KEY"})
    assert found(tmp_path, "w.bin", weights, known) == ["w.bin: the value of MY_API_KEY"]
    (tmp_path / "w.bin").unlink()
    [named] = found(tmp_path, f"traces/{TOKENS['AWS key']}.jsonl", "{}")
    assert named == "traces/***: AWS key (in its name)"


def test_ordinary_text_is_let_through(tmp_path):
    text = (
        "see https://a.example:8080/x?page=2 and http://127.0.0.1:8000/v1#m, task-driven-by-numbers-12345678, "
        "f'Bearer {token}', hf_hub_download, sk-learn, skip-this-long-and-boring-name-of-a-thing, mail me@b.example, "
        f"/usr/lib/python3.11, home/someone, sha256:{'9f' * 32}, ghp_short, eyJhbGciOiJIUzI1NiJ9, "
        "http://user:password@host/, .sk-loading-indicator-animation-2, bearer of 12 certificates, "
        "postgres://{user}:{password}@{host}/db, the /home page, 5/home/6"
    )
    assert found(tmp_path, "a.md", text) == []
