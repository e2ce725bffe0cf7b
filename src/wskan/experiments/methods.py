"""The rows of the paper's tables: models, and how each is fed."""

from __future__ import annotations

import dataclasses
from typing import Any

from wskan.tasks import Symmetry


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """One row.

    Args:
        label: as the paper calls it.
        model: name in :data:`wskan.models.MODELS`.
        options: fields of its configuration that differ from the defaults.
        augment: symmetries drawn anew for each training KAN each time it is seen.
        aligned: whether all KANs are aligned to the mean of the training KANs first (appendix D.1).
    """

    label: str
    model: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    augment: tuple[Symmetry, ...] = ()
    aligned: bool = False


METHODS: dict[str, Method] = {
    "mlp": Method(label="MLP", model="mlp"),
    "mlp_aug": Method(label="MLP + Aug.", model="mlp", augment=("permutation",)),
    "mlp_align": Method(label="MLP + Align.", model="mlp", aligned=True),
    "dmc": Method(label="DMC", model="dmc"),
    "deepsets": Method(label="DeepSets", model="deep_sets"),
    "set_transformer": Method(label="SetTransformer", model="set_transformer"),
    "ws_kan": Method(label="WS-KAN", model="ws_kan"),
    "no_pe": Method(label="WS-KAN, no PE", model="ws_kan", options={"positional_encoding": False}),
    "no_bidir": Method(label="WS-KAN, no bidir.", model="ws_kan", options={"backward_messages": False}),
}
"""By the names of the paper's results. Table 1 and figure 8 have the first seven, table 6 the last three."""
