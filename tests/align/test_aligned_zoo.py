import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from wskan.align import AlignedZoo, align_zoo, aligned_zoo, merge_many, weight_matching
from wskan.errors import DataError, ShapeError
from wskan.kan import FitConfig, KANSpec, Permutation, Population
from wskan.kan.layer import FIELDS
from wskan.testing import FakeZoo
from wskan.zoo import Recipe, build_zoo


@pytest.fixture(scope="module")
def zoo() -> FakeZoo:
    return FakeZoo((2, 4, 3, 1), train=20, val=6, test=6)


@pytest.fixture
def aligned(zoo: FakeZoo, tmp_path: Path) -> AlignedZoo:
    return align_zoo(zoo, tmp_path / "aligned")


def test_it_is_the_zoo_with_permuted_kans(zoo: FakeZoo, aligned: AlignedZoo) -> None:
    rows, x = torch.tensor([31, 0, 20]), torch.rand(10, 2) * 2 - 1
    kans, own = aligned.population(rows), zoo.population(rows)
    torch.testing.assert_close(kans(x), own(x), rtol=1e-4, atol=1e-4)
    reference = merge_many(zoo.population(zoo.split("train"))).mean
    matching = weight_matching(own, reference)
    for a, b in zip(kans.layers, matching.aligned.layers, strict=True):
        assert torch.equal(a.coef, b.coef)
    torch.testing.assert_close(aligned.distance_after[rows], matching.distance_after)
    torch.testing.assert_close(aligned.distance_before[rows], matching.distance_before)
    assert len(aligned.population(slice(3, 5))) == 2
    assert aligned.columns is zoo.columns
    assert len(aligned) == len(zoo)
    assert aligned.info()["digest"] == aligned.digest != zoo.digest == zoo.recipe.digest
    aligned.verify()
    with pytest.raises(DataError, match="no pruning masks"):
        aligned.masks(rows)


def test_kans_are_permuted_a_few_at_a_time(zoo: FakeZoo, aligned: AlignedZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, sizes, permute = torch.tensor([31, 0, 20, 7, 7]), [], Population.permute
    expected = zoo.population(rows).permute(aligned.permutation[rows])

    def watched(kans: Population, permutation: Permutation) -> Population:
        sizes.append(len(kans))
        return permute(kans, permutation)

    monkeypatch.setattr(Population, "permute", watched)
    monkeypatch.setattr(aligned_zoo, "PERMUTED_PARAMETERS", 2 * zoo.spec.num_parameters)
    for a, b in zip(aligned.population(rows).layers, expected.layers, strict=True):
        assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)
    assert sizes == [2, 2, 1], "or a zoo would be in memory twice"


def test_masks_follow_their_kans(tmp_path: Path) -> None:
    zoo = FakeZoo((2, 4, 3, 1), train=20, val=6, test=6, classifiers=True)
    aligned = align_zoo(zoo, tmp_path / "aligned")
    assert (aligned.has_masks, aligned.dtype) == (True, zoo.dtype)
    assert any(not torch.equal(a, b) for a, b in zip(aligned.masks(slice(None)), zoo.masks(slice(None)), strict=True))
    rows = torch.tensor([31, 0, 20])
    large = [
        layer.coef.square().mean(-1) > 0.15 for layer in aligned.population(rows).layers
    ]  # what the masks of the fake say
    for mask, expected in zip(aligned.masks(rows), large, strict=True):
        assert torch.equal(mask, expected)
    assert aligned.has_scores
    for mask, score in zip(aligned.masks(rows), aligned.scores(rows), strict=True):
        assert torch.equal(score > math.log(0.01), mask)
    assert len(aligned.masks(slice(3, 5))[0]) == 2
    assert aligned.info()["kept_mean"] == zoo.info()["kept_mean"]


def test_only_training_kans_make_the_reference(zoo: FakeZoo, aligned: AlignedZoo, tmp_path: Path) -> None:
    other = FakeZoo((2, 4, 3, 1), train=20, val=6, test=6)
    for layer in other._kans.layers:
        layer.coef[20:] += 5
    again = align_zoo(other, tmp_path / "other")
    for a, b in zip(again.reference.layers, aligned.reference.layers, strict=True):
        assert torch.equal(a.coef, b.coef)
    assert not torch.equal(again.distance_after, aligned.distance_after)


def test_batches_do_not_show(
    zoo: FakeZoo, aligned: AlignedZoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligned_zoo, "BATCH", 5)
    again = align_zoo(zoo, tmp_path / "again", progress=True)
    for a, b in zip(again.permutation.orders, aligned.permutation.orders, strict=True):
        assert torch.equal(a, b)


