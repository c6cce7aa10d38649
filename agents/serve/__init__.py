"""The agent behind the OpenAI protocol: other chat pages and programs ask it as they would ask a model."""

from .server import make_app

__all__ = ["make_app"]
