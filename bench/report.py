"""How long a report of the paper's extent takes to make, and its page to open.

    python -m bench.report

SIMULATED runs (bench/study.py) of four rows and a teacher on eight benchmarks of 500 problems. There is no
other program to set beside it: the numbers are absolute, with the machine named. A page is opened in headless
Chromium, fresh each time, where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from distill.report import report

from .common import milliseconds, write
from .study import COUNTS, write_study

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TIMINGS = """new Promise(done => setTimeout(() => {
  const page = performance.getEntriesByType("navigation")[0];
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  done(JSON.stringify({painted: paint ? paint.startTime : null, interactive: page.domInteractive,
                       loaded: page.loadEventEnd}));
}, 500))"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=500, help="of each of the eight benchmarks")
    parser.add_argument("--times", type=int, default=3, help="reports made; the median counts")
    parser.add_argument("--opened", type=int, default=7, help="times the page is opened")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("writing the simulated runs", file=sys.stderr)
        *folders, teacher = write_study(
            Path(folder) / "runs", counts=dict.fromkeys(COUNTS, options.problems), sizes=("0.5B",)
        )
        out = Path(folder) / "report"
        every = [*folders, teacher]
        size = sum((run / "rollouts.jsonl").stat().st_size for run in every)
        measured: dict = {
            "rows": len(every),
            "rollouts": len(every) * len(COUNTS) * options.problems,
            "megabytes of rollouts": round(size / 1e6, 1),
        }
        times = milliseconds(lambda: report(folders, out, teachers=[teacher]), options.times)
        page = out / "report.html"
        measured["report, seconds"] = round(statistics.median(times) / 1000, 2)
        measured["report, seconds, each"] = [round(t / 1000, 2) for t in times]
        measured["page, megabytes"] = round(page.stat().st_size / 1e6, 2)
        measured |= opening(page, options.opened)
    for name, value in measured.items():
        print(f"{name:32}{value}")
    print(f"written to {write('report', measured)}")


def opening(page: Path, times: int) -> dict:
    """Median milliseconds from the navigation to the first paint, the parsed page and the end of loading."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"The page was not opened: none of {', '.join(BROWSERS)} is here.")
        return {}
    version = subprocess.run([browser, "--version"], capture_output=True, text=True).stdout.strip()
    found = [open_once(browser, page) for _ in range(times)]
    medians = {}
    for name in ("painted", "interactive", "loaded"):
        values = [timing[name] for timing in found if timing[name] is not None]
        medians[name] = round(statistics.median(values), 1) if values else None
    return {"browser": version, "page, milliseconds until": medians}


def open_once(browser: str, page: Path) -> dict[str, float | None]:
    """The page's own clock, in a browser that has just been started."""
    with devtools(browser) as ask:
        target = ask("Target.createTarget", url="about:blank")["targetId"]
        session = ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        ask("Page.enable", session)
        ask("Page.navigate", session, url=page.resolve().as_uri())
        ask.until("Page.loadEventFired")
        reply = ask("Runtime.evaluate", session, expression=TIMINGS, awaitPromise=True)
        return json.loads(reply["result"]["value"])


class Asking:
    """Chromium's DevTools protocol over a socket: call it with a method and what it takes."""

    def __init__(self, socket):
        self.socket, self.ids, self.events = socket, count(1), []

    def __call__(self, method: str, session: str | None = None, /, **parameters) -> dict:
        number = next(self.ids)
        asked = {"id": number, "method": method, "params": parameters}
        self.socket.send(json.dumps(asked | ({"sessionId": session} if session else {})))
        while (told := self._told()).get("id") != number:
            self.events.append(told.get("method"))
        if "error" in told:
            raise RuntimeError(f"Chromium refuses {method}: {told['error']['message']}")
        return told["result"]

    def until(self, event: str) -> None:
        while event not in self.events:
            self.events.append(self._told().get("method"))

    def _told(self) -> dict:
        return json.loads(self.socket.recv(timeout=120))


@contextmanager
def devtools(browser: str) -> Iterator[Asking]:
    from websockets.sync.client import connect  # came with gradio

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium does not start as root else
        process = subprocess.Popen(
            [browser, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}",
             "--no-first-run", "--disable-gpu", *root, "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            port, path = _address(Path(profile) / "DevToolsActivePort")
            with connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None) as socket:
                yield Asking(socket)
        finally:
            process.terminate()
            process.wait(30)


def _address(file: Path) -> list[str]:
    """The port and path that the browser writes down when it listens."""
    for _ in range(600):
        if file.is_file() and len(lines := file.read_text().split()) == 2:
            return lines
        time.sleep(0.05)
    raise RuntimeError("Chromium does not start.")


if __name__ == "__main__":
    main()
