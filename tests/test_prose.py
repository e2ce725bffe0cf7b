"""The checker of prose: sentences, the wording it finds, and its limits."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import prose  # noqa: E402
import prose_habits  # noqa: E402
import prose_text  # noqa: E402


def split(text: str) -> list[tuple[str, int]]:
    """Return the sentences of a text with their numbers of words."""
    found = prose_text.Splitter(text).paragraphs
    return [
        (sentence.text, sentence.words) for paragraph in found if paragraph.prose for sentence in paragraph.sentences()
    ]


def habits(text: str) -> list[str]:
    """Return the names of the habits in a text."""
    return [
        name
        for part in prose_text.Splitter(text).paragraphs
        for _, _, name in prose_habits.in_text(part.text, part.entry)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One two. Three four five.", [2, 3]),
        ("Takes 0.5 s on two cores, e.g. Xeons, i.e. CPUs (eq. 5; Kahana et al. 2025). Next.", [16, 1]),
        ("Read it with `wskan train zoos/x runs/y` again.", [5]),
        ("See [the results](results/README.md), please. pykan is slower.", [4, 3]),
        ("- one item\n- another item,\n  continued\n1. a third", [2, 3, 2]),
        ("# A heading\n\nText.\n\n| a | table |\n| --- | --- |\n| of | cells |", [1]),
        ("![a picture of it](x.png)\n\n<p>Words <b>here</b></p>", [2]),
        ("Run\n\n    wskan train zoos/x runs/y\n\nand wait.", [1, 2]),
        ("Run\n\n```python\nx = 1\n```\n\nand wait.", [1, 2]),
        ("- An item:\n\n  a second paragraph of it", [2, 5]),
        ("- An item:\n\n    a second paragraph\n\n      code of it\n\nEnd.", [2, 3, 1]),
        ("**Bold words.** Then more!  And more?", [2, 2, 2]),
        ("- A number (`a` or `b c`), 0.9 ± 0.1 each.", [8]),
        ("MLP + Aug. is a baseline.", [5]),
        ("It stays. fp16 stays, too. cpu: two cores.", [2, 3, 3]),
    ],
)
def test_sentences_of_markdown(text: str, words: list[int]) -> None:
    assert [count for _, count in split(text)] == words


def test_sentences_of_a_docstring() -> None:
    text = """Fit KANs.

    >>> fit(kans)
    Many words of output here.

    Args:
        a, b: two KANs, of one
            specification. Both are kept
        path: where

    Returns:
        The KANs
        in order.

    Raises:
        DataError: no KANs.
        wskan.ShapeError: other shapes
    """
    texts = [text for text, _ in split(text)]
    assert [words for _, words in split(text)] == [2, 5, 3, 1, 4, 2, 2], texts
    entries = [paragraph for paragraph in prose_text.Splitter(text).paragraphs if paragraph.entry]
    assert [entry.raw.split(":")[0] for entry in entries] == ["a, b", "path", "DataError", "wskan.ShapeError"]


def test_lines_and_numbers_of_sentences() -> None:
    (paragraph,) = prose_text.Splitter(
        "First\nline 1. Second 2,000 and -3.5\non CIFAR-10 and bf16 `x 7`.", first=5
    ).paragraphs
    assert [(sentence.line, sentence.numbers) for sentence in paragraph.sentences()] == [(5, 1), (6, 2)]
    assert paragraph.line(paragraph.text.index("CIFAR")) == 7


def test_only_lines_that_can_be_broken_are_too_long() -> None:
    lines = [
        "words and words",
        "",
        "| a table | row |",
        "",
        "[a link by itself](to.md)",
        "",
        "    code and code",
        "",
        "# A heading",
    ]
    assert prose_text.Splitter("\n".join(lines)).breakable == [1, 9]


HABITS = [  # the name, what must be found, what must not
    (
        "per",
        ["It takes 0.1 s a KAN.", "seconds a KAN", "one a layer", "165,000 bytes a graph"],
        ["a KAN", "in 3 s per KAN"],
    ),
    (
        "per",
        ["3,500 KANs a data set", "``[K, n]`` a layer", "x: steps an epoch."],
        ["Which samples a KAN sees", "two KANs a run keeps"],
    ),
    (
        "is not a",
        ["a threshold that is no number", "They are no classes."],
        ["there is no number", "it is no longer so", "it has no number"],
    ),
    ("reject", ["KANs are refused.", "Refuse what is wrong."], ["They reject it.", "refuses_to is `refused`"]),
    ("resume, continue", ["It goes on from there.", "Going on with a run"], ["it runs on CUDA", "what is going on"]),
    (
        "again, memorise, jump",
        ["drawn anew", "learned by heart", "it leaps", "time and again"],
        ["drawn again", "a renewed draw"],
    ),
    (
        "data do not know",
        ["Runs know it.", "the functions that know this", "WS-KAN tells digits"],
        ["We know KANs.", "known runs"],
    ),
    (
        "data do not say",
        ["The second is told.", "An oracle has said so.", "what runs say of KANs"],
        ["The paper says 5.", "told_by"],
    ),
    ("MLP", ["two Perceptrons"], ["`perceptron`", "a multilayer perceptron", "csrc/perceptron.cpp"]),
    ("readout", ["the edge read-out"], ["the edge readout", "to read out"]),
    ("by default", ["pykan as it comes", "in order, as they come"], ["as it is", "it comes as a file"]),
    ("columns", ["KANs with facts", "a column a fact"], ["in fact", "`facts.*`"]),
    ("instead of", ["values in place of slopes"], ["in place", "instead of slopes"]),
    ("next to, compared with", ["beside ours"], ["besides", "next to ours"]),
    ("minus", ["each edge less its mean", "less the first"], ["a third less of the time", "more or less the same"]),
    (
        "a sentence",
        ["Good. Of hyperparameters.", "Draw.\n\nArgs:\n    seed: of the draw."],
        ["Of all KANs, some are pruned. None is.", "part of it."],
    ),
]


@pytest.mark.parametrize(("name", "found", "clean"), HABITS)
def test_habits(name: str, found: list[str], clean: list[str]) -> None:
    for text in found:
        assert name in habits(text), text
    for text in clean:
        assert name not in habits(text), text


def test_every_habit_has_examples() -> None:
    assert {name for name, _, _ in HABITS} == set(prose_habits.HABITS)


@pytest.mark.parametrize(
    "text", ["What it is.", "Of it.", "How so.", "As it is.", "Those here.", "Whether it is.", "In which form."]
)
def test_openings_of_docstrings(text: str) -> None:
    assert prose_habits.OPENING.match(text)


@pytest.mark.parametrize(
    "text", ["Return whether it is.", "A KAN.", "Format it.", "Wherever it is.", "Offset of it.", "Forward it."]
)
def test_other_openings(text: str) -> None:
    assert not prose_habits.OPENING.match(text)


def repository(folder: Path, readme: str = "Short words here.\n") -> Path:
    """Write a small repository with one module."""
    (folder / "src/wskan/room").mkdir(parents=True)
    (folder / "README.md").write_text(readme)
    module = [
        '"""Good words."""',
        "def f(x):",
        '    """Whether it is so."""',
        '    raise ValueError(f"{x} is no number, alas"',
        '        if x else "is no number")',
        "class A:",
        "    b: int = 1",
        '    """Where it is kept."""',
        "    c: int = 2",
        '    """Of the zoo."""',
    ]
    (folder / "src/wskan/room/module.py").write_text("\n".join(module) + "\n")
    return folder


def test_docstrings_and_messages(tmp_path: Path) -> None:
    readme, room = prose.measure(repository(tmp_path), [])
    assert readme.violations() == []
    assert (room.name, len(room.sentences)) == ("src/wskan/room", 4)
    places = sorted(line.split(": ")[0].rsplit(":", 1)[1] + line.split(": ")[1] for line in room.violations())
    assert places == [
        "10'Of' (opens a docstring)",
        "3'Whether' (opens a docstring)",
        "4'is no number' (is not a; in a message)",
    ]


def test_paths_narrow_the_check(tmp_path: Path) -> None:
    root = repository(tmp_path)
    assert [row.name for row in prose.measure(root, [root / "README.md"])] == ["README.md"]
    assert [row.name for row in prose.measure(root, [root / "src"])] == ["src/wskan/room"]


def test_limits(tmp_path: Path) -> None:
    long = " ".join(["word"] * 31) + ".\n"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text(long + "\nA few words. " * 18 + "\n")
    (tmp_path / "docs/b.md").write_text(long + "\nA few words. " * 20 + "\n")
    row, good = prose.measure(tmp_path, [])
    assert len(row.wide) == 1
    assert [line for line in row.violations() if line not in row.wide] == [
        "docs/a.md:1: 5.3 % of sentences over 30 words, at most 5"
    ]
    assert good.violations() == good.wide


def test_limits_of_the_readme(tmp_path: Path) -> None:
    long = " ".join(["word"] * 30 + ["1"] * 3)
    row = prose.measure(repository(tmp_path, f"{long}\n" + "\n" * 119 + "End\n"), [])[0]
    assert [line.split(" ", 1)[1] for line in row.violations()[:4]] == [
        "17.0 words per sentence, at most 16",
        "121.0 lines, at most 120",
        "8.8 numbers per 100 words, at most 3",
        f"33 words: {long}",
    ]


def test_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "tools/prose.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    clean = run(str(ROOT / "tools"))
    assert (clean.returncode, len(clean.stdout.splitlines())) == (0, 2), clean.stdout
    missing = run("missing.md")
    assert missing.returncode == 2
    assert "missing.md does not exist" in missing.stderr
