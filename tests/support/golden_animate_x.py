"""The cases of Animate-X and UniAnimate: their configuration, and their inputs as the networks take them."""

from __future__ import annotations

from dataclasses import replace

from golden import GoldenCase
from torch import Tensor

from models.animate_x.clip import ClipInputs
from models.animate_x.config import ANIMATE_X, UNIANIMATE, AnimateXConfig, IndicatorConfig


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
    """The named inputs of a case, key points edited as it says."""
    found = case.inputs()
    if "keypoints" in found:
        found["keypoints"][:, 1, :, 4] = -1
        found["keypoints"][:, -1, :, [7, 10]] = -1
    return found


def clip_of(given: dict[str, Tensor], suffix: str = "") -> ClipInputs:
    """The clip of a case."""
    poses = given[f"pose{suffix or '_images'}"][0].transpose(0, 1)
    return ClipInputs(
        image_embeds_1E=given["image_embed"][:, 0],
        text_tokens_1LD=given["text_tokens"],
        reference_13HW=given["reference_image"][:, :, 0],
        reference_latents_1CHW=given[f"ref_latents{suffix}"][:, :, 0],
        reference_pose_13HW=poses[:1],
        poses=lambda start, stop: poses[1 + start : 1 + stop],
        num_frames=len(poses) - 1,
        keypoints_FK=given["keypoints"][0].flatten(1) if "keypoints" in given else None,
        features_FE=given["driving_clip_embeds"][:, 0] if "driving_clip_embeds" in given else None,
    )
