"""Uploads to a Hub on loopback: what is up is told, whatever fails, and calling again goes on."""

from __future__ import annotations

import re

import pytest
from huggingface_hub import HfApi

from distill.publish import hub as hub_
from distill.publish.hub import RefusalError, Repository, check_token, push

from .fakehub import FakeHub

PARTS = {"model": "me/student", "dataset": "me/runs", "space": "me/page"}


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def parts(tmp_path):
    """A small folder of each kind."""
    found = []
    for kind, name in PARTS.items():
        folder = tmp_path / kind
        (folder / "agents").mkdir(parents=True)
        (folder / "README.md").write_text(f"---\nlicense: mit\n---\n{kind}\n")
        (folder / "agents/a.py").write_text("A = 1\n")
        found.append(Repository(kind, name, folder, "gradio" if kind == "space" else None))
    return found


def upload(hub, parts, patience=2.0, **settings):
    return push(parts, HfApi(endpoint=hub.url, token=hub.token), patience=patience, **settings)


def refused(hub, parts, **settings) -> str:
    with pytest.raises(RefusalError) as error:
        upload(hub, parts, **settings)
    assert hub.token not in str(error.value)
    return str(error.value)


def test_each_repository_is_made_and_filled_in_one_commit_the_model_first(hub, parts):
    up = upload(hub, parts, private=True, hardware="t4-small")
    assert hub.commits == ["model me/student", "dataset me/runs", "space me/page"]
    assert up["space me/page"] == f"{hub.url}/spaces/me/page"
    assert up["model me/student"] == f"{hub.url}/me/student"
    for kind, name in PARTS.items():
        assert hub.uploaded[f"{kind} {name}"]["README.md"].endswith(f"{kind}\n".encode())
        assert hub.made[f"{kind} {name}"]["visibility"] == "private"
    assert (
        hub.made["space me/page"] | {"sdk": "gradio", "hardware": "t4-small"}
        == (hub.made["space me/page"])
    )


def test_publishing_again_replaces_what_is_ours_and_leaves_what_is_not(hub, parts):
    upload(hub, parts)
    there = hub.uploaded["space me/page"]
    there["picture.png"], there["weights/old.safetensors"] = b"mine", b"old"
    (parts[2].folder / "agents/a.py").rename(parts[2].folder / "agents/b.py")
    upload(hub, parts)
    assert sorted(hub.uploaded["space me/page"]) == [
        *(".gitattributes", "README.md", "agents/b.py", "picture.png"),
    ]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "does not know the token"),
        (402, "Ways out: a paid plan; --static"),
        (403, "may not write there"),
        (404, "check the owner's name"),
        (413, "larger than the Hub takes"),
        (418, "it answered 418"),
    ],
)
def test_a_refusal_is_one_sentence_with_what_to_do_and_nothing_is_up(hub, parts, status, says):
    hub.fail("POST /api/repos/create", status, "words of the Hub")
    said = refused(hub, parts)
    assert said.startswith("space me/page: ") and says in said and "words of the Hub" in said
    assert said.endswith("Nothing was published.") and not hub.uploaded and "\n" not in said


@pytest.mark.parametrize("status", [401, 409, 413])
def test_what_is_up_and_what_is_not_is_told_when_it_fails_halfway(hub, parts, status):
    hub.fail("POST /api/datasets/me/runs/commit", status, "no", times=1)
    said = refused(hub, parts)
    assert said.startswith("dataset me/runs: ")
    assert f"Up: model me/student ({hub.url}/me/student)." in said
    assert "There, but without these files: space me/page, dataset me/runs." in said
    assert said.endswith(hub_.AGAIN)
    assert "README.md" not in hub.uploaded["space me/page"]
    assert len(upload(hub, parts)) == 3 and "README.md" in hub.uploaded["space me/page"]


def test_a_wait_that_the_hub_asks_for_is_kept_if_it_is_short(hub, parts):
    hub.fail("POST /api/models/me/student/preupload", 429, "slow down", times=2, Retry_After="0")
    hub.fail("POST /api/repos/create", 500, "oops", times=1)
    assert len(upload(hub, parts, patience=0.2)) == 3


def test_a_long_wait_is_told_and_not_waited_for(hub, parts):
    hub.fail("POST /api/models/me/student/commit", 429, "slow down", Retry_After="3600")
    said = refused(hub, parts)
    assert "wait 3600 seconds" in said and "Up:" not in said and hub_.AGAIN in said


