"""Implicit Pose Indicator (Animate-X, arXiv 2410.10306, §3.2): motion tokens of each frame from keypoints and image
embeddings.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.animate_x.config import NUM_JOINTS, IndicatorConfig
from models.common.attention import scaled_dot_product_attention
from models.common.unet.temporal import sinusoids
from models.pose.extent import CONFIDENT_SCORE
from models.pose.openpose import to_openpose

# B clips, F frames, D width, Q tokens of a frame

MISSING = -1.0
"""Both coordinates of a joint that was not detected."""


def indicator_keypoints(
    keypoints_TK3: NDArray[np.float32],
    *,
    height_px: int,
    width_px: int,
    min_score: float = CONFIDENT_SCORE,
) -> NDArray[np.float32]:
    """Input of the keypoint encoder, (T, 36) float32: x0 … x17, y0 … y17 of the OpenPose body, as shares of the frame.

    `keypoints_TK3`: (T, 133, 3) in pixels of the frame. Joints that score below `min_score` have coordinates −1.
    """
    body = to_openpose(keypoints_TK3.astype(np.float64), min_score=min_score)[:, :NUM_JOINTS]
    shares = body[..., :2] / (width_px, height_px)
    shares[body[..., 2] < min_score] = MISSING
    flat: NDArray[np.float32] = shares.transpose(0, 2, 1).reshape(len(body), -1).astype(np.float32)
    return flat


class KeypointEncoder(nn.Module):
    """Transformer over the keypoints of a clip of any length: the keypoint query q_p.

    For one clip it computes the same as the public code, which mixes the clips of a larger batch.
    """

    def __init__(self, config: IndicatorConfig) -> None:
        super().__init__()
        width = config.width
        self.num_tokens = config.num_tokens
        self.lift = nn.Sequential(nn.Linear(2 * NUM_JOINTS, width // 2), nn.Linear(width // 2, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, config.encoder_heads, config.encoder_ff_width, dropout=0.0, batch_first=True
            )
            for _ in range(config.encoder_layers)
        )
        last = nn.Linear(width, width * config.num_tokens)
        if config.learned_query:  # without one, zeros would keep the queries of all tokens equal
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.tokens = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)

    def forward(self, keypoints_BFK: Tensor) -> Tensor:
        """Queries (B, F, Q, D) of keypoints (B, F, 36) as `indicator_keypoints` returns them."""
        x_BFD = self.lift(keypoints_BFK)
        num_frames, width = x_BFD.shape[1:]
        x_BFD = x_BFD + sinusoids(num_frames, width).to(x_BFD)
        for layer in self.layers:
            x_BFD = layer(x_BFD)
        tokens: Tensor = self.tokens(x_BFD)
        return tokens.reshape(*tokens.shape[:2], self.num_tokens, width)


class ResamplerLayer(nn.Module):
    """Attention of queries to features and to themselves, and a feed-forward network."""

    def __init__(self, config: IndicatorConfig) -> None:
        super().__init__()
        width, inner = config.width, config.resampler_heads * config.head_width
        self.num_heads = config.resampler_heads
        self.norm_features = nn.LayerNorm(width)
        self.norm_queries = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.ff = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width, bias=False),
            nn.GELU(),
            nn.Linear(4 * width, width, bias=False),
        )

    def forward(self, queries_NQD: Tensor, features_NLD: Tensor) -> Tensor:
        """Updated queries (N, Q, D)."""
        normed = self.norm_queries(queries_NQD)
        context = torch.cat([self.norm_features(features_NLD), normed], 1)
        keys, values = self.to_kv(context).chunk(2, -1)
        attended = scaled_dot_product_attention(
            *(x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (self.to_q(normed), keys, values))
        )
        queries_NQD = queries_NQD + self.to_out(attended.transpose(1, 2).flatten(2))
        out: Tensor = queries_NQD + self.ff(queries_NQD)
        return out


class PoseIndicator(nn.Module):
    """Motion tokens f_i: cross-attention of the queries q_p + q_l (keypoint and learned) to embeddings of driving
    frames.
    """

    def __init__(self, config: IndicatorConfig, token_width: int) -> None:
        super().__init__()
        width = config.width
        self.keypoints = KeypointEncoder(config) if config.keypoint_query else None
        learned = torch.randn(1, config.num_tokens, width) / width**0.5
        self.queries = nn.Parameter(learned) if config.learned_query else None
        self.proj_in = nn.Linear(config.features_width, width)
        self.layers = nn.ModuleList(ResamplerLayer(config) for _ in range(config.resampler_layers))
        self.proj_out = nn.Linear(width, token_width)
        self.norm_out = nn.LayerNorm(token_width)

    def forward(self, keypoints_BFK: Tensor, features_BFE: Tensor) -> Tensor:
        """Motion tokens (B, F, Q, token_width) of keypoints (B, F, 36) and image embeddings (B, F, E)."""
        queries_NQD = self._queries(keypoints_BFK).flatten(0, 1)
        features_N1D = self.proj_in(features_BFE).flatten(0, 1)[:, None]
        for layer in self.layers:
            queries_NQD = layer(queries_NQD, features_N1D)
        tokens: Tensor = self.norm_out(self.proj_out(queries_NQD))
        return tokens.reshape(*keypoints_BFK.shape[:2], *tokens.shape[1:])

    def _queries(self, keypoints_BFK: Tensor) -> Tensor:
        """Queries q_p + q_l, or the one that is enabled: (B, F, Q, D)."""
        if self.queries is None:
            assert self.keypoints is not None
            keypoint_query: Tensor = self.keypoints(keypoints_BFK)
            return keypoint_query
        if self.keypoints is None:
            return self.queries.expand(*keypoints_BFK.shape[:2], -1, -1)
        queries: Tensor = self.keypoints(keypoints_BFK) + self.queries
        return queries
