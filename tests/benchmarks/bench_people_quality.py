"""The backend `people` on every clip of a folder: jitter, masks, exchanged sides, and frames per second of one core.

Needs the published networks (`zoetrope weights fetch people --weights DIR`); run as
`PYTHONPATH=. python tests/benchmarks/bench_people_quality.py ../shared/media/driving`. Of each clip:

- `person`, `hands`, `face`: shares of frames; `implausible`: share of frames that lost their keypoints.
- `jitter`: mean second difference of the keypoints that score 0.3 or more, in per cent of the character's size, without
  and with smoothing. It contains the motion's own acceleration, which is most of it in fast dances at a low frame rate.
- `inside`: share of the confident body keypoints inside the mask. `near`: share of the mask within 15% of the
  character's size of the skeleton.
- `swaps`: number of frames in which the left and right of the body continue as the other side of the frame before.
- `flicker`: changed area of the mask between frames, after motion compensation by optical flow, over the length of its
  edge, in pixels; without and with the refinement of edges.
- `edges`: mean step of the picture's colours across the mask's edge, likewise.
- `frames_per_second`: of body, hands and face, and with the mask.

`--overlays DIR` writes a contact sheet of each clip.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import cv2
import numpy as np
from bench_people import ours, read

from models.catalogue import entry
from models.perception.mediapipe.mask import nearest, picture_mask
from models.pose.extent import CONFIDENT_SCORE, character_size_px
from models.pose.overlay import draw_skeleton, rasterise_skeleton
from models.pose.skeleton import BODY, FACE, FEET, LEFT_HAND, MIRROR, RIGHT_HAND
from models.pose.smoothing import smoothed
from models.quality.measures import keypoints_inside_mask
from models.weights.resolve import find
from stages.prepare.pose import SMOOTHING_SECONDS, PoseConfig, PoseStage

PARTS = {"body": BODY, "feet": FEET, "face": FACE, "left hand": LEFT_HAND, "right hand": RIGHT_HAND}
NEAR_SHARE = 0.15
SHEET_FRAMES, SHEET_HEIGHT_PX = 12, 360


def jitter_percent(keypoints: np.ndarray, size_px: float) -> dict[str, float]:
    """Mean second difference by part; parts that are never confident in three frames in a row are left out."""
    result = {}
    for name, part in PARTS.items():
        confident = keypoints[:, part, 2] >= CONFIDENT_SCORE
        counted = confident[2:] & confident[1:-1] & confident[:-2]
        if counted.any():
            seconds = np.linalg.norm(np.diff(keypoints[:, part, :2], n=2, axis=0), axis=2)
            result[name] = round(100 * float(seconds[counted].mean()) / size_px, 2)
    return result


def swaps(keypoints: np.ndarray) -> int:
    """Number of frames whose body is nearer to the mirrored body of the frame before than to itself."""
    body = keypoints[:, BODY]
    other = keypoints[:, MIRROR[BODY]]
    counted = ((body[1:, :, 2] >= CONFIDENT_SCORE) & (body[:-1, :, 2] >= CONFIDENT_SCORE))[..., None]
    kept = np.linalg.norm((body[1:] - body[:-1])[..., :2] * counted, axis=2).sum(axis=1)
    exchanged = np.linalg.norm((other[1:] - body[:-1])[..., :2] * counted, axis=2).sum(axis=1)
    return int((exchanged < kept).sum())


def flicker_px(frames: np.ndarray, masks: np.ndarray) -> float:
    """Mean over frames of the area that changes, though the picture did not move it, over the length of the edge."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    grid = np.stack(np.meshgrid(np.arange(frames.shape[2]), np.arange(frames.shape[1])), axis=-1).astype(np.float32)
    shifts = []
    for t in range(1, len(frames)):
        back = flow.calc(greys[t], greys[t - 1], None) + grid
        moved = cv2.remap(masks[t - 1].astype(np.uint8), back, None, cv2.INTER_NEAREST) > 0
        length = edge(masks[t]).sum()
        if length:
            shifts.append((moved ^ masks[t]).sum() / length)
    return round(float(np.mean(shifts)), 2) if shifts else 0.0


def edge(mask: np.ndarray) -> np.ndarray:
    """Mask (H, W) of the pixels of a mask that touch the background."""
    values = mask.astype(np.uint8)
    touching: np.ndarray = (values - cv2.erode(values, np.ones((3, 3), np.uint8))) > 0
    return touching


