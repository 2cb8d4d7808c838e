"""The animation systems by name: what a request must know of each before it is loaded, and how it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.common.animator import Animator
from models.common.checkpoint import CheckpointError, file_digest
from models.weights.resolve import MissingWeightsError, ResolvedWeights, entry, find

__all__ = ["MODELS", "AnimationModel", "Dtype", "LoadOptions", "MissingWeightsError", "Models"]

DEFAULT_MODEL = "animate-anyone"
EMBEDDED_ANIMATE_X = "animate-x-embedded"

Dtype = Literal["auto", "float32", "float16", "bfloat16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How a model is loaded.

    `weights`: folder of published weights; the embedded models ship with the project and need none.
    `dtype`: `auto` is bfloat16 on a GPU and float32 on a CPU.
    """

    weights: str | None = None
    device: str = "cpu"
    dtype: Dtype = "auto"
    compile: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimationModel:
    """One system.

    `pose_preset`: key of `models.pose.pose_map.PRESETS`.
    `size_multiple`: both sides of its output are multiples of it.
    `short_side_px`: of its output, where a request does not say; the size that it was trained at.
    `digest`: digest of its files, `sha256:…`, given the folder of published weights; called on the driver, so cheap.
        Raises MissingWeightsError. A request whose model has another digest than before is stale.
    `load`: the model itself. Imports what it needs when it is called.
    `notice`: what a person should know before trusting its results.
    """

    pose_preset: str
    size_multiple: int
    short_side_px: int
    digest: Callable[[str | None], str]
    load: Callable[[LoadOptions], Animator]
    notice: str | None = None


Models = Mapping[str, AnimationModel]

CLIP, VAE = "clip-vit-l-image-variations", "sd-vae-ft-mse"
OPEN_CLIP, SD2_VAE = "animate-x-clip", "animate-x-vae"
_LATENT_PX = 8
# The networks are imported where they are loaded: that takes seconds, and planning a job needs none.


def _digest(digests: Iterable[str]) -> str:
    return "sha256:" + hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _placement(options: LoadOptions) -> dict[str, Any]:
    import torch

    dtype = options.dtype
    if dtype == "auto":
        dtype = "float32" if options.device == "cpu" else "bfloat16"
    return {"device": options.device, "dtype": getattr(torch, dtype), "compile": options.compile}


def _embedded(
    *, checkpoint: Callable[[], Path], load: Callable[[LoadOptions], Animator], short_side_px: int, notice: str
) -> AnimationModel:
    """A model that ships with the project, and with it the VAE and the image encoder."""

    def digest(_: str | None) -> str:
        from models.appearance.vae import CHECKPOINTS as APPEARANCE

        files = (checkpoint(), APPEARANCE / "vae.safetensors", APPEARANCE / "image_encoder.safetensors")
        try:
            return _digest(file_digest(path) for path in files)
        except CheckpointError as error:
            raise MissingWeightsError(f"{error}; it is part of this project") from error

    return AnimationModel(
        pose_preset="embedded",
        size_multiple=_LATENT_PX,
        short_side_px=short_side_px,
        digest=digest,
        load=load,
        notice=notice,
    )


def _animate_anyone_checkpoint() -> Path:
    from models.animate_anyone.weights import CHECKPOINT

    return CHECKPOINT


def _animate_x_checkpoint() -> Path:
    from models.animate_x.weights import CHECKPOINT

    return CHECKPOINT


def _load_animate_anyone(options: LoadOptions) -> Animator:
    from models.animate_anyone.animator import AnimateAnyoneAnimator
    from models.animate_anyone.weights import load_embedded
    from models.appearance.image_encoder import embedded_image_encoder
    from models.appearance.vae import embedded_vae

    return AnimateAnyoneAnimator(
        DEFAULT_MODEL,
        network=load_embedded(),
        vae=embedded_vae(),
        image_encoder=embedded_image_encoder(),
        **_placement(options),
    )


