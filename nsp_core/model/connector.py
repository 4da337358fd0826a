"""The bridge: learnable queries that Qwen-VL fills, and the connector that carries them to the LTX transformer.

Paper, architecture section: Linear -> SiLU -> Linear -> RMSNorm (weight sqrt(5.5)) x a learnable scale. The scale is
0.01 in the paper's setting, where it meets a pretrained LTX; 1/sqrt(5.5) in the starter's: its transformer is newborn.
Queries are a parameter of their own, not rows of the vocabulary (MetaQuery's weight decay shrinks the frozen rows too).
"""

from __future__ import annotations

import math

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

NORM_WEIGHT = math.sqrt(5.5)


class Connector(ModelMixin, ConfigMixin):
    """(B, num_queries, hidden) of Qwen-VL's last layer -> (B, num_queries, caption_channels)."""

    @register_to_config
    def __init__(
        self, num_queries: int = 256, hidden: int = 3584, caption_channels: int = 4096, initial_scale: float = 0.01
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(num_queries, hidden) / math.sqrt(hidden))  # OpenUni's initialisation
        self.input = nn.Linear(hidden, caption_channels)
        self.output = nn.Linear(caption_channels, caption_channels)
        self.norm = nn.RMSNorm(caption_channels, eps=1e-5)
        nn.init.constant_(self.norm.weight, NORM_WEIGHT)
        self.scale = nn.Parameter(torch.tensor(initial_scale))

    def forward(self, states: Tensor) -> Tensor:
        hidden = self.output(nn.functional.silu(self.input(states)))
        return self.norm(hidden) * self.scale
