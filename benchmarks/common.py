"""What the benchmarks share: taking times side by side, and keeping the results."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wskan.provenance import provenance

RESULTS = Path(__file__).parent / "results"


def side_by_side(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turns so that a busy machine hits all alike; one round beforehand does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def write(name: str, data: dict[str, Any]) -> None:
    """Keep a result with its provenance."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**provenance(), **data}, indent=1) + "\n")
    print(json.dumps(data, indent=1))
    print(f"written to {path}")
