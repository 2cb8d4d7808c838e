"""Shipped checkpoints: required scores of the model card, and behaviour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.common.checkpoint import load_checkpoint, save_checkpoint
from models.common.digest import CheckpointError, file_digest
from models.common.safetensors_file import read_metadata
from models.perception.embedded import BATCH_FRAMES, EmbeddedFigure, load_network
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.scores import figure_scores, object_scores
from models.perception.shipped import (
    CHECKPOINTS,
    FACE_CHECKPOINT,
    FIGURE_CHECKPOINT,
    OBJECT_CHECKPOINT,
    PUPPETS_ONLY_NOTICE,
)
from models.puppets import PuppetFrame, render_frame, sample_spec

FIRST_HELDOUT_SEED = 2_000_000
"""Other held-out videos than those on the card."""


@pytest.fixture(scope="module")
def puppets() -> list[PuppetFrame]:
    specs = [
        sample_spec(FIRST_HELDOUT_SEED + seed, split="heldout", size_px=((384, 288), (288, 384))[seed % 2])
        for seed in range(60)
    ]
    return [render_frame(spec, 1.7) for spec in specs]


@pytest.fixture(scope="module")
def figure() -> EmbeddedFigure:
    return EmbeddedFigure()


def test_shipped_checkpoints_are_small_and_described() -> None:
    files = list(CHECKPOINTS.glob("*.safetensors"))
    assert {FIGURE_CHECKPOINT, OBJECT_CHECKPOINT, FACE_CHECKPOINT} == set(files)
    assert sum(file.stat().st_size for file in files) <= 10_000_000
    card = (CHECKPOINTS / "CARD.md").read_text()
    assert PUPPETS_ONLY_NOTICE in card
    assert all(file_digest(file) in card for file in files), (
        "the card is of other checkpoints: run the evaluation again"
    )


@pytest.mark.nightly
def test_scores_on_held_out_puppets(figure: EmbeddedFigure, puppets: list[PuppetFrame]) -> None:
    scores = figure_scores(figure, puppets)
    assert scores["pck"] >= 0.90
    assert scores["character_iou"] >= 0.90
    assert scores["limb_depth_order"] >= 0.90
    assert scores["limb_pairs"] > 300


def test_objects_are_segmented_at_boxes_and_points(puppets: list[PuppetFrame]) -> None:
    scores = object_scores(EmbeddedObjects(), puppets[:30])
    assert scores["objects"] > 10
    assert scores["object_iou_box"] >= 0.80
    assert scores["object_iou_point"] >= 0.70


def test_scores_are_low_without_a_puppet(figure: EmbeddedFigure) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1, 200, 150, 3)).astype(np.uint8)
    slope = np.linspace(0, 255, 200 * 150 * 3).reshape(1, 200, 150, 3).astype(np.uint8)
    frames = np.concatenate([noise, slope, np.full_like(noise, 128)])
    keypoints = figure.keypoints(frames)
    assert keypoints[..., 2].max() < 0.3
    assert figure.character_mask(frames, keypoints).mean() < 0.02


def test_results_are_deterministic_and_independent_of_the_batch(
    figure: EmbeddedFigure, puppets: list[PuppetFrame]
) -> None:
    frames = np.stack([puppet.rgb for puppet in puppets[0 : 2 * BATCH_FRAMES + 6 : 2]])
    keypoints, depth = figure.keypoints(frames), figure.depth(frames)
    assert np.array_equal(figure.keypoints(frames), keypoints)
    assert np.array_equal(figure.depth(frames), depth)
    reverse = figure.keypoints(frames[::-1])[::-1]
    np.testing.assert_allclose(reverse, keypoints, atol=0.01)
    np.testing.assert_allclose(figure.keypoints(frames[3:4])[0], keypoints[3], atol=0.01)
    np.testing.assert_allclose(figure.depth(frames[3:4])[0], depth[3], atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 40, 333, 3), (1, 1, 1, 3), (0, 64, 64, 3), (3, 500, 20, 3)])
def test_any_frame_size_gives_signals_of_that_size(figure: EmbeddedFigure, shape: tuple[int, ...]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    keypoints = figure.keypoints(frames)
    assert keypoints.shape == (shape[0], 133, 3)
    assert keypoints.dtype == np.float32
    assert ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all()
    assert figure.depth(frames).shape == shape[:3]
    assert figure.character_mask(frames, keypoints).shape == shape[:3]


def test_frames_of_another_type_are_refused(figure: EmbeddedFigure) -> None:
    with pytest.raises(ValueError, match="must be uint8"):
        figure.keypoints(np.zeros((1, 8, 8, 3), np.float32))


def test_a_small_character_is_masked_in_an_enlarged_crop(figure: EmbeddedFigure, puppets: list[PuppetFrame]) -> None:
    """Masks with and without the crop must both be correct, and the crop no worse."""
    far, near = [], []
    for puppet in puppets[:24:2]:
        frame = np.full((700, 640, 3), 200, np.uint8)
        frame[200:584, 150:438] = puppet.rgb
        truth = np.zeros((700, 640), bool)
        truth[200:584, 150:438] = puppet.character_mask
        keypoints = figure.keypoints(frame[None])
        for ious, given in ((near, keypoints), (far, np.zeros_like(keypoints))):
            mask = figure.character_mask(frame[None], given)[0]
            ious.append((mask & truth).sum() / (mask | truth).sum())
    assert np.mean(near) >= np.mean(far) - 0.01
    assert np.mean(near) > 0.8


def test_broken_checkpoints_are_refused(tmp_path: Path) -> None:
    network = load_network(OBJECT_CHECKPOINT)
    stored = read_metadata(OBJECT_CHECKPOINT)
    tensors = network.state_dict()
    without = tmp_path / "without.safetensors"
    save_checkpoint({key: value for key, value in tensors.items() if key != "stem.0.weight"}, without, metadata=stored)
    with pytest.raises(CheckpointError, match=r"1 missing \(stem\.0\.weight\)"):
        load_network(without)
    nameless = tmp_path / "nameless.safetensors"
    save_checkpoint(tensors, nameless, metadata={})
    with pytest.raises(CheckpointError, match="does not say"):
        load_network(nameless)
    odd = tmp_path / "odd.safetensors"
    save_checkpoint(tensors, odd, metadata={"network": {"widths": [1, 2], "surprise": 3}})
    with pytest.raises(CheckpointError, match="no valid PerceptionNetConfig"):
        load_network(odd)
    with pytest.raises(CheckpointError, match="belongs to another network"):
        load_checkpoint(torch.nn.Linear(2, 2), OBJECT_CHECKPOINT)