def test_a_finished_one_is_opened_not_made_again(
    zoo: FakeZoo, aligned: AlignedZoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(aligned_zoo, "merge_many", never)
    again = align_zoo(zoo, aligned.folder)
    assert again.digest == aligned.digest
    for a, b in zip(again.permutation.orders, aligned.permutation.orders, strict=True):
        assert torch.equal(a, b)
    for name, tensor in again.reference.tensors().items():
        assert torch.equal(tensor, aligned.reference.tensors()[name])


def test_one_that_was_killed_is_made_again_to_the_same_bytes(zoo: FakeZoo, aligned: AlignedZoo) -> None:
    path = aligned.folder / "alignment.safetensors"
    before = path.read_bytes()
    (aligned.folder / "manifest.json").unlink()
    path.write_bytes(before[:100])
    align_zoo(zoo, aligned.folder)
    assert path.read_bytes() == before


def test_another_zoo_other_arguments_or_other_content_are_refused(
    zoo: FakeZoo, aligned: AlignedZoo, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="with zoo"):
        align_zoo(FakeZoo((2, 4, 3, 1), train=20, val=6, test=7), aligned.folder)
    with pytest.raises(DataError, match="with arguments"):
        align_zoo(zoo, aligned.folder, seed=1)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "thesis.tex").write_text("")
    with pytest.raises(DataError, match="holds no aligned zoo"):
        align_zoo(zoo, tmp_path / "x")


def test_damage_is_named(zoo: FakeZoo, aligned: AlignedZoo) -> None:
    path = aligned.folder / "alignment.safetensors"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"alignment\.safetensors: its SHA-256"):
        align_zoo(zoo, aligned.folder)
    path.write_bytes(data + bytes(2**22))
    with pytest.raises(DataError, match="more than"):
        align_zoo(zoo, aligned.folder)
    path.unlink()
    with pytest.raises(DataError, match=r"alignment\.safetensors: cannot be read"):
        align_zoo(zoo, aligned.folder)


Tensors = dict[str, torch.Tensor]
FORGERIES: dict[str, Callable[[Tensors], object]] = {
    "not permutations": lambda t: t["permutations.0"].fill_(1),
    "do not fit 32 KANs .*": lambda t: t.update({"permutations.0": t["permutations.0"].float()}),
    "do not fit 32 KANs": lambda t: t.update({"permutations.1": t["permutations.1"][:5].clone()}),
    "do not fit": lambda t: t.update(extra=torch.zeros(1)),
    "distance_after is negative or not finite": lambda t: t["distance_after"].fill_(torch.nan),
    "distance_before is negative or not finite": lambda t: t["distance_before"].fill_(-1.0),
    "lacks": lambda t: t.pop("reference.layers.0.coef"),
    "layers.0.coef has shape": lambda t: t.update({"reference.layers.0.coef": torch.zeros(1, 2, 4, 8)}),
    "not finite": lambda t: t["reference.layers.1.coef"].fill_(torch.inf),
}


@pytest.mark.parametrize("message", FORGERIES)
def test_forgeries_are_refused(zoo: FakeZoo, aligned: AlignedZoo, message: str) -> None:
    import hashlib

    path, manifest = aligned.folder / "alignment.safetensors", aligned.folder / "manifest.json"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    FORGERIES[message](tensors)
    save_file(tensors, path)
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**data, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))
    with pytest.raises(DataError, match=message):
        align_zoo(zoo, aligned.folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not the manifest"),
        ('{"format": "wskan-alignment", "format_version": 99}', "99"),
    ],
)
def test_malformed_manifests_are_refused(zoo: FakeZoo, aligned: AlignedZoo, text: str, message: str) -> None:
    (aligned.folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match=message):
        align_zoo(zoo, aligned.folder)


def test_zoos_that_cannot_be_aligned(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="no hidden layer"):
        align_zoo(FakeZoo((2, 1)), tmp_path / "flat")
    with pytest.raises(DataError, match="1 training KANs"):
        align_zoo(FakeZoo(train=1), tmp_path / "one")


def test_a_zoo_on_disk_with_shards_of_its_own(tmp_path: Path) -> None:
    recipe = Recipe(
        name="tiny",
        dataset="digits",
        spec=KANSpec(widths=(2, 4, 1), grid=3),
        fit=FitConfig(steps=30),
        train=6,
        val=3,
        test=3,
        shard_size=5,
    )
    zoo = build_zoo(recipe, tmp_path / "zoo")
    aligned = align_zoo(zoo, tmp_path / "aligned", subset=4)
    x = torch.rand(10, 2) * 2 - 1
    torch.testing.assert_close(aligned.population(slice(None))(x), zoo.population(slice(None))(x), rtol=1e-4, atol=1e-4)
    assert json.loads((tmp_path / "aligned" / "manifest.json").read_text())["merged"] == 4
    kept = load_file(tmp_path / "aligned" / "alignment.safetensors")["permutations.0"]
    assert kept.dtype == torch.uint8
    assert torch.equal(kept.long(), aligned.permutation.orders[0])
