"""`zoetrope train publish` with checkpoints of tiny networks, as training runs write them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from animation_cards import RUN
from PIL import Image
from tiny_animate_anyone import TINY as TINY_ANIMATE_ANYONE
from tiny_animate_anyone_2 import TINY as TINY_ANIMATE_ANYONE_2
from tiny_animate_x import TINY as TINY_ANIMATE_X
from tiny_animate_x import UNIANIMATE_TINY
from tiny_systems import CONFIGS
from toy_animation import ToyAnimator, ToyModel, face_model

from jobs.cli.main import main
from jobs.engine.config import resolved
from jobs.evaluation import portrait_sheet, scene_sheet
from jobs.evaluation.contact_sheet import MAX_BYTES
from jobs.evaluation.heldout import SETTINGS, HeldoutConfig, animate_heldout
from jobs.evaluation.portraits import PORTRAIT_SETTINGS
from jobs.evaluation.scenes import SCENE_SETTINGS
from jobs.training.publish import publish, read_run
from models.animation.animator import Animation, AnimationInputs, OnStep
from models.common.checkpoint import read_tensors, save_checkpoint
from models.common.digest import CheckpointError
from models.common.safetensors_file import read_metadata
from models.pose.extent import CONFIDENT_SCORE
from models.pose.pck import correct
from models.systems import SYSTEMS, find_model, model_names
from models.weights.resolve import shipped_path

HELDOUT: dict[str, Any] = {"num_pairs": 1, "size_px": (128, 128), "duration_seconds": 0.25}
SMALL: dict[str, Any] = {"num_pairs": 1, "size_px": (96, 72), "duration_seconds": 0.25}
WITHOUT_INDICATOR = replace(TINY_ANIMATE_X, indicator=None, unet=replace(TINY_ANIMATE_X.unet, pose_attention=None))


ANYONE, ANYONE_2, X = "animate-anyone-puppets", "animate-anyone-2-puppets", "animate-x-puppets"
DYNA = "x-dyna-puppets"
TINY_X_DYNA = CONFIGS[DYNA]
TINY_MODELS = {ANYONE: TINY_ANIMATE_ANYONE, ANYONE_2: TINY_ANIMATE_ANYONE_2, X: TINY_ANIMATE_X, DYNA: TINY_X_DYNA}

ANYONE_THAT_SHIPS = SYSTEMS[ANYONE]


@pytest.fixture(autouse=True)
def tiny_models(one_thread: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, config in TINY_MODELS.items():
        system = SYSTEMS[name]
        variant = replace(system.variants[name], config=config)
        monkeypatch.setitem(SYSTEMS, name, replace(system, variants={name: variant}))


def write_run(path: Path, model_name: str, shape: Any, earlier: Sequence[Any] = (), **model: Any) -> str:
    """Write random weights with a run record like that of `jobs.training.worker.run_record`."""
    torch.manual_seed(0)
    network = find_model(model_name).system.implementation().new_network(shape)
    record = {
        **RUN,
        "model": {"name": model_name, "network": resolved(shape), **model},
        "recipe": {"batch_size": 2},
    }
    save_checkpoint(network.state_dict(), path, metadata={"runs": [*earlier, record]})
    return str(path)


@pytest.mark.slow
def test_publishes_a_run_with_comparison(tmp_path: Path) -> None:
    run = write_run(tmp_path / "x.safetensors", X, replace(TINY_ANIMATE_X, num_steps=7))
    compare = {
        "Animate Anyone": write_run(tmp_path / "anyone.safetensors", ANYONE, TINY_ANIMATE_ANYONE),
        "w/o IPI": write_run(tmp_path / "without.safetensors", X, WITHOUT_INDICATOR),
    }
    out = tmp_path / "out" / "network.safetensors"
    scores = publish(run, out.parent, heldout=HELDOUT, compare=compare)
    assert tuple(scores) == SETTINGS
    assert {tensor.dtype for tensor in read_tensors(out).values()} == {torch.float16}
    about: dict[str, Any] = read_metadata(out)
    assert about["scores"] == scores
    names = [one["name"] for one in about["comparison"]]
    assert names == ["this checkpoint", *compare]
    assert all(set(one["scores"]) == set(SETTINGS) for one in about["comparison"])
    card = out.with_name("CARD.md").read_text()
    assert card.startswith(f"# {X}, trained by `zoetrope train`")
    assert f"| w/o IPI | {X} 14 | 3 |" in card
    # A publication can be read as a run, and is sampled as that.
    again = read_run(str(out.parent))
    assert again.model.variant.config == read_run(run).model.variant.config
    assert again.model.variant.config.num_steps == 7
    # One that ships is sampled with the defaults.
    assert again.sampled_as_shipped().model.variant.config == TINY_ANIMATE_X


@pytest.mark.slow
def test_publishes_a_run_that_keeps_the_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_sheet, "INTERACTIONS", ("held", "thrown"))
    run = write_run(tmp_path / "run.safetensors", ANYONE_2, TINY_ANIMATE_ANYONE_2)
    out = tmp_path / "out" / "network.safetensors"
    scores = publish(run, out.parent, heldout=SMALL)
    assert tuple(scores) == SCENE_SETTINGS
    assert read_metadata(out)["scores"] == scores
    card = out.with_name("CARD.md").read_text()
    assert card.startswith(f"# {ANYONE_2}, trained by `zoetrope train`")
    assert "Scores on held-out scenes" in card
    sheet = out.with_name("contact-sheet.webp")
    assert 1_000 < sheet.stat().st_size <= MAX_BYTES
    assert Image.open(sheet).size == (6 * 72, 2 * 96 + 16)


def test_reads_an_ablation_of_a_run_that_keeps_the_scene(tmp_path: Path) -> None:
    channels = replace(TINY_ANIMATE_ANYONE_2, objects="channels")
    run = read_run(write_run(tmp_path / "channels.safetensors", ANYONE_2, channels))
    assert run.model.variant.config == channels
    assert run.network().config == channels


@pytest.mark.slow
def test_publishes_a_run_that_reads_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait_sheet, "NUM_ROWS", 1)
    monkeypatch.setitem(SYSTEMS, ANYONE, ANYONE_THAT_SHIPS)  # animates the same requests for the contact sheet
    run = write_run(tmp_path / "run.safetensors", DYNA, TINY_X_DYNA)
    out = tmp_path / "out" / "network.safetensors"
    scores = publish(run, out.parent, heldout=SMALL)
    assert tuple(scores) == PORTRAIT_SETTINGS
    assert read_metadata(out)["scores"] == scores
    card = out.with_name("CARD.md").read_text()
    assert card.startswith(f"# {DYNA}, trained by `zoetrope train`")
    assert "Scores on held-out portraits" in card
    sheet = out.with_name("contact-sheet.webp")
    assert 1_000 < sheet.stat().st_size <= MAX_BYTES
    assert Image.open(sheet).size == (6 * 72, 96 + 16)


@pytest.mark.parametrize(
    ("name", "other", "words"),
    [
        (ANYONE_2, ANYONE, f"{ANYONE} is scored on pairs in two sceneries, {ANYONE_2} on characters set into"),
        (ANYONE, ANYONE_2, f"{ANYONE_2} is scored on characters set into a video's scene, {ANYONE} on pairs"),
        (DYNA, ANYONE, f"{ANYONE} is scored on pairs in two sceneries, {DYNA} on portraits before moving scenery"),
    ],
)
def test_rejects_a_comparison_between_different_evaluations(name: str, other: str, words: str, tmp_path: Path) -> None:
    run, compared = (write_run(tmp_path / f"{each}.safetensors", each, TINY_MODELS[each]) for each in (name, other))
    with pytest.raises(CheckpointError, match=f"--compare other: {words}"):
        publish(run, tmp_path / "out", heldout=HELDOUT, compare={"other": compared})
    assert not (tmp_path / "out").exists()


def test_rejects_weights_of_no_model_and_those_that_are_not_finite(tmp_path: Path) -> None:
    out = tmp_path / "out"
    save_checkpoint({"weight": torch.zeros(1)}, tmp_path / "vae.safetensors", metadata={})
    with pytest.raises(CheckpointError, match=r"vae\.safetensors name no model"):
        publish(str(tmp_path / "vae.safetensors"), out, heldout=HELDOUT)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        publish(str(tmp_path / "gone.safetensors"), out, heldout=HELDOUT)
    with pytest.raises(CheckpointError, match="nothing holds no trained model"):
        publish(str(tmp_path / "nothing"), out, heldout=HELDOUT)
    run = Path(write_run(tmp_path / "x.safetensors", X, TINY_ANIMATE_X))
    tensors, metadata = read_tensors(run), read_metadata(run)
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    for value in (float("nan"), 1e6):  # too large for half precision
        tensors[name][0] = value
        save_checkpoint(tensors, run, metadata=metadata)
        with pytest.raises(CheckpointError, match=f"holds 1 tensors that are not finite: {name}"):
            publish(str(run), out, heldout=HELDOUT)
    assert not out.exists()


def test_what_ships_is_replaced_only_if_told_and_by_the_same_network(tmp_path: Path) -> None:
    run = write_run(tmp_path / "x.safetensors", X, TINY_ANIMATE_X)
    shipped = shipped_path(find_model(X).variant.weights)
    with pytest.raises(ValueError, match="holds what ships with the project; --ship replaces it"):
        publish(run, shipped.parent, heldout=HELDOUT)
    with pytest.raises(ValueError, match="leave out --out"):
        publish(run, tmp_path, ship=True, heldout=HELDOUT)
    with pytest.raises(ValueError, match="give the folder to write to with --out"):
        publish(run, heldout=HELDOUT)
    with pytest.raises(ValueError, match="expected a folder"):
        publish(run, tmp_path / "a.safetensors", heldout=HELDOUT)
    another = write_run(tmp_path / "without.safetensors", X, WITHOUT_INDICATOR)
    with pytest.raises(CheckpointError, match="another network than the animate-x-puppets that ships"):
        publish(another, ship=True, heldout=HELDOUT)
    large = write_run(tmp_path / "large.safetensors", "unianimate", UNIANIMATE_TINY)
    with pytest.raises(CheckpointError, match="no checkpoint of unianimate ships with the project"):
        publish(large, ship=True)


def test_a_model_of_the_released_size_is_published_without_scores(tmp_path: Path) -> None:
    earlier = {**RUN, "steps": 12345, "model": {"name": "animate-anyone"}}
    run = write_run(tmp_path / "large.safetensors", "unianimate", UNIANIMATE_TINY, earlier=[earlier])
    assert publish(run, tmp_path / "out") == {}
    about = read_metadata(tmp_path / "out" / "network.safetensors")
    assert (about["scores"], [each["steps"] for each in about["runs"]]) == ({}, [12345, 7])
    card = (tmp_path / "out" / "CARD.md").read_text()
    assert card.startswith("# unianimate, trained by `zoetrope train`")
    assert "Its animations were not measured" in card
    for words in ("puppets", "Apache"):
        assert words not in card
    own, before = card.split("It began with the weights of these runs, whose figures are not its own")
    assert "12345" in before
    assert "12345" not in own
    with pytest.raises(CheckpointError, match="--compare other: unianimate is not scored on puppets"):
        publish(run, tmp_path / "out", compare={"other": write_run(tmp_path / "x.safetensors", X, TINY_ANIMATE_X)})


@pytest.mark.parametrize("compare", [["w/o IPI"], ["=run"], ["a=run", "a=other"]])
def test_compared_runs_need_unique_names(
    compare: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part for text in compare for part in ("--compare", text)]
    monkeypatch.setattr(sys, "argv", ["zoetrope", "train", "publish", "run", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert f"--compare {compare[-1]}: expected NAME=RUN" in capsys.readouterr().err


def test_records_without_model_names_are_of_the_embedded_model(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old.safetensors", X, TINY_ANIMATE_X, name="animate-x", size="embedded")
    assert read_run(old).kind.name == X
    assert read_run(old).model.name == f"{X}@old"


def test_every_embedded_model_has_its_own_file() -> None:
    shipped = [find_model(name).variant for name in model_names() if find_model(name).variant.ships]
    assert len({variant.weights.repository for variant in shipped}) == len(shipped) == 4


class Recording(ToyAnimator):
    """Animator that returns the skeletons and records its inputs."""

    given: AnimationInputs

    def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
        object.__setattr__(self, "given", inputs)
        return Animation(frames_THWC=inputs.pose_THWC)


def test_heldout_models_that_read_the_face_are_given_it() -> None:
    animator = Recording("toy")
    list(
        animate_heldout(animator, face_model(), HeldoutConfig(**HELDOUT | {"setting": "exact", "size_px": (192, 192)}))
    )
    signals = animator.given.signals
    assert signals["face_control"].shape == (*animator.given.pose_THWC.shape[:3], 6)
    assert signals["face_control"].any(axis=(1, 2, 3)).all()
    assert signals["controls"].all()


@pytest.mark.parametrize("setting", SETTINGS)
def test_skeletons_are_retargeted_only_in_retargeted_settings(setting: Any) -> None:
    animator = Recording("toy")
    heldout = HeldoutConfig(**HELDOUT, setting=setting, first_seed=5)
    (made,) = animate_heldout(animator, ToyModel(), heldout)
    given = animator.given
    reference, driving = given.signals["reference_keypoints"], given.signals["driving_keypoints"]
    assert driving.shape == (len(made.truth_THWC), 133, 3)
    assert np.array_equal(given.signals["driving_frames"], made.driving_THWC)
    assert np.array_equal(made.driving_THWC, made.truth_THWC) == (setting == "rescaled")
    assert made.truth_keypoints is not None
    right, present, _ = correct(reference[None], made.truth_keypoints[:1], share=0.02)
    assert (right[present].mean() == 1) == (setting == "exact")
    if setting in ("misfit", "rescaled"):
        # Without retargeting, a skeleton stays in place, as far as it is inside the picture.
        found = driving[0]
        drawn = np.argwhere(made.skeletons_THWC[0].max(2) > 0)[:, ::-1]
        seen = found[found[:, 2] > CONFIDENT_SCORE, :2].clip(0, made.truth_THWC.shape[1] - 1)
        assert np.allclose(drawn.min(0), seen.min(0), atol=4)
        assert np.allclose(drawn.max(0), seen.max(0), atol=4)
