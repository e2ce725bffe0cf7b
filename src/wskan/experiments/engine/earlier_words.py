"""Words of earlier result files, and the words that have replaced them: tables merge by titles, keys and notes."""

from __future__ import annotations

from wskan.experiments.engine.methods import CURRENT_NAMES

TEXTS = {
    "seconds a KAN": "seconds per KAN",
    "seconds an epoch": "seconds per epoch",
    "tau, beside table": "tau for table",
    "KANs a data": "KANs per data",
    "10] a unit of length": "10] per unit of length",
    "validation score counts.": "validation score is used.",
    "it names no clipping.": "it does not mention clipping.",
    "images, of the trade-off": "images, those of the trade-off",
    "on validation; the trade-off moves": "on validation KANs; the trade-off varies",
    "gives the figure without numbers, but": "gives numbers only",
    "that the first column has, too; the paper takes all,": "of the first column; the paper uses all,",
    "; no PE needs none.": "; the model without PE needs none.",
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
