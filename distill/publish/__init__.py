"""Carry a student elsewhere: a folder that runs by itself, and with cards the repositories of a Hub.

rendering.py makes the folders, scan.py looks for what must not leave this machine, plan.py says what would be
published, hub.py uploads it.
"""

from .material import Wanted
from .publishing import publish

__all__ = ["Wanted", "publish"]
