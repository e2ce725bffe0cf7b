"""Split Markdown and docstrings into paragraphs and sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONG = 30  # words of the longest sentence that is not long

_CODE = re.compile(r"(?::[a-z:]+:)?(`+)(.+?)\1", re.DOTALL)
_MARKUP = re.compile(
    r"!\[[^\]]*\]\([^)]*\)"  # images and badges
    r"|<!--.*?-->|</?[a-z]+[^<>]*>"
    r"|\]\([^)\s]*\)|https?://\S+"  # addresses of links
    r"|\*\*|(?<!\w)\*(?=\w)|(?<=\w)\*(?!\w)"
)
_LINK = re.compile(r"!?\[[^\]]*\]\([^)]*\)[.,;:]?")
_ABBREVIATIONS = "".join(rf"(?<!\b{name})" for name in (r"e\.g", r"i\.e", "[Ee]q", "[Ee]qs", "al", "cf", "vs", "Aug"))
_END = re.compile(rf"{_ABBREVIATIONS}[.!?][\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9`]|pykan|wskan|[a-z]+\d|[a-z]+: )")
_NUMBER = re.compile(r"(?<![\w.,\-])[-\u2212]?\d[\d,]*(?:\.\d+)?")
_ITEM = re.compile(r"(?:[-*+]|\d+\.) +")
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Notes?|Examples?):$")
_ENTRIES = ("Args", "Attributes", "Raises")
_NAMES = re.compile(r"\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*: ")
_COMMENT = re.compile(r"(?:^|\s)# (.+)")
_SKIPPED = re.compile(r"\[[^\]]+\]: |[=+|:\- ]+$")  # definitions of links, rules of tables


@dataclass
class Sentence:
    """A sentence with its first line, its text, and its number of words, where inline code counts as one."""

    line: int
    text: str
    words: int
    numbers: int


@dataclass
class Paragraph:
    """Lines that belong together, joined by spaces.

    Attributes:
        raw: the text.
        starts: the offset in the text and the number of each line.
        prose: whether sentences are counted, as they are not for headings, tables and comments of code.
        entry: whether it is an entry of ``Args:``, ``Attributes:`` or ``Raises:``.
    """

    raw: str
    starts: list[tuple[int, int]]
    prose: bool = True
    entry: bool = False

    @property
    def text(self) -> str:
        """The text with code, markup and names of entries masked, each by as many characters."""
        text = _NAMES.sub(lambda found: " " * len(found.group()), self.raw, count=1) if self.entry else self.raw
        text = _CODE.sub(lambda found: "`" + "_" * (len(found.group()) - 2) + "`", text)
        return _MARKUP.sub(lambda found: " " * len(found.group()), text)

    def line(self, offset: int) -> int:
        """Return the number of the line at an offset of the text."""
        return max(number for start, number in self.starts if start <= offset)

    def sentences(self) -> Iterator[Sentence]:
        """Split the text at full stops that end a sentence."""
        text = self.text
        ends = [found.end() for found in _END.finditer(text)]
        for start, end in zip([0, *ends], [*ends, len(text)], strict=True):
            part = text[start:end]
            words = sum(bool(re.search(r"\w", word)) for word in part.split())
            if words:
                first = start + len(part) - len(part.lstrip())
                yield Sentence(self.line(first), self.raw[first:end].strip(), words, len(_NUMBER.findall(part)))


class Splitter:
    """The paragraphs of a Markdown file or docstring, and the numbers of those lines that can be broken.

    Tables, code, doctests, and lines of a single link or word cannot be broken.
    """

    def __init__(self, text: str, first: int = 1) -> None:
        self.paragraphs: list[Paragraph] = []
        self.breakable: list[int] = []
        self._open: list[tuple[int, str]] = []  # lines of the paragraph that has not ended
        self._entry = False
        self._section = ""
        self._floor = self._base = 0  # indentation of a section's entries, and of the list item inside
        lines = text.split("\n")
        margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
        code = fence = doctest = False
        blank = True
        for number, line in enumerate(lines, first):
            line = (line[margin:] if number > first else line).rstrip()
            words = line.strip()
            indent = len(line) - len(line.lstrip())
            if words.startswith("```"):
                self._end()
                fence = not fence
            elif not words:
                self._end()
                doctest = False
            else:
                if indent < self._base and (blank or self._section):
                    self._leave(indent)
                doctest = not fence and (doctest or words.startswith(">>>"))
                code = indent >= self._base + 4 and (blank or code)
                if fence or doctest or code:
                    self._comment(number, words)
                else:
                    self._line(number, words, indent)
            blank = not words
        self._end()

    def _leave(self, indent: int) -> None:
        """End the list, and the section if the line stands left of its entries."""
        if indent < self._floor:
            self._section, self._floor = "", 0
        self._base = self._floor

    def _comment(self, number: int, words: str) -> None:
        self._end()
        comment = _COMMENT.search(words)
        if comment:
            self.paragraphs.append(Paragraph(comment[1], [(0, number)], prose=False))

    def _line(self, number: int, words: str, indent: int) -> None:
        """Take a line that is not code: begin a paragraph with it, or add it to the open one."""
        section, item = _SECTION.match(words), _ITEM.match(words)
        if section:
            self._end()
            self._section, self._floor = section[1], indent + 4
            self._base = self._floor
            return
        if words.startswith("|") or re.match(r"#+ ", words):
            self._end()
            self.paragraphs.append(Paragraph(words, [(0, number)], prose=False))
            if words.startswith("#"):
                self.breakable.append(number)
            return
        if _SKIPPED.match(words):
            self._end()
            return
        if item:
            self._end()
            self._base = indent + item.end()
            words = words[item.end() :]
        elif self._section in _ENTRIES and indent == self._floor:
            self._end()
            self._entry = True
        self._open.append((number, words))
        if not _LINK.fullmatch(words) and " " in Paragraph(words, [(0, number)]).text.strip():
            self.breakable.append(number)

    def _end(self) -> None:
        """Close the open paragraph."""
        starts, raw = [], ""
        for number, words in self._open:
            raw += " " if raw else ""
            starts.append((len(raw), number))
            raw += words
        if raw:
            self.paragraphs.append(Paragraph(raw, starts, entry=self._entry))
        self._open, self._entry = [], False
