"""Optional columns for training: what CLIP and a VAE make of each frame, so that it need not be decoded again.

Binary, little-endian half precision, with the shape beside them: any reader of Parquet has them with one call, such as
`numpy.frombuffer(value, "<f2").reshape(shape)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.appearance.packing import pack
from models.common.checkpoint import file_digest
from models.weights.resolve import ResolvedWeights
from stages.backends.base import EMBEDDED, Backend, BackendConfig, BackendStage, Loading
from stages.base import Row

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""Frames (T, H, W, 3) to features (T, …)."""


# What the networks need is imported when they are loaded: it takes seconds.
def _embedded_clip(loading: Loading) -> Encode:
    from models.appearance.features import ClipEmbeddings
    from models.appearance.image_encoder import embedded_image_encoder

    return ClipEmbeddings(embedded_image_encoder(), device=loading.device)


def _clip(loading: Loading) -> Encode:
    from models.appearance.features import ClipEmbeddings
    from models.appearance.image_encoder import published_image_encoder

    return ClipEmbeddings(published_image_encoder(loading.paths[0]), device=loading.device)


def _open_clip(loading: Loading) -> Encode:
    from models.appearance.features import ClipEmbeddings
    from models.appearance.image_encoder import published_image_encoder

    encoder = published_image_encoder(loading.paths[0], resampling="bilinear")
    return ClipEmbeddings(encoder, device=loading.device)


def _animate_x_clip(loading: Loading) -> Encode:
    from models.appearance.features import ClipEmbeddings
    from models.appearance.open_clip import load_open_clip

    return ClipEmbeddings(load_open_clip(loading.paths[0]).image_encoder, device=loading.device)


def _embedded_vae(loading: Loading) -> Encode:
    from models.appearance.features import VaeLatents
    from models.appearance.vae import embedded_vae

    return VaeLatents(embedded_vae(), device=loading.device)


def _vae(loading: Loading) -> Encode:
    from models.appearance.features import VaeLatents
    from models.appearance.vae import published_vae

    return VaeLatents(published_vae(loading.paths[0]), device=loading.device)


def _ldm_vae(loading: Loading) -> Encode:
    from models.appearance.features import VaeLatents
    from models.appearance.vae import published_ldm_vae

    return VaeLatents(published_ldm_vae(loading.paths[0]), device=loading.device)


CLIP_BACKENDS: Mapping[str, Backend[Encode]] = MappingProxyType(
    {
        EMBEDDED: Backend(load=_embedded_clip),
        "clip": Backend(
            load=_clip,
            models=MappingProxyType({"clip-vit-l-image-variations": ("clip-vit-l-image-variations",)}),
        ),
        "open-clip": Backend(load=_open_clip, models=MappingProxyType({"open-clip-vit-h": ("open-clip-vit-h",)})),
        "animate-x": Backend(load=_animate_x_clip, models=MappingProxyType({"animate-x-clip": ("animate-x-clip",)})),
    }
)
VAE_BACKENDS: Mapping[str, Backend[Encode]] = MappingProxyType(
    {
        EMBEDDED: Backend(load=_embedded_vae),
        "sd-vae": Backend(load=_vae, models=MappingProxyType({"sd-vae-ft-mse": ("sd-vae-ft-mse",)})),
        "animate-x": Backend(load=_ldm_vae, models=MappingProxyType({"animate-x-vae": ("animate-x-vae",)})),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureConfig(BackendConfig):
    """`enabled`: off, the stage does not run and its columns are null."""

    enabled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipEmbeddingsConfig(FeatureConfig):
    """`backend`: embedded; clip, the encoder of Animate Anyone; open-clip; or animate-x, the same in the file that
    Animate-X and UniAnimate read.
    """

    signal: ClassVar = "clip embeddings"
    backends: ClassVar = CLIP_BACKENDS


@dataclass(frozen=True, kw_only=True, slots=True)
class VaeLatentsConfig(FeatureConfig):
    """`backend`: embedded; sd-vae, that of Animate Anyone; or animate-x, that in the file that Animate-X and UniAnimate
    read.
    """

    signal: ClassVar = "vae latents"
    backends: ClassVar = VAE_BACKENDS


ConfigT = TypeVar("ConfigT", bound=FeatureConfig)


class FeatureStage(BackendStage[ConfigT, Encode]):
    """Frames to one packed column and its shape."""

    reads = frozenset({"frames"})
    column: ClassVar[str]
    shape_column: ClassVar[str]
    embedded_file: ClassVar[str]

    def process(self, row: Row) -> Row:
        """The packed features of `frames`."""
        packed, shape = pack(self.backend(row["frames"]))
        return {self.column: packed, self.shape_column: shape}

    def _read_digests(self, found: list[ResolvedWeights]) -> dict[str, str]:
        if found:
            return super()._read_digests(found)
        from models.appearance.vae import CHECKPOINTS

        return {f"embedded-{self.embedded_file}": file_digest(CHECKPOINTS / f"{self.embedded_file}.safetensors")}


class ClipEmbeddingsStage(FeatureStage[ClipEmbeddingsConfig]):
    """`clip_embeddings`: (D) values of each frame; `clip_embedding_shape` is [D]."""

    name = "clip_embeddings"
    version = 2
    column, shape_column = "clip_embeddings", "clip_embedding_shape"
    writes = frozenset({column, shape_column})
    embedded_file = "image_encoder"


class VaeLatentsStage(FeatureStage[VaeLatentsConfig]):
    """`vae_latents`: (C, H / 8, W / 8) values of each frame, of unit variance; `vae_latent_shape` is that."""

    name = "vae_latents"
    column, shape_column = "vae_latents", "vae_latent_shape"
    writes = frozenset({column, shape_column})
    embedded_file = "vae"
