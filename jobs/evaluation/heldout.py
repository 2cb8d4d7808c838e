"""Scores of a model on held-out puppets, against rendered ground truth of the same motion."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from models.animation.animator import AnimationInputs, Animator
from models.animation.system import Model
from models.metrics.pixels import clip_psnr, psnr
from models.perception.embedded import EmbeddedFigure
from models.pose.pck import correct
from models.pose.pose_augment import realigned
from models.pose.pose_map import PRESETS, draw_poses
from models.pose.retarget import Rule, retarget
from models.puppets import PuppetPair, render, sample_pair
from models.puppets.truth import truth_as_detections
from pipelines.model_specs import model_spec
from stages.animate.face_crops import FaceCropsConfig, FaceCropsStage
from stages.animate.signals import SignalsConfig, SignalsStage

logger = logging.getLogger(__name__)

KEYPOINT_SHARE = 0.15
"""A keypoint is correct within this share of the character's size."""

Setting = Literal["exact", "retargeted", "anthropomorphic", "misfit", "rescaled"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutConfig:
    """Pairs of held-out puppets (`models.puppets.pairs`): one is animated by the motion of the other.

    Args:
        setting: driving motion, and whether skeletons are retargeted:
            "exact": a human in another place drives another human; ground-truth keypoints, retargeted.
            "retargeted": the same with detected keypoints, as in `zoetrope animate --preset puppets`.
            "anthropomorphic": as "retargeted", but the character is not human.
            "misfit": a human in the character's place drives a character that is not human, without retargeting.
            "rescaled": the setting of A²Bench: a character that is not human is driven by its own frames and its own
            skeletons with a human's proportions, without retargeting.
        num_pairs, first_seed: number of pairs and seed of the first.
        size_px, duration_seconds, fps: shape of the clips; `size_px` is (height, width).
    """

    setting: Setting = "retargeted"
    num_pairs: int = 40
    first_seed: int = 0
    size_px: tuple[int, int] = (192, 192)
    duration_seconds: float = 2.0
    fps: float = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutAnimation:
    """Animation of one held-out pair and its ground truth: uint8 (T, H, W, 3); the reference is (H, W, 3).

    `truth_keypoints`: (T, 133, 3), keypoints of `truth_THWC`. `skeleton_keypoints`: (T, 133, 3), retargeted.
    """

    reference_HWC: NDArray[np.uint8]
    driving_THWC: NDArray[np.uint8]
    skeletons_THWC: NDArray[np.uint8]
    animation_THWC: NDArray[np.uint8]
    truth_THWC: NDArray[np.uint8]
    truth_keypoints: NDArray[np.float32]
    skeleton_keypoints: NDArray[np.float32]


def animate_heldout(animator: Animator, model: Model, config: HeldoutConfig) -> Iterator[HeldoutAnimation]:
    """Animate each pair with the steps of `zoetrope animate`: keypoints, retargeting, drawing, model."""
    figure, spec = EmbeddedFigure(), model_spec(model, None).columns()
    face_crops, signals = FaceCropsStage(FaceCropsConfig()), SignalsStage(SignalsConfig(), model.system.signals)
    preset = PRESETS[model.variant.config.pose_preset]
    for seed in range(config.first_seed, config.first_seed + config.num_pairs):
        clip = _heldout_clip(_pair(seed, config), config, figure)
        height, width = config.size_px
        poses = draw_poses(clip.pose_keypoints, height_px=height, width_px=width, preset=preset)
        row = {
            "model_spec": spec,
            "controls": None,
            "canvas_height_px": height,
            "canvas_width_px": width,
            "reference_keypoints": clip.reference_keypoints,
            "skeleton_keypoints": clip.pose_keypoints,
            "driving_frames": clip.driving_THWC,
            "driving_keypoints": clip.driving_keypoints,
        }
        inputs = AnimationInputs(
            reference_HWC=clip.truth_THWC[0],
            pose_THWC=poses,
            seed=seed,
            signals=signals(face_crops(row))["signals"],
        )
        yield HeldoutAnimation(
            reference_HWC=clip.truth_THWC[0],
            driving_THWC=clip.driving_THWC,
            skeletons_THWC=poses,
            animation_THWC=animator.animate(inputs).frames_THWC,
            truth_THWC=clip.truth_THWC,
            truth_keypoints=clip.truth_keypoints,
            skeleton_keypoints=clip.pose_keypoints,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _HeldoutClip:
    """Input and ground truth of a held-out animation."""

    truth_THWC: NDArray[np.uint8]
    truth_keypoints: NDArray[np.float32]
    driving_THWC: NDArray[np.uint8]
    driving_keypoints: NDArray[np.float32]
    reference_keypoints: NDArray[np.float32]
    pose_keypoints: NDArray[np.float32]


def _pair(seed: int, config: HeldoutConfig) -> PuppetPair:
    return sample_pair(
        seed,
        body="human" if config.setting in ("retargeted", "exact") else "anthropomorphic",
        size_px=config.size_px,
        duration_seconds=config.duration_seconds,
        same_place=config.setting == "misfit",
    )


def _heldout_clip(pair: PuppetPair, config: HeldoutConfig, figure: EmbeddedFigure) -> _HeldoutClip:
    num_frames = round(config.duration_seconds * config.fps)
    target, human = (list(render(spec, config.fps, num_frames)) for spec in (pair.target, pair.driving))
    truth = np.stack([frame.rgb for frame in target])
    driving = truth if config.setting == "rescaled" else np.stack([frame.rgb for frame in human])
    own, others = (np.stack([truth_as_detections(frame.keypoints) for frame in frames]) for frames in (target, human))
    if config.setting == "exact":
        reference_keypoints, driving_keypoints = own[0], others
    else:
        reference_keypoints = figure.keypoints(truth[:1])[0]
        rescaled = config.setting == "rescaled"
        driving_keypoints = realigned(own, others[0]) if rescaled else figure.keypoints(driving)
    rule: Rule = "frame" if config.setting in ("misfit", "rescaled") else "limbs"
    retargeted = retarget(
        driving_keypoints,
        reference_keypoints,
        driving_size_px=config.size_px,
        reference_size_px=config.size_px,
        rule=rule,
    )
    return _HeldoutClip(
        truth_THWC=truth,
        truth_keypoints=np.stack([frame.keypoints for frame in target]),
        driving_THWC=driving,
        driving_keypoints=driving_keypoints,
        reference_keypoints=reference_keypoints,
        pose_keypoints=retargeted.keypoints,
    )


def animation_scores(animations: Iterable[HeldoutAnimation], figure: EmbeddedFigure) -> dict[str, float]:
    """Mean scores over pairs, without the first frame of each clip, which is the reference.

    Returns:
        clip_psnr_db, clip_psnr_repeat_db: PSNR per clip of the animation, and of the reference repeated.
        psnr_gain_db: difference of the two.
        psnr_db, psnr_repeat_db: mean PSNR of frames, as reported in papers; a frame equal to the reference counts as
            100 dB for the reference repeated.
        keypoints: share of the character's keypoints that the embedded pose network detects in the animation within
            `KEYPOINT_SHARE` of their true positions.
        keypoints_repeat, keypoints_truth: the same in the reference, and in the true frames (the upper bound).
        keypoints_skeleton: the same of the retargeted skeleton.
        short_side_px: shorter side of the frames in pixels.
        pairs: number of pairs.
    """
    rows: list[dict[str, float]] = []
    for animation in animations:
        truth, keypoints = animation.truth_THWC[1:], animation.truth_keypoints
        repeat = np.repeat(animation.reference_HWC[None], len(truth), axis=0)
        row = {"short_side_px": float(min(truth.shape[1:3]))}
        for suffix, frames in (("", animation.animation_THWC[1:]), ("_repeat", repeat), ("_truth", truth)):
            if suffix != "_truth":
                row[f"clip_psnr{suffix}_db"] = clip_psnr(frames, truth)
                row[f"psnr{suffix}_db"] = float(psnr(frames, truth).mean())
            right, present, _ = correct(figure.keypoints(frames), keypoints[1:], share=KEYPOINT_SHARE)
            row[f"keypoints{suffix}"] = float(right[present].mean())
        right, present, _ = correct(animation.skeleton_keypoints[1:], keypoints[1:], share=KEYPOINT_SHARE)
        row["keypoints_skeleton"] = float(right[present].mean())
        rows.append(row)
        logger.info("pair %d: %s", len(rows), ", ".join(f"{name} {value:.2f}" for name, value in row.items()))
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    gain_db = means["clip_psnr_db"] - means["clip_psnr_repeat_db"]
    return {**means, "psnr_gain_db": gain_db, "pairs": float(len(rows))}
