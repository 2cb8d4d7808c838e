"""How well a system animates puppets that it has never seen, against what they really look like in that motion."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.common.animator import AnimationInputs, Animator
from models.metrics.pixels import clip_psnr, psnr
from models.perception.embedded import EmbeddedFigure
from models.perception.scores import correct
from models.pose.pose_augment import realigned
from models.puppets import render
from models.puppets.pairs import sample_pair
from models.puppets.truth import truth_as_detections
from stages.animate.keypoints import DrivingPoseStage, ReferencePoseStage
from stages.animate.models import AnimationModel
from stages.animate.skeleton import SkeletonConfig, SkeletonStage
from stages.base import Row
from stages.prepare.pose import PoseConfig

logger = logging.getLogger(__name__)

KEYPOINT_SHARE = 0.15
"""A keypoint is where it should be within this share of the character's size."""


Setting = Literal["exact", "retargeted", "anthropomorphic", "misfit", "rescaled"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutConfig:
    """Pairs of held-out puppets (`models.puppets.pairs`): one is animated by the motion of another.

    Args:
        setting: what drives, and whether its skeletons are made to fit:
            "exact": a human somewhere else drives another human, by the true keypoints of both, made to fit: what the
            system does when it is told the poses.
            "retargeted": the same as `zoetrope animate` does it, with keypoints that are found.
            "anthropomorphic": the same, but the character is no human.
            "misfit": a human in the character's place drives one that is no human; skeletons are left as they are.
            "rescaled": that of A²Bench and its stand-in (`jobs.verbs.a2bench`): a character that is no human is driven
            by frames of itself and its own skeletons with the human's proportions, which are left as they are.
        num_pairs, first_seed: which pairs.
        size_px, duration_seconds, fps: of what is animated.
    """

    setting: Setting = "retargeted"
    num_pairs: int = 40
    first_seed: int = 0
    size_px: tuple[int, int] = (192, 192)
    duration_seconds: float = 2.0
    fps: float = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationAndTruth:
    """What was made and what is true, each uint8 (T, H, W, 3) but the reference, (H, W, 3).

    `truth_keypoints`: (T, 133, 3) of `truth_THWC`; None where nobody knows them. `skeleton_keypoints`: (T, 133, 3), by
    which it was made; None where that is not of interest.
    """

    reference_HWC: NDArray[np.uint8]  # noqa: N815
    made_THWC: NDArray[np.uint8]  # noqa: N815
    truth_THWC: NDArray[np.uint8]  # noqa: N815
    truth_keypoints: NDArray[np.float32] | None = None
    skeleton_keypoints: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutAnimation(AnimationAndTruth):
    """One pair, and what drove it, uint8 (T, H, W, 3)."""

    driving_THWC: NDArray[np.uint8]  # noqa: N815
    skeletons_THWC: NDArray[np.uint8]  # noqa: N815


def animate_heldout(animator: Animator, model: AnimationModel, config: HeldoutConfig) -> Iterator[HeldoutAnimation]:
    """Animate each pair as `zoetrope animate` does: skeletons found in the driving frames, retargeted and drawn."""
    models = {animator.name: model}
    reference_pose, driving_pose = ReferencePoseStage(PoseConfig()), DrivingPoseStage(PoseConfig())
    skeleton = SkeletonStage(SkeletonConfig(), models)
    reference_pose.open()
    of_itself = config.setting == "rescaled"
    num_frames = round(config.duration_seconds * config.fps)
    for seed in range(config.first_seed, config.first_seed + config.num_pairs):
        pair = sample_pair(
            seed,
            body="human" if config.setting in ("retargeted", "exact") else "anthropomorphic",
            size_px=config.size_px,
            duration_seconds=config.duration_seconds,
            same_place=config.setting == "misfit",
        )
        target = list(render(pair.target, config.fps, num_frames))
        truth = np.stack([frame.rgb for frame in target])
        human = list(render(pair.driving, config.fps, num_frames))
        driving = truth if of_itself else np.stack([frame.rgb for frame in human])
        height, width = config.size_px
        row: Row = {
            "model": animator.name,
            "reference_image": target[0].rgb,
            "video_height_px": height,
            "video_width_px": width,
            "driving_frames": driving,
            "driving_height_px": height,
            "driving_width_px": width,
            "clip": None,
            "clip_id": None,
            "retarget": "frame" if config.setting in ("misfit", "rescaled") else None,
        }
        row |= reference_pose.process(row)
        own, others = (
            np.stack([truth_as_detections(frame.keypoints) for frame in frames]) for frames in (target, human)
        )
        if config.setting == "exact":
            row |= {"driving_keypoints": others, "reference_keypoints": own[0]}
        elif of_itself:
            row["driving_keypoints"] = realigned(own, others[0])
        else:
            row |= driving_pose.process(row)
        row |= skeleton.process(row)
        inputs = AnimationInputs(
            reference_HWC=row["reference_image"],
            pose_THWC=row["skeleton_frames"],
            seed=seed,
            reference_pose_HWC=row["reference_skeleton"],
            reference_keypoints_K3=row["reference_keypoints"],
            pose_keypoints_TK3=row["skeleton_keypoints"],
            driving_THWC=driving,
            driving_keypoints_TK3=row["driving_keypoints"],
        )
        yield HeldoutAnimation(
            reference_HWC=row["reference_image"],
            driving_THWC=driving,
            skeletons_THWC=row["skeleton_frames"],
            made_THWC=animator.animate(inputs).frames_THWC,
            truth_THWC=truth,
            truth_keypoints=np.stack([frame.keypoints for frame in target]),
            skeleton_keypoints=row["skeleton_keypoints"],
        )


def animation_scores(animations: Iterable[AnimationAndTruth], figure: EmbeddedFigure) -> dict[str, float]:
    """Means over pairs, the first frame of each left out, which is the reference.

    `clip_psnr_db` of what was made, `clip_psnr_repeat_db` of the reference shown again and again, and `psnr_gain_db`
    between them; `psnr_db` and `psnr_repeat_db`: means over frames, as the papers have them, in which a frame that is
    the reference again counts as 100 dB for the reference repeated; `keypoints`: share of the
    character's keypoints that the embedded pose network finds in what was made within `KEYPOINT_SHARE` of where they
    truly are, `keypoints_repeat` in the reference, and `keypoints_truth` in the true frames, which is all that can be
    reached; `keypoints_skeleton`: the same share of the skeleton that it was made by, found and made to fit, before any
    network drew it. They are left out where any pair lacks what they need.
    """
    rows: list[dict[str, float]] = []
    for animation in animations:
        truth, keypoints = animation.truth_THWC[1:], animation.truth_keypoints
        repeat = np.repeat(animation.reference_HWC[None], len(truth), axis=0)
        row = {"short_side_px": float(min(truth.shape[1:3]))}
        for suffix, frames in (("", animation.made_THWC[1:]), ("_repeat", repeat), ("_truth", truth)):
            if suffix != "_truth":
                row[f"clip_psnr{suffix}_db"] = clip_psnr(frames, truth)
                row[f"psnr{suffix}_db"] = float(psnr(frames, truth).mean())
            if keypoints is not None:
                right, present, _ = correct(figure.keypoints(frames), keypoints[1:], share=KEYPOINT_SHARE)
                row[f"keypoints{suffix}"] = float(right[present].mean())
        if keypoints is not None and (drawn := animation.skeleton_keypoints) is not None:
            right, present, _ = correct(drawn[1:], keypoints[1:], share=KEYPOINT_SHARE)
            row["keypoints_skeleton"] = float(right[present].mean())
        rows.append(row)
        logger.info("pair %d: %s", len(rows), ", ".join(f"{name} {value:.2f}" for name, value in row.items()))
    common = [name for name in rows[0] if all(name in row for row in rows)]
    means = {name: float(np.mean([row[name] for row in rows])) for name in common}
    gain_db = means["clip_psnr_db"] - means["clip_psnr_repeat_db"]
    return {**means, "psnr_gain_db": gain_db, "pairs": float(len(rows))}
