"""`zoetrope a2bench`: requests for the characters of A²Bench, and a stand-in made of puppets."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from models.pose.pose_file import FilePoses, write_pose_file
from models.puppets import render, render_frame, sample_pair
from models.puppets.truth import truth_as_detections
from models.puppets.truth_file import write_truth
from models.video.encode import write_h264
from pipelines.a2bench import FOLDERS, HUMANS, SETTINGS, TRUTH, BodyShapes, read_characters, requests_for, write_clips
from pipelines.engine.tables import publish_table
from stages.base import Row
from stages.io.storage import Storage

logger = logging.getLogger(__name__)

POSES = "poses"
"""Folder of the requests' driving clips, beside their table."""
REQUESTS = "requests.parquet"


def requests(benchmark: str, out: str, *, setting: str, humans: str | None, seed: int, console: Console) -> JobResult:
    """Write `requests.parquet`, one request for each character of the benchmark, and `poses`, their driving clips.

    A malformed item is reported in one line and left out, and the exit code is then 1.

    Args:
        benchmark: folder of the benchmark.
        out: folder to write to.
        setting: `self-driven`: skeletons as they are; `rescaled`: with the body shape of a random human.
        humans: prepared dataset of the humans; None: that of the benchmark, if it has one.
        seed: seed of the random assignment of humans.
        console: output.

    Raises:
        ManifestError: there is no benchmark, or no dataset of humans.
        ValueError: an unknown setting, `humans` without "rescaled", or no valid item.
    """
    if setting not in SETTINGS:
        raise ValueError(f"unknown setting '{setting}', expected {' or '.join(SETTINGS)}")
    source, target = Storage(benchmark), Storage(out)
    if setting == "self-driven" and humans is not None:
        raise ValueError("--humans lends body shapes in the setting rescaled; self-driven skeletons stay as they are")
    shapes = BodyShapes(humans or source.url_of(HUMANS)) if setting == "rescaled" else None
    characters = read_characters(source, humans=shapes, seed=seed)
    for message in characters.malformed.values():
        console.error(message)
    if not characters.clips:
        raise ValueError(f"{benchmark} holds {len(characters.malformed)} items, all of them malformed")
    if characters.not_rescaled:
        names = ", ".join(characters.not_rescaled[:3])
        console.notice(
            f"{len(characters.not_rescaled)} characters have too little of a human skeleton to be rescaled: {names}, …"
        )
    clips = Storage(target.url_of(POSES))
    write_clips(clips, characters.clips)
    publish_table(target, REQUESTS, requests_for(characters, clips.url))
    console.line(f"a2bench: {len(characters.clips)} requests ({setting}) in {target.url_of(REQUESTS)}")
    return JobResult(
        exit_code=1 if characters.malformed else 0,
        summary={
            "verb": "a2bench requests",
            "setting": setting,
            "requests": len(characters.clips),
            "malformed": dict(characters.malformed),
            "not_rescaled": list(characters.not_rescaled),
            "out": target.url_of(REQUESTS),
        },
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StandInConfig:
    """Characters of the stand-in: anthropomorphic puppets and motions held out from training.

    `first_seed`: seed of the first character (`models.puppets.pairs.sample_pair`). `size_px`: (height, width).
    """

    num_characters: int = 100
    first_seed: int = 0
    size_px: tuple[int, int] = (192, 192)
    fps: float = 8.0
    duration_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.num_characters < 1 or self.first_seed < 0:
            raise ValueError(f"expected 1 character or more and a seed of 0 or more, got {self}")
        if self.num_frames < 2:
            raise ValueError(f"{self.duration_seconds} s at {self.fps} frames per second, expected two frames or more")

    @property
    def num_frames(self) -> int:
        """Number of frames of each video."""
        return round(self.duration_seconds * self.fps)


def draw_stand_in(out: Path, config: StandInConfig) -> None:
    """Draw puppets in the layout of A²Bench (`pipelines.a2bench`), with two additions.

    - `truth/NAME.npz`: ground truth of the video (`models.puppets.truth_file`).
    - `humans`: a prepared dataset with the skeletons of as many human puppets, as sources of body shapes.

    The same arguments write the same bytes, so an interrupted run is completed by running it again.

    Raises:
        ValueError: a side of `size_px` is odd.
    """
    if config.size_px[0] % 2 or config.size_px[1] % 2:
        raise ValueError(f"size_px is {config.size_px}, expected even numbers (height, width): H.264 needs them")
    for folder in (*FOLDERS, TRUTH):
        (out / folder).mkdir(parents=True, exist_ok=True)
    humans = []
    for seed in range(config.first_seed, config.first_seed + config.num_characters):
        name = f"puppet-{seed:06d}"
        humans.append(_draw(out, name, seed, config))
        logger.debug("drew %s", name)
    write_clips(Storage(str(out / HUMANS)), humans)


def _draw(out: Path, name: str, seed: int, config: StandInConfig) -> Row:
    """Draw a character's files. Returns the human of its pair as a prepared clip of one frame."""
    pair = sample_pair(seed, body="anthropomorphic", size_px=config.size_px, duration_seconds=config.duration_seconds)
    frames = list(render(pair.target, config.fps, config.num_frames))
    Image.fromarray(frames[0].rgb).save(out / "images" / f"{name}.png")
    write_h264(out / "videos" / f"{name}.mp4", (frame.rgb for frame in frames), fps=config.fps)
    height, width = config.size_px
    poses = FilePoses(
        keypoints=np.stack([truth_as_detections(frame.keypoints) for frame in frames]), height_px=height, width_px=width
    )
    write_pose_file(out / "saved_pkl" / f"{name}.pkl", poses, fps=config.fps)
    times = [index / config.fps for index in range(config.num_frames)]
    write_truth(out / TRUTH / f"{name}.npz", frames, frame_seconds=times, shot_starts_seconds=(0.0,))
    return {
        "clip_id": f"human-{seed:06d}",
        "work_height_px": height,
        "work_width_px": width,
        "num_frames": 1,
        "keypoints": truth_as_detections(render_frame(pair.driving, 0.0).keypoints)[None],
    }
