"""A puppet's picture and its driving video, for tests of animation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.puppets import render, sample_spec
from models.video.audio import SAMPLE_RATE_HZ
from models.video.encode import write_h264

FPS = 8
NUM_FRAMES = 6
SIZE_PX = (128, 96)
"""Height and width of the videos."""


def puppet_frames(seed: int, *, num_frames: int = NUM_FRAMES) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of a human puppet."""
    spec = sample_spec(seed, body="human", size_px=SIZE_PX, duration_seconds=2.0)
    return np.stack([frame.rgb for frame in render(spec, fps=FPS, num_frames=num_frames)])


def write_reference(path: Path, *, seed: int = 3) -> Path:
    """A picture of a puppet."""
    Image.fromarray(puppet_frames(seed, num_frames=1)[0]).save(path)
    return path


def write_driving(path: Path, *, seed: int = 8, num_frames: int = NUM_FRAMES, audio: bool = False) -> Path:
    """A video of another puppet, with a tone if asked."""
    time = np.arange(num_frames * SAMPLE_RATE_HZ // FPS) / SAMPLE_RATE_HZ
    tone = np.round(9000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    sound = np.stack([tone, tone], axis=1) if audio else None
    write_h264(path, puppet_frames(seed, num_frames=num_frames), fps=FPS, audio=sound)
    return path


WITH_FACE, SMALL_FACE = 5, 8
"""Seeds of puppets whose faces are about 20 and 9 pixels high."""
NUM_ABSENT = 2
"""Frames without the character, in the middle of `leaves.mp4`."""


def write_face_media(folder: Path) -> Path:
    """`a.png`, and the driving videos `a.mp4` with a face, `small.mp4` with a small one, and `leaves.mp4`."""
    write_reference(folder / "a.png")
    write_driving(folder / "a.mp4", seed=WITH_FACE)
    write_driving(folder / "small.mp4", seed=SMALL_FACE)
    empty = np.full((NUM_ABSENT, *SIZE_PX, 3), 128, np.uint8)
    before, after = np.split(puppet_frames(WITH_FACE), 2)
    write_h264(folder / "leaves.mp4", np.concatenate([before, empty, after]), fps=FPS)
    return folder


def write_scenery(path: Path) -> Path:
    """A video without anybody in it."""
    rng = np.random.default_rng(0)
    row = np.linspace(40, 200, SIZE_PX[1]).astype(np.uint8)
    frames = [np.broadcast_to(row[None, :, None], (*SIZE_PX, 3)) // 2 + rng.integers(0, 4) for _ in range(NUM_FRAMES)]
    write_h264(path, [frame.astype(np.uint8) for frame in frames], fps=FPS)
    return path


def side_by_side_puppets(seed: int, other_seed: int, *, num_frames: int = 8) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) of two human puppets, each in one half."""
    halves = []
    for each in (seed, other_seed):
        spec = sample_spec(each, body="human", size_px=(256, 192), num_shots=1, still_camera=True)
        halves.append(np.stack([frame.rgb for frame in render(spec, fps=12, num_frames=num_frames)]))
    return np.concatenate(halves, axis=2)
