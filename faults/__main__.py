"""``python -m faults``: run the scenarios, print a table, keep it as JSON; exit code 1 where a promise broke."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from faults.lab import Lab, can_mount
from faults.scenario import SCENARIOS, Scenario, Verdict

GROUPS = ("kills", "disks", "read_only", "races", "signals", "damage", "links")  # files of scenarios
RESULT = Path(__file__).parents[1] / "results" / "safety" / "faults.json"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("words", nargs="*", help="only scenarios whose file or name holds one of these words")
    parser.add_argument("--scale", type=float, default=1, help="of repetitions (1: 50 kills of a build)")
    parser.add_argument("--quick", action="store_true", help="only those that CI runs, each as seldom as makes sense")
    parser.add_argument("--seed", type=int, default=0, help="of random moments")
    parser.add_argument("--out", type=Path, help=f"write JSON here (default for all scenarios: {RESULT.name})")
    parser.add_argument("--list", action="store_true", help="only list the scenarios")
    return parser.parse_args()


def take_mounts() -> None:
    """Start again in a mount namespace of our own, if that is allowed. Small disks then vanish with this process."""
    if "FAULTS_MOUNTS" in os.environ or not shutil.which("unshare"):
        return
    for unshare in (
        ["unshare", "--mount", "--propagation", "private"],
        ["unshare", "--user", "--map-root-user", "--mount"],
    ):
        probe = [*unshare, "sh", "-c", "mount -t tmpfs faults /mnt"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            command = [*unshare, sys.executable, "-m", "faults", *sys.argv[1:]]
            os.execvpe(command[0], command, os.environ | {"FAULTS_MOUNTS": "yes"})


def attempt(scenario: Scenario, lab: Lab) -> dict[str, Any]:
    """Run a scenario: a row of the table."""
    begin = time.perf_counter()
    verdict: Verdict = scenario.run(lab)
    outcome = "skipped" if verdict.skipped else "BROKEN" if verdict.broken else "kept"
    row = {
        "group": scenario.group,
        "scenario": scenario.name,
        "promised": scenario.promised,
        "happened": verdict.happened.replace(str(lab.root), "LAB"),
        "outcome": outcome,
        "broken": [line.replace(str(lab.root), "LAB") for line in dict.fromkeys(verdict.broken)],
        "seconds": round(time.perf_counter() - begin, 1),
    }
    print(f"{outcome:8}{row['seconds']:6.1f} s  {scenario.group}: {scenario.name}: {verdict.happened}", flush=True)
    for line in row["broken"][:5]:
        print(f"{'':18}{line}", flush=True)
    return row


def main() -> None:
    """Run what was asked for."""
    arguments = parse()
    for group in GROUPS:
        importlib.import_module(f"faults.{group}")
    chosen = [s for s in SCENARIOS if (s.quick or not arguments.quick) and _wanted(s, arguments.words)]
    if arguments.list:
        print("\n".join(f"{s.group}: {s.name}: {s.promised}" for s in chosen))
        return
    take_mounts()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through everything that cleans up
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        lab = Lab(Path(folder).resolve(), scale=arguments.scale, quick=arguments.quick, seed=arguments.seed)
        try:
            rows = [attempt(scenario, lab) for scenario in chosen]
        finally:
            lab.close()
    broken = sum(row["outcome"] == "BROKEN" for row in rows)
    kept = sum(row["outcome"] == "kept" for row in rows)
    print(
        f"{kept} kept, {broken} broken, {len(rows) - kept - broken} skipped, "
        f"{sum(row['seconds'] for row in rows):.0f} s"
    )
    whole = not arguments.words and not arguments.quick
    if out := arguments.out or (RESULT if whole else None):
        disks = "mounted" if can_mount() else "a stand-in, see faults/quota.py"
        head = {"scale": arguments.scale, "seed": arguments.seed, "disks": disks, "kept": kept, "broken": broken}
        _write(out, {**head, "rows": rows})
    sys.exit(1 if broken else 0)


def _wanted(scenario: Scenario, words: list[str]) -> bool:
    return not words or any(word in f"{scenario.group}: {scenario.name}" for word in words)


def _write(path: Path, data: dict[str, Any]) -> None:
    from wskan.provenance import provenance

    path.write_text(json.dumps({**provenance(), **data}, indent=1) + "\n")


if __name__ == "__main__":
    main()
