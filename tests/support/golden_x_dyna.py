"""Parity cases of X-Dyna: configurations, and inputs in the form of the networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from golden import GoldenCase, drawings
from numpy.typing import NDArray
from torch import Tensor

from models.appearance.ip_adapter import Resampler, ResamplerConfig, load_resampler
from models.x_dyna.conditions import ClipConditions
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE, XDynaConfig

RESAMPLER_FILE = "ip-adapter-plus_sd15.bin"


def config_of(case: GoldenCase) -> XDynaConfig:
    """The configuration that a case was computed with."""
    described = case.description["config"]
    unet, base = described["unet"], XDynaConfig()
    return replace(
        base,
        unet=replace(base.unet, widths=tuple(unet["block_out_channels"]), context_width=unet["cross_attention_dim"]),
        control_widths=tuple(described["controlnet"]["conditioning_embedding_out_channels"]),
    )


def write_published(case: GoldenCase, folder: Path) -> Path:
    """Writes the three networks where the publisher's repository has them, and the resampler beside them."""
    for checkpoint, name in zip(
        case.description["checkpoints"], (UNET_FILE, POSE_FILE, FACE_FILE, RESAMPLER_FILE), strict=True
    ):
        assert Path(name).name == checkpoint["file"]
        case.write_checkpoint(checkpoint, folder / name)
    return folder


def resampler_config_of(case: GoldenCase) -> ResamplerConfig:
    """The shape of a case's resampler."""
    described = case.description["config"]["resampler"]
    return ResamplerConfig(
        width=described["dim"],
        layers=described["depth"],
        heads=described["heads"],
        head_width=described["dim_head"],
        num_tokens=described["num_queries"],
        features_width=described["embedding_dim"],
        context_width=described["output_dim"],
        ff_ratio=described["ff_mult"],
    )


def resampler_of(case: GoldenCase, folder: Path) -> Resampler:
    """The resampler of a case."""
    return load_resampler(folder / RESAMPLER_FILE, resampler_config_of(case))


def conditions_of(inputs: dict[str, Tensor], resampler: Resampler, call: str) -> ClipConditions:
    """The clip of a sampling run."""
    face: NDArray[np.uint8] = np.concatenate(
        [drawings(inputs[f"{call}.face_{part}_images"]) for part in ("local", "global")], -1
    )
    return ClipConditions(
        image_tokens_BLD=resampler(inputs["clip_hidden_states"]),
        blank_tokens_1LD=resampler(inputs["clip_hidden_states_of_zero_image"]),
        text_tokens_1LD=inputs["text_embeds"][1:],
        reference_latents_BCHW=inputs[f"{call}.ref_latents"][:, :, 0],
        poses_BFHWC=drawings(inputs[f"{call}.pose_images"])[None],
        face_BFHWC=face[None],
        controls_B2=np.ones((1, 2), np.bool_),
    )
