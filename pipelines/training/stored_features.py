"""Decision whether a training run reads the VAE latents and image embeddings that `prepare` stored.

A run reads both or neither, for all samples. Stored features are of whole pictures and cannot be cropped: attention and
normalisation make each latent of a VAE depend on the whole picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import duckdb

from models.animation.signals import Signal
from models.training.recipe import SamplingConfig
from pipelines.engine.ledger import Ledger
from pipelines.training.corpus import Corpus
from stages.io.storage import Storage


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFeatures:
    """Shapes of the columns `vae_latents` and `clip_embeddings`, which replace pictures.

    `latent_shape`, `embedding_shape`: shapes per frame. `reference_pictures`: whether reference pictures are decoded in
    addition, for networks that read them.
    """

    latent_shape: tuple[int, ...]
    embedding_shape: tuple[int, ...]
    reference_pictures: bool


def stored_features(
    corpus: Corpus,
    sampling: SamplingConfig,
    frozen_digests: Callable[[], frozenset[str]],
    *,
    reference_pictures: bool,
    signals: Iterable[Signal] = (),
) -> StoredFeatures | str:
    """Shapes of the stored features of the corpus, or the reason why they cannot be used.

    Args:
        frozen_digests: digests of the files of the run's VAE and image encoder; called last.
        reference_pictures: whether the network reads reference pictures.
        signals: system-specific signals.
    """
    if corpus.scenery is not None:
        return "clips without a character have none"
    if sampling.face_control and corpus.twins is None:
        return "faces are cut out of the frames"
    if any(signal.reads_frames for signal in signals):
        return "the system computes signals from the frames"
    if not sampling.repeats_pictures or sampling.mirror_share > 0:
        return "the recipe recomposes, crops at random or mirrors"
    ledger = Ledger(Storage(corpus.url), "clip_id")
    with duckdb.connect() as connection:
        connection.register("corpus", corpus.clips.select(["clip_id"]))
        columns = "vae_latent_shape, clip_embedding_shape, work_height_px, work_width_px"
        columns += ", list_transform(weights, lambda entry: entry.value)"
        try:
            kinds = connection.execute(
                f"SELECT DISTINCT {columns} FROM {ledger.relation(connection)} SEMI JOIN corpus USING (clip_id)"  # noqa: S608
            ).fetchall()
        except duckdb.BinderException:
            return "the dataset has no columns for them"
    for latent_shape, embedding_shape, height_px, width_px, _ in kinds:
        if latent_shape is None or embedding_shape is None:
            return "the dataset lacks them; prepare.vae_latents.enabled and prepare.clip_embeddings.enabled add them"
        if (height_px, width_px) != (sampling.height_px, sampling.width_px):
            return (
                f"clips were prepared at {height_px} x {width_px} px (height x width), the recipe's pictures are "
                f"{sampling.height_px} x {sampling.width_px}"
            )
    expected = frozen_digests()
    if not all(expected <= set(digests or ()) for *_, digests in kinds):
        return "they were prepared with another VAE or image encoder"
    latent_shape, embedding_shape, *_ = kinds[0]
    return StoredFeatures(
        latent_shape=tuple(latent_shape),
        embedding_shape=tuple(embedding_shape),
        reference_pictures=reference_pictures,
    )
