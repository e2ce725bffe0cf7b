"""Time runs in turns, fit with pykan, and write results: shared by ``benchmarks`` and ``studies``."""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from wskan.provenance import provenance
from wskan.zoo import Recipe

RESULTS = Path(__file__).parents[1] / "results"


def side_by_side(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each run.

    Runs take turns, so that a busy machine slows all of them alike. A first round does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def resident(field: str) -> float:
    """Return the bytes of memory in use (VmRSS) or the peak (VmHWM) of this process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return 1024 * float(line.split()[1])


def pykan_fit(recipe: Recipe, x: Tensor, y: Tensor, seed: int) -> tuple[Any, float]:
    """Fit a KAN to one target with pykan's own ``fit`` and the settings of a recipe.

    The target is values ``[N, out]`` or labels ``[N]``. Returns the model and the seconds of the fit.
    """
    import kan
    import torch

    spec, fit = recipe.spec, recipe.fit
    model = kan.KAN(
        width=list(spec.widths), grid=spec.grid, k=spec.degree, seed=seed, auto_save=False, symbolic_enabled=False
    )
    data = {"train_input": x, "train_label": y, "test_input": x, "test_label": y}
    loss = torch.nn.CrossEntropyLoss() if fit.loss == "cross_entropy" else None
    begin = time.perf_counter()
    model.fit(data, opt="Adam", steps=fit.steps, lr=fit.lr, batch=fit.batch_size, log=fit.steps, loss_fn=loss)
    return model, time.perf_counter() - begin


def write(name: str, data: dict[str, Any]) -> None:
    """Write ``results/NAME.json``: the data with their provenance."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**provenance(), **data}, indent=1) + "\n")
    print(json.dumps(data, indent=1))
    print(f"written to {path}")
