"""``python -m fuzz``."""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

OUT = Path(__file__).parents[1] / "results" / "safety" / "fuzz.json"


def main() -> int:
    """Read mutants, print the table, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Give mutated files to every reader of wskan.")
    parser.add_argument("--kind", action="append", help="only this one; may be given several times (default: all)")
    parser.add_argument("--count", type=int, default=10_000, help="mutants of each kind")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--seed", type=int, help="read this mutant alone, and show what happens")
    parser.add_argument("--out", type=Path, default=OUT, help="where the table is kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        return _run(asked, Path(name).resolve())


def _run(asked: argparse.Namespace, place: Path) -> int:
    _settle(place)
    import torch

    from fuzz.kinds import KINDS
    from fuzz.report import Report
    from fuzz.templates import make_templates
    from fuzz.worker import alone, run_kind
    from wskan.provenance import provenance

    torch.set_num_threads(1)
    origin, kinds, seeds = provenance(), asked.kind or list(KINDS), range(asked.first, asked.first + asked.count)
    if unknown := set(kinds) - set(KINDS):
        sys.exit(f"no kind {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    _cache_git()
    with contextlib.redirect_stdout(None):
        make_templates(place / "templates")
    if asked.seed is not None:
        alone(kinds[0], asked.seed, place / "templates", place)
        return 0
    report = Report()
    print(report.lines()[0], flush=True)
    for kind in kinds:
        for result in run_kind(kind, seeds, place / "templates", place):
            report.add(kind, result)
        print(*report.lines(kind), sep="\n", flush=True)
    print(f"\nseeds {seeds.start} to {seeds.stop - 1}; broken promises, the first of each sort:")
    print(*(report.examples() or ["none"]), sep="\n")
    report.write(asked.out, origin, seeds)
    return 0 if report.holds else 1


def _settle(place: Path) -> None:
    """Keep libraries from their caches in the home folder, from the network, and from warning."""
    cache = Path.home() / ".cache" / "wskan"
    os.environ.setdefault("WSKAN_CACHE", str(cache))
    os.environ.update(MPLCONFIGDIR=str(place / "matplotlib"), HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1", COLUMNS="200")
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    logging.disable()


def _cache_git() -> None:
    """Ask git once: a mutant of a result would start it five times."""
    from wskan import provenance

    provenance._git = functools.cache(provenance._git)


if __name__ == "__main__":
    sys.exit(main())
