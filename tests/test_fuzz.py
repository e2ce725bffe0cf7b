"""Mutated files of every kind are read or rejected in one clear line (see ``fuzz/``, and ``make fuzz`` for more)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLOW = ("last", "best")  # a run goes on for each mutant, which takes a fifth of a second: fewer of them
FAST = (
    *("manifest", "recipe", "shard", "oracle", "align", "run", "curve", "config", "model"),
    *("alignment", "permutations", "result", "measured", "idx", "cifar", "population"),
)


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: children are forked, which warns where threads run."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT)))}
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1_200)


@pytest.mark.skipif(sys.platform != "linux", reason="bounds and measures memory through /proc")
@pytest.mark.parametrize(("kinds", "count"), [(FAST, 300), (SLOW, 60)], ids=["fast", "slow"])
def test_every_reader_reads_or_refuses(kinds: tuple[str, ...], count: int, tmp_path: Path) -> None:
    names = [word for kind in kinds for word in ("--kind", kind)]
    ended = fuzz(*names, "--count", str(count), "--out", str(tmp_path / "fuzz.json"))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    data = json.loads((tmp_path / "fuzz.json").read_text())
    idle = [kind for kind, found in data["counts"].items() if not found["fine"] or not found["refused"]]
    assert not idle  # mutants that are all refused, or all read, would test nothing
