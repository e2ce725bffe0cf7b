"""The README's pages of Python run as they stand, on smaller zoos."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from wskan.graph import FeatureConfig
from wskan.kan import FitConfig, KANSpec
from wskan.models import WSKANConfig
from wskan.tasks import TrainConfig, get_task, train
from wskan.zoo import Recipe, build_zoo, recipes

README = Path(__file__).parents[1] / "README.md"


def page(number: int) -> str:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]  # type: ignore[no-any-return]


def test_the_page_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = Recipe(
        name="tiny",
        dataset="digits",
        spec=KANSpec(widths=(2, 4, 4, 1)),
        fit=FitConfig(steps=20),
        train=40,
        val=8,
        test=8,
    )
    monkeypatch.setitem(recipes.RECIPES, "digits-inr", tiny)
    monkeypatch.chdir(tmp_path)
    code = page(0)
    shorter = code.replace("epochs=80", "epochs=1").replace("hidden=64", "hidden=8")
    assert shorter != code
    exec(shorter, {})
    assert (tmp_path / "runs" / "digits" / "model" / "model.safetensors").exists()


@pytest.mark.filterwarnings("ignore")  # pykan's own, and that pruning by a model of one epoch leaves nothing
def test_the_page_of_a_kan_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kan")
    monkeypatch.chdir(tmp_path)
    recipe = recipes.get_recipe("digits-classifier")
    few = dataclasses.replace(recipe, train=16, val=8, test=8, fit=dataclasses.replace(recipe.fit, steps=20))
    zoo = build_zoo(few, "zoo")
    for folder, name in (("runs/accuracy", "accuracy-prediction"), ("runs/masks", "pruning-mask")):
        task = get_task(name)
        config = WSKANConfig(widths=zoo.spec.widths, edge_dim=FeatureConfig().edge_dim(zoo.spec), out_dim=1, readout=task.readout, hidden=8, num_layers=1)  # fmt: skip
        train(
            zoo,
            folder,
            task=task,
            model=config,
            config=TrainConfig(epochs=1, batch_size=8),
            features=FeatureConfig(),
            device="cpu",
        )
    seen: dict[str, Any] = {}
    exec(page(1), seen)
    kept = [
        torch.equal(act.mask, layer.mask[0])
        for act, layer in zip(seen["model"].act_fun, seen["pruned"].layers, strict=True)
    ]
    assert kept == [True, True, True]
    other = dataclasses.replace(few, spec=KANSpec(widths=(64, 32, 10), grid=5, degree=3))
    assert len(build_zoo(other, "mine")) == 32


def test_pictures_and_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
