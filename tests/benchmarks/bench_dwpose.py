"""DWPose around its networks: frames per second and core of all that is not the networks, at 512 x 896.

Everything that is done to a frame is timed with the networks taken out: the detector's input, the decoding of its
output, the crop and input of one person, the decoding of its keypoints, and following persons through the clip. The
peer is the same in plain numpy and OpenCV, formula by formula, as the published code does it. What the two give is
compared first. CPU time, one thread, in turns.

Then, on small stand-ins of the published files: what graphs that take several images at once gain over graphs of one,
and the memory of the process after 50 and after 500 clips.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import onnxruntime
import psutil
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from stand_in_onnx import save_detector, save_pose

from models.perception.dwpose import detector, simcc
from models.perception.dwpose.pose import DwposePose
from models.perception.people import Persons, character

WIDTH, HEIGHT, NUM_FRAMES = 512, 896, 32
SCALE = min(detector.SIDE_PX / HEIGHT, detector.SIDE_PX / WIDTH)
NUM_CANDIDATES = 40
"""Cells of the detector that see the person."""
MAX_DIFFERENCE_PX = 1.0
"""Tolerance between keypoints: OpenCV 5 warps differently from OpenCV 4, which ours follows; a bin is 0.9 px here."""


class Networks:
    """Simulated outputs of the two networks: one walking person with all keypoints in its box, noise elsewhere."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.predictions = np.zeros((NUM_FRAMES, len(detector.GRID), 85), np.float32)
        self.predictions[..., 4:] = rng.uniform(0, 0.3, (NUM_FRAMES, len(detector.GRID), 81))
        for t, prediction in enumerate(self.predictions):
            middle = np.array([160 + 2 * t, 320])
            near = np.argsort(np.abs((detector.GRID[:, :2] + 0.5) * detector.GRID[:, 2:] - middle).max(axis=1))
            cells = near[:NUM_CANDIDATES]
            grid, stride = detector.GRID[cells, :2], detector.GRID[cells, 2:]
            prediction[cells, :2] = middle / stride - grid + rng.normal(0, 0.05, (NUM_CANDIDATES, 2))
            prediction[cells, 2:4] = np.log(np.array([180, 500]) / stride)
            prediction[cells, 4:6] = rng.uniform(0.8, 1, (NUM_CANDIDATES, 2))
        self.x, self.y = (rng.uniform(0, 0.1, (NUM_FRAMES, 133, bins)).astype(np.float32) for bins in (576, 768))
        for values in (self.x, self.y):
            places = rng.integers(50, values.shape[2] - 50, 133)
            values[:, np.arange(133), places] = 0.9


def ours(frames: np.ndarray, networks: Networks, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The keypoints (T, 133, 3) of the character."""
    persons = []
    for t, frame in enumerate(frames):
        detector.letterbox(frame, inputs["detector"])
        found = detector.decode(networks.predictions[t], scale=SCALE)
        origin, size = simcc.windows(found[:, :4])
        for n in range(len(found)):
            simcc.normalise(simcc.cut(frame, origin[n], size[n]), inputs["pose"])
        keypoints = simcc.decode(networks.x[t : t + 1], networks.y[t : t + 1], origin, size)
        persons.append(Persons(boxes=found[:, :4], scores=found[:, 4], keypoints=keypoints))
    chosen = character(persons, width_px=WIDTH, height_px=HEIGHT)
    return np.stack([persons[t].keypoints[n] for t, n in enumerate(chosen)])


def plain(frames: np.ndarray, networks: Networks, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The same, formula by formula; the last frame's inputs are left in `inputs`."""
    found = []
    for t, frame in enumerate(frames[..., ::-1]):
        padded = np.full((640, 640, 3), 114, np.uint8)
        resized = cv2.resize(frame, (int(WIDTH * SCALE), int(HEIGHT * SCALE)), interpolation=cv2.INTER_LINEAR)
        padded[: resized.shape[0], : resized.shape[1]] = resized
        inputs["detector"] = np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32)
        box = plain_detection(networks.predictions[t])
        centre, sides = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * 1.25
        width, height = sides
        size = np.array([width, width / 0.75]) if width > height * 0.75 else np.array([height * 0.75, height])
        start = np.float32([centre, centre - np.array([0, size[0] / 2]), centre - size[0] / 2])
        end = np.float32([[144, 192], [144, 48], [0, 48]])
        crop = cv2.warpAffine(frame, cv2.getAffineTransform(start, end), (288, 384), flags=cv2.INTER_LINEAR)
        normalised = (crop - np.array(simcc.MEAN)) / np.array(simcc.STD)
        inputs["pose"] = normalised.transpose(2, 0, 1).astype(np.float32)
        place = np.stack([networks.x[t].argmax(axis=1), networks.y[t].argmax(axis=1)], axis=-1).astype(np.float32)
        score = np.minimum(networks.x[t].max(axis=1), networks.y[t].max(axis=1))
        place[score <= 0] = -1
        xy = place / 2 / (288, 384) * size + centre - size / 2
        found.append(np.concatenate([xy, score[:, None]], axis=1))
    return np.stack(found)