def edge_step(frames: np.ndarray, masks: np.ndarray) -> float:
    """Mean length of the colour gradient (Sobel, levels per pixel) on the edges of the masks."""
    steps = []
    for frame, mask in zip(frames, masks, strict=True):
        if mask.any():
            across = [cv2.Sobel(frame, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0)]
            steps.append(np.sqrt((across[0] ** 2 + across[1] ** 2).sum(axis=2))[edge(mask)].mean())
    return round(float(np.mean(steps)), 1) if steps else 0.0


def near_share(keypoints: np.ndarray, masks: np.ndarray, size_px: float) -> float:
    """Share of the masks' pixels within `NEAR_SHARE` of the character's size of its skeleton."""
    near = [
        (mask & rasterise_skeleton(frame, mask.shape, line_width_px=2 * NEAR_SHARE * size_px)).sum()
        for frame, mask in zip(keypoints, masks, strict=True)
    ]
    return round(float(np.sum(near) / max(masks.sum(), 1)), 3)


def rate(path: Path) -> float:
    """Frames per second of a video."""
    with av.open(str(path)) as video:
        return float(video.streams.video[0].average_rate or 25)


def measured(path: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """All measures of one clip."""
    frames = read(path, args.short_side_px, args.num_frames)
    times = np.arange(len(frames)) / rate(path)
    stage = PoseStage(PoseConfig(weights=str(args.weights), smoothing_seconds=0))
    stage.open()
    posed = stage.process({"frames": frames, "frame_seconds": times})
    raw, bodies = posed["keypoints"], stage.backend.bodies
    keypoints = smoothed(raw, times, half_window_seconds=SMOOTHING_SECONDS["people"])
    size_px = character_size_px(keypoints)
    rough, refined = np.zeros((2, *frames.shape[:3]), np.bool_)
    for t, found in enumerate(bodies.bodies(frames)):
        if (body := nearest(found, keypoints[t])) is not None:
            rough[t] = body.region.paste(body.mask.astype(np.float32), frames.shape[1:3], outside=0.0) >= 127.5
            refined[t] = picture_mask(body, frames[t])
    if args.overlays:
        write_sheet(args.overlays / f"{path.stem}.jpg", frames, keypoints, refined)
    speeds, _, _ = ours(folder, frames)
    return {
        "frames": len(frames),
        "person": round(float((raw[:, BODY, 2] >= CONFIDENT_SCORE).any(axis=1).mean()), 3),
        "hands": [round(float((raw[:, part.start, 2] > 0).mean()), 3) for part in (LEFT_HAND, RIGHT_HAND)],
        "face": round(float((raw[:, FACE.start, 2] > 0).mean()), 3),
        "implausible": round(posed["implausible_share"], 3),
        "jitter": [jitter_percent(raw, size_px), jitter_percent(keypoints, size_px)],
        "inside": round(keypoints_inside_mask(keypoints, refined), 3),
        "near": near_share(keypoints, refined, size_px),
        "swaps": swaps(raw),
        "flicker": [flicker_px(frames, rough), flicker_px(frames, refined)],
        "edges": [edge_step(frames, rough), edge_step(frames, refined)],
        "frames_per_second": [round(speeds[name], 1) for name in ("with hands and face", "with mask")],
    }


def write_sheet(path: Path, frames: np.ndarray, keypoints: np.ndarray, masks: np.ndarray) -> None:
    """Contact sheet of skeleton and mask over frames at equal distances."""
    tiles = []
    for t in np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int):
        picture = np.where(masks[t][..., None], frames[t], frames[t] // 2)
        picture[edge(masks[t])] = (255, 0, 255)
        tile = draw_skeleton(picture, keypoints[t])
        scale = SHEET_HEIGHT_PX / tile.shape[0]
        tiles.append(cv2.resize(tile, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    half = len(tiles) // 2
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[:half]), np.hstack(tiles[half:])])[..., ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/media/driving"))
    parser.add_argument("--weights", type=Path, default=os.environ.get("ZOETROPE_WEIGHTS", "weights"))
    parser.add_argument("--short-side-px", type=int, default=512)
    parser.add_argument("--num-frames", type=int, default=200)
    parser.add_argument("--overlays", type=Path, help="folder for contact sheets")
    args = parser.parse_args()
    folder = find(entry("people"), Path(args.weights)).path
    results = {}
    for path in sorted(args.folder.glob("*.mp4")):
        results[path.stem] = measured(path, folder, args)
        print(f"{path.stem:<20} {results[path.stem]}", flush=True)
    print(json.dumps({"benchmark": "people_quality", "short_side_px": args.short_side_px, **results}))


if __name__ == "__main__":
    main()
