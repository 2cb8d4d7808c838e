"""Smallest configuration of X-Dyna."""

from __future__ import annotations

from dataclasses import replace

from tiny_animate_anyone import TINY as ANIMATE_ANYONE

from models.common.unet.config import TemporalConfig
from models.sampling.config import WindowConfig
from models.x_dyna.config import XDynaConfig

TINY = XDynaConfig(
    unet=replace(ANIMATE_ANYONE.unet, residual_norm="pooled"),
    temporal=TemporalConfig(max_frames=16, num_heads=2, middle=False),
    control_widths=(8, 8, 16, 16),
    # A run of one step begins at noise; with "leading" it would begin at its end.
    schedule=replace(XDynaConfig().schedule, spacing="trailing"),
    windows=WindowConfig(size=3, overlap=1, layout="closed_loop", random_offset=True),
    num_steps=2,
    guidance_scale=1.0,
)
