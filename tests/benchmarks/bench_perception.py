"""Sapiens, Depth Anything, SAM 2 and features around their networks: frames per second and core, at 512 x 896.

What is done to a frame before the network and with what comes out of it, at the published sizes, with the network
taken out. Each is checked on something known before it is timed: keypoints lie where the heatmaps have them, pictures
and maps come back as they were. CPU time, one thread, in turns; the median over the rounds. Beside a GPU, normalisation
and decoding run on it, and the CPU has the cropping and resizing alone. (DWPose: `bench_dwpose.py`.)

Then, on small stand-ins of the published files, the memory of the process after a tenth of the clips and after all, for
each backend.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import psutil
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from stand_in_networks import PyramidPose, RedDepth, save_depth_anything, save_sam2, save_sapiens2, save_torchscript

from models.masks import rle
from models.perception.depth_anything import DepthAnything
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.frames import Sam2Frames
from models.perception.sam2.tracker import Sam2Tracker, to_mask
from models.perception.sapiens.crop import Crops
from models.perception.sapiens.depth import SapiensDepth
from models.perception.sapiens.heatmaps import decode
from models.perception.sapiens.layout import to_wholebody
from models.perception.sapiens.pose import INPUT_PX, MEAN, STD, Sapiens2Pose, SapiensPose, normalised

WIDTH, HEIGHT, NUM_FRAMES = 512, 896, 8
SAM2_SIDE_PX, SAM2_MASK_PX = 1024, 256
DEPTH_ANYTHING_PX = 518
CLIP_SIDE_PX = 224


def picture(num_frames: int = NUM_FRAMES) -> np.ndarray:
    """(T, 896, 512, 3): smooth, so that resizing hardly changes it."""
    small = np.random.default_rng(0).integers(0, 256, (num_frames, 14, 8, 3), dtype=np.uint8)
    return np.stack([cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC) for frame in small])


def sapiens_pose(num_keypoints: int) -> Callable[[np.ndarray], np.ndarray]:
    """Crop, normalisation, decoding and layout; the network is heatmaps of bells at known places."""
    height, width = (side // 4 for side in INPUT_PX)
    rng = np.random.default_rng(1)
    places = rng.uniform(20, (width - 20, height - 20), (num_keypoints, 2))
    rows, columns = np.mgrid[:height, :width]
    bells = np.exp(-((columns - places[:, :1, None]) ** 2 + (rows - places[:, 1:, None]) ** 2) / (2 * 2.0**2))
    heatmaps = torch.from_numpy(bells.astype(np.float32))[None].expand(NUM_FRAMES, -1, -1, -1).contiguous()
    boxes = np.tile(np.array([100, 50, 400, 850], np.float32), (NUM_FRAMES, 1))
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))

    def run(frames: np.ndarray) -> np.ndarray:
        crops = Crops.around(boxes, width_px=INPUT_PX[1], height_px=INPUT_PX[0])
        normalised(crops.cut(frames), mean, std)
        xy, score = decode(heatmaps)
        points = crops.to_frame(xy.numpy(), width=width, height=height)
        return to_wholebody(np.concatenate([points, score.numpy()[..., None]], axis=2).astype(np.float32))

    windows = Crops.around(boxes, width_px=INPUT_PX[1], height_px=INPUT_PX[0])
    share = places / np.array([width - 1, height - 1])
    expected = to_wholebody(
        np.concatenate([share * windows.size[0] + windows.origin[0], np.ones((num_keypoints, 1))], axis=1)[None]
    )
    found = run(picture())
    assert np.abs(found[:, :17, :2] - expected[:, :17, :2]).max() < 0.5
    return run


def sapiens_crop(frames: np.ndarray) -> np.ndarray:
    """CPU work of Sapiens' pose estimation beside a GPU."""
    boxes = np.tile(np.array([100, 50, 400, 850], np.float32), (len(frames), 1))
    return Crops.around(boxes, width_px=INPUT_PX[1], height_px=INPUT_PX[0]).cut(frames)


def sapiens_depth(frames: np.ndarray) -> np.ndarray:
    """Resizing and normalisation; the network is the picture's red."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    images = np.stack([cv2.resize(frame, INPUT_PX[::-1]) for frame in frames])
    maps = normalised(images, mean, std)[:, :1]
    return functional.interpolate(maps, frames.shape[1:3], mode="bilinear", align_corners=False)[:, 0].numpy()


def depth_anything(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The pictures at the published size; the network is their red."""
    save_depth_anything(folder)
    network = DepthAnything(folder)
    network.side_px = DEPTH_ANYTHING_PX

    def run(frames: np.ndarray) -> np.ndarray:
        red = network.pixels(frames)[:, :1]
        return functional.interpolate(red, frames.shape[1:3], mode="bicubic", align_corners=False)[:, 0].numpy()

    return run


