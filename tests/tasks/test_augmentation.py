import dataclasses
import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from wskan.errors import DataError
from wskan.graph import FeatureConfig, InputMap, KANGraph, kan_graph, probe_inputs
from wskan.kan import Permutation, Population
from wskan.models import FlatMLPConfig
from wskan.tasks import GraphDataset, INRClassification, TrainConfig, augment, graph_loader, train
from wskan.tasks.augmentation import SYMMETRIES, Symmetry, _generator, check_symmetries, input_map
from wskan.tasks.data import BatchIndices, BatchSampler
from wskan.tasks.module import TrainingModule
from wskan.testing import FakeZoo, in_domain, random_population
from wskan.zoo import Zoo

CONFIG = TrainConfig(epochs=3, batch_size=16, warmup_steps=5, patience=0, augment=("permutation",))


@pytest.fixture(scope="module")
def zoo() -> Zoo:
    return FakeZoo()


def dataset(zoo: Zoo, features: FeatureConfig | None = None, **options: object) -> GraphDataset:
    return GraphDataset(zoo, "train", INRClassification(), features or FeatureConfig(), **options)  # type: ignore[arg-type]


def epoch(data: GraphDataset, number: int, seed: int = 0) -> list[tuple[KANGraph, Tensor]]:
    loader = graph_loader(data, 16, shuffle_seed=seed)
    loader.sampler.set_epoch(number)  # type: ignore[attr-defined]
    return list(loader)


def same(one: KANGraph, other: KANGraph) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.edges, other.edges, strict=True))


def test_functions_stay_and_weights_change() -> None:
    kans = random_population((2, 6, 5, 3), 8, 0)
    other, x = augment(kans, ["permutation"], 3), torch.rand(20, 2) * 2 - 1
    torch.testing.assert_close(other(x), kans(x), rtol=1e-4, atol=1e-5)
    for layer, before in zip(other.layers, kans.layers, strict=True):
        assert bool((layer.coef != before.coef).flatten(1).any(1).all())
    assert augment(kans, [], 3) is kans


def test_every_kan_has_a_uniform_permutation_of_its_own() -> None:
    """Its numbers are drawn as they were for the results under ``results/``: these must not move."""
    kans = random_population((2, 3, 7, 1), 5, 0)
    generator = torch.Generator().manual_seed(2**62 + 1)
    drawn = Permutation([torch.rand(5, width, generator=generator).argsort(-1) for width in (3, 7)])
    for layer, expected in zip(
        augment(kans, ["permutation"], 2**62 + 1).layers, kans.permute(drawn).layers, strict=True
    ):
        assert torch.equal(layer.coef, expected.coef)


def test_a_batch_is_a_function_of_seed_epoch_and_place(zoo: Zoo) -> None:
    data, plain = dataset(zoo, augment=("permutation",)), dataset(zoo)
    first, again, later, other = epoch(data, 1), epoch(data, 1), epoch(data, 2), epoch(data, 1, seed=1)
    assert all(same(a, b) for (a, _), (b, _) in zip(first, again, strict=True))
    assert not any(same(a, b) for (a, _), (b, _) in zip(first, later, strict=True))
    assert not any(same(a, b) for (a, _), (b, _) in zip(first, other, strict=True))
    for (graph, y), (unmoved, z) in zip(first, epoch(plain, 1), strict=True):  # the same KANs in the same order
        assert torch.equal(y, z)
        assert not same(graph, unmoved)
        torch.testing.assert_close(graph.edges[1].sum((1, 2)), unmoved.edges[1].sum((1, 2)))
    draws: list[BatchIndices] = []
    for seed, number in ((0, 0), (0, 1), (1, 0)):
        batches = BatchSampler(len(data), 16, seed)
        batches.set_epoch(number)
        draws += batches
    assert len({draw.seed for draw in draws}) == len(draws) == 9
    assert not same(data[draws[0]][0], data[draws[0]._replace(seed=draws[1].seed)][0])


