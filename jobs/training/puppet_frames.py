"""Rendered puppets for the embedded networks: training frames in files, held-out frames in memory."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.perception.portrait_frames import PortraitFrames, PortraitFramesConfig, open_portraits, render_portraits
from models.perception.puppet_frames import PuppetFrames, PuppetFramesConfig, open_frames, render_frames
from models.puppets import PuppetFrame, render, render_frame, sample_interaction, sample_portrait, sample_spec

logger = logging.getLogger(__name__)

FIRST_HELDOUT_SEED = 6_000_000
VIDEOS_PER_TASK = 8
PORTRAIT_FPS = 8.0


def heldout_frames(num_videos: int, *, frames_per_video: int) -> list[PuppetFrame]:
    """Frames of characters and motions absent from the training videos, with a long side of 384 pixels."""
    puppets = []
    for video in range(num_videos):
        seed = FIRST_HELDOUT_SEED + video
        rng = np.random.default_rng(seed)
        spec = sample_spec(seed, split="heldout", size_px=((384, 288), (288, 384))[video % 2])
        puppets += [render_frame(spec, rng.uniform(0, spec.duration_seconds)) for _ in range(frames_per_video)]
    return puppets


def heldout_clip(seed: int) -> list[PuppetFrame]:
    """The first second of a held-out video at 12 frames per second."""
    spec = sample_spec(seed, split="heldout", size_px=(288, 384))
    return [render_frame(spec, t / 12) for t in range(12)]


def heldout_interaction(seed: int) -> list[PuppetFrame]:
    """Two seconds at 8 frames per second of a held-out character that handles or meets objects."""
    return list(render(sample_interaction(seed, split="heldout", size_px=(192, 144)), 8.0, 16))


def heldout_portrait(seed: int) -> list[PuppetFrame]:
    """A held-out portrait of 192 x 144 pixels and 2 seconds, at 8 frames per second."""
    spec = sample_portrait(seed, split="heldout")
    return list(render(spec, PORTRAIT_FPS, round(PORTRAIT_FPS * spec.duration_seconds)))


def rendered(config: PuppetFramesConfig, folder: Path, *, processes: int) -> PuppetFrames:
    """Puppet frames of the configuration; missing ones are rendered."""
    frames = open_frames(config, folder)
    _render_missing(frames.done, config.num_videos, partial(_render_frames, config, folder), processes)
    return frames


def rendered_portraits(config: PortraitFramesConfig, folder: Path, *, processes: int) -> PortraitFrames:
    """Portraits of the configuration; missing frames are rendered."""
    frames = open_portraits(config, folder)
    _render_missing(frames.done, config.num_videos, partial(_render_portraits, config, folder), processes)
    return frames


def _render_missing(
    done: NDArray[np.bool_], num_videos: int, render_videos: Callable[[list[int]], None], processes: int
) -> None:
    missing = np.flatnonzero(~done.reshape(num_videos, -1).all(axis=1))
    if len(missing) == 0:
        return
    logger.info("rendering %d of %d videos", len(missing), num_videos)
    chunks = [missing[i : i + VIDEOS_PER_TASK].tolist() for i in range(0, len(missing), VIDEOS_PER_TASK)]
    with ProcessPoolExecutor(
        processes, mp_context=multiprocessing.get_context("spawn"), initializer=os.nice, initargs=(10,)
    ) as pool:
        with _without_interrupts():
            results = pool.map(render_videos, chunks)
        try:
            for count, _ in enumerate(results, start=1):
                if count % 50 == 0:
                    logger.info("rendered %d of %d videos", count * VIDEOS_PER_TASK, len(missing))
        except KeyboardInterrupt:
            for process in multiprocessing.active_children():  # what they have drawn is marked as such
                process.terminate()
            raise


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Context in which processes are started that Ctrl-C, which a terminal sends to all, does not reach."""
    resource_tracker.ensure_running()  # which unblocks signals
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _render_frames(config: PuppetFramesConfig, folder: Path, videos: list[int]) -> None:
    render_frames(config, open_frames(config, folder), videos)


def _render_portraits(config: PortraitFramesConfig, folder: Path, videos: list[int]) -> None:
    render_portraits(config, open_portraits(config, folder), videos)
