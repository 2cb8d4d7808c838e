from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from small_jobs import small_config
from stand_in_features import save_image_encoder, save_vae

from models.appearance.image_encoder import puppets_image_encoder
from models.appearance.open_clip import OpenClip
from models.appearance.packing import unpack
from models.appearance.vae import Vae, puppets_vae, to_images
from models.catalogue import CATALOGUE
from models.common.digest import CheckpointError
from models.weights.resolve import place
from pipelines.engine.rows import to_table
from pipelines.engine.schema import CLIP_COLUMNS, PREPARED_COLUMNS, dataset_schema
from pipelines.engine.steps import Workers, check
from pipelines.prepare import STAGES, PrepareConfig, steps
from stages.prepare.features import ClipEmbeddingsConfig, ClipEmbeddingsStage, VaeLatentsConfig, VaeLatentsStage

PUPPETS = small_config().prepare


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of stand-ins, where the catalogue looks for the published files."""
    root = tmp_path_factory.mktemp("weights")
    for name, save in (("open-clip-vit-h", save_image_encoder), ("sd-vae-ft-mse", save_vae)):
        save(root / CATALOGUE[name].repository)
    return root


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins are not the files that the catalogue has digests and sizes of."""
    monkeypatch.setattr("models.weights.resolve.integrity_error", lambda *_: None)
    monkeypatch.setattr("models.weights.resolve.verified_digest", lambda *_: "sha256:" + "0" * 64)


@pytest.mark.usefixtures("unchecked")
def test_any_reader_of_parquet_can_read_the_columns(weights: Path, tmp_path: Path) -> None:
    import duckdb

    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 24, 3), dtype=np.uint8)
    row = {"clip_id": "a", "frames": frames}
    stages = (
        ClipEmbeddingsStage(ClipEmbeddingsConfig(enabled=True, backend="open-clip", weights=str(weights))),
        VaeLatentsStage(VaeLatentsConfig(enabled=True, backend="sd-vae", weights=str(weights))),
    )
    for stage in stages:
        stage.open()
        row = stage(row)
    schema = dataset_schema("prepared", pa.schema([("clip_id", pa.string())]), PREPARED_COLUMNS)
    pq.write_table(to_table(row, schema), tmp_path / "rows.parquet")
    clip, clip_shape, latents, latent_shape = duckdb.sql(
        "SELECT clip_embeddings, clip_embedding_shape, vae_latents, vae_latent_shape "
        f"FROM '{tmp_path / 'rows.parquet'}'"
    ).fetchall()[0]
    assert clip_shape == [12]
    assert latent_shape == [4, 5, 3]
    for values, shape, stage in ((clip, clip_shape, stages[0]), (latents, latent_shape, stages[1])):
        read = np.stack([np.frombuffer(value, "<f2").reshape(shape) for value in values])
        np.testing.assert_array_equal(read, stage.backend(frames))
        np.testing.assert_array_equal(read, unpack(values, shape))


@pytest.mark.usefixtures("unchecked")
def test_those_of_animate_x_come_from_the_files_that_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, vae, opened = puppets_image_encoder(), puppets_vae(), []
    for name in ("animate-x-clip", "animate-x-vae"):
        path = place(CATALOGUE[name], CATALOGUE[name].files[0], tmp_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)

    def load_open_clip(path: Path) -> OpenClip:
        opened.append(path.read_text())
        return OpenClip(image_encoder=encoder, empty_text_1LD=torch.zeros(1, 3, 64))

    def published_ldm_vae(path: Path) -> Vae:
        opened.append(path.read_text())
        return vae

    monkeypatch.setattr("models.appearance.open_clip.load_open_clip", load_open_clip)
    monkeypatch.setattr("models.appearance.vae.published_ldm_vae", published_ldm_vae)
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 24, 3), dtype=np.uint8)
    clip = ClipEmbeddingsStage(ClipEmbeddingsConfig(enabled=True, backend="animate-x", weights=str(tmp_path)))
    latents = VaeLatentsStage(VaeLatentsConfig(enabled=True, backend="animate-x", weights=str(tmp_path)))
    for stage, network in ((clip, encoder), (latents, vae.encode)):
        stage.open()
        with torch.no_grad():
            expected = network(to_images(frames)).half().numpy()
        np.testing.assert_allclose(stage.backend(frames), expected, atol=2e-3)
    assert opened == ["animate-x-clip", "animate-x-vae"]


def test_off_by_default_and_then_no_step() -> None:
    def names(config: PrepareConfig) -> list[str]:
        return [step.stage.name for step in steps(config, dict.fromkeys(STAGES, Workers()))]

    off = names(PUPPETS)
    assert not {"clip_embeddings", "vae_latents"} & set(off)
    config = dataclasses.replace(
        PUPPETS, clip_embeddings=ClipEmbeddingsConfig(enabled=True), vae_latents=VaeLatentsConfig(enabled=True)
    )
    # After the thresholds: rows that are set aside need no features.
    assert names(config) == [*off, "clip_embeddings", "vae_latents"]


def test_what_is_read_and_written_fits_together() -> None:
    config = dataclasses.replace(
        PUPPETS, clip_embeddings=ClipEmbeddingsConfig(enabled=True), vae_latents=VaeLatentsConfig(enabled=True)
    )
    listed = steps(config, dict.fromkeys(STAGES, Workers()))
    check(listed, CLIP_COLUMNS)
    for step in listed[-2:]:
        assert step.stage.writes <= PREPARED_COLUMNS.keys()


def test_weights_that_are_missing_say_which(tmp_path: Path) -> None:
    stage = VaeLatentsStage(VaeLatentsConfig(enabled=True, backend="sd-vae", weights=str(tmp_path)))
    with pytest.raises(CheckpointError, match=r"sd-vae-ft-mse"):
        stage.open()


def test_other_backends_are_refused() -> None:
    message = "unknown clip embeddings backend 'clap', expected one of animate-x, clip"
    with pytest.raises(ValueError, match=re.escape(message)):
        ClipEmbeddingsConfig(backend="clap")


def test_planning_needs_no_networks() -> None:
    code = "import sys, pipelines.prepare; print({'diffusers', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
