"""Parity cases of Animate-X and UniAnimate: configurations, and inputs in the form of the networks."""

from __future__ import annotations

from dataclasses import replace

from golden import GoldenCase, drawings
from torch import Tensor

from models.animate_x.config import ANIMATE_X, UNIANIMATE, AnimateXConfig, IndicatorConfig
from models.animate_x.network import ClipConditions


def config_of(case: GoldenCase) -> AnimateXConfig:
    """The configuration that a case was computed with."""
    described = case.description["config"]
    unet = described["unet"]
    base = UNIANIMATE if "ipi" not in described else ANIMATE_X
    indicator = None
    if "ipi" in described:
        encoder, resampler = described["ipi"]["encoder"], described["ipi"]["resampler"]
        indicator = IndicatorConfig(
            width=encoder["d_model"],
            features_width=resampler["embedding_dim"],
            encoder_layers=encoder["num_encoder_layers"],
            encoder_heads=encoder["nhead"],
            encoder_ff_width=encoder["dim_feedforward"],
            resampler_layers=resampler["depth"],
            resampler_heads=resampler["heads"],
            head_width=resampler["dim_head"],
        )
    return replace(
        base,
        unet=replace(
            base.unet,
            widths=tuple(unet["dim"] * times for times in unet["dim_mult"]),
            head_width=unet["head_dim"],
            context_width=unet["context_dim"],
        ),
        temporal=replace(base.temporal, head_width=unet["head_dim"], num_heads=unet["num_heads"]),
        indicator=indicator,
    )


def inputs_of(case: GoldenCase) -> dict[str, Tensor]:
    """The named inputs of a case, keypoints edited as it says."""
    inputs = case.inputs()
    if "keypoints" in inputs:
        inputs["keypoints"][:, 1, :, 4] = -1
        inputs["keypoints"][:, -1, :, [7, 10]] = -1
    return inputs


def conditions_of(inputs: dict[str, Tensor], suffix: str = "") -> ClipConditions:
    """The clip of a case."""
    poses = inputs[f"pose{suffix or '_images'}"][0].transpose(0, 1)
    return ClipConditions(
        image_embeds_BE=inputs["image_embed"][:, 0],
        text_tokens_1LD=inputs["text_tokens"],
        reference_B3HW=inputs["reference_image"][:, :, 0],
        reference_latents_BCHW=inputs[f"ref_latents{suffix}"][:, :, 0],
        reference_pose_B3HW=poses[:1],
        poses_BFHWC=drawings(poses[1:])[None],
        keypoints_BGK=inputs["keypoints"].flatten(2) if "keypoints" in inputs else None,
        features_BGE=inputs["driving_clip_embeds"].transpose(0, 1) if "driving_clip_embeds" in inputs else None,
    )
