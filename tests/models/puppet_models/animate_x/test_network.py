from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_animate_x import TINY, new_network
from tiny_systems import CPU, NUM_FRAMES, new_encoders, sample_batch
from torch import Tensor

from models.animate_x.network import DROPPABLE
from models.animation.animator import RequestEncoder
from models.animation.task import sample_clip
from models.puppet_models.animate_x.implementation import PuppetAnimateXImplementation
from models.puppet_models.animate_x.network import PuppetAnimateX, PuppetClipConditions
from models.puppet_models.animate_x.system import PUPPETS
from models.puppet_models.draft import Draft

pytestmark = pytest.mark.usefixtures("one_thread")

BOTH = replace(TINY, reference="both")


@torch.no_grad()
def conditions(network: PuppetAnimateX, samples: tuple[int, ...]) -> PuppetClipConditions:
    clip = sample_clip(sample_batch(NUM_FRAMES, samples))
    # `RequestEncoder` reads any number of references; driving frames are those of the first clip.
    encoder = RequestEncoder(clip, new_encoders(), device=CPU, dtype=torch.float32, batch=4)
    return PuppetAnimateXImplementation().conditions(clip, encoder, network)


@torch.no_grad()
def predict(
    network: PuppetAnimateX, clips: PuppetClipConditions, conditional: bool, kept: Tensor | None = None
) -> Tensor:
    noise = torch.randn(clips.draft_BCFHW.shape, generator=torch.Generator().manual_seed(2))
    predicted: Tensor = network(noise, torch.tensor([7]), clips, torch.tensor([conditional]), kept)
    return predicted


def test_the_draft_is_read_in_rows_that_keep_reference_and_skeletons() -> None:
    network = new_network(BOTH)
    clips = conditions(network, (0,))
    other = replace(clips, draft_BCFHW=clips.draft_BCFHW + 1)

    def change(conditional: bool, kept: Tensor | None = None) -> float:
        return float(
            (predict(network, other, conditional, kept) - predict(network, clips, conditional, kept)).abs().max()
        )

    assert change(True) > 1e-3
    assert change(False) == 0
    for condition in DROPPABLE:
        kept = torch.tensor([[name != condition for name in DROPPABLE]])
        assert (change(True, kept) > 1e-3) == (condition == "image_tokens"), condition


def test_the_draft_has_limbs_as_long_as_in_the_reference() -> None:
    network = new_network(BOTH)
    clips = conditions(network, (0,))
    clip = sample_clip(sample_batch(NUM_FRAMES, (0,)))
    encoder = RequestEncoder(clip, new_encoders(), device=CPU, dtype=torch.float32, batch=4)
    with torch.no_grad():
        expected, as_posed = (Draft(clip, keep_lengths=keep, batch=4).latents(encoder) for keep in (True, False))
    torch.testing.assert_close(clips.draft_BCFHW, expected, atol=1e-5, rtol=1e-5)
    assert (expected - as_posed).abs().max() > 1e-3


def test_the_size_that_ships_stays_below_25_megabytes_in_half_precision() -> None:
    with torch.device("meta"):
        assert 2 * sum(p.numel() for p in PuppetAnimateX(PUPPETS).parameters()) < 25e6
