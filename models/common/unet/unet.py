"""The U-Net of Stable Diffusion 1.x, of any size, over single images or over clips with temporal layers.

Parameters are named as diffusers names them, temporal layers as in its `UNetMotionModel`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from diffusers.models.downsampling import Downsample2D
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from diffusers.models.resnet import ResnetBlock2D, TemporalConvLayer
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.common.unet.config import TemporalConfig, UNetConfig
from models.common.unet.temporal import TemporalLayer, temporal_layer
from models.common.unet.transformer import BlockConditions, SpatialTransformer


def is_temporal(name: str) -> bool:
    """Whether a parameter of a `UNet` belongs to its temporal layers."""
    return any(part in name for part in ("motion_modules.", "temporal_convs.", "transformer_in."))


class Level(nn.Module):
    """Layers at one resolution: ResNet, spatial transformer, temporal transformer; then a change of resolution."""

    def __init__(
        self, channels: Sequence[tuple[int, int]], config: UNetConfig, temporal: TemporalConfig | None, attention: bool
    ) -> None:
        """`channels`: (in, out) of each ResNet."""
        super().__init__()
        embedding = 4 * config.widths[0]
        self.resnets = nn.ModuleList(
            ResnetBlock2D(
                in_channels=before, out_channels=after, temb_channels=embedding, groups=config.norm_groups, eps=1e-5
            )
            for before, after in channels
        )
        widths = [after for _, after in channels] if attention else []
        self.attentions = nn.ModuleList(_transformer(width, config) for width in widths)
        self.pose_attentions = nn.ModuleList(
            _pose_transformer(width, config, config.pose_attention)
            for width in widths
            if config.pose_attention is not None
        )
        modelscope = temporal is not None and temporal.layout == "modelscope"
        self.temporal_convs = nn.ModuleList(_temporal_convs(after, config) for _, after in channels if modelscope)
        self.motion_modules = nn.ModuleList(
            temporal_layer(width, temporal, norm_groups=config.norm_groups)
            for width in (widths if modelscope else [after for _, after in channels])
            if temporal is not None
        )

    def residual(self, index: int, x_NCHW: Tensor, embedding: Tensor, num_frames: int, temporal: bool) -> Tensor:
        """The image after one ResNet, and the convolutions over frames that belong to it."""
        x_NCHW = self.resnets[index](x_NCHW, embedding)
        if temporal and index < len(self.temporal_convs):
            x_NCHW = self.temporal_convs[index](x_NCHW, num_frames)
        return x_NCHW

    def layer(
        self,
        index: int,
        x_NCHW: Tensor,
        embedding: Tensor,
        conditions: BlockConditions | None,
        pose_conditions: BlockConditions | None,
        num_frames: int,
        num_unconditional: int,
        temporal: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """The image after one layer, and its transformer's features where it has one."""
        features = None
        x_NCHW = self.residual(index, x_NCHW, embedding, num_frames, temporal)
        if index < len(self.attentions):
            x_NCHW, features = self.attentions[index](
                x_NCHW, conditions, num_frames=num_frames, num_unconditional=num_unconditional
            )
        if index < len(self.pose_attentions):
            x_NCHW, _ = self.pose_attentions[index](x_NCHW, pose_conditions, num_frames=num_frames)
        if temporal and index < len(self.motion_modules):
            x_NCHW = self.motion_modules[index](x_NCHW, num_frames)
        return x_NCHW, features


