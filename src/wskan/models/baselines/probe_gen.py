"""Learned probing.

The source is Kahana, Horwitz, Shuval and Hoshen, "Deep Linear Probe Generators for Weight Space Learning" (ICLR 2025).
"""

import dataclasses

import torch
from torch import Tensor, nn

from wskan.graph.features import MAX_PROBES
from wskan.models.base import register_model
from wskan.models.baselines.flat_mlp import build_mlp
from wskan.models.baselines.outputs import OutputsConfig, OutputsNetwork
from wskan.models.config import check_whole
from wskan.models.evaluating import spread_inputs

LATENT = 32  # dimension of a code, as in the source


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProbeGenConfig(OutputsConfig):
    """The configuration of :class:`ProbeGen`; see :class:`wskan.models.OutputsConfig`.

    Args:
        probes: number P of learned inputs.
        generator: generate the inputs from learned codes by a deep linear network, as the source proposes. If False,
            the inputs themselves are parameters ("vanilla probing" there).
    """

    model: str = "probe_gen"
    probes: int = 128
    generator: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("probes", self.probes, 2, MAX_PROBES)


@register_model("probe_gen", ProbeGenConfig)
class ProbeGen(OutputsNetwork):
    """An MLP that reads the KAN's outputs at P learned inputs. Gradients pass through the KANs to the inputs.

    The generator is that of the authors for implicit neural representations: codes of 32 numbers and two linear layers
    without activation.
    """

    config: ProbeGenConfig

    def __init__(self, config: ProbeGenConfig) -> None:
        super().__init__(config)
        n_in = config.widths[0]
        self.generator: nn.Module = nn.Identity()
        if config.generator:
            self.codes = nn.Parameter(torch.randn(config.probes, LATENT))
            layers = nn.Linear(LATENT, LATENT), nn.Linear(LATENT, n_in)
            for layer, variance in zip(layers, (1 / LATENT, 1 / (3 * LATENT)), strict=True):
                nn.init.normal_(layer.weight, std=variance**0.5)  # inputs vary as if uniform in (-1, 1)
                nn.init.zeros_(layer.bias)
            self.generator = nn.Sequential(*layers)
        else:
            self.codes = nn.Parameter(spread_inputs(config.probes, n_in))
        self.head = build_mlp(config, config.probes * config.widths[-1], config.out_dim)

    def inputs(self, size: int = 1) -> Tensor:
        """Return the learned inputs, ``[P, in]``, in single precision."""
        with torch.autocast(self.codes.device.type, enabled=False):
            out: Tensor = self.generator(self.codes)
        return out

    def read(self, outputs: Tensor) -> Tensor:
        """Map outputs ``[B, out, P]`` to ``[B, out_dim]``."""
        out: Tensor = self.head(outputs.flatten(1))
        return out
