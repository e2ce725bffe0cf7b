"""The README's page of Python runs as it stands, on a smaller zoo."""

import re
from pathlib import Path

import pytest

from wskan.kan import FitConfig, KANSpec
from wskan.zoo import Recipe, recipes

README = Path(__file__).parents[1] / "README.md"


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
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    shorter = code.replace("epochs=80", "epochs=1").replace("hidden=64", "hidden=8")
    assert shorter != code
    exec(shorter, {})
    assert (tmp_path / "runs" / "digits" / "model" / "model.safetensors").exists()


def test_pictures_and_pages_that_it_names_exist() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target
