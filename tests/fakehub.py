"""A Hugging Face Hub on loopback that serves datasets to `datasets.load_dataset`: no uploads, no models.

with FakeHub({"me/set": {"data.jsonl": b"..."}}) as hub:
    subprocess.run(..., env=hub.environment(cache))
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit


class FakeHub(ThreadingHTTPServer):
    """repos: per name the files of a dataset. Every revision that `revisions` has for it is the same files.

    asked: what was requested, as "GET /api/...", in order.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, repos: dict[str, dict[str, bytes]], revisions: dict[str, str] | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos, self.revisions, self.asked = repos, revisions or {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """This process's, with this server for the Hub and `home` for its cache."""
        return os.environ | {"HF_ENDPOINT": self.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}

    def commit(self, repo: str) -> str:
        return self.revisions.get(repo) or hashlib.sha1(repo.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeHub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        url = urlsplit(self.path)
        self.server.asked.append(f"{self.command} {self.path}")
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        match parts:
            case ["datasets", owner, name, "resolve", revision, *path]:
                self._file(f"{owner}/{name}", revision, "/".join(path))
            case ["api", "datasets", owner, name, "revision", revision]:
                self._api(f"{owner}/{name}", revision, self._info)
            case ["api", "datasets", owner, name]:
                self._api(f"{owner}/{name}", "main", self._info)
            case ["api", "datasets", owner, name, "tree", revision, *path]:
                deep = parse_qs(url.query).get("recursive", ["false"])[0].lower() == "true"
                self._api(f"{owner}/{name}", revision, self._tree, "/".join(path), deep)
            case _:
                self._send(404, {"error": f"nothing at {url.path}"})

    def do_POST(self):
        self.server.asked.append(f"{self.command} {self.path}")
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]:
            case ["api", "datasets", owner, name, "paths-info", revision]:
                form = "json" not in self.headers.get("Content-Type", "")
                paths = parse_qs(sent.decode())["paths"] if form else json.loads(sent)["paths"]
                self._api(f"{owner}/{name}", revision, self._paths, paths)
            case _:
                self._send(404, {"error": "no such route"})

    def _lacks(self, repo: str, revision: str) -> bool:
        if repo not in self.server.repos:
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", self.server.commit(repo)):
            self._send(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        else:
            return False
        return True

    def _api(self, repo: str, revision: str, answer, *arguments):
        if not self._lacks(repo, revision):
            self._send(200, answer(repo, *arguments))

    def _file(self, repo: str, revision: str, path: str):
        if self._lacks(repo, revision):
            return
        headers = {"X-Repo-Commit": self.server.commit(repo)}
        content = self.server.repos[repo].get(path)
        if content is None:
            headers["X-Error-Code"] = "EntryNotFound"
            self._send(404, {"error": "Entry not found"}, headers)
        else:
            self._send(200, content, headers | {"ETag": f'"{_oid(content)}"'})

    def _info(self, repo: str):
        commit, files = self.server.commit(repo), self.server.repos[repo]
        siblings = [{"rfilename": path} for path in files]
        return {"_id": "0", "id": repo, "sha": commit, "private": False, "siblings": siblings}

    def _tree(self, repo: str, under: str, deep: bool):
        found = {}
        for path, content in self.server.repos[repo].items():
            if under and not path.startswith(under + "/"):
                continue
            below = path[len(under) + 1 if under else 0 :].split("/")
            for depth in range(1, len(below) + 1 if deep else 2):
                folder = "/".join([under] * bool(under) + below[:depth])
                found[folder] = _entry(folder, content if depth == len(below) else None)
        return list(found.values())

    def _paths(self, repo: str, paths: list[str]):
        files = self.server.repos[repo]
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
