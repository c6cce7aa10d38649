"""A Hugging Face Hub on loopback: it serves datasets and what was uploaded, takes uploads, and fails as told.

with FakeHub({"me/set": {"data.jsonl": b"..."}}) as hub:
    subprocess.run(..., env=hub.environment(cache))

with FakeHub() as hub:
    hub.fail("POST /api/repos/create", 402, "Subscribe to PRO", times=1)
    push([...], HfApi(endpoint=hub.url, token=hub.token))
    hub.uploaded["space me/page"]["app.py"]
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

KINDS = ("models", "datasets", "spaces")
LARGE = (".safetensors", ".png")
"""Files that a Hub takes apart from the commit, if it is told to."""


@dataclass
class Failure:
    """What requests of a beginning get instead of an answer.

    status None: nothing, until the test ends; 0: the connection is closed.
    """

    begins: str
    status: int | None
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 10**9


class FakeHub(ThreadingHTTPServer):
    """repos: per name the files of a dataset. Every revision that `revisions` has for it is the same files.

    asked: what was requested, as "GET /api/...", in order. uploaded: files by "KIND OWNER/NAME". made: what each
    was made with. role: of the token. lfs: take large files apart, as the real one does where Xet is not used.
    """

    request_queue_size = 128
    daemon_threads = True
    token = "hf_" + "fakefake" * 4

    def __init__(
        self,
        repos: dict[str, dict[str, bytes]] | None = None,
        revisions: dict[str, str] | None = None,
        *,
        role: str = "write",
        lfs: bool = False,
    ):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos, self.revisions, self.asked = repos or {}, revisions or {}, []
        self.uploaded: dict[str, dict[str, bytes]] = {}
        self.made: dict[str, dict] = {}
        self.commits: list[str] = []
        self.role, self.lfs, self.objects = role, lfs, {}
        self.failures: list[Failure] = []
        self.ended = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_):
        self.ended.set()
        self.shutdown()
        self.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """This process's, with this server for the Hub and `home` for its cache."""
        return os.environ | {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}

    def commit(self, repo: str) -> str:
        return self.revisions.get(repo) or hashlib.sha1(repo.encode()).hexdigest()

    def fail(
        self, begins: str, status: int | None, message: str = "", times: int = 10**9, **headers
    ):
        """Answer requests that begin so with a status, or with none not at all."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.append(Failure(begins, status, message, named, times))

    def files(self, kind: str, repo: str) -> dict[str, bytes] | None:
        """Of what was uploaded, or of a dataset that was given."""
        found = self.uploaded.get(f"{kind.removesuffix('s')} {repo}")
        return self.repos.get(repo) if found is None and kind == "datasets" else found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: two would wait for each other
    server: FakeHub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urlsplit(self.path)
        if self._fails():
            return
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        match parts:
            case ["datasets", owner, name, "resolve", revision, *path]:
                self._file("datasets", f"{owner}/{name}", revision, "/".join(path))
            case [owner, name, "resolve", revision, *path]:
                self._file("models", f"{owner}/{name}", revision, "/".join(path))
            case ["api", "whoami-v2"]:
                token = {"displayName": "mine", "role": self.server.role}
                who = {"type": "user", "name": "me", "orgs": [], "auth": {"accessToken": token}}
                self._send(200, who)
            case ["api", kind, owner, name, "revision", revision] if kind in KINDS:
                self._api(kind, f"{owner}/{name}", revision, self._info)
            case ["api", kind, owner, name] if kind in KINDS:
                self._api(kind, f"{owner}/{name}", "main", self._info)
            case ["api", kind, owner, name, "tree", revision, *path] if kind in KINDS:
                deep = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
                self._api(kind, f"{owner}/{name}", revision, self._tree, "/".join(path), deep)
            case _:
                self._send(404, {"error": f"nothing at {url.path}"})

    def do_POST(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._fails():
            return
        match [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]:
            case ["api", kind, owner, name, "paths-info", revision] if kind in KINDS:
                form = "json" not in self.headers.get("Content-Type", "")
                paths = parse_qs(sent.decode())["paths"] if form else json.loads(sent)["paths"]
                self._api(kind, f"{owner}/{name}", revision, self._paths, paths)
            case ["api", "validate-yaml"]:
                self._send(200, {"errors": [], "warnings": []})
            case ["api", "repos", "create"]:
                self._create(json.loads(sent))
            case ["api", kind, owner, name, "preupload", revision]:
                self._api(kind, f"{owner}/{name}", revision, self._modes, json.loads(sent)["files"])
            case ["api", kind, owner, name, "commit", revision]:
                self._api(kind, f"{owner}/{name}", revision, self._commit, kind, sent)
            case [*_, "info", "lfs", "objects", "batch"]:
                self._send(200, self._batch(json.loads(sent)["objects"]))
            case _:
                self._send(404, {"error": "no such route"})

    def do_PUT(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._fails():
            self.server.objects[self.path.rpartition("/")[2]] = sent
            self._send(200, {})

    def _fails(self) -> bool:
        """Note the request; answer it as told, if it is to fail."""
        line = f"{self.command} {self.path}"
        self.server.asked.append(line)
        for failure in self.server.failures:
            if line.startswith(failure.begins) and failure.times > 0:
                failure.times -= 1
                if failure.status is None:
                    self.close_connection = True
                    self.server.ended.wait()
                elif failure.status == 0:
                    self.close_connection = True
                else:
                    self._send(failure.status, {"error": failure.message}, failure.headers)
                return True
        writes = self.command != "GET" and not line.startswith("HEAD") and "paths-info" not in line
        known = self.headers.get("Authorization") == f"Bearer {self.server.token}"
        if not known and ((writes and "/lfs/" not in line) or "whoami" in line):
            self._send(401, {"error": "Invalid username or password."})
            return True
        return False

    def _create(self, asked: dict):
        kind, repo = (
            asked.get("type", "model"),
            f"{asked.get('organization') or 'me'}/{asked['name']}",
        )
        key, place = f"{kind} {repo}", f"{'' if kind == 'model' else kind + 's/'}{repo}"
        there = key in self.server.uploaded
        if not there:
            self.server.uploaded[key] = {".gitattributes": b""}
            self.server.made[key] = asked
        self._send(409 if there else 200, {"url": f"{self.server.url}/{place}", "error": "exists"})

    def _modes(self, repo: str, files: list[dict]):
        large = self.server.lfs
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if large and file["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in files
            ]
        }

    def _batch(self, objects: list[dict]):
        return {
            "transfer": "basic",
            "objects": [
                {
                    "oid": each["oid"],
                    "size": each["size"],
                    "actions": {"upload": {"href": f"{self.server.url}/lfs/{each['oid']}"}},
                }
                for each in objects
            ],
        }

    def _commit(self, repo: str, kind: str, sent: bytes):
        files = self.server.files(kind, repo)
        for line in sent.splitlines():
            each = json.loads(line)
            value = each["value"]
            match each["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        name = f"{kind.removesuffix('s')} {repo}"
        self.server.commits.append(name)
        place = f"{self.server.url}/{'' if kind == 'models' else kind + '/'}{repo}"
        return {"commitUrl": f"{place}/commit/{'0' * 40}", "commitOid": "0" * 40, "success": True}

    def _lacks(self, kind: str, repo: str, revision: str) -> bool:
        if self.server.files(kind, repo) is None:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", self.server.commit(repo)):
            self._send(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def _api(self, kind: str, repo: str, revision: str, answer, *arguments):
        if not self._lacks(kind, repo, revision):
            self._kind = kind
            self._send(200, answer(repo, *arguments))

    def _file(self, kind: str, repo: str, revision: str, path: str):
        if self._lacks(kind, repo, revision):
            return
        headers = {"X-Repo-Commit": self.server.commit(repo)}
        content = self.server.files(kind, repo).get(path)
        if content is None:
            headers["X-Error-Code"] = "EntryNotFound"
            self._send(404, {"error": "Entry not found"}, headers)
        else:
            self._send(200, content, headers | {"ETag": f'"{_oid(content)}"'})

    def _info(self, repo: str):
        commit, files = self.server.commit(repo), self.server.files(self._kind, repo)
        siblings = [{"rfilename": path} for path in files]
        return {"_id": "0", "id": repo, "sha": commit, "private": False, "siblings": siblings}

    def _tree(self, repo: str, under: str, deep: bool):
        found = {}
        for path, content in self.server.files(self._kind, repo).items():
            if under and not path.startswith(under + "/"):
                continue
            below = path[len(under) + 1 if under else 0 :].split("/")
            for depth in range(1, len(below) + 1 if deep else 2):
                folder = "/".join([under] * bool(under) + below[:depth])
                found[folder] = _entry(folder, content if depth == len(below) else None)
        return list(found.values())

    def _paths(self, repo: str, paths: list[str]):
        files = self.server.files(self._kind, repo)
        return [
            _entry(path, files.get(path))
            for path in paths
            if path in files or any(file.startswith(path + "/") for file in files)
        ]

    def _send(self, status: int, body, headers: dict[str, str] | None = None):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def _entry(path: str, content: bytes | None) -> dict:
    """A file, or a folder where there is no content."""
    if content is None:
        return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}
    return {"type": "file", "path": path, "oid": _oid(content), "size": len(content)}


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
