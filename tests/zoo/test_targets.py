"""Zoos of classifiers (paper, C.2.1): labels with noise, accuracy, masks."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from wskan.errors import DataError
from wskan.kan import Population, accuracy, edge_scores, oracle_masks
from wskan.signals import load_images
from wskan.zoo import ClassifierConfig, Recipe, Zoo, build_zoo, get_recipe, reconstruct
from wskan.zoo.classifiers import Labels
from wskan.zoo.manifest import shard_path
from wskan.zoo.targets import load_targets

SMALL = dataclasses.replace(
    get_recipe("digits-classifier"),
    train=9,
    val=3,
    test=2,
    shard_size=5,
    fit=dataclasses.replace(get_recipe("digits-classifier").fit, steps=30),
)


def with_classifier(recipe: Recipe, **changes: object) -> Recipe:
    assert recipe.classifier is not None
    return dataclasses.replace(recipe, classifier=dataclasses.replace(recipe.classifier, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return build_zoo(SMALL, tmp_path_factory.mktemp("zoos") / "classifiers")


def labels(recipe: Recipe = SMALL) -> Labels:
    targets = load_targets(recipe)
    assert isinstance(targets, Labels)
    return targets


def test_a_share_of_the_labels_is_permuted() -> None:
    recipe = dataclasses.replace(SMALL, train=400, val=0, test=0)
    targets, true = labels(recipe), load_images("digits", "train").labels
    assert targets.noise.min() >= 0
    assert targets.noise.max() <= 1
    assert targets.noise.mean() == pytest.approx(0.5, abs=0.05)
    values = targets.values(range(400))
    assert torch.equal(values.sort(1).values, true.sort().values.expand_as(values))  # permuted, not drawn
    changed = (values != true).float().mean(1)
    torch.testing.assert_close(
        changed, 0.9 * targets.noise, atol=0.05, rtol=0
    )  # a tenth of the permuted fall on their own class
    assert torch.equal(targets.values(torch.tensor([7, 3])), values[[7, 3]])
    assert not torch.equal(values[0] != true, values[1] != true)
    clean = labels(with_classifier(recipe, noise=0.0))
    assert torch.equal(clean.values(range(3)), true.expand(3, -1))


def test_facts_are_those_of_the_kans_in_the_zoo(zoo: Zoo) -> None:
    test, everything = load_images("digits", "test"), slice(None)
    kans = zoo.population(everything)
    torch.testing.assert_close(zoo.columns["accuracy"], accuracy(kans, test.pixels(), test.labels))
    right = (kans(test.pixels()).argmax(-1) == test.labels).float().mean(1)
    torch.testing.assert_close(zoo.columns["accuracy"], right)
    assert zoo.columns["accuracy"].max() > 0.5
    train = load_images("digits", "train").pixels()
    for found, expected in zip(zoo.masks(everything), oracle_masks(kans, train), strict=True):
        assert (found == expected).float().mean() > 0.99  # all 1,497 images, in another order
    assert zoo.info()["kept_mean"] > 0


def test_half_precision_moves_nothing_that_is_measured(zoo: Zoo, tmp_path: Path) -> None:
    half = build_zoo(with_classifier(SMALL, storage="float16"), tmp_path / "half")
    assert half.dtype == torch.float16
    assert half.info()["bytes"] < 0.65 * zoo.info()["bytes"]
    assert (half.columns["accuracy"] - zoo.columns["accuracy"]).abs().max() <= 0.01
    for mine, other in zip(half.masks(slice(None)), zoo.masks(slice(None)), strict=True):
        assert (mine == other).float().mean() > 0.99
    images = load_images("digits", "test")
    found = accuracy(half.population(slice(None), stored=True), images.pixels(), images.labels)
    torch.testing.assert_close(found, half.columns["accuracy"])


def test_beyond_half_precision() -> None:
    population = Population.init(SMALL.spec, [0])
    population.layers[0].coef[0, 3, 2, 1] = 4e5  # a power of two goes over to the spline weight
    targets = labels(with_classifier(SMALL, storage="float16"))
    stored = targets.stored(population)
    x = load_images("digits", "test").pixels()
    torch.testing.assert_close(
        stored.to(torch.float32)(x), population(x), rtol=1e-2, atol=1e-2 * float(population(x).std())
    )
    assert stored.layers[0].coef.dtype == torch.float16
    population.layers[0].coef[0, 3, 2, 1] = 1e30
    with pytest.raises(DataError, match="float32"):
        targets.stored(population)


def test_the_other_score_and_threshold(zoo: Zoo, tmp_path: Path) -> None:
    other = build_zoo(with_classifier(SMALL, score="activation", threshold=0.1), tmp_path / "other")
    scores = edge_scores(other.population(slice(None)), load_images("digits", "train").pixels(), "activation")
    for mask, score in zip(other.masks(slice(None)), scores, strict=True):
        assert (mask == (score > 0.1)).float().mean() > 0.98
    assert torch.equal(other.columns["accuracy"], zoo.columns["accuracy"])


@pytest.mark.parametrize("changes", [{}, {"score": "activation", "threshold": 0.1, "storage": "float16"}])
def test_a_zoo_may_keep_the_scores_of_its_oracle(changes: dict[str, object], tmp_path: Path) -> None:
    recipe = with_classifier(SMALL, **changes)
    zoo = build_zoo(with_classifier(recipe, scores=True), tmp_path / "scores")
    plain = build_zoo(recipe, tmp_path / "plain")
    assert (zoo.has_scores, plain.has_scores) == (True, False)
    rows, oracle = torch.tensor([13, 0, 6]), recipe.classifier
    assert oracle is not None
    expected = edge_scores(zoo.population(rows, stored=True), labels(recipe).scored, oracle.score)
    for found, score in zip(zoo.scores(rows), expected, strict=True):
        assert found.shape == score.shape
        torch.testing.assert_close(found, score.clamp_min(1e-6).log(), rtol=1e-3, atol=1e-3)
    for found, mask in zip(zoo.scores(slice(None)), zoo.masks(slice(None)), strict=True):
        clear = (found - math.log(oracle.threshold)).abs() > 0.01  # scores have three digits
        assert torch.equal((found > math.log(oracle.threshold))[clear], mask[clear])
    for shard in range(recipe.num_shards):  # and nothing else is any different
        more, less = (load_file(shard_path(z.folder, shard)) for z in (zoo, plain))
        assert set(more) - set(less) == {"score.0", "score.1", "score.2"}
        assert all(torch.equal(more[name], tensor) for name, tensor in less.items())


def test_a_shard_is_the_same_whatever_was_built_before(zoo: Zoo, tmp_path: Path) -> None:
    again = build_zoo(SMALL, tmp_path / "zoo")
    path = again.folder / "shards" / "00001.safetensors"
    before = path.read_bytes()
    path.unlink()
    build_zoo(SMALL, again.folder)
    assert path.read_bytes() == before == (zoo.folder / "shards" / "00001.safetensors").read_bytes()


def test_recipes_go_through_json_and_older_ones_keep_their_digest() -> None:
    assert Recipe.from_dict(SMALL.to_dict()) == SMALL
    assert "classifier" not in get_recipe("mnist-inr").to_dict()
    scored, plain = with_classifier(SMALL, scores=True), SMALL.to_dict()
    assert Recipe.from_dict(scored.to_dict()) == scored
    assert scored.digest != SMALL.digest
    assert "scores" not in plain["classifier"]
    said = {**plain, "classifier": {**plain["classifier"], "scores": False}}
    assert Recipe.from_dict(said).digest == SMALL.digest
    assert get_recipe("mnist-inr").digest == "061944baa747"
    assert get_recipe("digits-classifier").digest == "2f380f874021"


def test_bad_recipes_are_refused() -> None:
    with pytest.raises(DataError, match="cross-entropy"):
        dataclasses.replace(SMALL, classifier=None)
    with pytest.raises(DataError, match="cross-entropy"):
        dataclasses.replace(get_recipe("digits-inr"), classifier=ClassifierConfig())
    with pytest.raises(DataError, match="64"):
        labels(dataclasses.replace(SMALL, spec=dataclasses.replace(SMALL.spec, widths=(65, 8, 10))))
    for bad in (
        {"noise": 1.5},
        {"scored": 1},
        {"score": "x"},
        {"storage": "int8"},
        {"threshold": -1.0},
        {"nope": 1},
        {"scores": 1},
    ):
        with pytest.raises(DataError):
            Recipe.from_dict({**SMALL.to_dict(), "classifier": bad})


def test_classifiers_represent_nothing(zoo: Zoo) -> None:
    with pytest.raises(DataError, match="classifiers"):
        reconstruct(zoo, zoo.split("test"))
