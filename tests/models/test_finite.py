"""NaN and infinity of real networks, one broken weight each, are named where they arise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny_systems import CONFIGS, new_animator, puppet, request, tiny_model
from torch import nn

from models.appearance.features import ClipEmbeddings, VaeLatents
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae
from models.finite import NotFiniteError, check_finite
from models.perception.embedded import EmbeddedFigure
from models.perception.embedded_objects import EmbeddedObjects
from models.perception.face_landmarks import FaceLandmarks
from models.perception.prompts import ObjectPrompt
from models.perception.sam2.tracker import to_mask

NAN = float("nan")


def spoil(module: nn.Module, value: float = NAN) -> None:
    """Break the last weight matrix of a module."""
    parameters = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    with torch.no_grad():
        parameters[-1][:] = value


@pytest.mark.parametrize("values", [np.array([1.0, NAN]), torch.tensor([float("inf"), 1.0])])
def test_the_message_counts_the_values(values: Any) -> None:
    with pytest.raises(NotFiniteError, match="depth of it: 1 of 2 values are NaN or infinite"):
        check_finite(values, "depth of it")
    check_finite(values[:0], "nothing")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_an_animation_is_not_black(name: str, value: float, one_thread: None) -> None:
    animator = new_animator(tiny_model(name))
    spoil(animator.network.denoiser, value)  # type: ignore[arg-type]  # denoisers are modules
    with pytest.raises(NotFiniteError, match=r"latents after denoising step 1 of 2: \d+ of \d+ values"):
        animator.animate(request(num_steps=2))


@pytest.mark.parametrize("name", ["animate-anyone", "animate-anyone-puppets"])
def test_decoded_frames_are_not_black(name: str, one_thread: None) -> None:
    animator = new_animator(tiny_model(name))
    spoil(animator.encoders.vae.network.decoder)
    with pytest.raises(NotFiniteError, match="frames decoded by the VAE"):
        animator.animate(request(num_steps=1))


def frames() -> np.ndarray:
    return puppet()[0][:2]


def figure() -> EmbeddedFigure:
    made = EmbeddedFigure()
    for parameter in made.network.parameters():
        parameter.data.fill_(NAN)
    return made


def objects(frames: np.ndarray) -> Any:
    tracker = EmbeddedObjects()
    for parameter in tracker.network.parameters():
        parameter.data.fill_(NAN)
    none = np.zeros((0, 2), np.float32)
    return tracker.track(frames, [ObjectPrompt(frame=0, box=(8.0, 8.0, 40.0, 40.0), positive=none, negative=none)])


def landmarks(frames: np.ndarray) -> Any:
    made = FaceLandmarks()
    for parameter in made.network.parameters():
        parameter.data.fill_(NAN)
    return made.landmarks(frames, puppet()[1][:2])


def embeddings(frames: np.ndarray) -> Any:
    encoder = new_puppets_image_encoder()
    spoil(encoder.network)
    return ClipEmbeddings(encoder)(frames)


def latents(frames: np.ndarray) -> Any:
    vae = Vae(PUPPETS_VAE)
    spoil(vae.network.encoder, 1e4)  # finite in single precision, infinite in half
    return VaeLatents(vae)(frames)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda shown: figure().keypoints(shown), "keypoints of the embedded network"),
        (lambda shown: figure().depth(shown), "depth of the embedded network"),
        (lambda shown: figure().character_mask(shown, puppet()[1][:2]), "character mask of the embedded network"),
        (objects, "object mask of the embedded network"),
        (landmarks, "landmarks of the embedded face network"),
        (embeddings, "features of the frames"),
        (latents, "features of the frames"),
        (lambda _: to_mask(torch.full((1, 1, 4, 4), NAN), height_px=8, width_px=8), "mask of the video tracker"),
    ],
)
def test_signals_are_not_empty(run: Callable[[np.ndarray], Any], words: str, one_thread: None) -> None:
    with pytest.raises(NotFiniteError, match=words):
        run(frames())
