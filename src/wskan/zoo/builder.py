"""Building a zoo on disk from a recipe, shard by shard.

A build may be killed at any time. It then resumes, and ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from wskan.errors import DataError
from wskan.files import check_inside, is_empty_folder, write_atomically
from wskan.kan import Engine, fit_population
from wskan.locks import hold, sweep
from wskan.zoo.manifest import Manifest, Shard, sha256, shard_path
from wskan.zoo.recipe import Recipe
from wskan.zoo.recipes import get_recipe
from wskan.zoo.shard import COLUMNS
from wskan.zoo.store import Zoo, open_zoo
from wskan.zoo.targets import Targets, load_targets


def build_zoo(
    recipe: Recipe | str,
    folder: Path | str,
    *,
    engine: Engine = "auto",
    device: torch.device | str | None = None,
    data_root: Path | str | None = None,
    fetch: bool = False,
    progress: bool = False,
    within: Path | None = None,
) -> Zoo:
    """Build a zoo, or finish one that was interrupted.

    Each shard depends only on the recipe and its number. KAN i is fitted from a seed that is derived from the recipe's
    seed and i. The kernel gives the same bits on any number of cores, and whichever KANs are fitted together.

    Args:
        recipe: what to train, or the name of a recipe.
        folder: folder of the zoo, created if absent. Finished shards of the same recipe are kept if their checksums
            match, and rebuilt if not.
        engine, device: see :func:`wskan.kan.fit_population`.
        data_root, fetch: see :func:`wskan.signals.load_images`.
        progress: show a progress bar.
        within: a parent of ``folder``. Links below it are not followed.

    Returns:
        The finished zoo.

    Raises:
        DataError: data is missing, the folder contains something else, another process builds in it, or the disk is
            full. Finished shards are kept.
        DivergedError: KANs diverge with every seed.

    Example:
        >>> import tempfile, wskan
        >>> recipe = wskan.Recipe(
        ...     name="tiny",
        ...     dataset="digits",
        ...     spec=wskan.KANSpec(widths=(2, 4, 1), grid=3),
        ...     fit=wskan.FitConfig(steps=20, batch_size=32),
        ...     train=6,
        ...     val=2,
        ...     test=2,
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     zoo = wskan.build_zoo(recipe, folder)
        ...     kans = zoo.population("test")
        >>> len(zoo), kans
        (10, Population(2 KANs [2, 4, 1], bspline, G=3, k=3))
    """
    folder, recipe = Path(folder), get_recipe(recipe) if isinstance(recipe, str) else recipe
    if not _missing(folder, _start(recipe, folder)):  # a finished zoo is not locked
        sweep(folder, "shards")
    else:
        if within is not None:
            check_inside(within, folder)
        with hold(folder, "a zoo is built", inside=("shards",)):
            manifest = _start(recipe, folder)  # again, because another process may have built in it
            if missing := _missing(folder, manifest):
                targets = load_targets(recipe, data_root, fetch=fetch)
                manifest = _same_data(manifest, targets, folder)
                with _progress_bar(recipe, len(recipe) - _count(recipe, missing), progress) as advance:
                    _build(folder, manifest, missing, targets, engine, device, advance)
    return open_zoo(folder)


def _build(
    folder: Path,
    manifest: Manifest,
    missing: list[int],
    targets: Targets,
    engine: Engine,
    device: torch.device | str | None,
    advance: Callable[[int], None],
) -> None:
    """Build the missing shards, and add each to the manifest."""
    manifest.write(folder)  # before any shard, so that a folder with shards always has a manifest
    recipe = manifest.recipe
    done = len(recipe) - _count(recipe, missing)
    for shard in missing:
        begin = time.perf_counter()
        path = shard_path(folder, shard)
        shown = functools.partial(lambda before, count: advance(before + count), done)
        data = save(_build_shard(recipe, targets, shard, engine, device, shown))
        write_atomically(path, lambda to, data=data: to.write_bytes(data), top=folder)  # type: ignore[misc]
        done += len(recipe.shard_rows(shard))
        seconds = round(time.perf_counter() - begin, 3)
        entry = Shard(hashlib.sha256(data).hexdigest(), len(data), len(recipe.shard_rows(shard)), seconds)
        shards = (*manifest.shards[:shard], entry, *manifest.shards[shard + 1 :])
        manifest = dataclasses.replace(manifest, shards=shards)
        manifest.write(folder)


def _missing(folder: Path, manifest: Manifest) -> list[int]:
    return [shard for shard in range(manifest.recipe.num_shards) if not _is_intact(folder, manifest, shard)]


def _count(recipe: Recipe, shards: list[int]) -> int:
    return sum(len(recipe.shard_rows(shard)) for shard in shards)


def _start(recipe: Recipe, folder: Path) -> Manifest:
    """Read the manifest of an unfinished zoo, or make a new one."""
    if not (folder / "manifest.json").exists():
        if not is_empty_folder(folder):
            raise DataError(f"{folder} is not empty and contains no zoo; choose another folder")
        return Manifest(recipe, built_with={"torch": torch.__version__, "machine": platform.machine()})
    manifest = Manifest.read(folder)
    if manifest.recipe != recipe:
        raise DataError(
            f"{folder} contains a zoo of another recipe ({manifest.recipe.name} {manifest.recipe.digest}, "
            f"not {recipe.name} {recipe.digest}); choose another folder"
        )
    return manifest


def _is_intact(folder: Path, manifest: Manifest, index: int) -> bool:
    """Return whether a shard exists and matches the manifest."""
    if index >= len(manifest.shards):
        return False
    path, shard = shard_path(folder, index), manifest.shards[index]
    return path.is_file() and path.stat().st_size == shard.size and sha256(path) == shard.sha256


def _same_data(manifest: Manifest, targets: Targets, folder: Path) -> Manifest:
    """Add the checksum of the data, and a note if it is unusual. Raise if the zoo was begun with other data."""
    note, checksum = manifest.built_with.get("data", ""), manifest.built_with.get("data_sha256")
    new_checksum = targets.files.get("data_sha256")
    # zoos of earlier versions have no checksum
    if manifest.shards and (note != targets.note or checksum not in (None, new_checksum)):
        before, now = note or checksum or "the usual ones", targets.note or new_checksum or "the usual ones"
        raise DataError(
            f"{folder} was begun with other files of {manifest.recipe.dataset} ({before}, now {now}); "
            "choose another folder"
        )
    data = {"data": targets.note} if targets.note else {}
    return dataclasses.replace(manifest, built_with={**manifest.built_with, **data, **targets.files})


def _build_shard(
    recipe: Recipe,
    targets: Targets,
    shard: int,
    engine: Engine,
    device: torch.device | str | None,
    advance: Callable[[int], None],
) -> dict[str, Tensor]:
    rows = recipe.shard_rows(shard)
    result = fit_population(
        recipe.spec,
        targets.inputs,
        targets.values(rows),
        recipe.kan_seeds(rows),
        recipe.fit,
        engine=engine,
        device=device,
        progress=advance,
    )
    index = torch.tensor(rows)
    result = dataclasses.replace(result, population=targets.stored(result.population))
    columns = {
        "index": index,
        "split": targets.split[index],
        "seed": result.seeds,
        "attempts": result.attempts,
        "loss": result.loss,
        **targets.columns(index, result),
    }
    tensors = {**result.population.tensors(), **{f"{COLUMNS}{name}": column for name, column in columns.items()}}
    tensors |= targets.oracle(result.population)
    return {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}


@contextlib.contextmanager
def _progress_bar(recipe: Recipe, done: int, shown: bool) -> Iterator[Callable[[int], None]]:
    if not shown:
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from wskan.printing import markup

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("KANs"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(f"training {markup(recipe.name)}", total=len(recipe), completed=done)
        yield lambda count: bar.update(task, completed=count)
