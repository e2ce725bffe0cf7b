"""Words of earlier result files, and the words that have replaced them: tables merge by titles, keys and notes."""

from __future__ import annotations

from wskan.experiments.engine.methods import CURRENT_NAMES

TEXTS = {
    "seconds a KAN": "seconds per KAN",
    "seconds an epoch": "seconds per epoch",
    "tau, beside table": "tau for table",
    "KANs a data set": "KANs per data set",
    "validation score counts.": "validation score is used.",
    "it names no clipping.": "it does not mention clipping.",
}
"""Parts of titles and notes."""


def current_name(name: str) -> str:
    """Return the present key of a row."""
    return CURRENT_NAMES.get(name, name)


def current_text(text: str) -> str:
    """Return a title or note in the present words."""
    for earlier, current in TEXTS.items():
        text = text.replace(earlier, current)
    return text