def test_a_hub_out_of_order_is_asked_a_few_times_and_then_told(hub, parts):
    hub.fail("POST /api/repos/create", 500, "oops")
    said = refused(hub, parts, patience=0.1)
    assert "out of order (500)" in said and "Nothing was published." in said
    assert len([a for a in hub.asked if "create" in a]) == hub_.RETRIES + 1


def test_a_conflict_without_end_ends(hub, parts):
    busy = "Cannot create repo: another conflicting operation is in progress"
    hub.fail("POST /api/repos/create", 409, busy)
    assert "Nothing was published." in refused(hub, parts, patience=0.1)


@pytest.mark.parametrize("place", ["GET /api/whoami", "POST /api/models/me/student/preupload"])
def test_a_hub_that_hangs_is_left(hub, parts, place):
    hub.fail(place, None)
    assert f"{hub.url} does not answer" in refused(hub, parts, patience=0.3)


def test_no_network_is_told(parts):
    with FakeHub() as gone:
        pass
    assert "cannot be reached" in refused(gone, parts)


def test_who_interrupts_it_is_told_what_is_up(hub, parts, monkeypatch, capsys):
    api = HfApi(endpoint=hub.url, token=hub.token)

    def stopped(*_, repo_type, **__):
        raise KeyboardInterrupt

    commit = api.create_commit
    monkeypatch.setattr(
        api, "create_commit", lambda *a, **k: (commit if k["repo_type"] == "model" else stopped)(*a, **k)
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        push(parts, api)
    told = capsys.readouterr().err
    assert "dataset me/runs: interrupted." in told and "Up: model me/student" in told


def test_a_token_that_may_only_read_is_told_before_anything_is_made(parts):
    with FakeHub(role="read") as hub:
        assert "may only read" in refused(hub, parts) and not hub.uploaded


def test_a_wrong_token_is_told_and_not_repeated(hub, parts):
    with pytest.raises(RefusalError, match="does not know the token") as error:
        push(parts, HfApi(endpoint=hub.url, token="wrong-token-of-mine"), patience=2.0)
    assert "wrong-token" not in str(error.value)


def test_without_a_token_or_offline_nothing_is_tried(monkeypatch, tmp_path):
    from huggingface_hub import constants

    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set"):
        check_token()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="set HF_TOKEN, or log in"):
        check_token()


@pytest.mark.parametrize(
    "address", ["hub", "ftp://a.example", "http://", "http://[::1", "file:///x"]
)
def test_what_is_no_address_of_a_hub_is_told_at_the_door(monkeypatch, address):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", FakeHub.token)
    with pytest.raises(ValueError, match="no address of a Hub"):
        check_token(address)
    assert check_token("http://[::1]:80/x").token is None
    monkeypatch.setenv("HF_TOKEN", "hf_äöü")
    with pytest.raises(ValueError, match="no token has"):
        check_token("https://a.example")


def test_an_answer_of_no_hub_is_told(hub, parts):
    hub.fail("POST /api/models/me/student/commit", 200)
    with pytest.raises(RefusalError, match="answers as no Hub does"):
        upload(hub, parts)


def test_large_files_go_up_apart_and_a_moments_trouble_is_waited_for(parts):
    (parts[0].folder / "w.safetensors").write_bytes(b"w" * 1000)
    with FakeHub(lfs=True) as hub:
        hub.fail("PUT /lfs", 503, times=1)
        upload(hub, parts)
        assert hub.uploaded["model me/student"]["w.safetensors"] == b"w" * 1000
        assert not any("xet" in line for line in hub.asked)  # which knows no deadline


@pytest.mark.parametrize(
    ("begins", "status", "says"),
    [
        ("PUT /lfs", 403, "may not write there"),
        ("PUT /lfs", 413, "larger than the Hub takes"),
        ("PUT /lfs", None, "does not answer"),
        ("PUT /lfs", 0, "cannot be reached"),
        ("POST /me/student.git/info/lfs", 403, "may not write there"),
        ("POST /api/models/me/student/commit", 0, "cannot be reached"),
    ],
)
def test_why_a_large_file_did_not_go_up_is_told(parts, begins, status, says):
    (parts[0].folder / "w.safetensors").write_bytes(b"w" * 1000)
    with FakeHub(lfs=True) as hub:
        hub.fail(begins, status)
        assert says in refused(hub, parts[:1], patience=0.3)
        assert not hub.commits


def test_the_library_is_left_as_it_was(hub, parts):
    from huggingface_hub import get_session

    before = type(get_session())
    upload(hub, parts)
    assert type(get_session()) is before
    assert not re.search("Patient", repr(get_session()))
