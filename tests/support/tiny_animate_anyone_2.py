"""Smallest configuration of Animate Anyone 2."""

from __future__ import annotations

from tiny_animate_anyone import TINY as ANIMATE_ANYONE

from models.animate_anyone_2.config import AnimateAnyone2Config

TINY = AnimateAnyone2Config(
    unet=ANIMATE_ANYONE.unet,
    temporal=ANIMATE_ANYONE.temporal,
    pose_widths=ANIMATE_ANYONE.pose_widths,
    modulation_heads=2,
    schedule=ANIMATE_ANYONE.schedule,
    windows=ANIMATE_ANYONE.windows,
    num_steps=ANIMATE_ANYONE.num_steps,
    guidance_scale=ANIMATE_ANYONE.guidance_scale,
    pose_preset="embedded",
)
