from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.cards.appearance import write_card
from jobs.cards.records import steps_so_far
from jobs.cli.main import main
from jobs.training import appearance as module
from jobs.training.appearance import TrainAppearanceConfig, train_appearance
from jobs.training.puppet_frames import rendered
from jobs.training.puppet_networks import puppet_network_recipe
from models.appearance.image_encoder import puppets_image_encoder
from models.appearance.vae import CHECKPOINTS, puppets_vae, to_images
from models.common.checkpoint import save_checkpoint
from models.common.digest import CheckpointError, file_digest
from models.common.safetensors_file import read_metadata
from models.perception.puppet_frames import PuppetFramesConfig

RECIPE = puppet_network_recipe(steps=2, batch_size=2, warmup_steps=1)
FRAMES = PuppetFramesConfig(split="train", first_seed=0, num_videos=6, frames_per_video=2)


def config(folder: Path) -> TrainAppearanceConfig:
    return TrainAppearanceConfig(
        work=folder / "work",
        out=folder / "out",
        vae=RECIPE,
        image_encoder=RECIPE,
        frames=FRAMES,
        heldout_videos=3,
        threads=1,
    )


def test_the_job_writes_checkpoints_and_card_and_can_start_from_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = train_appearance(config(tmp_path))
    out = tmp_path / "out"
    assert sorted(file.name for file in out.iterdir()) == ["CARD.md", "image_encoder.safetensors", "vae.safetensors"]
    puppets_image_encoder(out / "image_encoder.safetensors")
    about = read_metadata(out / "vae.safetensors")
    assert about["scores"] == scores
    assert about["steps"] == 2
    card = (out / "CARD.md").read_text()
    assert f"| {scores['vae_psnr_db']:.2f} |" in card
    assert all(file_digest(out / name) in card for name in ("vae.safetensors", "image_encoder.safetensors"))
    assert "of 6 frames of held-out puppets" in card

    frames = rendered(FRAMES, tmp_path / "work" / "frames", processes=1)
    with torch.no_grad():
        latents = puppets_vae(out / "vae.safetensors").encode(to_images(frames.images))
    assert latents.mean((0, 2, 3)).abs().max() < 0.5
    assert 0.5 < latents.std((0, 2, 3)).min() < latents.std((0, 2, 3)).max() < 2

    train_appearance(replace(config(tmp_path), work=_with_frames(tmp_path), start_from=out, out=tmp_path / "further"))
    further = read_metadata(tmp_path / "further" / "image_encoder.safetensors")
    assert (further["steps"], further["earlier_steps"]) == (2, 2)
    assert steps_so_far(tmp_path / "further" / "image_encoder.safetensors") == 4
    further_card = (tmp_path / "further" / "CARD.md").read_text()
    assert f"`{file_digest(tmp_path / 'further' / 'vae.safetensors')}` | 2 | 2 |" in further_card
    assert further["settings"]["continued"] is True  # type: ignore[index]

    def never(*_: object) -> None:
        raise AssertionError("losses computed after the last step")

    monkeypatch.setattr(module, "vae_losses", never)
    monkeypatch.setattr(module, "encoder_losses", never)
    before = (out / "vae.safetensors").read_bytes()
    train_appearance(config(tmp_path))
    assert (out / "vae.safetensors").read_bytes() == before


def _with_frames(folder: Path) -> Path:
    """New working folder with the same rendered frames."""
    work = folder / "another"
    work.mkdir()
    (work / "frames").symlink_to(folder / "work" / "frames")
    return work


def test_command_line_options_set_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configs: list[TrainAppearanceConfig] = []

    def run(config: TrainAppearanceConfig) -> dict[str, float]:
        configs.append(config)
        return {"vae_psnr_db": 30.0}

    monkeypatch.setattr(module, "from_command_line", run)
    arguments = ["--vae-steps", "7", "--image-encoder-steps", "8", "--videos", "99", "--first-seed", "5"]
    for options in (
        [],
        ["--ship"],
        [*arguments, "--out", str(tmp_path / "out"), "--start-from", str(tmp_path / "start")],
    ):
        monkeypatch.setattr(sys, "argv", ["zoetrope", "train", "appearance", str(tmp_path / "work"), *options])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        assert json.loads(capsys.readouterr().out) == {"vae_psnr_db": 30.0}
    plain, shipped, full = configs
    assert plain == TrainAppearanceConfig(work=tmp_path / "work", out=tmp_path / "work" / "published")
    assert shipped == replace(plain, out=CHECKPOINTS)
    assert (full.vae.steps, full.image_encoder.steps) == (7, 8)
    assert (full.frames.num_videos, full.frames.first_seed) == (99, 5)
    assert (full.out, full.start_from) == (tmp_path / "out", tmp_path / "start")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"frames": replace(FRAMES, first_seed=5_999_999)}, "training seeds must lie in"),
        ({"frames": replace(FRAMES, side_px=96)}, "at least 128 px on a side, got 96"),
        ({"frames": replace(FRAMES, frames_per_video=1)}, "6 videos of 1 frames"),
        ({"image_encoder": replace(RECIPE, batch_size=7)}, "for a batch of 7"),
    ],
)
def test_invalid_configurations_are_refused(tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(config(tmp_path), **settings)


def test_no_card_is_written_for_checkpoints_without_scores(tmp_path: Path) -> None:
    save_checkpoint({"a": torch.zeros(1)}, tmp_path / "vae.safetensors", metadata={"steps": 1})
    with pytest.raises(CheckpointError, match="has no scores in its metadata"):
        write_card(tmp_path)
    assert not (tmp_path / "CARD.md").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", str(CHECKPOINTS)], "holds what ships with the project; --ship replaces it"),
        (["--out", "elsewhere", "--ship"], "leave out --out"),
    ],
)
@pytest.mark.parametrize("job", ["appearance", "perception"])
def test_what_ships_is_replaced_only_if_told(
    job: str,
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["zoetrope", "train", job, str(tmp_path / "work"), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
