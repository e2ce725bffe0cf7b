"""``wskan align``."""

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

POINTS, SHOWN = 41, 5  # on the line between the KANs, and pictures of them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Align:
    """Permute the hidden neurons of a KAN so that its parameters come close to those of another (paper, appendix D). A whole zoo: `wskan zoo align`."""

    a: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="A")]
    """A KAN, as folder of its zoo and row: zoos/mnist:12."""
    b: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="B")] = None
    """The KAN to be aligned to it. Left out, a second KAN is trained on what A was trained on."""
    reseed: int = 1
    """Which second KAN: another number, other initial weights and mini-batches."""
    plot: Path | None = None
    """Draw what lies between the KANs, before and after, as a picture (needs the extra 'plot')."""
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
        zoo, row = _kan(self.a)
        other, other_row = _kan(self.b) if self.b else (zoo, row)
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
            "B": self.b or f"trained on what A was trained on, reseed {self.reseed}",
            "neurons moved": ", ".join(moved) + " (each hidden layer)",
            "squared distance": f"{before:.4g} before, {after:.4g} after ({after / before - 1:+.0%})"
            if before
            else "0",
            "sweeps": len(matching.objective) - 1,
        }
        if self.plot and signals is not None:
            values = {"first": signals.values(row), "last": load_signals(other.recipe, self.data).values(other_row)}
            rows |= _draw(a, {"as they are": b, "aligned": matching.aligned}, signals, values, self.plot)
        table = Table(show_header=False, box=None)
        for name, value in rows.items():
            table.add_row(f"[bold]{name}", markup(value))
        Console().print(table)


def _kan(text: str) -> tuple[Zoo, Tensor]:
    """``FOLDER:ROW`` as zoo and row ``[1]``."""
    import torch

    from wskan.errors import DataError
    from wskan.zoo import open_zoo

    folder, _, number = text.rpartition(":")
    if not folder or not number.isdecimal():
        raise DataError(f"{text!r} is not a KAN: name the folder of its zoo and its row, as in zoos/mnist:12")
    zoo = open_zoo(folder)
    if int(number) >= len(zoo):
        raise DataError(f"{folder} has no KAN {number}, its {len(zoo):,} are numbered from 0")
    return zoo, torch.tensor([int(number)])


def _train_again(zoo: Zoo, row: Tensor, targets: Targets, reseed: int) -> Population:
    from wskan.kan import derive_seed, fit_population

    seeds = derive_seed(zoo.columns["seed"][row], 1000 + reseed)  # far from the streams of KANs that diverged
    return fit_population(zoo.spec, targets.inputs, targets.values(row), seeds, zoo.recipe.fit).population


def _draw(
    a: Population, lines: dict[str, Population], signals: Signals, values: dict[str, Tensor], path: Path
) -> dict[str, str]:
    """The picture; returns what there is to say of each line. Between KANs of two signals the target goes over from one to the other as the parameters do."""
    import torch

    from wskan.align import interpolate, interpolation_loss
    from wskan.errors import DataError
    from wskan.plotting.kans import interpolation
    from wskan.signals import psnr

    first, last = values["first"], values["last"]
    if first.shape != last.shape:
        raise DataError(f"the signals of A and B have shapes {list(first.shape)} and {list(last.shape)}: nothing lies between them")  # fmt: skip
    t, shown = torch.linspace(0, 1, POINTS), torch.linspace(0, 1, SHOWN)
    between = torch.lerp(first, last, t.view(-1, 1, 1))  # [T, pixels, channels]
    loss = {name: interpolation_loss(a, b, signals.inputs, between, t) for name, b in lines.items()}
    quality = {name: psnr(error, signals.peak) for name, error in loss.items()}
    low = 1 - signals.peak  # 0 for images, -1 for waves
    images = {
        name: (interpolate(a, b, shown)(signals.inputs).view(SHOWN, *signals.shape) - low) / signals.peak
        for name, b in lines.items()
    }
    interpolation(t, quality, images, shown, "On the straight line between the parameters of two KANs", path)
    worst = {
        f"worst between, {name}": f"{float(quality[name].min()):.1f} dB (squared error {float(loss[name].max()):.3g})"
        for name in lines
    }
    return {**worst, "picture": str(path)}
