"""The end of a run that somebody stopped."""


class Cancelled(BaseException):
    """Not an Exception: smolagents would take that for the model's or the server's fault."""
