from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_prepared import write_prepared

from models.appearance.vae import CHECKPOINTS
from models.common.digest import file_digest
from models.training.recipe import SamplingConfig
from pipelines.training.corpus import open_corpus
from pipelines.training.stored_features import StoredFeatures, stored_features

SAMPLING = SamplingConfig(height_px=64, width_px=64, num_frames=3, sample_margin=0)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset of one clip with features, and one that failed and has none."""
    folder = tmp_path_factory.mktemp("prepared")
    prepared = write_prepared(folder, num_clips=2, num_frames=4, failed=1, features=True)
    path = prepared / "rows-000000.parquet"
    rows = pq.read_table(path)
    failed = {**rows.slice(1).to_pylist()[0], "vae_latents": None, "vae_latent_shape": None}
    pq.write_table(pa.concat_tables([rows.slice(0, 1), pa.Table.from_pylist([failed], rows.schema)]), path)
    return prepared


def embedded_digests() -> frozenset[str]:
    return frozenset(file_digest(CHECKPOINTS / f"{name}.safetensors") for name in ("vae", "image_encoder"))


def not_asked_for() -> frozenset[str]:
    raise AssertionError("gigabytes are read for digests although nothing depends on them")


def test_stored_features_of_the_same_networks_are_read(prepared: Path) -> None:
    corpus = open_corpus(str(prepared), SAMPLING)
    found = stored_features(corpus, SAMPLING, embedded_digests, reference_pictures=True)
    assert found == StoredFeatures(latent_shape=(16, 8, 8), embedding_shape=(64,), reference_pictures=True)


def test_features_of_other_networks_are_not_read(prepared: Path) -> None:
    corpus = open_corpus(str(prepared), SAMPLING)
    one = next(iter(embedded_digests()))
    found = stored_features(corpus, SAMPLING, lambda: frozenset({one, "sha256:other"}), reference_pictures=True)
    assert found == "they were prepared with another VAE or image encoder"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"min_crop_share": 0.9}, "crops at random or mirrors"),
        ({"mirror_share": 0.5}, "crops at random or mirrors"),
        ({"width_px": 48}, "prepared at 64 x 64 px (height x width), the recipe's pictures are 64 x 48"),
    ],
)
def test_features_of_other_sizes_or_crops_are_not_read(prepared: Path, changes: dict[str, float], words: str) -> None:
    sampling = replace(SAMPLING, **changes)  # type: ignore[arg-type]  # of whichever field the case is about
    found = stored_features(open_corpus(str(prepared), sampling), sampling, not_asked_for, reference_pictures=True)
    assert isinstance(found, str)
    assert words in found


def test_reason_names_the_settings_that_add_features(tmp_path: Path) -> None:
    prepared = write_prepared(tmp_path, num_clips=1, num_frames=4)
    corpus = open_corpus(str(prepared), SAMPLING)
    found = stored_features(corpus, SAMPLING, not_asked_for, reference_pictures=True)
    assert isinstance(found, str)
    assert "prepare.vae_latents.enabled and prepare.clip_embeddings.enabled add them" in found
    path = prepared / "rows-000000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["vae_latents", "vae_latent_shape"]), path)
    found = stored_features(corpus, SAMPLING, not_asked_for, reference_pictures=True)
    assert found == "the dataset has no columns for them"
