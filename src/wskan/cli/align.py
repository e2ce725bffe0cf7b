"""The command ``wskan align``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from torch import Tensor

    from wskan.kan import Population
    from wskan.zoo import Zoo
    from wskan.zoo.inr import Signals
    from wskan.zoo.targets import Targets

LOSS_POINTS, IMAGE_POINTS = 41, 5  # on the line between the KANs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Align:
    """Permute the hidden neurons of a KAN so that its parameters come close to those of another (paper, appendix D).
    `wskan zoo align` aligns a whole zoo."""

    a: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    """The reference KAN, given by the folder of its zoo and its row: zoos/mnist:12."""
    b: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="B")] = None
    """The KAN to align to A. By default a new KAN is trained on the same data as A."""
    reseed: int = 1
    """Random seed of the new KAN, for its initial weights and mini-batches."""
    plot: Path | None = None
    """Save a figure of the KANs on the straight line between A and B to this file (needs the extra 'plot')."""
    data: Path | None = None
    """Folder with the data sets (default: the environment variable WSKAN_DATA, else ~/.cache/wskan)."""

    def run(self) -> None:
        from rich.console import Console
        from rich.table import Table

        from wskan.align import weight_matching
        from wskan.plotting.figure import require_matplotlib
        from wskan.printing import markup
        from wskan.zoo.targets import load_signals, load_targets

        if self.plot:
            require_matplotlib()
        zoo, row = _open_kan(self.a)
        other, other_row = _open_kan(self.b) if self.b else (zoo, row)
        a, signals = zoo.population(row), load_signals(zoo.recipe, self.data) if self.plot else None
        if self.b:
            b = other.population(other_row)
        else:
            b = _train_again(zoo, row, signals or load_targets(zoo.recipe, self.data), self.reseed)
        matching = weight_matching(b, a)
        before, after = float(matching.distance_before), float(matching.distance_after)
        orders = [order[0].tolist() for order in matching.permutation.orders]
        moved = [f"{sum(new != old for new, old in enumerate(order))} of {len(order)}" for order in orders]
        rows = {
            "A": self.a,
            "B": self.b or f"trained on the same data as A, reseed {self.reseed}",
            "neurons moved": ", ".join(moved) + " (per hidden layer)",
            "squared distance": f"{before:.4g} before, {after:.4g} after ({after / before - 1:+.0%})"
            if before
            else "0",
            "sweeps": len(matching.objective) - 1,
        }
        if self.plot and signals is not None:
            values = {"first": signals.values(row), "last": load_signals(other.recipe, self.data).values(other_row)}
            rows |= _draw(a, {"not aligned": b, "aligned": matching.aligned}, signals, values, self.plot)
        table = Table(show_header=False, box=None)
        for name, value in rows.items():
            table.add_row(f"[bold]{name}", markup(value))
        Console().print(table)


def _open_kan(text: str) -> tuple[Zoo, Tensor]:
    """Parse ``FOLDER:ROW`` to the zoo and the row, ``[1]``."""
    import torch

    from wskan.errors import DataError
    from wskan.zoo import open_zoo

    folder, _, number = text.rpartition(":")
    if not folder or not number.isdecimal():
        raise DataError(f"{text!r} is not a KAN; name the folder of its zoo and its row, as in zoos/mnist:12")
    zoo = open_zoo(folder)
    if int(number) >= len(zoo):
        raise DataError(f"{folder} has no KAN {number}; its {len(zoo):,} KANs are numbered from 0")
    return zoo, torch.tensor([int(number)])


def _train_again(zoo: Zoo, row: Tensor, targets: Targets, reseed: int) -> Population:
    from wskan.kan import derive_seed, fit_population

    seeds = derive_seed(zoo.columns["seed"][row], 1000 + reseed)  # distinct from the seeds of retries
    return fit_population(zoo.spec, targets.inputs, targets.values(row), seeds, zoo.recipe.fit).population


def _draw(
    a: Population, lines: dict[str, Population], signals: Signals, values: dict[str, Tensor], path: Path
) -> dict[str, str]:
    """Draw the line from each KAN to A, and return table rows about it.

    Targets are interpolated between the two signals like the parameters.
    """
    import torch

    from wskan.align import interpolate, interpolation_loss
    from wskan.errors import DataError
    from wskan.plotting.kans import interpolation
    from wskan.signals import psnr

    first, last = values["first"], values["last"]
    if first.shape != last.shape:
        raise DataError(
            f"the signals of A and B have shapes {list(first.shape)} and {list(last.shape)}; "
            "choose KANs of signals of one shape"
        )
    t, shown = torch.linspace(0, 1, LOSS_POINTS), torch.linspace(0, 1, IMAGE_POINTS)
    between = torch.lerp(first, last, t.view(-1, 1, 1))  # [T, pixels, channels]
    loss = {name: interpolation_loss(a, b, signals.inputs, between, t) for name, b in lines.items()}
    quality = {name: psnr(error, signals.peak) for name, error in loss.items()}
    low = 1 - signals.peak  # 0 for images, -1 for waves
    images = {
        name: (interpolate(a, b, shown)(signals.inputs).view(IMAGE_POINTS, *signals.shape) - low) / signals.peak
        for name, b in lines.items()
    }
    interpolation(t, quality, images, shown, "On the straight line between the parameters of two KANs", path)
    rows = {}
    for name in lines:
        worst, error = float(quality[name].min()), float(loss[name].max())
        rows[f"worst on the line, {name}"] = f"{worst:.1f} dB (squared error {error:.3g})"
    return {**rows, "figure": str(path)}
