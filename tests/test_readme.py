"""The README's Python blocks run on smaller zoos, and links in Markdown files lead somewhere."""

import dataclasses
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

import wskan
from wskan.kan import FitConfig, KANSpec
from wskan.models import MODELS
from wskan.tasks import TASKS
from wskan.zoo import Recipe, build_zoo, recipes

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "results/README.md", "benchmarks/*.md", "studies/*.md")
    for page in ROOT.glob(pattern)
)


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


def links(page: Path) -> list[str]:
    """Return the targets of relative links outside code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    return re.findall(r"\]\((?!https?://)([^)]+)\)", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_block_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    code = blocks(README)[0]
    shorter = code.replace("epochs=40", "epochs=1").replace("hidden=64", "hidden=8")
    assert "epochs=1," in shorter
    assert "hidden=8," in shorter
    exec(shorter, {})
    assert (tmp_path / "runs" / "digits" / "model" / "model.safetensors").exists()


@pytest.mark.filterwarnings("ignore")  # pykan's own, and that pruning by a model of one epoch leaves nothing
def test_the_block_of_a_kan_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kan")
    monkeypatch.chdir(tmp_path)
    recipe = recipes.get_recipe("digits-classifier")
    few = dataclasses.replace(recipe, train=16, val=8, test=8, fit=dataclasses.replace(recipe.fit, steps=20))
    zoo = build_zoo(few, "zoo")
    for folder, task in (("runs/accuracy", "accuracy-prediction"), ("runs/masks", "pruning-mask")):
        wskan.train(zoo, folder, task=task, hidden=8, num_layers=1, epochs=1, batch_size=8, device="cpu")
    seen: dict[str, Any] = {}
    exec(blocks(README)[1], seen)
    kept = [
        torch.equal(act.mask, layer.mask[0])
        for act, layer in zip(seen["model"].act_fun, seen["pruned"].layers, strict=True)
    ]
    assert kept == [True, True, True]
    other = dataclasses.replace(few, spec=KANSpec(widths=(64, 32, 10), grid=5, degree=3))
    assert len(build_zoo(other, "mine")) == 32


def test_the_blocks_of_a_model_and_a_task_of_your_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: dict[str, Any] = {"__name__": "mine"}
    try:
        for code in blocks(ROOT / "docs" / "extending.md"):
            exec(code, seen)
        tests = seen["TestMeanOfEdges"]()
        for name in dir(tests):
            if name.startswith("test_"):
                getattr(tests, name)()
    finally:
        MODELS.pop("mean_of_edges", None)
        TASKS.pop("noise-prediction", None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


def test_the_text_for_a_package_index_has_no_relative_links() -> None:
    convert = runpy.run_path(str(ROOT / "setup.py"))["long_description"]
    text = convert(README.read_text())
    assert "](https://arxiv.org/abs/2602.16316)" in text
    assert "command line (docs/cli.md)" in text
    assert not re.findall(r"\]\((?!https?://)", text)
    assert convert("a\n\n![a picture](x.png)\n\nb ![one](https://x.png)") == "a\n\nb ![one](https://x.png)"


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [wskan.__version__]
