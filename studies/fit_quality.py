"""Compare the PSNR of wskan's KANs with that of pykan's own `fit`, and measure it for whole zoos.

    python -m studies.fit_quality pykan --data DIR [--kans 64]      # constant rate, as in the paper
    python -m studies.fit_quality zoos --data DIR [--kans 1000]     # each data set, decaying and constant rate

DIR holds the data sets in their publishers' layouts. ``pykan`` takes the same training images and initial weights for
both libraries. Every KAN that pykan has fitted is kept at once, and an interrupted run resumes from there.
"""

import argparse
import dataclasses
import json
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import RESULTS, pykan_fit, write
from wskan.files import write_atomically
from wskan.kan import fit_population, from_pykan
from wskan.signals import psnr
from wskan.zoo import build_zoo, get_recipe
from wskan.zoo.targets import load_targets

REPEATS = 8
ZOOS = ("mnist-inr", "fashion-mnist-inr", "cifar10-inr", "sine-inr")


def summary(values: torch.Tensor) -> dict[str, Any]:
    quantiles = {f"{q:.0%}": round(float(values.quantile(q)), 1) for q in (0.01, 0.1, 0.5, 0.9)}
    return {
        "kans": len(values),
        "mean_db": round(float(values.mean()), 2),
        "standard_error_of_mean_db": round(float(values.std()) / len(values) ** 0.5, 2),
        "share_above_40_db": round(float((values > 40).float().mean()), 4),
        "share_above_50_db": round(float((values > 50).float().mean()), 4),
        "lowest_db": round(float(values.min()), 1),
        "highest_db": round(float(values.max()), 1),
        "quantiles_db": quantiles,
    }


def against_pykan(data: Path, count: int) -> None:
    recipe = dataclasses.replace(get_recipe("mnist-inr-constant"), train=max(count, 1), val=0, test=0)
    targets, seeds = load_targets(recipe, data), recipe.kan_seeds(range(count)) % 2**31
    values = targets.values(range(count))
    # At a constant rate the PSNR of one KAN varies by 10 dB between seeds, so ours are fitted REPEATS times, the first
    # time with pykan's initial weights.
    ours = torch.stack(
        [
            psnr(fit_population(recipe.spec, targets.inputs, values, seeds + repeat, recipe.fit).loss)
            for repeat in range(REPEATS)
        ]
    )
    kept = RESULTS / "studies" / "fit_quality_pykan_kans.json"
    before = json.loads(kept.read_text()) if kept.exists() else {}
    theirs: list[tuple[float, float]] = (
        before["kans"] if before.get("recipe") == recipe.digest else []
    )  # PSNR, and how far our forward is from pykan's
    x = targets.inputs
    for index in range(len(theirs), count):
        model, _ = pykan_fit(recipe, x, values[index], int(seeds[index]))
        with torch.no_grad():
            output = model(x)
            difference = float((from_pykan(model)(x)[0] - output).abs().max())
            theirs.append((float(psnr((output - values[index]).square().mean())), difference))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, lambda path: path.write_text(json.dumps({"recipe": recipe.digest, "kans": theirs})))
    write(
        "studies/fit_quality_pykan",
        {
            "recipe": recipe.to_dict(),
            "wskan": summary(ours.flatten().float()),
            "wskan_each_repeat": [summary(row.float()) for row in ours],
            "pykan": summary(torch.tensor([value for value, _ in theirs[:count]])),
            "largest_difference_of_forward": max(difference for _, difference in theirs[:count]),
            "psnr_db": {
                "wskan": [[round(float(v), 2) for v in row] for row in ours],
                "pykan": [round(value, 2) for value, _ in theirs[:count]],
            },
        },
    )


def zoos(data: Path, count: int) -> None:
    path = RESULTS / "studies" / "fit_quality_zoos.json"
    before: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found: dict[str, Any] = {}
    for name in ZOOS:
        for suffix, size in (("", count), ("-constant", 64)):
            recipe = dataclasses.replace(get_recipe(name + suffix), train=size, val=0, test=0)
            asked = {"kans": size, "fit": recipe.fit.to_dict(), "spec": recipe.spec.to_dict(), "seed": recipe.seed}
            entry = before.get(recipe.name, {})
            if {key: entry.get(key) for key in asked} == json.loads(json.dumps(asked)):  # measured already
                found[recipe.name] = {"commit": before["commit"], **entry}
                continue
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                zoo = build_zoo(recipe, Path(folder) / "zoo", data_root=data)
                found[recipe.name] = {
                    **summary(zoo.columns["psnr"]),
                    "retried": int((zoo.columns["attempts"] > 0).sum()),
                }
                found[recipe.name] |= {
                    "seconds": round(time.perf_counter() - begin, 1),
                    "fit": recipe.fit.to_dict(),
                    "spec": recipe.spec.to_dict(),
                    "seed": recipe.seed,
                }
            print(
                name + suffix,
                {key: found[recipe.name][key] for key in ("mean_db", "share_above_40_db", "lowest_db", "seconds")},
                flush=True,
            )
            write("studies/fit_quality_zoos", found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pykan", "zoos"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kans", type=int)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    if arguments.what == "pykan":
        torch.set_num_threads(1)
        against_pykan(arguments.data, arguments.kans or 64)
    else:
        zoos(arguments.data, arguments.kans or 1000)


if __name__ == "__main__":
    main()
