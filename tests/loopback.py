"""A server on loopback that speaks /v1/chat/completions, with the habits that real ones differ in."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FLAGS = {"add_generation_prompt", "continue_final_message"}


class ChatServer(ThreadingHTTPServer):
    """It replays `replies`, a text per choice (the last repeats), or a (status, text) per request.

    unfinished: what it does with an unfinished last turn: "continue" if told so, "always" continue,
        "ignore" the flags, or "refuse" them. choices: how many a request may bring: None for as many as
        asked for; "refuse" answers 400 to more than one. counts: whether it counts the prompt's tokens.
    breaks_after: words of a stream after which it hangs up. hold: it waits for this event after a stream's
        first word. gone: set when whoever read a stream has hung up.
    """

    request_queue_size = 128

    def __init__(self, *replies):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.bodies, self.probes = list(replies), [], []
        self.unfinished, self.choices, self.counts = "continue", None, True
        self.breaks_after: int | None = None
        self.gone = threading.Event()
        self.hold: threading.Event | None = None
        self.address = f"http://127.0.0.1:{self.server_port}/v1"
        self.name = f"{self.address}#student"
        self._lock, self._given = threading.Lock(), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, body: dict) -> tuple[int, dict]:
        with self._lock:
            (self.probes if body.get("max_tokens") == 1 else self.bodies).append(body)
            n = body.get("n", 1)
            if self.unfinished == "refuse" and FLAGS & set(body):
                return 422, {"detail": f"Unexpected fields in the request: {FLAGS & set(body)}"}
            if self.choices == "refuse" and n > 1:
                return 400, {"error": {"message": "Only one completion choice is allowed."}}
            most = self.choices if isinstance(self.choices, int) else n
            texts = [
                "x" if body.get("max_tokens") == 1 else self._next() for _ in range(min(n, most))
            ]
        if isinstance(texts[0], tuple):
            return texts[0][0], {"error": {"message": texts[0][1]}}
        prompt, written = len(self.rendered(body)), sum(len((text or "").split()) for text in texts)
        return 200, {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {
                    "index": i,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
                for i, text in enumerate(texts)
            ],
            "usage": {
                "prompt_tokens": prompt if self.counts else 0,
                "completion_tokens": written,
                "total_tokens": prompt + written,
            },
        }

    def rendered(self, body: dict) -> list[str]:
        """The prompt as its model would see it, a word a token."""
        words = []
        for message in body["messages"]:
            words += ["<|im_start|>", message["role"], *message["content"].split(), "<|im_end|>"]
        told = body.get("continue_final_message") and self.unfinished == "continue"
        if told or (self.unfinished == "always" and body["messages"][-1]["role"] == "assistant"):
            return words[:-1]
        return [*words, "<|im_start|>", "assistant"]

    def _next(self):
        self._given += 1
        return self.replies[min(self._given, len(self.replies)) - 1]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self.server.answer(body)
        if body.get("stream") and status == 200:
            self._stream(answer)
            return
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, answer: dict) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        [choice] = answer["choices"]
        try:
            for i, word in enumerate(re.findall(r"\s*\S+\s*", choice["message"]["content"])):
                if i == self.server.breaks_after:
                    return
                self._event(answer, {"delta": {"content": word}, "finish_reason": None})
                while i == 0 and self.server.hold and not self.server.hold.wait(0.05):
                    self._event(answer, {"delta": {}, "finish_reason": None})
            self._event(answer, {"delta": {}, "finish_reason": choice["finish_reason"]})
            self._send({**answer, "choices": []})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.gone.set()

    def _event(self, answer: dict, choice: dict) -> None:
        self._send({**answer, "choices": [{"index": 0, **choice}], "usage": None})

    def _send(self, chunk: dict) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_):
        pass
