"""Copy a demo's agent student and its encyclopedia to where `load_model("pocket")` finds them.

python -m distill.pocket.ship runs/demo
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tools.retrieval import write_passages

from . import world

HERE = Path(__file__).parent


def ship(demo: Path, seed: int = 0) -> None:
    """The adapter alone, on the base that stands beside it; and the test side's articles."""
    source, target = demo / "student-agent", HERE / "student"
    target.mkdir(exist_ok=True)
    config = json.loads((source / "adapter_config.json").read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = "../base"
    (target / "adapter_config.json").write_text(
        json.dumps(config, indent=1) + "\n", encoding="utf-8"
    )
    shutil.copy2(source / "adapter_model.safetensors", target)
    write_passages(world.passages("test", seed), HERE / "encyclopedia" / "passages.jsonl")


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
