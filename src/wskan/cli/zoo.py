"""``wskan zoo recipes|build|info|verify|align``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipes:
    """List the recipes: architecture, basis and number of the KANs that each trains."""

    def run(self) -> None:
        from rich.console import Console
        from rich.table import Table

        from wskan.printing import markup
        from wskan.zoo import RECIPES

        table = Table("recipe", "KANs", "basis", "train / val / test", box=None)
        for name, recipe in RECIPES.items():
            counts = " / ".join(f"{count:,}" for count in (recipe.train, recipe.val, recipe.test))
            table.add_row(name, markup(list(recipe.spec.widths)), recipe.spec.basis, counts)
        Console().print(table)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Build:
    """Train the KANs of a recipe, or finish a zoo that was interrupted."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Name of a recipe; `wskan zoo recipes` lists them."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Where the zoo is to lie."""
    train: int | None = None
    """Training KANs, if not as many as the recipe says."""
    val: int | None = None
    """Validation KANs."""
    test: int | None = None
    """Test KANs."""
    seed: int | None = None
    """Seed that every random number derives from. Classifiers of one seed are the same in zoos of whatever counts: for fresh ones take another."""
    storage: Literal["float32", "float16"] | None = None
    """Classifiers: precision of weights on disk."""
    score: Literal["attribution", "activation"] | None = None
    """Classifiers: what the oracle says an edge is worth, pykan's attribution or the mean |activation| of its older releases."""
    threshold: float | None = None
    """Classifiers: the oracle keeps edges that score more; 0.01 if not given."""
    scores: bool = False
    """Classifiers: keep the oracle's scores of all edges, not its masks alone, for the task pruning-scores."""
    engine: Literal["auto", "kernel", "torch", "compile"] = "auto"
    """What trains: the C++ kernel, PyTorch, or PyTorch under torch.compile."""
    device: str | None = None
    """Device of the PyTorch engines, e.g. cuda."""
    data: Path | None = None
    """Folder with the data sets (default: the environment variable WSKAN_DATA, else ~/.cache/wskan)."""
    fetch: bool = False
    """Download missing data from its publisher."""

    def run(self) -> None:
        from wskan.errors import DataError
        from wskan.zoo import build_zoo, get_recipe

        changes = {
            name: value for name in ("train", "val", "test", "seed") if (value := getattr(self, name)) is not None
        }
        recipe = dataclasses.replace(get_recipe(self.recipe), **changes)
        options = {n: getattr(self, n) for n in ("storage", "score", "threshold", "scores")}
        changes = {name: value for name, value in options.items() if value is not None and value is not False}
        if changes:
            if recipe.classifier is None:
                raise DataError(f"for zoos of classifiers only, which {recipe.name} is not: --{', --'.join(changes)}")
            recipe = dataclasses.replace(recipe, classifier=dataclasses.replace(recipe.classifier, **changes))
        zoo = build_zoo(
            recipe,
            self.folder,
            engine=self.engine,
            device=self.device,
            data_root=self.data,
            fetch=self.fetch,
            progress=True,
        )
        _print_info(zoo.info(), self.folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """Print counts, quality, size and recipe of a zoo."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The zoo."""

    def run(self) -> None:
        from wskan.zoo import open_zoo

        _print_info(open_zoo(self.folder).info(), self.folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verify:
    """Check every byte of a zoo against its manifest."""

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """The zoo."""

    def run(self) -> None:
        from wskan.printing import plain
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.folder)
        zoo.verify()
        print(f"{plain(self.folder)}: {len(zoo):,} KANs in {len(zoo.manifest.shards)} shards, every checksum holds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignZoo:
    """Align all KANs of a zoo to the mean of some of its training KANs (paper, appendix D.1)."""

    zoo: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="ZOO")]
    """The zoo; it is not changed."""
    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
    """Where permutations and reference are kept. A finished alignment is opened, not made again."""
    subset: int = 1000
    """Training KANs that the reference is made of, a random choice."""
    tolerance: float = 1e-3
    """MergeMany ends with the pass that lowers the mean squared distance by no more than this share."""
    seed: int = 0
    """Of the choice, and of the orders of MergeMany."""

    def run(self) -> None:
        from wskan.align import align_zoo
        from wskan.printing import plain
        from wskan.zoo import open_zoo

        zoo = open_zoo(self.zoo)
        aligned = align_zoo(
            zoo, self.folder, subset=self.subset, tolerance=self.tolerance, seed=self.seed, progress=True
        )
        before, after = float(aligned.distance_before.mean()), float(aligned.distance_after.mean())
        print(
            f"{plain(self.folder)}: {len(zoo):,} KANs aligned, mean squared distance to the reference {before:.4g} before, {after:.4g} after"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ZooCommand:
    """Build, describe, check or align a zoo of trained KANs, or list the recipes."""

    command: (
        Annotated[Recipes, tyro.conf.subcommand("recipes", prefix_name=False)]
        | Annotated[Build, tyro.conf.subcommand("build", prefix_name=False)]
        | Annotated[Info, tyro.conf.subcommand("info", prefix_name=False)]
        | Annotated[Verify, tyro.conf.subcommand("verify", prefix_name=False)]
        | Annotated[AlignZoo, tyro.conf.subcommand("align", prefix_name=False)]
    )

    def run(self) -> None:
        self.command.run()


def _quality(info: dict[str, Any]) -> dict[str, str]:
    """How good the KANs are, as far as the zoo says."""

    def quantiles(name: str, unit: str) -> str:
        return "  ".join(f"{float(q):.0%} {value:{unit}}" for q, value in info[f"{name}_quantiles"].items())

    rows = {}
    if "psnr_mean" in info:
        rows["PSNR"] = f"mean {info['psnr_mean']:.1f} dB, {info['psnr_above_40']:.1%} above 40 dB"
        rows["PSNR quantiles"] = quantiles("psnr", ".1f")
    if "accuracy_mean" in info:
        rows["test accuracy"] = f"mean {info['accuracy_mean']:.1%}"
        rows["accuracy quantiles"] = quantiles("accuracy", ".1%")
        rows["permuted labels"] = f"mean {info['noise_mean']:.1%}"
    if "kept_mean" in info:
        rows["oracle"] = f"keeps {info['kept_mean']:.1%} of the edges"
    if classifier := info["recipe"].get("classifier"):
        rows["its rule"] = (
            f"{classifier['score']} above {classifier['threshold']:g}, on {classifier['scored']:,} training images, or all if there are fewer"
            + ("; scores are kept" if classifier.get("scores") else "")
        )
    return rows


def _print_info(info: dict[str, Any], folder: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from wskan.printing import markup

    recipe = info["recipe"]
    spec, fit = recipe["spec"], recipe["fit"]
    rows = {
        "folder": folder,
        "recipe": f"{recipe['name']} (seed {recipe['seed']}, digest {info['digest']})",
        "KANs": "  ".join(f"{count:,} {split}" for split, count in info["counts"].items()),
        "architecture": f"{spec['widths']}, {spec.get('basis', 'bspline')}, G={spec['grid']}, k={spec['degree']}, base {spec['base']}",
        "training": f"{fit['steps']} steps of {fit['batch_size']}, lr {fit['lr']} ({fit['schedule']}), grid {'adapted' if fit['adapt_grid'] else 'fixed'}",
        **_quality(info),
        "diverged and retried": info["retried"],
        "size": f"{info['bytes'] / 1e6:,.1f} MB, weights in {recipe.get('classifier', {}).get('storage', 'float32')}",
        "time": f"{info['seconds']:,.0f} s, {info['seconds_per_kan'] * 1e3:.1f} ms a KAN",
    }
    if note := info["built_with"].get("data"):
        rows["data"] = note
    if foreign := info["built_with"].get("data_not_as_published"):
        rows["not as published"] = f"{foreign}: other files of that name were used"
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(f"[bold]{name}", markup(value))
    Console().print(table)
