"""Measure the prose of Markdown files and docstrings, and check it against the limits of the house.

``python tools/prose.py [--list-long] [PATH ...]`` prints a table with one row per Markdown file and per room.
Every violation follows as ``file:line: text``. The exit code is then 1. PATH names files or folders to check; all by
default. Test modules are checked only if they are named.
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import prose_habits as habits
from prose_text import LONG, Sentence, Splitter

MARKDOWN = (
    "README.md",
    "docs/**/*.md",
    "results/README.md",
    "benchmarks/README.md",
    "studies/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
)
FOLDERS = ("src/wskan", "faults", "fuzz", "benchmarks", "studies", "tools", "tests")
WIDTH = 120  # characters of a line
LONG_SHARE = 5  # percent of the sentences, README.md apart
README_MEAN, README_NUMBERS, README_LINES = 16, 3, 120  # words per sentence, numbers per 100 words, lines


@dataclass
class Row:
    """The counts of a Markdown file or room; wide lines, long sentences and habits as ``file:line: text``."""

    name: str
    lines: int = 0
    sentences: list[Sentence] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    habits: list[str] = field(default_factory=list)

    def add(self, path: str, text: str, source: list[str], first: int = 1) -> None:
        """Count a Markdown file or a docstring that begins on line ``first`` of the file whose lines are ``source``."""
        split = Splitter(text, first)
        self.lines += text.count("\n") + 1
        for number in split.breakable:
            if len(line := source[number - 1]) > WIDTH:
                self.wide.append(f"{path}:{number}: {len(line)} characters: {line.strip()[:60]} …")
        for paragraph in split.paragraphs:
            for sentence in paragraph.sentences() if paragraph.prose else ():
                self.sentences.append(sentence)
                if sentence.words > LONG:
                    self.long.append(f"{path}:{sentence.line}: {sentence.words} words: {sentence.text}")
            for start, end, name in habits.in_text(paragraph.text, paragraph.entry):
                self.habit(f"{path}:{paragraph.line(start)}", name, paragraph.raw, start, end)

    def habit(self, place: str, name: str, text: str, start: int, end: int) -> None:
        """Keep a habit with a few characters around it."""
        around = " ".join(text[max(start - 30, 0) : end + 40].split())
        self.habits.append(f"{place}: {' '.join(text[start:end].split())!r} ({name}): … {around} …")

    @property
    def words(self) -> int:
        """The number of words."""
        return sum(sentence.words for sentence in self.sentences)

    @property
    def mean(self) -> float:
        """The words per sentence."""
        return self.words / max(len(self.sentences), 1)

    @property
    def share(self) -> float:
        """The percentage of long sentences."""
        return 100 * len(self.long) / max(len(self.sentences), 1)

    @property
    def numbers(self) -> float:
        """The numbers per 100 words."""
        return 100 * sum(sentence.numbers for sentence in self.sentences) / max(self.words, 1)

    def violations(self) -> list[str]:
        """List what exceeds the limits."""
        if self.name != "README.md":
            limits = [(self.share, LONG_SHARE, f"% of sentences over {LONG} words")]
        else:
            limits = [(self.mean, README_MEAN, "words per sentence"), (self.lines, README_LINES, "lines")]
            limits += [(self.numbers, README_NUMBERS, "numbers per 100 words")]
        totals = [f"{self.name}:1: {value:.1f} {what}, at most {most}" for value, most, what in limits if value > most]
        return totals + (self.long if self.name == "README.md" else []) + self.wide + self.habits


def docstrings(tree: ast.Module) -> Iterator[tuple[ast.Constant, bool]]:
    """Yield each docstring, and whether it describes an attribute: then it stands below one."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for index, child in enumerate(body if isinstance(body, list) else []):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.value, index > 0


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of all other strings of at least four words; values in f-strings are ``_``."""
    skipped = {id(node) for node, _ in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(value) for value in node.values}
            text = "".join(str(value.value) if isinstance(value, ast.Constant) else "_" for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            text = node.value
        else:
            continue
        if len(text.split()) >= 4:
            yield node.lineno, text


def add_module(row: Row, path: Path, name: str) -> None:
    """Count the docstrings of a Python file, and find habits in the messages of one in ``src``."""
    source = path.read_text()
    tree = ast.parse(source)
    for node, attribute in docstrings(tree):
        text = str(node.value)
        row.add(name, text, source.split("\n"), node.lineno)
        found = (habits.FRAGMENT if attribute else habits.OPENING).match(text)
        if found:
            row.habit(f"{name}:{node.lineno}", "opens a docstring", text, 0, found.end())
    for line, text in strings(tree) if name.startswith("src/") else ():
        for start, end, habit in habits.in_message(text):
            row.habit(f"{name}:{line}", f"{habit}; in a message", text, start, end)


def measure(root: Path, chosen: list[Path]) -> list[Row]:
    """Count the files below ``root``, or those of them that ``chosen`` names by file or folder.

    Test modules count only if they are named.
    """
    named = {path.resolve() for path in chosen}
    rows: dict[str, Row] = {}

    def files(pattern: str) -> Iterator[Path]:
        for path in sorted(root.glob(pattern)):
            if not named or named & {path, *path.parents}:
                yield path

    for path in (path for pattern in MARKDOWN for path in files(pattern)):
        name = path.relative_to(root).as_posix()
        rows[name] = Row(name)
        text = path.read_text().removesuffix("\n")
        rows[name].add(name, text, text.split("\n"))
    for path in (path for folder in FOLDERS for path in files(f"{folder}/**/*.py")):
        if not path.name.startswith("test_") or path in named:
            name = path.relative_to(root).as_posix()
            room = "/".join(name.split("/")[:3]) if name.startswith("src/") else name.split("/")[0]
            add_module(rows.setdefault(room, Row(room)), path, name)
    return list(rows.values())


def table(rows: list[Row]) -> str:
    """Return the counts as a table of plain text."""
    width = max((len(row.name) for row in rows), default=0)
    lines = [f"{'':{width}}  sentences  mean  longest  >{LONG} words  numbers/100  lines >{WIDTH}  habits"]
    for row in rows:
        longest = max((sentence.words for sentence in row.sentences), default=0)
        lines.append(
            f"{row.name:{width}}  {len(row.sentences):9}  {row.mean:4.1f}  {longest:7}  {row.share:7.1f} %"
            f"  {row.numbers:11.1f}  {len(row.wide):10}  {len(row.habits):6}"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table and the violations; return 1 if there are any."""
    parser = argparse.ArgumentParser(
        description="Measure the prose of Markdown files and docstrings against the limits."
    )
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders to check; all by default")
    parser.add_argument("--list-long", action="store_true", help=f"also list every sentence over {LONG} words")
    arguments = parser.parse_args()
    for path in arguments.paths:
        if not path.exists():
            parser.error(f"{path} does not exist")
    rows = measure(Path(__file__).resolve().parents[1], arguments.paths)
    if not rows:
        parser.error("no Markdown file or module to check in these paths")
    print(table(rows))
    violations = [line for row in rows for line in row.violations()]
    long = [line for row in rows for line in row.long if row.name != "README.md"] if arguments.list_long else []
    for line in violations + long:
        print(line)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
