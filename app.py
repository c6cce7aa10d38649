"""The chat page: ask the agent, and see each step as it happens.

    python app.py --model pocket

What a published folder's `agent.json` says is the default of every option. Each visitor has an agent, a sandbox
and a memory of their own; shared are the model's weights and the index. The page is served to this machine
alone, unless --host or GRADIO_SERVER_NAME (a Space sets it) says otherwise; it makes no public link.
"""

from __future__ import annotations

import argparse
import logging
import threading
from contextlib import suppress
from pathlib import Path

import tools
from agents.agent import IMPORTS
from agents.chat import access, page, published
from agents.chat.conversation import Conversation
from agents.chat.options import offered, read_options
from agents.chat.rules import Rules
from agents.chat.visitors import Visitors
from agents.sandbox import SandboxError, SandboxExecutor


def main() -> None:
    ours = logging.getLogger("agents")  # says how code is confined; other libraries say too much
    ours.addHandler(logging.StreamHandler())
    ours.setLevel(logging.INFO)
    parser = argparse.ArgumentParser(description="Chat with a student, step by step.")
    try:
        options = read_options(parser, published.read(Path(__file__).parent))
        print(f"Starting the page of {options.model} ...", flush=True)
        access.check_host(options.host, open_to_all=options.open_to_all)
        if not options.unsafe_local:
            # In processes of its own, and so beside the import of Gradio, which takes longest.
            threading.Thread(target=try_sandbox, daemon=True).start()
        page.prepare()
        offer, rules = offered(options, toolbox(options)), Rules.read(options.rules)
        visitors = Visitors(lambda: Conversation(offer.agent), rules)
        app = page.build(offer, visitors)
        page.serve(app, rules, options.host, options.port)
        print(f"{offer.models[0]} answers on {app.local_url}; Ctrl-C ends it.", flush=True)
        offer.agent().cleanup()  # loads the weights, while the first visitor reads
    except (ValueError, SandboxError, OSError) as error:
        parser.exit(2, f"Error: {error}\n")
    try:
        app.block_thread()
    finally:
        visitors.close()


def try_sandbox() -> None:
    """Have it tried and ready; what is wrong with it is told when the first agent is made."""
    with suppress(SandboxError, OSError):
        SandboxExecutor(IMPORTS).cleanup()


def toolbox(options: argparse.Namespace) -> list:
    """The tools; a student among them has those that it was trained with, over the same index."""

    def student(model: str):
        from agents.as_tool import student_tool, trained_with

        own = tools.compose(trained_with(model), index=options.index)
        return student_tool(model, own, unsafe_local=options.unsafe_local)

    folders = [options.tools_dir] if options.tools_dir else []
    return tools.compose(options.tools, index=options.index, folders=folders, agent=student)


if __name__ == "__main__":
    main()
