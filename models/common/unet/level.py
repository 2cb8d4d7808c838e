"""Levels of a U-Net: the layers at one resolution."""

from __future__ import annotations

from collections.abc import Sequence

from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import TemporalConvLayer
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from models.common.unet.blending import SpatialBlending
from models.common.unet.config import BlendingConfig, TemporalConfig, UNetConfig
from models.common.unet.resnet import Resnet
from models.common.unet.temporal import temporal_layer
from models.common.unet.transformer import BlockConditions, SpatialTransformer


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
        self.resnets = nn.ModuleList(Resnet(before, after, config) for before, after in channels)
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
        x_NCHW = self.resnets[index](x_NCHW, embedding, num_frames)
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
        temporal = temporal if temporal is not None and temporal.middle else None
        blending = blending if blending is not None and blending.middle else None
        super().__init__([(width, width)], config, temporal, attention=True, blending=blending)
        self.resnets.append(Resnet(width, width, config))
        if self.temporal_convs:
            self.temporal_convs.append(_temporal_convs(width, config))


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
