"""Optional columns for training: image embeddings and VAE latents of each frame, read in place of the video.

Binary, little-endian half precision, with the shape in a column beside them; to read them:
`numpy.frombuffer(value, "<f2").reshape(shape)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.appearance.encoders import IMAGE_ENCODERS, PUPPETS, VAES, Encoder
from models.appearance.packing import pack
from models.weights.resolve import shipped_path
from stages.backends.base import EMBEDDED, Backend, BackendConfig, BackendStage, Loading
from stages.backends.trained import Included
from stages.base import Row

if TYPE_CHECKING:
    from models.appearance.image_encoder import ImageEncoder
    from models.appearance.vae import Vae

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""Frames (T, H, W, 3) to features (T, …)."""


def _encode_images(encoder: Encoder[ImageEncoder], loading: Loading) -> Encode:
    from models.appearance.features import ClipEmbeddings

    return ClipEmbeddings(encoder.load(loading.paths[0]), device=loading.device)


def _encode_latents(encoder: Encoder[Vae], loading: Loading) -> Encode:
    from models.appearance.features import VaeLatents

    return VaeLatents(encoder.load(loading.paths[0]), device=loading.device)


def _backends(
    encoders: Mapping[str, Encoder[Any]], encode: Callable[[Encoder[Any], Loading], Encode]
) -> Mapping[str, Backend[Encode]]:
    """A backend per encoder; the one that ships is `embedded`."""
    backends: dict[str, Backend[Encode]] = {}
    for name, encoder in encoders.items():
        load, weights = partial(encode, encoder), encoder.weights
        if name == PUPPETS:
            path = shipped_path(weights)
            included = Included(path=path, label=f"{weights.name}/{path.name}", trained_by="appearance")
            backends[EMBEDDED] = Backend(load=load, included=included)
        else:
            backends[name] = Backend(load=load, models=MappingProxyType({weights.name: (weights.name,)}))
    return MappingProxyType(backends)


CLIP_BACKENDS = _backends(IMAGE_ENCODERS, _encode_images)
VAE_BACKENDS = _backends(VAES, _encode_latents)


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

    def process(self, row: Row) -> Row:
        """The packed features of `frames`."""
        packed, shape = pack(self.backend(row["frames"]))
        return {self.column: packed, self.shape_column: shape}


class ClipEmbeddingsStage(FeatureStage[ClipEmbeddingsConfig]):
    """`clip_embeddings`: (D) values of each frame; `clip_embedding_shape` is [D]."""

    name = "clip_embeddings"
    version = 2
    column, shape_column = "clip_embeddings", "clip_embedding_shape"
    writes = frozenset({column, shape_column})


class VaeLatentsStage(FeatureStage[VaeLatentsConfig]):
    """`vae_latents`: (C, H / 8, W / 8) values of each frame, of unit variance; `vae_latent_shape` is that."""

    name = "vae_latents"
    column, shape_column = "vae_latents", "vae_latent_shape"
    writes = frozenset({column, shape_column})
