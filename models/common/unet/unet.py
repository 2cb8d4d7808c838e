"""U-Net of Stable Diffusion 1.x in any size, for images or, with temporal layers, for clips.

Parameter names are those of diffusers, in temporal layers those of its `UNetMotionModel`.
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

from models.common.unet.blending import ObjectFeatures, SpatialBlending
from models.common.unet.config import BlendingConfig, TemporalConfig, UNetConfig
from models.common.unet.temporal import TemporalLayer, temporal_layer
from models.common.unet.transformer import BlockConditions, SpatialTransformer


def is_temporal(name: str) -> bool:
    """Whether a parameter of a `UNet` belongs to its temporal layers."""
    return any(part in name for part in ("motion_modules.", "temporal_convs.", "transformer_in."))


class Level(nn.Module):
    """Layers at one resolution (ResNet, spatial transformer, temporal layer), and up- or downsampling."""

    def __init__(
        self,
        channels: Sequence[tuple[int, int]],
        config: UNetConfig,
        temporal: TemporalConfig | None,
        attention: bool,
        blending: BlendingConfig | None = None,
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
        self.blendings = nn.ModuleList(SpatialBlending(width, blending) for width in widths if blending is not None)
        modelscope = temporal is not None and temporal.layout == "modelscope"
        self.temporal_convs = nn.ModuleList(_temporal_convs(after, config) for _, after in channels if modelscope)
        self.motion_modules = nn.ModuleList(
            temporal_layer(width, temporal, norm_groups=config.norm_groups)
            for width in (widths if modelscope else [after for _, after in channels])
            if temporal is not None
        )

    def residual(self, index: int, x_NCHW: Tensor, embedding: Tensor, num_frames: int, temporal: bool) -> Tensor:
        """Apply one ResNet and its convolutions over frames."""
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
        objects: tuple[Tensor, Tensor] | None,
        num_frames: int,
        num_unconditional: int,
        temporal: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Apply one layer; returns its output and the features of its transformer, if it has one.

        `objects`: features of the objects and their presence, at this resolution.
        """
        features = None
        x_NCHW = self.residual(index, x_NCHW, embedding, num_frames, temporal)
        if index < len(self.attentions):
            x_NCHW, features = self.attentions[index](
                x_NCHW, conditions, num_frames=num_frames, num_unconditional=num_unconditional
            )
        if index < len(self.blendings) and objects is not None:
            x_NCHW = self.blendings[index](x_NCHW, *objects)
        if index < len(self.pose_attentions):
            x_NCHW, _ = self.pose_attentions[index](x_NCHW, pose_conditions, num_frames=num_frames)
        if temporal and index < len(self.motion_modules):
            x_NCHW = self.motion_modules[index](x_NCHW, num_frames)
        return x_NCHW, features


class DownLevel(Level):
    """Level of the encoder."""

    def __init__(self, level: int, config: UNetConfig, temporal: TemporalConfig | None) -> None:
        width, before = config.widths[level], config.widths[max(level - 1, 0)]
        channels = [(before if index == 0 else width, width) for index in range(config.layers_per_block)]
        super().__init__(channels, config, temporal, config.attention[level])
        last = level == len(config.widths) - 1
        self.downsamplers = nn.ModuleList([] if last else [Downsample2D(width, use_conv=True, padding=1, name="op")])


class UpLevel(Level):
    """Level of the decoder; each layer also reads a skip connection."""

    def __init__(
        self, level: int, config: UNetConfig, temporal: TemporalConfig | None, blending: BlendingConfig | None
    ) -> None:
        widths = config.widths
        width, below, above = widths[level], widths[min(level + 1, len(widths) - 1)], widths[max(level - 1, 0)]
        last = config.layers_per_block
        channels = [
            ((below if index == 0 else width) + (above if index == last else width), width) for index in range(last + 1)
        ]
        super().__init__(channels, config, temporal, config.attention[level], blending)
        self.upsamplers = nn.ModuleList([Upsample2D(width, use_conv=True)] if level else [])


class MiddleLevel(Level):
    """ResNet, transformers and ResNet at the lowest resolution."""

    def __init__(self, config: UNetConfig, temporal: TemporalConfig | None, blending: BlendingConfig | None) -> None:
        width = config.widths[-1]
        blending = blending if blending is not None and blending.middle else None
        super().__init__([(width, width)], config, temporal, attention=True, blending=blending)
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
        num_frames: int = 1,
        num_unconditional: int = 0,
        features: list[Tensor] | None = None,
    ) -> Tensor:
        """From the output of `conv_in` (N, C, H, W) at timesteps (N,) to the input of an output layer.

        `objects`: for a U-Net with blending layers; None leaves them out.
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
        for above, level in enumerate(self.up_blocks):
            of_level = None if objects is None else objects.level(lowest - above)
            for index in range(len(level.resnets)):  # type: ignore[arg-type]
                x_NCHW = layer(level, index, torch.cat([x_NCHW, skips.pop()], 1), of_level)
            for upsample in level.upsamplers:  # type: ignore[union-attr]
                # Doubling would not restore an odd size.
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
    """Zero-initialised, because it is added to a pretrained network."""
    transformer = _transformer(width, config, scale=scale)
    for parameter in transformer.proj_out.parameters():
        nn.init.zeros_(parameter)
    return transformer


def _temporal_convs(width: int, config: UNetConfig) -> TemporalConvLayer:
    return TemporalConvLayer(width, norm_num_groups=config.norm_groups)
