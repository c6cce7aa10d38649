"""The page: chat, and beside it what was asked before, models side by side, and results.

    launch(build(offer, visitors), port=7860)

It asks nothing of any other machine: fonts, scripts and formulas come with Gradio.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import access, chat_tab, compare, results, traces
from .markdown import escaped
from .offer import Offer
from .rules import Rules
from .security import guards
from .settings_panel import panel
from .visitors import Visitors

HERE = Path(__file__).parent
# Read by Gradio when it is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def build(offer: Offer, visitors: Visitors):
    """The page as Gradio blocks."""
    import gradio as gr

    rules = visitors.rules
    with gr.Blocks(
        title=offer.title, fill_height=True, fill_width=True, analytics_enabled=False
    ) as page:
        with gr.Sidebar(open=False, width=300, elem_id="settings"):
            settings = panel(offer)
        gr.Markdown(f"# {escaped(offer.title)}", elem_id="title")
        if access.oauth():
            gr.LoginButton(size="sm", elem_id="sign-in")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("Chat", elem_id="chat-tab"):
                chat_tab.tab(offer, visitors, settings)
            if len(compare.offered(offer)) > 1:
                with gr.Tab("Compare", elem_id="compare-tab"):
                    compare.tab(offer, visitors)
            if offer.runs is not None:
                with gr.Tab("Traces", elem_id="traces-tab"):
                    traces.tab(offer)
            if offer.report is not None:
                with gr.Tab("Results", elem_id="results-tab"):
                    results.tab(offer)
    page.queue(max_size=rules.waiting, default_concurrency_limit=rules.runs)
    return page


def prepare() -> None:
    """Import Gradio now. It takes seconds: fewer where nothing is looked through for garbage meanwhile."""
    import gc

    gc.disable()
    import gradio  # noqa: F401

    gc.enable()


def serve(page, rules: Rules, host: str, port: int) -> None:
    """Open the page, in threads of its own. Raises ValueError where the port is taken."""
    try:
        page.launch(**launching(rules, host), server_port=port, prevent_thread_lock=True)
    except OSError as error:  # Gradio's own sentence is about its settings
        raise ValueError(
            f"Port {port} of {host} cannot be had; name another with --port."
        ) from error


def appearance() -> dict:
    """How the page looks: settings of `launch`."""
    return {
        "css": "".join(
            (HERE / name).read_text(encoding="utf-8") for name in ("page.css", "tabs.css")
        ),
        "js": (HERE / "page.js").read_text(encoding="utf-8"),
        "theme": theme(),
    }


def theme():
    """Gradio's own, calmer; its fonts come with it."""
    import gradio as gr

    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        radius_size="lg",
    )


def launching(rules: Rules = Rules(), host: str = "127.0.0.1") -> dict:  # noqa: B008 - frozen
    """The settings of `launch`: no public link, no telemetry, and a guard at the door."""
    from starlette.middleware import Middleware

    check = access.password_check()
    guarded = check is not None or access.oauth()
    middleware = guards(only_at_home=access.is_loopback(host) and not guarded)
    if check:
        middleware.append(Middleware(access.SlowTries))
    return {
        "server_name": host,
        "auth": check,
        "auth_message": access.sign_in_message(),
        "share": False,
        "show_error": False,
        "quiet": True,
        "max_file_size": rules.upload_bytes,
        "footer_links": [],
        "run_history": False,  # it would record every question in the browser
        "enable_monitoring": False,
        "ssr_mode": False,  # a second process
        "pwa": False,
        "state_session_capacity": rules.visitors,
        "app_kwargs": {"middleware": middleware},
        **appearance(),
    }
