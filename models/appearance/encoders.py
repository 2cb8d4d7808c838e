"""Tables of VAEs, image encoders and encoder sets of animation systems.

Imports torch only when a network is loaded, because job planning reads these tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, TypeVar

from models.appearance.weights import (
    ANIMATE_X_CLIP,
    ANIMATE_X_VAE,
    CLIP,
    IP_ADAPTER,
    IP_ADAPTER_IMAGE_ENCODER,
    OPEN_CLIP,
    PUPPETS_IMAGE_ENCODER,
    PUPPETS_VAE,
    SD_TEXT_ENCODER,
    SD_VAE,
)
from models.weights.entry import Hub, Weights
from models.weights.resolve import find

if TYPE_CHECKING:
    from torch import Tensor

    from models.appearance.image_encoder import ImageEncoder
    from models.appearance.vae import Vae

NetworkT = TypeVar("NetworkT")

PUPPETS = "puppets"
"""Name of the embedded encoders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FrozenEncoders:
    """Frozen encoders of an animation system.

    `text_tokens_1LD`: tokens of the empty text; None without a text encoder.
    """

    vae: Vae
    image_encoder: ImageEncoder
    text_tokens_1LD: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder(Generic[NetworkT]):
    """A frozen network. `load` takes the path of its weights."""

    weights: Weights
    load: Callable[[Path], NetworkT]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSet:
    """VAE and image encoder of a system, with what the latter needs. `load` takes the paths of `weights`, in order."""

    weights: tuple[Weights, ...]
    load: Callable[..., FrozenEncoders]

    @property
    def ships(self) -> bool:
        """Whether all of them are part of the project."""
        return all(weights.hub is Hub.PACKAGE for weights in self.weights)

    def paths(self, folder: Path | None) -> tuple[Path, ...]:
        """Paths of the files in a folder of weights. Embedded encoders are in `folder` itself, if one is given.

        Raises:
            MissingWeightsError: a file is missing.
        """
        if folder is not None and self.ships:
            return tuple(folder / weights.files[0].name for weights in self.weights)
        return tuple(find(weights, folder).path for weights in self.weights)

    def files(self, folder: Path | None) -> list[Path]:
        """All files, including those of weights that are folders. Raises MissingWeightsError."""
        if folder is not None and self.ships:
            return list(self.paths(folder))
        return [path for weights in self.weights for path in find(weights, folder).paths]

    def load_from(self, folder: Path | None) -> FrozenEncoders:
        """Load the networks. Raises MissingWeightsError or CheckpointError."""
        return self.load(*self.paths(folder))


def _puppets_image_encoder(path: Path) -> ImageEncoder:
    from models.appearance.image_encoder import puppets_image_encoder

    return puppets_image_encoder(path)


def _clip(path: Path) -> ImageEncoder:
    from models.appearance.image_encoder import published_image_encoder

    return published_image_encoder(path)


def _open_clip(path: Path) -> ImageEncoder:
    from models.appearance.image_encoder import published_image_encoder

    return published_image_encoder(path, resampling="bilinear")


def _animate_x_clip(path: Path) -> ImageEncoder:
    from models.appearance.open_clip import load_open_clip

    return load_open_clip(path).image_encoder


def _puppets_vae(path: Path) -> Vae:
    from models.appearance.vae import puppets_vae

    return puppets_vae(path)


def _sd_vae(path: Path) -> Vae:
    from models.appearance.vae import published_vae

    return published_vae(path)


def _animate_x_vae(path: Path) -> Vae:
    from models.appearance.vae import published_ldm_vae

    return published_ldm_vae(path)


IMAGE_ENCODERS: Mapping[str, Encoder[ImageEncoder]] = MappingProxyType(
    {
        PUPPETS: Encoder(weights=PUPPETS_IMAGE_ENCODER, load=_puppets_image_encoder),
        "clip": Encoder(weights=CLIP, load=_clip),
        "open-clip": Encoder(weights=OPEN_CLIP, load=_open_clip),
        "animate-x": Encoder(weights=ANIMATE_X_CLIP, load=_animate_x_clip),
    }
)
VAES: Mapping[str, Encoder[Vae]] = MappingProxyType(
    {
        PUPPETS: Encoder(weights=PUPPETS_VAE, load=_puppets_vae),
        "sd-vae": Encoder(weights=SD_VAE, load=_sd_vae),
        "animate-x": Encoder(weights=ANIMATE_X_VAE, load=_animate_x_vae),
    }
)


def _pair(vae: Encoder[Vae], image_encoder: Encoder[ImageEncoder]) -> EncoderSet:
    def load(vae_path: Path, image_encoder_path: Path) -> FrozenEncoders:
        return FrozenEncoders(vae=vae.load(vae_path), image_encoder=image_encoder.load(image_encoder_path))

    return EncoderSet(weights=(vae.weights, image_encoder.weights), load=load)


def _animate_x(vae_path: Path, open_clip_path: Path) -> FrozenEncoders:
    from models.appearance.open_clip import load_open_clip

    # One file holds the image encoder and the text encoder.
    clip = load_open_clip(open_clip_path)
    return FrozenEncoders(
        vae=_animate_x_vae(vae_path), image_encoder=clip.image_encoder, text_tokens_1LD=clip.empty_text_1LD
    )


def _x_dyna(vae_path: Path, image_encoder_path: Path, resampler_path: Path, text_path: Path) -> FrozenEncoders:
    from models.appearance.ip_adapter import empty_text, load_ip_adapter_encoder

    return FrozenEncoders(
        vae=_sd_vae(vae_path),
        image_encoder=load_ip_adapter_encoder(image_encoder_path, resampler_path),
        text_tokens_1LD=empty_text(text_path),
    )


ENCODER_SETS: Mapping[str, EncoderSet] = MappingProxyType(
    {
        PUPPETS: _pair(VAES[PUPPETS], IMAGE_ENCODERS[PUPPETS]),
        "sd-1.5": _pair(VAES["sd-vae"], IMAGE_ENCODERS["clip"]),
        "sd-2.1": EncoderSet(weights=(ANIMATE_X_VAE, ANIMATE_X_CLIP), load=_animate_x),
        "x-dyna": EncoderSet(weights=(SD_VAE, IP_ADAPTER_IMAGE_ENCODER, IP_ADAPTER, SD_TEXT_ENCODER), load=_x_dyna),
    }
)
"""Stable Diffusion 1.5's with CLIP ViT-L/14 (Animate Anyone) or with IP-Adapter-Plus and the text encoder (X-Dyna), and
Stable Diffusion 2.1's with OpenCLIP ViT-H/14 (Animate-X, UniAnimate)."""