def sam2(frames: np.ndarray) -> np.ndarray:
    """Frames, masks and their run-length codes; the network is whether the picture is red."""
    pictures = Sam2Frames(frames, side_px=SAM2_SIDE_PX, dtype=torch.float32)
    masks = []
    for t in range(len(frames)):
        logits = pictures[t][None, :1, :: SAM2_SIDE_PX // SAM2_MASK_PX, :: SAM2_SIDE_PX // SAM2_MASK_PX]
        masks.append(to_mask(logits, height_px=frames.shape[1], width_px=frames.shape[2]))
    found = np.stack(masks)
    rle.encode(found)
    return found


def clip_embedding(frames: np.ndarray) -> np.ndarray:
    """The squares that the encoder sees."""
    images = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return functional.interpolate(images, (CLIP_SIDE_PX, CLIP_SIDE_PX), mode="bicubic", antialias=True).numpy()


def check(frames: np.ndarray, runs: dict[str, Callable[[np.ndarray], np.ndarray]]) -> None:
    """Fails where what comes back is not the picture's red."""
    red = frames[..., 0].astype(np.float32)
    for name in ("sapiens depth", "depth anything"):
        found = runs[name](frames)
        assert np.corrcoef(found.ravel(), red.ravel())[0, 1] > 0.999, name
    sure = np.abs(red / 255 - 0.485) > 0.05
    assert (runs["sam 2"](frames) == (red / 255 > 0.485))[sure].mean() > 0.999


def frames_per_second(
    frames: np.ndarray, runs: dict[str, Callable[[np.ndarray], np.ndarray]], *, repeats: int
) -> dict[str, dict[str, object]]:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.process_time()
            run(frames)
            seconds[name].append(time.process_time() - started)
    return {
        name: {
            "median": round(NUM_FRAMES / statistics.median(spent)),
            "range": [round(NUM_FRAMES / max(spent)), round(NUM_FRAMES / min(spent))],
        }
        for name, spent in seconds.items()
    }


def memory(folder: Path, *, num_clips: int) -> dict[str, dict[str, int]]:
    """Resident megabytes after a tenth of the clips and after all, backend after backend in one process."""
    save_torchscript(PyramidPose(133), folder / "pose.pt2")
    save_torchscript(RedDepth(), folder / "depth.pt2")
    save_sapiens2(folder / "sapiens2")
    save_sam2(folder / "sam2")
    none = np.zeros((0, 2), np.float32)
    box = [[ObjectPrompt(frame=2, box=(20.0, 20.0, 100.0, 150.0), positive=none, negative=none)]]
    anything, tracker = DepthAnything(folder), Sam2Tracker(folder / "sam2")
    sapiens = SapiensPose(folder / "pose.pt2", allow_torchscript=True, input_px=(256, 192))
    depth = SapiensDepth(folder / "depth.pt2", allow_torchscript=True, input_px=(256, 192))
    backends: dict[str, Callable[[np.ndarray], object]] = {
        "sapiens pose": sapiens.keypoints,
        "sapiens depth": depth.depth,
        "sapiens 2 pose": Sapiens2Pose(folder / "sapiens2").keypoints,
        "depth anything": anything.depth,
        "sam 2": lambda frames: tracker.track(frames, box),
    }
    process = psutil.Process()
    found = {}
    for name, run in backends.items():
        early = 0.0
        for index in range(num_clips):
            run(picture(6 + index % 4)[:, ::4, ::4])
            if index + 1 == max(num_clips // 10, 1):
                early = process.memory_info().rss / 2**20
        late = process.memory_info().rss / 2**20
        found[name] = {"mb_after_a_tenth": round(early), "mb_after_all": round(late)}
    return found


def main() -> None:
    """Print a table, and one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clips", type=int, default=100)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    frames = picture()
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        runs: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "sapiens pose, 133": sapiens_pose(133),
            "sapiens pose, 308": sapiens_pose(308),
            "sapiens crop alone": sapiens_crop,
            "sapiens depth": sapiens_depth,
            "depth anything": depth_anything(folder),
            "sam 2": sam2,
            "clip embedding": clip_embedding,
        }
        check(frames, runs)
        result: dict[str, object] = {"frames_per_second": frames_per_second(frames, runs, repeats=arguments.repeats)}
        result["memory"] = {"clips": arguments.clips, **memory(folder, num_clips=arguments.clips)}
    for kind, values in result.items():
        assert isinstance(values, dict)
        for label, value in values.items():
            print(f"{kind:18s} {label:18s} {value}")
    print(json.dumps({"benchmark": "perception", "cpu_count": os.cpu_count(), "torch": torch.__version__, **result}))


if __name__ == "__main__":
    main()
