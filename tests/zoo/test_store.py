"""Zoos of classifiers as they lie on disk: columns, masks, half precision."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wskan.errors import DataError
from wskan.kan import FitConfig, Population
from wskan.kan.layer import FIELDS
from wskan.testing import random_population
from wskan.zoo import Recipe, Zoo, open_zoo
from wskan.zoo.manifest import Manifest, Shard, sha256, shard_path

WIDTHS = (4, 5, 3)
KANS = random_population(WIDTHS, 14, 0, keep=1.0)
RECIPE = Recipe(
    name="tiny", dataset="digits", spec=KANS.spec, fit=FitConfig(), train=8, val=3, test=3, shard_size=4
)  # fmt: skip
MASKS = [torch.rand(14, n, m, generator=torch.Generator().manual_seed(n)) < 0.3 for n, m in ((4, 5), (5, 3))]

SCORES = [torch.randn(14, n, m, generator=torch.Generator().manual_seed(n)).half() - 5 for n, m in ((4, 5), (5, 3))]

Tensors = dict[str, Tensor]


def shard(index: int, dtype: torch.dtype = torch.float16, population: Population = KANS) -> Tensors:
    """What the builder writes."""
    rows = torch.tensor(RECIPE.shard_rows(index))
    noise = rows.float() / 14
    facts = {"index": rows, "split": torch.arange(3).repeat_interleave(torch.tensor([8, 3, 3]))[rows], "seed": rows}
    facts |= {"attempts": 0 * rows, "loss": noise.double(), "noise": noise, "accuracy": 0.9 - 0.8 * noise}
    oracle = {f"oracle.{layer}": mask[rows].to(torch.uint8) for layer, mask in enumerate(MASKS)}
    oracle |= {f"score.{layer}": score[rows] for layer, score in enumerate(SCORES)}
    tensors = population[rows].tensors()
    parameters = {name: tensor if name.endswith("knots") else tensor.to(dtype) for name, tensor in tensors.items()}
    return {**parameters, **oracle, **{f"facts.{name}": column for name, column in facts.items()}}


def write(folder: Path, shards: list[Tensors]) -> Path:
    (folder / "shards").mkdir(parents=True)
    entries = []
    for index, tensors in enumerate(shards):
        path = shard_path(folder, index)
        save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, path)
        entries.append(Shard(sha256(path), path.stat().st_size, len(RECIPE.shard_rows(index)), 1.0))
    Manifest(RECIPE, tuple(entries)).write(folder)
    return folder


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return open_zoo(write(tmp_path_factory.mktemp("zoos") / "half", [shard(index) for index in range(4)]))


def test_classifiers_round_trip(half: Zoo) -> None:
    assert (half.dtype, half.has_masks, half.has_scores) == (torch.float16, True, True)
    assert set(half.columns) == {"index", "split", "seed", "attempts", "loss", "accuracy", "noise"}
    half.verify()
    info = half.info()
    json.dumps(info)
    assert not [name for name in info if name.startswith("psnr")]
    assert info["noise_mean"] == pytest.approx(float((torch.arange(14) / 14).mean()))
    assert info["accuracy_quantiles"]["1.0"] == pytest.approx(0.9)
    kept = torch.cat([mask.flatten(1) for mask in MASKS], 1).float().mean()
    assert info["kept_mean"] == pytest.approx(float(kept))


def test_a_column_of_whole_numbers_is_summarised_too(tmp_path: Path) -> None:
    shards = [shard(index) for index in range(4)]
    for tensors in shards:
        tensors["facts.accuracy"] = tensors["facts.accuracy"].round().long()
    assert open_zoo(write(tmp_path / "zoo", shards)).info()["accuracy_quantiles"]["1.0"] == 1


@given(st.lists(st.integers(0, 13), max_size=20))
def test_rows_in_any_order_across_shards_are_what_was_written(half: Zoo, picked: list[int]) -> None:
    rows = torch.tensor(picked, dtype=torch.int64)
    stored, widened = half.population(rows, stored=True), half.population(rows)
    for index, layer in enumerate(KANS.layers):
        for name in FIELDS:
            exact = getattr(layer, name)[rows]
            expected = exact if name == "knots" else exact.half()
            assert torch.equal(getattr(stored.layers[index], name), expected)
            assert torch.equal(getattr(widened.layers[index], name), expected.float())
            assert getattr(widened.layers[index], name).dtype == torch.float32
    for found, mask in zip(half.masks(rows), MASKS, strict=True):
        assert found.dtype == torch.bool
        assert torch.equal(found, mask[rows])
    for found, score in zip(half.scores(rows), SCORES, strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found, score[rows].float())


def test_slices_are_rows_too(half: Zoo) -> None:
    assert torch.equal(half.masks(slice(3, 9))[1], MASKS[1][3:9])
    assert len(half.population(slice(-2, None))) == 2


def test_shards_with_and_without_pruned_edges_join(tmp_path: Path) -> None:
    layers = [dataclasses.replace(layer, mask=layer.mask.clone()) for layer in KANS.layers]
    layers[0].mask[5, 1, 2] = 0  # in the second shard; masks of ones are not written
    pruned = Population(KANS.spec, layers)
    zoo = open_zoo(write(tmp_path / "zoo", [shard(index, torch.float32, pruned) for index in range(4)]))
    assert "layers.0.mask" not in load_file(shard_path(zoo.folder, 0))
    assert torch.equal(zoo.population(slice(None)).layers[0].mask, layers[0].mask)
    assert zoo.dtype == torch.float32


def test_uniform_grids_are_exact_and_stay_shared(tmp_path: Path) -> None:
    kans = Population.init(KANS.spec, range(14))
    zoo = open_zoo(write(tmp_path / "zoo", [shard(index, torch.float16, kans) for index in range(4)]))
    for found, layer in zip(zoo.population(torch.tensor([9, 1])).layers, kans.layers, strict=True):
        assert torch.equal(found.knots, layer.knots)
        assert found.knots.dtype == torch.float32


class Watch(TorchDispatchMode):
    """Keeps every tensor of the coefficients' shape that has more rows than a shard."""

    def __init__(self) -> None:
        super().__init__()
        self.large: list[Tensor] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = function(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.ndim == 4 and len(out) > RECIPE.shard_size:
            self.large.append(out)
        return out


@pytest.mark.parametrize("stored", [True, False])
def test_a_zoo_is_never_in_memory_twice(half: Zoo, stored: bool) -> None:
    with Watch() as watch:
        kans = half.population(slice(None), stored=stored)
    allocated = {tensor.untyped_storage().data_ptr() for tensor in watch.large}
    assert allocated == {layer.coef.data_ptr() for layer in kans.layers}


def damage(change: Callable[[list[Tensors]], object], folder: Path) -> Path:
    shards = [shard(index) for index in range(4)]
    change(shards)
    return write(folder, shards)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[1].pop("oracle.1"), r"00001\.safetensors: pruning masks must be"),
        (lambda s: s[1].update({"oracle.2": s[1]["oracle.1"]}), "pruning masks must be"),
        (lambda s: s[2].update({"oracle.0": s[2]["oracle.0"][:, :3]}), "pruning masks must be"),
        (lambda s: s[2].update({"oracle.0": s[2]["oracle.0"].float()}), "uint8.*float32"),
        (lambda s: s[2].update({"oracle.0": s[2]["oracle.0"][:2]}), r"\['oracle.0'\] are not of 4 KANs"),
        (lambda s: [s[3].pop(f"{kind}.{i}") for kind in ("oracle", "score") for i in (0, 1)], "shards disagree"),
        (lambda s: s[1].pop("score.1"), r"00001\.safetensors: scores of edges must be"),
        (lambda s: s[2].update({"score.0": s[2]["score.0"][:, :3]}), "scores of edges must be"),
        (lambda s: s[2].update({"score.0": s[2]["score.0"].float()}), "of float16, got .*float32"),
        (lambda s: s[2].update({"score.0": s[2]["score.0"][:2]}), r"\['score.0'\] are not of 4 KANs"),
        (lambda s: [s[3].pop(f"score.{layer}") for layer in (0, 1)], "shards disagree"),
        (lambda s: [s[0].pop(f"oracle.{layer}") for layer in (0, 1)], "scores of edges, but no pruning masks"),
        (lambda s: s[3].pop("facts.noise"), "shards disagree"),
        (lambda s: s.__setitem__(0, shard(0, torch.float32)), "shards disagree"),
        (lambda s: s.__setitem__(0, shard(0, torch.float64)), "must be all of one of.*float64"),
        (lambda s: s[0].update({"layers.1.coef": s[0]["layers.1.coef"].float()}), "must be all of one of"),
        (lambda s: s[0].update({"layers.9.coef": s[0]["layers.1.coef"]}), "unknown tensors"),
        (lambda s: s[1]["facts.noise"].fill_(float("nan")), "column noise is not finite"),
        (lambda s: s[1]["facts.accuracy"].fill_(2.0), r"column accuracy is not in \[0, 1\]"),
        (lambda s: s[1]["facts.noise"].fill_(-3.0), r"column noise is not in \[0, 1\]"),
        (lambda s: s[1]["facts.split"].fill_(9), "column split is not that of the recipe"),
        (lambda s: s[1].update({"facts.loss": torch.zeros(4, 2)}), r"columns \['loss'\] have more than one number"),
    ],
)
def test_damaged_shards_are_told_when_a_zoo_is_opened(
    change: Callable[[list[Tensors]], object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        open_zoo(damage(change, tmp_path / "zoo"))


def test_damaged_values_are_told_when_they_are_read(tmp_path: Path) -> None:
    zoo = open_zoo(damage(lambda shards: shards[1]["oracle.1"].add_(3), tmp_path / "masks"))
    with pytest.raises(DataError, match="masks must be 0 or 1, got 4"):
        zoo.masks(slice(None))
    zoo.masks(slice(0, 4))
    zoo = open_zoo(damage(lambda shards: shards[1]["score.1"][2].fill_(float("nan")), tmp_path / "scores"))
    with pytest.raises(DataError, match=r"scores of the edges of KANs \[6\] are not finite; run `wskan zoo verify`"):
        zoo.scores(slice(None))
    zoo.scores(slice(0, 4))
    half_there = {"layers.0.mask": torch.full((4, 4, 5), 0.5, dtype=torch.float16)}
    zoo = open_zoo(damage(lambda shards: shards[1].update(half_there), tmp_path / "edges"))
    with pytest.raises(DataError, match="exist"):
        zoo.population(slice(None))
    zoo = open_zoo(damage(lambda shards: shards[1]["layers.0.coef"][2].fill_(float("inf")), tmp_path / "infinite"))
    for stored in (True, False):
        with pytest.raises(DataError, match=r"\[6\] are not finite"):
            zoo.population(slice(None), stored=stored)


def test_a_zoo_without_masks_says_what_to_do(tmp_path: Path) -> None:
    def bare(shards: list[Tensors]) -> None:
        for tensors in shards:
            del tensors["oracle.0"], tensors["oracle.1"], tensors["score.0"], tensors["score.1"]

    zoo = open_zoo(damage(bare, tmp_path / "zoo"))
    assert not zoo.has_masks
    assert "kept_mean" not in zoo.info()
    with pytest.raises(DataError, match=r"no pruning masks.*wskan zoo build"):
        zoo.masks(slice(None))


def test_a_zoo_without_scores_keeps_its_masks_and_says_what_to_do(tmp_path: Path) -> None:
    """As those of earlier versions."""

    def without(shards: list[Tensors]) -> None:
        for tensors in shards:
            del tensors["score.0"], tensors["score.1"]

    zoo = open_zoo(damage(without, tmp_path / "zoo"))
    assert (zoo.has_masks, zoo.has_scores) == (True, False)
    assert torch.equal(zoo.masks(slice(None))[0], MASKS[0])
    with pytest.raises(DataError, match=r"no scores of edges: build .* `wskan zoo build --scores`"):
        zoo.scores(slice(None))
