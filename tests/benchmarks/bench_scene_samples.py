"""Training samples with a scene (Animate Anyone 2) per second, on one core, stage by stage.

Samples of 16 frames of puppets that handle things, with masks, objects, structured depth, enlarged characters and
cropped references; beside them, in turns, the same samples without the scene. Three times: with decoded clips kept in
memory; with all but frames kept; and with nothing kept, so that every sample reads its row and decodes frames, masks
and depth. CPU time of this process and its decoders. First it is checked that kept and decoded samples are equal, and
that samples with and without a scene have the same targets where nothing was enlarged.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from small_prepared import write_prepared

from models.training.recipe import SamplingConfig, SceneSamplingConfig
from pipelines.training import clip_scene, samples, scene_samples
from pipelines.training.batches import SampleSource
from pipelines.training.corpus import open_corpus
from pipelines.training.data_config import TrainingDataConfig
from pipelines.training.samples import SampleMaker

AIM_PER_SECOND = 20
PLAIN = "without a scene"
MODES = {"kept": 8.0, "frames decoded anew": 0.02, "all read anew": 0.0}
"""`keep_gib` of each."""
STAGES = {
    "crop and resize frames": (samples, "cut_frames"),
    "crop and resize masks": (scene_samples, "cut_masks"),
    "enlarge the character (half of the samples)": (scene_samples, "recompose"),
    "shape-agnostic masks": (scene_samples, "masks_without_scene"),
    "structured depth": (scene_samples, "draw_structured_depth"),
    "crop the reference": (scene_samples, "_reference"),
    "draw skeletons": (samples, "draw_poses"),
    "decode masks": (clip_scene, "decode"),
    "decode depth": (clip_scene, "decode_depth"),
    "depth of joints": (clip_scene, "joint_depths"),
}


def cpu_seconds() -> float:
    """CPU time of this process and of the decoders, which are its children."""
    used = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return time.process_time() + sum(times.user + times.system for times in used)


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Add the CPU seconds of every stage to `seconds`."""
    originals = {name: getattr(module, function) for name, (module, function) in STAGES.items()}

    def wrapped(name: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return originals[name](*args, **kwargs)
            finally:
                seconds[name] += time.process_time() - began

        return run

    for name, (module, function) in STAGES.items():
        setattr(module, function, wrapped(name))
    try:
        yield
    finally:
        for name, (module, function) in STAGES.items():
            setattr(module, function, originals[name])


def check(makers: dict[tuple[str, str], SampleMaker]) -> None:
    """See the top of this file."""
    for number in range(6):
        kept, decoded, plain = (
            makers[key].batch([number]) for key in (("kept", "scene"), ("all read anew", "scene"), ("kept", PLAIN))
        )
        for name, value in kept.columns().items():
            np.testing.assert_array_equal(value, decoded.columns()[name], err_msg=name)
        assert kept.targets_BFHWC is not None
        assert plain.targets_BFHWC is not None
        same = np.array_equal(kept.keypoints_BGK3[:, 1:], plain.keypoints_BGK3[:, 1:])
        assert np.array_equal(kept.targets_BFHWC, plain.targets_BFHWC) == same


def main() -> None:
    """Print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--samples", type=int, default=24, help="of each turn")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    side = arguments.side
    scene = SamplingConfig(
        height_px=side, width_px=side, num_frames=16, sample_margin=4, mirror_share=0.5, scene=SceneSamplingConfig()
    )
    with tempfile.TemporaryDirectory() as folder:
        prepared = write_prepared(
            Path(folder), num_clips=arguments.clips, num_frames=48, size_px=(side, side), scene=True
        )
        makers = {
            (mode, kind): SampleSource(
                corpus=open_corpus(str(prepared), sampling),
                sampling=sampling,
                config=TrainingDataConfig(keep_gib=keep_gib),
                preset="moore",
                seed=0,
            ).maker()
            for mode, keep_gib in MODES.items()
            for kind, sampling in (("scene", scene), (PLAIN, replace(scene, scene=None)))
        }
        check(makers)
        for maker in makers.values():
            maker.batch(range(arguments.clips))
        rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(arguments.repeats):
            for key, maker in makers.items():
                began = cpu_seconds()
                for number in range(arguments.samples):
                    maker.batch([number])
                rates[key].append(arguments.samples / (cpu_seconds() - began))
        stages: dict[str, dict[str, float]] = {mode: defaultdict(float) for mode in MODES}
        for mode, seconds in stages.items():
            with timed(seconds):
                for number in range(arguments.samples):
                    makers[mode, "scene"].batch([number])
        for maker in makers.values():
            maker.close()
    found: dict[str, Any] = {}
    for mode in MODES:
        with_scene, plain = rates[mode, "scene"], rates[mode, PLAIN]
        ratios = [one / other for one, other in zip(with_scene, plain, strict=True)]
        found[mode] = {
            "clips_per_second": round(statistics.median(with_scene), 1),
            "range": [round(min(with_scene), 1), round(max(with_scene), 1)],
            "without_scene": round(statistics.median(plain), 1),
            "ratio": round(statistics.median(ratios), 2),
        }
        print(f"{mode}: {found[mode]}")
        for name, spent in sorted(stages[mode].items(), key=lambda item: -item[1]):
            print(f"  {name:<46} {1e3 * spent / arguments.samples:6.2f} ms per sample")
    print(json.dumps({"side_px": side, "aim": AIM_PER_SECOND, **found}))


if __name__ == "__main__":
    main()
