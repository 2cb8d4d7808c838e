"""U-Net of Stable Diffusion 1.x in any size, for images or, with temporal layers, for clips.

Parameter names are those of diffusers, in temporal layers those of its `UNetMotionModel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.common.unet.blending import ObjectFeatures
from models.common.unet.config import BlendingConfig, TemporalConfig, UNetConfig
from models.common.unet.control import ControlResiduals
from models.common.unet.level import DownLevel, Level, MiddleLevel, UpLevel
from models.common.unet.temporal import TemporalLayer, temporal_layer
from models.common.unet.transformer import BlockConditions, SpatialTransformer


def is_temporal(name: str) -> bool:
    """Whether a parameter of a `UNet` belongs to its temporal layers."""
    return any(part in name for part in ("motion_modules.", "temporal_convs.", "transformer_in."))


class UNet(nn.Module):
    """U-Net of Stable Diffusion without output layers, which only a denoiser has.

    Attributes:
        temporal: whether the temporal layers run.
        gradient_checkpointing: whether the backward pass recomputes the activations of each layer.
    """

    def __init__(
        self, config: UNetConfig, temporal: TemporalConfig | None = None, blending: BlendingConfig | None = None
    ) -> None:
        """`blending`: of object features in the decoder; None: no such layers."""
        super().__init__()
        self.config = config
        self.temporal = temporal is not None
        self.gradient_checkpointing = False
        first = config.widths[0]
        self.conv_in = nn.Conv2d(config.in_channels, first, 3, padding=1)
        self.transformer_in: TemporalLayer | None = None
        if temporal is not None and temporal.layout == "modelscope":
            inner = None if temporal.head_width is None else temporal.num_heads * temporal.head_width
            self.transformer_in = temporal_layer(first, temporal, norm_groups=config.norm_groups, inner_width=inner)
        self.time_proj = Timesteps(first, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(first, 4 * first)
        levels = range(len(config.widths))
        self.down_blocks = nn.ModuleList(DownLevel(level, config, temporal) for level in levels)
        self.mid_block = MiddleLevel(config, temporal, blending)
        self.up_blocks = nn.ModuleList(UpLevel(level, config, temporal, blending) for level in reversed(levels))

    @property
    def transformers(self) -> list[SpatialTransformer]:
        """All spatial transformers, in execution order."""
        return [module for level in self._levels for module in level.attentions]

    @property
    def num_encoder_transformers(self) -> int:
        """Number of spatial transformers before the middle block."""
        return sum(len(level.attentions) for level in self._levels[: len(self.down_blocks)])

    @property
    def pose_transformers(self) -> list[SpatialTransformer]:
        """All pose transformers, in execution order."""
        return [module for level in self._levels for module in level.pose_attentions]

    @property
    def _levels(self) -> tuple[Any, ...]:
        return (*self.down_blocks, self.mid_block, *self.up_blocks)

    def shards(self) -> list[nn.Module]:
        """Modules that FSDP may wrap: those called through `forward` only, which excludes transformers."""
        shards: list[nn.Module] = [] if self.transformer_in is None else [self.transformer_in]
        for level in self._levels:
            shards.extend([*level.resnets, *level.temporal_convs, *level.motion_modules])
        return shards

    def conditions(
        self, context_RLD: Tensor, reference: Sequence[Tensor | None] | None = None
    ) -> list[BlockConditions]:
        """Conditioning inputs of every transformer, from context tokens and reference features, one (R, L, D) each, or
        None for a transformer without.

        Raises:
            ValueError: the number of features is not that of transformers.
        """
        transformers = self.transformers
        if reference is not None and len(reference) != len(transformers):
            raise ValueError(f"expected features of {len(transformers)} transformers, got {len(reference)}")
        return [
            transformer.block.conditions(context_RLD, features)
            for transformer, features in zip_longest(transformers, reference or ())
        ]

    def pose_conditions(self, tokens_NLD: Tensor) -> list[BlockConditions]:
        """Conditioning inputs of every pose transformer, from motion tokens of each frame, N = rows · frames."""
        return [transformer.block.conditions(tokens_NLD) for transformer in self.pose_transformers]

    def forward_features(
        self,
        x_NCHW: Tensor,
        t_N: Tensor,
        conditions: Sequence[BlockConditions] | None,
        *,
        pose_conditions: Sequence[BlockConditions] | None = None,
        objects: ObjectFeatures | None = None,
        control: ControlResiduals | None = None,
        num_frames: int = 1,
        num_unconditional: int = 0,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """From the output of `conv_in` (N, C, H, W) at timesteps (N,) to the input of an output layer.

        `objects`: for a U-Net with blending layers; None leaves them out.
        `control`: residuals of ControlNets.
        `features`: list to which the features of each transformer are appended.
        """
        embedding = self.time_embedding(self.time_proj(t_N).to(x_NCHW.dtype))
        remaining = iter(conditions if conditions is not None else [None] * len(self.transformers))
        remaining_pose = iter(pose_conditions if pose_conditions is not None else [None] * len(self.pose_transformers))

        def layer(level: nn.Module, index: int, x: Tensor, of_objects: tuple[Tensor, Tensor] | None = None) -> Tensor:
            assert isinstance(level, Level)
            block = next(remaining) if index < len(level.attentions) else None
            pose_block = next(remaining_pose) if index < len(level.pose_attentions) else None
            arguments: tuple[Any, ...] = (
                index,
                x,
                embedding,
                block,
                pose_block,
                of_objects,
                num_frames,
                num_unconditional,
                self.temporal,
            )
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x, block_features = checkpoint(level.layer, *arguments, use_reentrant=False)
            else:
                x, block_features = level.layer(*arguments)
            if features is not None and block_features is not None:
                features.append(block_features)
            return x

        if self.transformer_in is not None and self.temporal:
            x_NCHW = self.transformer_in(x_NCHW, num_frames)
        skips = [x_NCHW]
        for level in self.down_blocks:
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                x_NCHW = layer(level, index, x_NCHW)
                skips.append(x_NCHW)
            for downsample in level.downsamplers:  # type: ignore[union-attr]
                x_NCHW = downsample(x_NCHW)
                skips.append(x_NCHW)
        lowest = len(self.down_blocks) - 1
        x_NCHW = layer(self.mid_block, 0, x_NCHW, None if objects is None else objects.level(lowest))
        x_NCHW = self.mid_block.residual(1, x_NCHW, embedding, num_frames, self.temporal)
        if control is not None:
            x_NCHW = control.added(len(skips), x_NCHW, num_frames)
        for above, level in enumerate(self.up_blocks):
            of_level = None if objects is None else objects.level(lowest - above)
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                skip = skips.pop()
                if control is not None:
                    skip = control.added(len(skips), skip, num_frames)
                x_NCHW = layer(level, index, torch.cat([x_NCHW, skip], 1), of_level)
            for upsample in level.upsamplers:  # type: ignore[union-attr]
                # Doubling would not restore an odd size.
                x_NCHW = upsample(x_NCHW, output_size=skips[-1].shape[2:])
        return x_NCHW