def test_only_training_batches_are_augmented(zoo: Zoo) -> None:
    data, plain = dataset(zoo, augment=("permutation",)), dataset(zoo)
    for (a, _), (b, _) in zip(graph_loader(data, 16), graph_loader(plain, 16), strict=True):
        assert same(a, b)
    assert torch.equal(data.statistics().edge_mean, plain.statistics().edge_mean)


def test_a_zoo_larger_than_memory_is_augmented_alike(zoo: Zoo) -> None:
    kept, lazy = (dataset(zoo, augment=("permutation",), memory_limit=limit) for limit in (2**30, 0))
    assert all(same(a, b) for (a, _), (b, _) in zip(epoch(kept, 0), epoch(lazy, 0), strict=True))


def test_an_interrupted_run_sees_the_same_permutations(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, seen = TrainingModule.training_step, list[KANGraph]()
    model = FlatMLPConfig(
        widths=zoo.spec.widths, edge_dim=FeatureConfig().edge_dim(zoo.spec), out_dim=10, hidden=8, num_layers=2
    )

    def watched(self, batch, index):  # type: ignore[no-untyped-def]
        seen.append(batch[0])
        if len(seen) == 9 + 5:  # in the second epoch of three steps each
            raise RuntimeError("killed")
        return step(self, batch, index)

    monkeypatch.setattr(TrainingModule, "training_step", watched)
    whole = train(
        zoo,
        tmp_path / "whole",
        task=INRClassification(),
        model=model,
        config=CONFIG,
        features=FeatureConfig(),
        device="cpu",
    )
    with pytest.raises(RuntimeError, match="killed"):
        train(
            zoo,
            tmp_path / "cut",
            task=INRClassification(),
            model=model,
            config=CONFIG,
            features=FeatureConfig(),
            device="cpu",
        )
    resumed = train(
        zoo,
        tmp_path / "cut",
        task=INRClassification(),
        model=model,
        config=CONFIG,
        features=FeatureConfig(),
        device="cpu",
    )
    assert all(same(a, b) for a, b in zip(seen[3:9], seen[14:], strict=True))
    assert not any(same(a, b) for a, (b, _) in zip(seen, epoch(dataset(zoo), 0), strict=False))
    assert all(same(a, b) for a, (b, _) in zip(seen, epoch(dataset(zoo, augment=CONFIG.augment), 0), strict=False))
    for key in ("val", "test"):
        assert resumed.record[key] == whole.record[key]
    off = dataclasses.replace(CONFIG, augment=())
    with pytest.raises(DataError, match="another train"):
        train(
            zoo,
            tmp_path / "whole",
            task=INRClassification(),
            model=model,
            config=off,
            features=FeatureConfig(),
            device="cpu",
        )


def test_runs_recorded_before_there_was_augmentation_are_the_same_runs(zoo: Zoo, tmp_path: Path) -> None:
    model = FlatMLPConfig(
        widths=zoo.spec.widths, edge_dim=FeatureConfig().edge_dim(zoo.spec), out_dim=10, hidden=8, num_layers=2
    )
    config = dataclasses.replace(CONFIG, epochs=1, augment=())
    train(zoo, tmp_path, task=INRClassification(), model=model, config=config, features=FeatureConfig(), device="cpu")
    path = tmp_path / "run.json"
    record = json.loads(path.read_text())
    assert record["asked"]["train"].pop("augment") == []
    path.write_text(json.dumps(record))
    assert (
        train(
            zoo, tmp_path, task=INRClassification(), model=model, config=config, features=FeatureConfig(), device="cpu"
        ).record
        == record
    )
    with pytest.raises(DataError, match="another train"):
        train(
            zoo,
            tmp_path,
            task=INRClassification(),
            model=model,
            config=dataclasses.replace(config, augment=("permutation",)),
            features=FeatureConfig(),
        )


def test_configurations_take_lists_and_refuse_the_unknown() -> None:
    assert TrainConfig.from_dict({"augment": ["permutation"]}) == TrainConfig(augment=("permutation",))
    assert TrainConfig.from_dict(json.loads(json.dumps(CONFIG.to_dict()))) == CONFIG
    for bad in ("permutation", ["rotation"], ["permutation"] * 2, [3], [["permutation"]], None, {"permutation": 1}):
        with pytest.raises(DataError, match="augment"):
            TrainConfig.from_dict({"augment": bad})


@pytest.mark.parametrize("name", ["scale", "sign", "noise"])
def test_each_kan_has_a_draw_of_its_own_that_depends_on_the_seed_alone(name: Symmetry) -> None:
    kan = random_population((2, 6, 5, 3), 1, 0)
    kans = Population.cat([kan] * 4)
    one, again, other = (augment(kans, [name], seed).layers[0].coef for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    both = augment(kans, [name, "permutation"], 3)  # whatever else is asked for, in whatever order
    for layer, expected in zip(both.layers, augment(augment(kans, ["permutation"], 3), [name], 3).layers, strict=True):
        assert torch.equal(layer.coef, expected.coef)


def test_symmetries_are_drawn_independently() -> None:
    """Else a neuron would be negated just where an edge is scaled down."""
    kans = random_population((2, 6, 1), 50, 0, keep=1.0)
    scaled, negated = (augment(kans, [name], 3).layers[0] for name in ("scale", "sign"))  # type: ignore[list-item]
    down = (scaled.spline_weight.abs() < kans.layers[0].spline_weight.abs()).flatten()
    flipped = (negated.base_weight * kans.layers[0].base_weight < 0)[:, 0].flatten()  # [50 * 6]
    agree = (down[: len(flipped)] == flipped).float().mean()
    assert 0.35 < float(agree) < 0.65
    streams = {float(torch.rand(1, generator=_generator(3, name))) for name in SYMMETRIES}  # type: ignore[arg-type]
    assert len(streams) == len(SYMMETRIES)


def test_scale_and_sign_keep_functions_and_noise_stays_close() -> None:
    kans, x = in_domain(random_population((2, 6, 5, 3), 4, 0).to(torch.float64), 0)
    expected = kans(x)
    for name in ("scale", "sign"):
        torch.testing.assert_close(augment(kans, [name], 1)(x), expected, rtol=1e-5, atol=1e-5)  # type: ignore[list-item]
    scaled = augment(kans, ["scale"], 1).layers[1].spline_weight / kans.layers[1].spline_weight
    assert 0.5 <= float(scaled.min()) < 0.6
    assert 1.8 < float(scaled.max()) <= 2
    noisy = augment(random_population((2, 30, 30, 3), 4, 0), ["noise"], 1)
    for layer, before in zip(noisy.layers, random_population((2, 30, 30, 3), 4, 0).layers, strict=True):
        for field in ("base_weight", "spline_weight", "coef"):
            ratio = getattr(layer, field) / getattr(before, field)
            assert float(ratio.std()) == pytest.approx(0.01, rel=0.3)
            assert float(ratio.mean()) == pytest.approx(1, abs=0.003)
        assert torch.equal(layer.knots, before.knots)
        assert torch.equal(layer.mask, before.mask)


def test_every_symmetry_reaches_training_batches(zoo: Zoo) -> None:
    features = FeatureConfig(form="observed", probes=30)
    plain, seen = dataset(zoo, features=features)[BatchIndices([0, 1, 2], 5)][0], []
    for name in SYMMETRIES:
        graph = dataset(zoo, features=features, augment=(name,))[BatchIndices([0, 1, 2], 5)][0]
        assert name == "scale" or not same(graph, plain)  # which observed edges do not show
        seen.append(graph)
    assert not any(same(a, b) for a, b in itertools.combinations(seen, 2))


def test_kans_are_seen_as_those_of_moved_images() -> None:
    """A KAN after a map of its inputs is described as the KAN that has the map built in, where a KAN can have it."""
    kans, features = (
        random_population((2, 3, 1), 200, 0, base="zero", adapted=False),
        FeatureConfig(form="observed", probes=60),
    )
    assert input_map(kans, features, ("permutation", "noise"), 0) is None
    for names in (("mirror",), ("affine",), ("affine", "mirror")):
        drawn = input_map(kans, features, names, 0)  # type: ignore[arg-type]
        assert drawn is not None
        x = drawn(probe_inputs(kans, 60, (-1.0, 1.0)), (-1.0, 1.0))
        assert x.abs().max() <= 1
        torch.testing.assert_close(kan_graph(kans, features, drawn).nodes[-1].mT, kans(x), rtol=1e-3, atol=1e-3)
        assert torch.equal(drawn.scale, input_map(kans, features, names, 0).scale)  # type: ignore[arg-type, union-attr]
    factor = drawn.scale[:, 0]
    assert math.exp(-0.08) <= factor.min() < 0.94
    assert 1.06 < factor.max() <= math.exp(0.08)
    assert 0.3 < float((drawn.scale[:, 1] < 0).float().mean()) < 0.7
    assert 0.07 < drawn.shift.abs().max() <= 0.08
    assert drawn.angle is not None
    assert 0.13 < drawn.angle.abs().max() <= 0.14


def test_functions_are_those_of_the_kan_with_moved_knots() -> None:
    kans, features = random_population((2, 4, 1), 20, 0, base="zero", adapted=False), FeatureConfig()
    scale, shift = torch.tensor([0.5, -0.8]).expand(20, 2), torch.tensor([0.3, 0.1]).expand(20, 2)
    moved = kan_graph(kans, features, InputMap(scale=scale, shift=shift))
    x = torch.linspace(-1, 1, 25)[1::2]  # the points of the form
    for p in range(2):
        inputs = torch.zeros(12, 2)
        inputs[:, p] = scale[0, p] * x + shift[0, p]
        alone = [dataclasses.replace(kans.layers[0], mask=torch.zeros_like(kans.layers[0].mask))]
        alone[0].mask[:, p] = kans.layers[0].mask[:, p]
        values = alone[0](inputs.expand(20, -1, -1), kans.spec)
        torch.testing.assert_close(moved.edges[0][:, p, :, :12].mT, values, rtol=1e-4, atol=1e-5)
        slopes = kan_graph(kans, features, InputMap(scale=scale, shift=shift)).edges[0][:, p, :, 12:]
        step = 1e-3 * scale[0, p]
        ends = []
        for sign in (1, -1):
            near = inputs.clone()
            near[:, p] += sign * step
            ends.append(alone[0].map(torch.Tensor.double)(near.double().expand(20, -1, -1), kans.spec))
        torch.testing.assert_close(slopes.mT.double(), (ends[0] - ends[1]) / 2e-3, rtol=2e-2, atol=2e-2)
    assert torch.equal(moved.edges[1], kan_graph(kans, features).edges[1])


def test_moves_that_show_nowhere_are_refused() -> None:
    few, many = random_population((2, 3, 1), 1, 0).spec, random_population((9, 3), 1, 0).spec
    for features in (FeatureConfig(form="raw", probes=4), FeatureConfig()):
        check_symmetries(("affine", "mirror"), few, features)
    with pytest.raises(DataError, match="affine and mirror: only for KANs of at most 8 inputs, these have 9"):
        check_symmetries(("mirror", "affine"), many, FeatureConfig(probes=4))
    with pytest.raises(DataError, match="changes probes and the form function, not the form raw"):
        check_symmetries(("affine",), few, FeatureConfig(form="raw"))


@pytest.mark.parametrize("bad", ["scale", ["rotation"], ["scale", "rotation"]])
def test_unknown_symmetries_are_refused(bad: Any) -> None:
    with pytest.raises(DataError, match="symmetries must be"):
        augment(random_population((2, 3, 1), 2, 0), bad, 0)