class DownLevel(Level):
    """A level on the way down."""

    def __init__(self, level: int, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        width, before = config.widths[level], config.widths[max(level - 1, 0)]
        channels = [(before if index == 0 else width, width) for index in range(config.layers_per_block)]
        super().__init__(channels, config, temporal, config.attention[level])
        last = level == len(config.widths) - 1
        self.downsamplers = nn.ModuleList([] if last else [Downsample2D(width, use_conv=True, padding=1, name="op")])


class UpLevel(Level):
    """A level on the way up, whose layers each read a skip connection as well."""

    def __init__(self, level: int, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        widths = config.widths
        width, below, above = widths[level], widths[min(level + 1, len(widths) - 1)], widths[max(level - 1, 0)]
        last = config.layers_per_block
        channels = [
            ((below if index == 0 else width) + (above if index == last else width), width) for index in range(last + 1)
        ]
        super().__init__(channels, config, temporal, config.attention[level])
        self.upsamplers = nn.ModuleList([Upsample2D(width, use_conv=True)] if level else [])


class MiddleLevel(Level):
    """ResNet, transformers, ResNet, at the lowest resolution."""

    def __init__(self, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        width = config.widths[-1]
        super().__init__([(width, width)], config, temporal, attention=True)
        last = ResnetBlock2D(
            in_channels=width,
            out_channels=width,
            temb_channels=4 * config.widths[0],
            groups=config.norm_groups,
            eps=1e-5,
        )
        self.resnets.append(last)
        if self.temporal_convs:
            self.temporal_convs.append(_temporal_convs(width, config))


class UNet(nn.Module):
    """Stable Diffusion's U-Net without its output layers, which only a denoiser has.

    `temporal` off runs its layers as if they were not there. `gradient_checkpointing` computes each layer again in the
    backward pass instead of keeping what it computed.
    """

    def __init__(self, config: UNetConfig, temporal: TemporalConfig | None = None) -> None:
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
        self.mid_block = MiddleLevel(config, temporal)
        self.up_blocks = nn.ModuleList(UpLevel(level, config, temporal) for level in reversed(levels))

    @property
    def transformers(self) -> list[SpatialTransformer]:
        """All spatial transformers, in the order in which they run."""
        return [module for level in self._levels for module in level.attentions]

    @property
    def pose_transformers(self) -> list[SpatialTransformer]:
        """The transformers after them that read motion, in the same order."""
        return [module for level in self._levels for module in level.pose_attentions]

    @property
    def _levels(self) -> tuple[Any, ...]:
        return (*self.down_blocks, self.mid_block, *self.up_blocks)

    def shards(self) -> list[nn.Module]:
        """Parts that are only ever called as a whole, which transformers are not: what can be spread over processes."""
        found: list[nn.Module] = [] if self.transformer_in is None else [self.transformer_in]
        for level in self._levels:
            found.extend([*level.resnets, *level.temporal_convs, *level.motion_modules])
        return found

    def conditions(self, context_RLD: Tensor, reference: Sequence[Tensor] | None = None) -> list[BlockConditions]:
        """What every transformer reads of context tokens, and of a reference's features (one (R, L, D) for each).

        Raises:
            ValueError: features of another network.
        """
        transformers = self.transformers
        if reference is not None and len(reference) != len(transformers):
            raise ValueError(f"expected features of {len(transformers)} transformers, got {len(reference)}")
        return [
            transformer.block.conditions(context_RLD, features)
            for transformer, features in zip_longest(transformers, reference or ())
        ]

    def pose_conditions(self, tokens_NLD: Tensor) -> list[BlockConditions]:
        """What every pose transformer reads of the motion tokens of each frame, N = rows · frames."""
        return [transformer.block.conditions(tokens_NLD) for transformer in self.pose_transformers]

    def forward_features(
        self,
        x_NCHW: Tensor,
        t_N: Tensor,
        conditions: Sequence[BlockConditions] | None,
        *,
        pose_conditions: Sequence[BlockConditions] | None = None,
        num_frames: int = 1,
        num_unconditional: int = 0,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """From the output of `conv_in` (N, C, H, W) at training steps (N,) to the input of an output layer.

        `features`: a list to which each transformer's are appended.
        """
        embedding = self.time_embedding(self.time_proj(t_N).to(x_NCHW.dtype))
        waiting = iter(conditions if conditions is not None else [None] * len(self.transformers))
        waiting_pose = iter(pose_conditions if pose_conditions is not None else [None] * len(self.pose_transformers))

        def layer(level: nn.Module, index: int, x: Tensor) -> Tensor:
            assert isinstance(level, Level)
            read = next(waiting) if index < len(level.attentions) else None
            read_pose = next(waiting_pose) if index < len(level.pose_attentions) else None
            arguments: tuple[Any, ...] = (
                index,
                x,
                embedding,
                read,
                read_pose,
                num_frames,
                num_unconditional,
                self.temporal,
            )
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x, found = checkpoint(level.layer, *arguments, use_reentrant=False)
            else:
                x, found = level.layer(*arguments)
            if features is not None and found is not None:
                features.append(found)
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
        x_NCHW = layer(self.mid_block, 0, x_NCHW)
        x_NCHW = self.mid_block.residual(1, x_NCHW, embedding, num_frames, self.temporal)
        for level in self.up_blocks:
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                x_NCHW = layer(level, index, torch.cat([x_NCHW, skips.pop()], 1))
            for upsample in level.upsamplers:  # type: ignore[union-attr]
                # An odd side does not come back by doubling.
                x_NCHW = upsample(x_NCHW, output_size=skips[-1].shape[2:])
        return x_NCHW


def _transformer(width: int, config: UNetConfig, *, scale: float = 1.0) -> SpatialTransformer:
    return SpatialTransformer(
        width,
        num_heads=config.heads(width),
        context_width=config.context_width,
        norm_groups=config.norm_groups,
        scale=scale,
    )


def _pose_transformer(width: int, config: UNetConfig, scale: float) -> SpatialTransformer:
    """One that begins as the identity: it is added to a network that knows pictures already."""
    transformer = _transformer(width, config, scale=scale)
    for parameter in transformer.proj_out.parameters():
        nn.init.zeros_(parameter)
    return transformer


def _temporal_convs(width: int, config: UNetConfig) -> TemporalConvLayer:
    return TemporalConvLayer(width, norm_num_groups=config.norm_groups)