def plain_detection(prediction: np.ndarray) -> np.ndarray:
    """The best box of a person: all classes decoded, suppressed class by class."""
    decoded = prediction.copy()
    decoded[:, :2] = (decoded[:, :2] + detector.GRID[:, :2]) * detector.GRID[:, 2:]
    decoded[:, 2:4] = np.exp(decoded[:, 2:4]) * detector.GRID[:, 2:]
    boxes = np.concatenate([decoded[:, :2] - decoded[:, 2:4] / 2, decoded[:, :2] + decoded[:, 2:4] / 2], axis=1) / SCALE
    scores = decoded[:, 4:5] * decoded[:, 5:]
    persons = None
    for label in range(scores.shape[1]):
        sure = scores[:, label] > 0.1
        if sure.any():
            order = np.argsort(-scores[sure, label])
            kept = boxes[sure][order][detector.surviving(boxes[sure][order])]
            persons = kept if label == 0 else persons
    return persons[0]


def check(frames: np.ndarray, networks: Networks) -> dict[str, float]:
    """Largest differences between the two; fails when they are not the same thing."""
    inputs = {"detector": np.empty((3, 640, 640), np.float32), "pose": np.empty((3, 384, 288), np.float32)}
    theirs: dict[str, np.ndarray] = {}
    keypoints, expected = ours(frames, networks, inputs), plain(frames, networks, theirs)
    difference_px = float(np.abs(keypoints - expected).max())
    detector_difference = float(np.abs(inputs["detector"] - theirs["detector"]).max())
    pose_difference = float(np.abs(inputs["pose"] - theirs["pose"]).mean())
    assert difference_px < MAX_DIFFERENCE_PX, difference_px
    assert detector_difference == 0, detector_difference
    assert pose_difference < 0.05, pose_difference
    return {"keypoints_px": difference_px, "pose_input_mean": pose_difference}


def time_processing(frames: np.ndarray, networks: Networks, *, repeats: int) -> dict[str, object]:
    inputs = {"detector": np.empty((3, 640, 640), np.float32), "pose": np.empty((3, 384, 288), np.float32)}
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(repeats):
        for name, run in (("ours", ours), ("plain", plain)):
            started = time.process_time()
            run(frames, networks, dict(inputs))
            seconds[name].append(time.process_time() - started)
    per_second = {name: [NUM_FRAMES / spent for spent in values] for name, values in seconds.items()}
    ratios = [theirs / mine for mine, theirs in zip(seconds["ours"], seconds["plain"], strict=True)]
    return {
        **{
            f"{name}_frames_per_second": {
                "median": round(statistics.median(values)),
                "range": [round(min(values)), round(max(values))],
            }
            for name, values in per_second.items()
        },
        "plain_time_over_ours": round(statistics.median(ratios), 2),
    }


def stand_ins(folder: Path, *, batch: int | str) -> DwposePose:
    detector_path, pose_path = folder / f"detector-{batch}.onnx", folder / f"pose-{batch}.onnx"
    save_detector(detector_path, batch=batch)
    save_pose(pose_path, batch=batch)
    return DwposePose(detector_path, pose_path)


def clip_with_person(num_frames: int) -> np.ndarray:
    frames = np.zeros((num_frames, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, 400:448, 200:248] = 255, 255, 0
    frames[:, 424, 224, 2] = 255
    return frames


def time_batches(folder: Path, *, repeats: int) -> dict[str, object]:
    """Wall time of one clip through the stand-ins, one image at a time over several."""
    one, many = stand_ins(folder, batch=1), stand_ins(folder, batch="batch")
    frames = clip_with_person(NUM_FRAMES)
    np.testing.assert_allclose(one.keypoints(frames), many.keypoints(frames), atol=1e-3)
    ratios = []
    for _ in range(repeats):
        spent = []
        for pose in (one, many):
            started = time.perf_counter()
            pose.keypoints(frames)
            spent.append(time.perf_counter() - started)
        ratios.append(spent[0] / spent[1])
    return {"one_time_over_batched": round(statistics.median(ratios), 2), "images": len(many.pose.network.inputs)}


def memory(folder: Path, *, num_clips: int) -> dict[str, float]:
    """Resident megabytes after a tenth of the clips and after all."""
    pose = stand_ins(folder, batch="batch")
    process = psutil.Process()
    early = 0.0
    for index in range(num_clips):
        pose.people(clip_with_person(8 + index % 5))
        if index + 1 == num_clips // 10:
            early = process.memory_info().rss / 2**20
    late = process.memory_info().rss / 2**20
    return {"clips": num_clips, "mb_after_a_tenth": round(early), "mb_after_all": round(late)}


def main() -> None:
    """Print a table, and one line of JSON last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--clips", type=int, default=500)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    frames = np.random.default_rng(1).integers(0, 256, (NUM_FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    networks = Networks()
    result: dict[str, object] = {"differences": check(frames, networks)}
    result |= time_processing(frames, networks, repeats=arguments.repeats)
    with tempfile.TemporaryDirectory() as folder:
        result["batching"] = time_batches(Path(folder), repeats=arguments.repeats)
        result["memory"] = memory(Path(folder), num_clips=arguments.clips)
    for name, value in result.items():
        print(f"{name:28s} {value}")
    versions = {"opencv": cv2.__version__, "onnxruntime": onnxruntime.__version__, "numpy": np.__version__}
    print(json.dumps({"benchmark": "dwpose", "cpu_count": os.cpu_count(), **versions, **result}))


if __name__ == "__main__":
    main()
