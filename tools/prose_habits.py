"""Patterns of wording to avoid, chosen to raise few false alarms."""

import re
from collections.abc import Iterator

_NOUNS = (
    r"KAN|graph|layer|epoch|step|second|minute|hour|seed|run|edge|image|model|neuron|node|core|sample|file|fit|batch|row"
    r"|column|class|classifier|data set|channel|point|task|method|network|site|metric|size|width|grid"
    r"|split|shard|process"
    r"|tile|input|output|hidden layer|parameter|number|fact"
)
_UNITS = (
    r"\d+|[\d_] s|ms|seconds?|minutes|hours|bytes?|[KMG]i?B|one|two|three|four|once|twice|times|columns?|rows?|numbers?"
    r"|tensors?|values?|tables?|steps|epochs|neurons|faults|graphs|KANs|uint8|int64|float16|float32|float64|bool|pykan"
)
_VERB = r"(?! (?:\w+s|can|may|must|will|would|that|to)\b)"  # "samples a KAN sees"
_DATA = (
    r"KANs?|runs?|models?|weights|masks?|zoos?|files?|grids?|oracle|features|functions|labels|data|line|rooms?|shards?"
    r"|version|checkpoints?|results?|values"
)
_COMPARATIVES = (
    "longer|more|less|fewer|better|worse|larger|smaller|higher|lower|wider|narrower"
    "|faster|slower|greater|deeper|shorter"
)


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


HABITS = {  # what to write instead, and what to avoid
    "per": _words(rf"(?:(?<![\w.,])(?:\d+[.,])*(?:{_UNITS})|%|`) an? (?:{_NOUNS})\b{_VERB}"),
    "is not a": _words(rf"(?<!\bthere )\b(?:is|are|was|were) no (?!(?:{_COMPARATIVES}|one)\b)[\w`]+"),
    "reject": _words(r"\brefus(?:e[sd]?|ing|als?)\b"),
    "resume, continue": _words(r"\b(?:go|goes|went|gone|(?<!is )going) on\b(?! top)"),
    "again, memorise, jump": _words(r"\banew\b|\btime and again\b|\bby heart\b|\bleap(?:s|ed|t|ing)?\b"),
    "data do not know": _words(rf"\b(?:{_DATA}) (?:(?:that|which|each|does not|do not) )*(?:knows?|tells?)\b"),
    "data do not say": _words(
        r"\b(?:is|are|was|were|be|been|being|unless) told\b|\b(?:has|have) said\b"
        r"|\bsa(?:y|ys|id) (?:nothing )?of\b(?! what\b)"
    ),
    "MLP": _words(r"(?<!multilayer )(?<!multi-layer )(?<![/.])\bperceptrons?\b(?!\.\w)"),
    "readout": _words(r"\bread-outs?\b"),
    "by default": _words(r"\bas (?:it|they|pykan) comes?\b"),
    "columns": _words(r"\bfacts\b|\b(?:an?|each|every|per) fact\b"),
    "instead of": _words(r"\bin place of\b"),
    "next to, compared with": _words(r"\bbeside\b"),
    "minus": _words(r"(?<!or )(?<!no )\bless (?:its|their|the|those|what|a constant)\b"),
    "a sentence": re.compile(r"(?<=[.!?] )Of (?:\S+ ){0,6}\S+?\.(?= |$)"),
}

IN_MESSAGES = ("per", "is not a", "reject", "resume, continue", "again, memorise, jump", "data do not know")

FRAGMENT = re.compile(r"(?:Of|As|Those|That|By|From|In which|So that|For|With|At|On|Over|To|Between|In)\b")
OPENING = re.compile(rf"(?:{FRAGMENT.pattern}|(?:What|How|Whether|Which|Who|Where|Why)\b)")
_ENTRY = re.compile(r"\s*[Oo]f (?!(?:each|shape|size|type|length)\b)\S+")


def in_text(text: str, entry: bool = False) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and name of each habit in a masked paragraph, which may be an entry of ``Args:``."""
    for name, pattern in HABITS.items():
        for found in pattern.finditer(text):
            yield found.start(), found.end(), name
    if entry and (fragment := _ENTRY.match(text)):
        yield fragment.start(), fragment.end(), "a sentence"


def in_message(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the start, end and name of each habit in a message."""
    for name in IN_MESSAGES:
        for found in HABITS[name].finditer(text):
            yield found.start(), found.end(), name
