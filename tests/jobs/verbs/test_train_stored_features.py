"""`zoetrope train` on clips whose VAE latents and image embeddings `prepare` stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from small_jobs import options
from small_prepared import write_prepared
from tiny_animate_anyone import tiny_recipe
from tiny_animate_x import TINY as TINY_ANIMATE_X

from jobs.engine.console import Console
from jobs.training.config import load
from jobs.verbs.train import train
from models.appearance.vae import CHECKPOINTS

ANYONE, X = "animate-anyone-puppets", "animate-x-puppets"
RECIPES: dict[str, dict[str, Any]] = {
    ANYONE: tiny_recipe(CHECKPOINTS, steps=4),
    X: tiny_recipe(CHECKPOINTS, steps=4, network=TINY_ANIMATE_X, num_frames=4),
}
READ, COMPUTED = "latents and image embeddings: read", "latents and image embeddings: computed"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets `prepared`, and `plain` with the same rows without features."""
    folder = tmp_path_factory.mktemp("corpus")
    prepared = write_prepared(folder, num_clips=3, features=True)
    rows = pq.read_table(prepared / "rows-000000.parquet")
    columns = ("vae_latents", "vae_latent_shape", "clip_embeddings", "clip_embedding_shape")
    for name in columns:
        field = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), field, pa.nulls(len(rows), field.type))
    (folder / "plain").mkdir()
    pq.write_table(rows, folder / "plain" / "rows-000000.parquet")
    return folder


def trained(prepared: Path, out: Path, name: str = ANYONE, *assignments: str) -> list[float]:
    """Losses of all steps."""
    path = out.parent / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPES[name]))
    # Mirroring, a default of the embedded model, would need features to be computed.
    config = load(name, path, ["recipe.sampling.mirror_share=0", *assignments])
    result = train(str(prepared), str(out), config=config, options=options(out.parent), console=Console())
    assert result.exit_code == 0, result.summary
    losses: list[float] = pq.read_table(out / "curves.parquet")["loss"].to_pylist()
    return losses


@pytest.mark.parametrize("name", [ANYONE, X])
def test_losses_equal_those_of_pictures_within_half_precision(
    tmp_path: Path, corpus: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    computed = trained(corpus / "plain", tmp_path / "computed", name)
    assert COMPUTED in capsys.readouterr().out
    read = trained(corpus / "prepared", tmp_path / "read", name)
    assert READ in capsys.readouterr().out
    assert read != computed
    assert read == pytest.approx(computed, rel=1e-3)


def test_a_run_resumes_with_the_same_feature_source(tmp_path: Path, corpus: Path) -> None:
    """Losses equal those of an uninterrupted run, and changing the feature source is an error."""
    unbroken = trained(corpus / "prepared", tmp_path / "unbroken")
    trained(corpus / "prepared", tmp_path / "out", ANYONE, "recipe.steps=2")
    # Rows with the same work keys, so the same snapshot digest.
    with pytest.raises(ValueError, match=r"was begun with features read .* give this one another --out"):
        trained(corpus / "plain", tmp_path / "out")
    assert trained(corpus / "prepared", tmp_path / "out") == unbroken
