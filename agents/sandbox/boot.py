"""Start the fork server: `python -I boot.py DESCRIPTOR CONFIG`, with an empty environment.

Loads what it needs of smolagents and of this project and no more: a package's `__init__` would bring in
model clients and page makers, which every sandboxed process would then carry.
"""

import json
import sys
import types


def bare(name: str, path: str, **attributes) -> None:
    """A package of which only the modules asked for are run, not its `__init__`."""
    package = types.ModuleType(name)
    package.__path__ = [path]
    vars(package).update(attributes)
    sys.modules[name] = package


if __name__ == "__main__":
    config = json.loads(sys.argv[2])
    sys.path += [path for path in config["path"] if path not in sys.path]
    bare("agents", config["agents"])
    bare("agents.sandbox", config["agents"] + "/sandbox")
    bare("smolagents", config["smolagents"])
    # The interpreter names the class of tools in annotations alone.
    bare("smolagents.tools", config["smolagents"], Tool=object)

    from agents.sandbox.server import Server

    Server(int(sys.argv[1]), config).serve()
