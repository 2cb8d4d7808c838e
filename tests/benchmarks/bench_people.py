"""The backend `people` on real clips: frames per second and core, and distances from MediaPipe's own graph.

Needs the published networks (`zoetrope weights fetch people --weights DIR`). CPU time of one process, which is the
speed of one core: every network runs on one thread. With `--peer PYTHON`, the interpreter of an environment of
mediapipe 1.2, and `--bundle FILE`, its HolisticLandmarker runs on the same frames in video mode: its own speed, and the
distances of body and hands, in per cent of the longer side of the person's box. Its landmarks are smoothed over time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import cv2
import numpy as np

from models.catalogue import entry
from models.perception.mediapipe.mask import MediapipeMask
from models.perception.mediapipe.pose import MediapipePose, character_bodies
from models.perception.mediapipe.tracking import BodyTracker
from models.pose.skeleton import LEFT_HAND, RIGHT_HAND
from models.weights.resolve import find

PEER = """
import sys, time, numpy as np, mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision
frames, out, bundle = np.load(sys.argv[1]), sys.argv[2], sys.argv[3]
options = vision.HolisticLandmarkerOptions(
    base_options=BaseOptions(model_asset_path=bundle), running_mode=vision.RunningMode.VIDEO
)
def points(landmarks, count):
    found = np.full((count, 3), np.nan)
    for row, landmark in zip(found, landmarks):
        row[:] = landmark.x, landmark.y, landmark.visibility or 0
    return found
with vision.HolisticLandmarker.create_from_options(options) as peer:
    start, body, left, right = time.process_time(), [], [], []
    for t, frame in enumerate(frames):
        result = peer.detect_for_video(mp.Image(image_format=mp.ImageFormat.SRGB, data=frame), 33 * t + 1)
        body.append(points(result.pose_landmarks, 33))
        left.append(points(result.left_hand_landmarks, 21))
        right.append(points(result.right_hand_landmarks, 21))
    seconds = time.process_time() - start
np.savez(out, seconds=seconds, body=body, left=left, right=right)
"""


def read(path: Path, short_side_px: int, num_frames: int) -> np.ndarray:
    """Frames (T, H, W, 3)."""
    with av.open(str(path)) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(video.decode(video=0), num_frames)]
    scale = short_side_px / min(frames[0].shape[:2])
    size = round(frames[0].shape[1] * scale), round(frames[0].shape[0] * scale)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def ours(folder: Path, frames: np.ndarray) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Frames per second of each part, body landmarks (T, 33, 4) and keypoints (T, 133, 3)."""
    bodies = BodyTracker(folder)
    pose = MediapipePose(folder, bodies=bodies)
    pose.people(frames[:2])
    times = [time.process_time()]
    bodies.bodies(frames)
    times.append(time.process_time())
    keypoints = pose.people(frames).keypoints
    times.append(time.process_time())
    MediapipeMask(bodies).character_mask(frames, keypoints)
    times.append(time.process_time())
    landmarks = np.array(
        [
            np.full((33, 4), np.nan) if body is None else body.landmarks
            for body in character_bodies(bodies.bodies(frames), frames)
        ]
    )
    speeds = {
        "body": len(frames) / (times[1] - times[0]),
        "with hands and face": len(frames) / (times[2] - times[0]),
        "with mask": len(frames) / (times[3] - times[0]),
    }
    return speeds, landmarks, keypoints


def compared(
    frames: np.ndarray, landmarks: np.ndarray, keypoints: np.ndarray, args: argparse.Namespace
) -> dict[str, object]:
    """Speed of the peer, and distances from it."""
    with tempfile.TemporaryDirectory() as temporary:
        given, answer = Path(temporary, "frames.npy"), Path(temporary, "points.npz")
        np.save(given, frames)
        subprocess.run([args.peer, "-c", PEER, given, answer, args.bundle], check=True, stderr=subprocess.DEVNULL)
        with np.load(answer) as stored:
            peer = dict(stored)
    size = np.array([frames.shape[2], frames.shape[1]])
    visible = peer["body"][..., 2] > 0.5
    points = np.where(visible[..., None], peer["body"][..., :2] * size - 0.5, np.nan)
    sides = (np.nanmax(points, axis=1) - np.nanmin(points, axis=1)).max(axis=1)
    parts = {
        "body": np.linalg.norm(landmarks[..., :2] - points, axis=2),
        **{
            side: np.where(
                keypoints[:, part, 2] > 0,
                np.linalg.norm(keypoints[:, part, :2] - (peer[side][..., :2] * size - 0.5), axis=2),
                np.nan,
            )
            for side, part in (("left", LEFT_HAND), ("right", RIGHT_HAND))
        },
    }
    distances = {}
    for name, distance in parts.items():
        share = 100 * distance / sides[:, None]
        distances[name] = [round(float(value), 2) for value in (np.nanmean(share), *np.nanpercentile(share, (50, 95)))]
    found = {
        side: [
            round(float(np.isfinite(peer[side][:, 0, 0]).mean()), 2),
            round(float((keypoints[:, part.start, 2] > 0).mean()), 2),
        ]
        for side, part in (("left", LEFT_HAND), ("right", RIGHT_HAND))
    }
    return {"peer": round(len(frames) / float(peer["seconds"]), 1), "distance_percent": distances, "hands_found": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, default=os.environ.get("ZOETROPE_WEIGHTS", "weights"))
    parser.add_argument("--short-side-px", type=int, default=512)
    parser.add_argument("--num-frames", type=int, default=200)
    parser.add_argument("--peer", help="python of an environment with mediapipe 1.2")
    parser.add_argument("--bundle", help="holistic_landmarker.task for it")
    args = parser.parse_args()
    folder = find(entry("people"), Path(args.weights)).path
    results = {}
    for clip in args.clips:
        frames = read(clip, args.short_side_px, args.num_frames)
        speeds, landmarks, keypoints = ours(folder, frames)
        result: dict[str, object] = {name: round(speed, 1) for name, speed in speeds.items()}
        if args.peer:
            result |= compared(frames, landmarks, keypoints, args)
        results[clip.stem] = result
        print(f"{clip.stem:<20} {result}", flush=True)
    print(json.dumps({"benchmark": "people", "short_side_px": args.short_side_px, **results}))


if __name__ == "__main__":
    main()
