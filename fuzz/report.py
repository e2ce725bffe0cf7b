"""The table of kinds by outcomes, and the file that keeps it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz.judge import OUTCOMES
from fuzz.worker import Result

KEPT = ("fine", "refused")  # promises


class Report:
    """Counts outcomes, and keeps the first mutant of every sort of broken promise."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.seconds: Counter[str] = Counter()
        self.broken: dict[tuple[str, str, str], dict[str, Any]] = {}

    def add(self, kind: str, result: Result) -> None:
        """Count one mutant."""
        outcome = result.outcome
        self.counts.setdefault(kind, Counter())[outcome.name] += 1
        self.seconds[kind] += result.seconds  # type: ignore[assignment]
        if outcome.name not in KEPT:
            first = {"kind": kind, "seed": result.seed, "outcome": outcome.name, "why": outcome.why}
            sort = (kind, outcome.name, re.split("[:;] ", outcome.why)[0])
            entry = self.broken.setdefault(sort, {**first, "changed": result.changed, "times": 0})
            entry["times"] += 1

    @property
    def holds(self) -> bool:
        """Return whether no promise was broken."""
        return not self.broken

    def lines(self, kind: str | None = None) -> list[str]:
        """The table, or one row of it."""
        head = f"{'kind':13}" + "".join(f"{name:>11}" for name in OUTCOMES) + f"{'ms each':>9}"
        rows = [
            f"{name:13}"
            + "".join(f"{counts[outcome] or '':>11}" for outcome in OUTCOMES)
            + f"{1e3 * self.seconds[name] / counts.total():9.1f}"
            for name, counts in self.counts.items()
            if kind in (None, name)
        ]
        return [head, *rows] if kind is None else rows

    def examples(self) -> list[str]:
        """The first mutant of every sort of broken promise."""
        return [
            f"{e['kind']} --seed {e['seed']} ({e['times']} times) {e['outcome']}: {e['why']} [{e['changed']}]".encode(
                "unicode_escape"
            ).decode()
            for e in self.broken.values()
        ]

    def write(self, path: Path, origin: dict[str, Any], seeds: range) -> None:
        """Keep it as JSON."""
        data = {
            **origin,
            "seeds": [seeds.start, seeds.stop],
            "counts": {kind: {name: counts[name] for name in OUTCOMES} for kind, counts in self.counts.items()},
            "milliseconds": {k: round(1e3 * s / self.counts[k].total(), 1) for k, s in self.seconds.items()},
            "broken": list(self.broken.values()),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1) + "\n")
