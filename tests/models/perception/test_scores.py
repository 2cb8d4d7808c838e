from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.masks.boxes import bounding_boxes
from models.perception.scores import figure_scores, iou, limb_order, object_scores, tracking_score
from models.puppets import PuppetFrame, render_frame, sample_spec


class Oracle:
    """Perception stub that returns the ground truth, optionally with one kind of error."""

    def __init__(self, puppets: list[PuppetFrame], *, shift: float = 0.0, flip_depth: bool = False) -> None:
        self.puppets, self.shift, self.flip_depth = puppets, shift, flip_depth

    def _find(self, frames: np.ndarray) -> list[PuppetFrame]:
        return [next(p for p in self.puppets if np.array_equal(p.rgb, frame)) for frame in frames]

    def keypoints(self, frames: np.ndarray) -> np.ndarray:
        keypoints_TK3 = np.stack([p.keypoints for p in self._find(frames)])
        keypoints_TK3[..., 2] = keypoints_TK3[..., 2] > 0
        keypoints_TK3[..., 0] += self.shift
        return keypoints_TK3

    def depth(self, frames: np.ndarray) -> np.ndarray:
        return np.stack([-p.depth if self.flip_depth else p.depth for p in self._find(frames)])

    def character_mask(self, frames: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
        return np.stack([p.character_mask for p in self._find(frames)])

    def segment(self, frame: np.ndarray, prompt) -> np.ndarray:
        masks = [mask for mask in self._find(frame[None])[0].object_masks.values() if mask.any()]
        if prompt.box is not None:
            return next(mask for mask in masks if np.array_equal(bounding_boxes(mask[None])[0], prompt.box))
        x, y = prompt.positive[0].astype(int)
        return next(mask for mask in masks if mask[y, x])

    def track(self, frames: np.ndarray, prompts) -> np.ndarray:
        return np.stack([self.segment(frame, prompts[0]) for frame in frames])


@pytest.fixture(scope="module")
def puppets() -> list[PuppetFrame]:
    specs = [sample_spec(seed, split="train", size_px=((96, 128), (128, 96))[seed % 2]) for seed in range(8)]
    return [render_frame(spec, 0.5) for spec in specs]


def test_the_truth_has_perfect_scores(puppets: list[PuppetFrame]) -> None:
    scores = figure_scores(Oracle(puppets), puppets)
    assert scores["pck"] == scores["pck_face"] == scores["character_iou"] == 1
    assert scores["presence_recall"] == 1
    assert scores["presence_false_share"] == 0
    assert scores["limb_depth_order"] > 0.9
    assert scores["limb_pairs"] > 20


def test_errors_lower_the_scores(puppets: list[PuppetFrame]) -> None:
    far = figure_scores(Oracle(puppets, shift=40.0), puppets)
    assert far["pck"] == 0
    assert figure_scores(Oracle(puppets, flip_depth=True), puppets)["limb_depth_order"] < 0.1


def test_a_mirrored_depth_map_is_wrong_for_every_pair(puppets: list[PuppetFrame]) -> None:
    right = np.concatenate([limb_order(p.depth, p) for p in puppets])
    wrong = np.concatenate([limb_order(-p.depth, p) for p in puppets])
    assert len(right) == len(wrong) > 0
    assert (right ^ wrong).all()


def test_limbs_at_equal_depth_make_no_pair(puppets: list[PuppetFrame]) -> None:
    flat = replace(puppets[0], limb_depths=dict.fromkeys(puppets[0].limb_depths, 4.0))
    assert len(limb_order(flat.depth, flat)) == 0


def test_object_scores_prompt_every_object(puppets: list[PuppetFrame]) -> None:
    num_objects = sum(mask.mean() >= 0.001 for p in puppets for mask in p.object_masks.values())
    scores = object_scores(Oracle(puppets), puppets)
    assert scores["objects"] == num_objects > 0
    assert scores["object_iou_point"] == scores["object_iou_box"] == 1
    clip = next(p for p in puppets if p.object_masks)
    assert tracking_score(Oracle(puppets), [[clip, clip]]) == 1


def test_iou() -> None:
    a = np.zeros((4, 4), bool)
    assert iou(a, a) == 1
    b = a.copy()
    b[:2] = True
    assert iou(a, b) == 0
    c = a.copy()
    c[1:3] = True
    assert iou(b, c) == pytest.approx(4 / 12)