def _load_animate_x(options: LoadOptions) -> Animator:
    from models.animate_x.animator import AnimateXAnimator
    from models.animate_x.weights import load_embedded
    from models.appearance.image_encoder import embedded_image_encoder
    from models.appearance.vae import embedded_vae

    network = load_embedded()
    return AnimateXAnimator(
        EMBEDDED_ANIMATE_X,
        network=network,
        vae=embedded_vae(),
        image_encoder=embedded_image_encoder(),
        text_tokens_1LD=network.without_text(),
        **_placement(options),
    )


def _found(weights: str | None, names: Iterable[str]) -> list[ResolvedWeights]:
    folder = None if weights is None else Path(weights)
    return [find(entry(name), folder) for name in names]


def _digest_of(names: Iterable[str]) -> Callable[[str | None], str]:
    return lambda weights: _digest(digest for part in _found(weights, names) for digest in part.digests().values())


def _published(name: str, *, size: str, short_side_px: int) -> AnimationModel:
    """A published Animate Anyone by its name in the catalogue of weights; `size`: its configuration's."""
    parts = (name, CLIP, VAE)

    def load(options: LoadOptions) -> Animator:
        from models.animate_anyone.animator import AnimateAnyoneAnimator
        from models.animate_anyone.config import CONFIGS
        from models.animate_anyone.weights import load_published
        from models.appearance.image_encoder import published_image_encoder
        from models.appearance.vae import published_vae

        networks, clip, vae = (part.path for part in _found(options.weights, parts))
        return AnimateAnyoneAnimator(
            name,
            network=load_published(networks, CONFIGS[size]),
            vae=published_vae(vae),
            image_encoder=published_image_encoder(clip),
            **_placement(options),
        )

    return AnimationModel(
        pose_preset=size,
        size_multiple=_LATENT_PX,
        short_side_px=short_side_px,
        digest=_digest_of(parts),
        load=load,
    )


def _published_animate_x(name: str, *, short_side_px: int) -> AnimationModel:
    """Animate-X or UniAnimate by its name in the catalogue of weights, which is its configuration's too."""
    parts = (name, OPEN_CLIP, SD2_VAE)

    def load(options: LoadOptions) -> Animator:
        from models.animate_x.animator import AnimateXAnimator
        from models.animate_x.config import CONFIGS
        from models.animate_x.weights import load_published
        from models.appearance.open_clip import load_open_clip
        from models.appearance.vae import published_ldm_vae

        network, open_clip, vae = (part.path for part in _found(options.weights, parts))
        clip = load_open_clip(open_clip)
        return AnimateXAnimator(
            name,
            network=load_published(network, CONFIGS[name]),
            vae=published_ldm_vae(vae),
            image_encoder=clip.image_encoder,
            text_tokens_1LD=clip.empty_text_1LD,
            **_placement(options),
        )

    return AnimationModel(
        pose_preset=name,
        size_multiple=_LATENT_PX,
        short_side_px=short_side_px,
        digest=_digest_of(parts),
        load=load,
    )


MODELS: dict[str, AnimationModel] = {
    DEFAULT_MODEL: _embedded(
        checkpoint=_animate_anyone_checkpoint,
        load=_load_animate_anyone,
        short_side_px=192,
        notice="the embedded animate-anyone was trained on drawn puppets of human proportions, of 192 pixels: it shows "
        "that the pipeline works, and of people and photographs it makes nothing good; --model moore-animate-anyone is "
        "for those",
    ),
    EMBEDDED_ANIMATE_X: _embedded(
        checkpoint=_animate_x_checkpoint,
        load=_load_animate_x,
        short_side_px=192,
        notice="the embedded animate-x was trained on drawn puppets of 192 pixels: it shows how a character of any "
        "proportions takes on a motion, and of people and photographs it makes nothing good; --model animate-x is for "
        "those",
    ),
    "moore-animate-anyone": _published("moore-animate-anyone", size="moore", short_side_px=512),
    "musepose": _published("musepose", size="musepose", short_side_px=768),
    "animate-x": _published_animate_x("animate-x", short_side_px=512),
    "unianimate": _published_animate_x("unianimate", short_side_px=512),
}
"""Model name -> what there is to know of it."""
