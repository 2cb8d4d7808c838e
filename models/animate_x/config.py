"""Configurations of Animate-X and of UniAnimate, whose network it extends, at the released sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.common.unet.config import TemporalConfig, UNetConfig
from models.sampling.config import ScheduleConfig, WindowConfig

NUM_JOINTS = 18
"""Points of an OpenPose body, which the implicit pose indicator reads."""

ReferenceForm = Literal["picture", "first_frame", "both"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IndicatorConfig:
    """The Implicit Pose Indicator (arXiv 2410.10306, §3.2).

    `width`: of its tokens on the way. `features_width`: of the image encoder's embeddings of driving frames.
    `encoder_*`: of the transformer over key points, frame by frame. `resampler_*`: of the attention to the embeddings;
      a head is `head_width` wide. `num_tokens`: motion tokens of a frame.
    `keypoint_query`, `learned_query`: q_p and q_l, whose sum asks; the paper's ablations leave out one of them.
    """

    width: int = 1024
    features_width: int = 1024
    encoder_layers: int = 3
    encoder_heads: int = 8
    encoder_ff_width: int = 1024
    resampler_layers: int = 8
    resampler_heads: int = 16
    head_width: int = 64
    num_tokens: int = 4
    keypoint_query: bool = True
    learned_query: bool = True

    def __post_init__(self) -> None:
        if not (self.keypoint_query or self.learned_query):
            raise ValueError("a pose indicator asks by keypoint_query, learned_query or both; indicator: null has none")


@dataclass(frozen=True, kw_only=True, slots=True)
class NoisePrior:
    """Sampling begins at the reference's latents with the noise of these training steps, instead of at noise alone.

    `one_window`: of a clip that is one window; `windows`: of a longer one.
    """

    one_window: int = 949
    windows: int = 939


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimateXConfig:
    """Configuration of an Animate-X network, or of UniAnimate's, which is the same without a pose indicator.

    Args:
        unet: shape of the denoiser; α of its motion attention is `pose_attention`. `in_channels` and `out_channels` are
            those of a latent.
        temporal: the denoiser's temporal layers.
        indicator: the implicit pose indicator; None for none (UniAnimate).
        reference: how the denoiser reads the reference: "picture", as picture features concatenated to every frame;
            "first_frame", as a noise-free frame before the others, with its skeleton; or "both". Every checkpoint has
            the layers of both.
        concat_channels: channels of the features concatenated to the noise. `embedder_width`: of the convolutions that
            compute them.
        num_image_tokens: context tokens computed from the image embedding.
        offset_noise: scale of a noise that is constant over each channel of a frame, added to the first latents.
        noise_prior: start of sampling; None starts at noise alone.
        schedule, windows, num_steps, guidance_scale: sampling defaults.
        pose_preset: key of `models.pose.pose_map.PRESETS`.
    """

    unet: UNetConfig = field(default_factory=lambda: UNetConfig(head_width=64, context_width=1024, pose_attention=1.0))
    temporal: TemporalConfig = field(
        default_factory=lambda: TemporalConfig(layout="modelscope", positions=False, norm="pooled", head_width=64)
    )
    indicator: IndicatorConfig | None = field(default_factory=IndicatorConfig)
    reference: ReferenceForm = "picture"
    concat_channels: int = 8
    embedder_width: int = 32
    num_image_tokens: int = 4
    offset_noise: float = 0.1
    noise_prior: NoisePrior | None = None
    schedule: ScheduleConfig = field(
        default_factory=lambda: ScheduleConfig(spacing="leading_to_end", final_alpha_one=False)
    )
    windows: WindowConfig = field(default_factory=lambda: WindowConfig(size=32, overlap=8, layout="last_shifted"))
    num_steps: int = 30
    guidance_scale: float = 2.5
    pose_preset: str = "animate-x"

    def __post_init__(self) -> None:
        if (self.indicator is None) != (self.unet.pose_attention is None):
            raise ValueError(
                "motion attention reads the pose indicator's tokens: give both unet.pose_attention and indicator, "
                f"or neither; got {self.unet.pose_attention} and {self.indicator}"
            )


ANIMATE_X = AnimateXConfig()
"""Animate-X as released. 30 steps are 31 evaluations."""

UNIANIMATE = AnimateXConfig(
    unet=UNetConfig(head_width=64, context_width=1024),
    indicator=None,
    reference="first_frame",
    noise_prior=NoisePrior(),
    pose_preset="unianimate",
)
"""UniAnimate as released."""
