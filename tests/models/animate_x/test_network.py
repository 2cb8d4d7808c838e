from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_animate_x import TINY, new_network

from models.animate_x.config import ANIMATE_X, EMBEDDED, UNIANIMATE, AnimateXConfig
from models.animate_x.network import PARTS, AnimateX

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = TINY.unet.in_channels
UNIANIMATE_TINY = replace(
    TINY, unet=replace(TINY.unet, pose_attention=None), indicator=None, reference="first_frame", limb_warp=False
)
READS_FIRST_FRAME = replace(TINY, reference="first_frame")
READS_BOTH = replace(TINY, reference="both")


def batch(
    rows: int, num_frames: int, height: int = 4, width: int = 4, *, warped: bool = True
) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    def pictures(*shape: int) -> torch.Tensor:
        return torch.rand((*shape, 3, 8 * height, 8 * width), generator=generator)

    return {
        "latents_BCFHW": normal(rows, CHANNELS, num_frames, height, width),
        "t_B": torch.arange(rows) * 100 + 7,
        "image_embeds_BE": normal(rows, 64),
        "text_tokens_1LD": normal(1, 5, 64),
        "reference_B3HW": pictures(rows),
        "reference_latents_BCHW": normal(rows, CHANNELS, height, width),
        "reference_pose_B3HW": pictures(rows),
        "pose_BF3HW": pictures(rows, num_frames),
        "keypoints_BFK": torch.rand((rows, num_frames + 1, 36), generator=generator),
        "features_BFE": normal(rows, num_frames + 1, 64),
        "conditional_B": torch.ones(rows, dtype=torch.bool),
        **({"warped_BCFHW": normal(rows, CHANNELS, num_frames, height, width)} if warped else {}),
    }


def only(given: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    return {name: value if name == "text_tokens_1LD" else value[row : row + 1] for name, value in given.items()}


@torch.no_grad()
@pytest.mark.parametrize("config", [TINY, READS_FIRST_FRAME, READS_BOTH, UNIANIMATE_TINY])
def test_rows_of_a_batch_know_nothing_of_each_other_whatever_their_conditions(config: AnimateXConfig) -> None:
    network, given = new_network(config), batch(4, 3, warped=config.limb_warp)
    given["conditional_B"] = torch.tensor([True, False, True, False])
    together = network(**given)
    for row in range(4):
        torch.testing.assert_close(together[row : row + 1], network(**only(given, row)), atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("config", "read"),
    [
        (
            TINY,
            {"image_embeds_BE", "reference_B3HW", "pose_BF3HW", "keypoints_BFK", "features_BFE", "warped_BCFHW"},
        ),
        (
            READS_BOTH,
            {
                *("image_embeds_BE", "reference_B3HW", "reference_latents_BCHW", "reference_pose_B3HW", "pose_BF3HW"),
                *("keypoints_BFK", "features_BFE", "warped_BCFHW"),
            },
        ),
        (
            UNIANIMATE_TINY,
            {"image_embeds_BE", "reference_latents_BCHW", "reference_pose_B3HW", "pose_BF3HW"},
        ),
    ],
)
def test_a_row_reads_its_conditions_and_one_without_reads_none(config: AnimateXConfig, read: set[str]) -> None:
    network, given = new_network(config), batch(2, 2, warped=config.limb_warp)
    given["conditional_B"] = torch.tensor([False, True])
    before = network(**given)
    for name in set(given) - {"latents_BCFHW", "t_B", "text_tokens_1LD", "conditional_B"}:
        change = (network(**{**given, name: given[name] + 1}) - before).abs().amax((1, 2, 3, 4))
        assert change[0] < 1e-6, name
        assert (change[1] > 1e-4) == (name in read), name


@torch.no_grad()
@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("image_tokens", {"image_embeds_BE"}),
        ("reference", {"reference_B3HW", "reference_latents_BCHW", "reference_pose_B3HW", "warped_BCFHW"}),
        ("skeletons", {"pose_BF3HW", "warped_BCFHW"}),
    ],
)
def test_a_part_that_a_row_does_not_keep_is_all_that_it_does_not_read(part: str, read: set[str]) -> None:
    network, given = new_network(READS_BOTH), batch(2, 2)
    kept = torch.ones(2, len(PARTS), dtype=torch.bool)
    kept[0, PARTS.index(part)] = False
    before = network(**given, kept_BP=kept)
    for name in set(given) - {"latents_BCFHW", "t_B", "text_tokens_1LD", "conditional_B"}:
        change = (network(**{**given, name: given[name] + 1}, kept_BP=kept) - before).abs().amax((1, 2, 3, 4))
        assert (change[0] < 1e-6) == (name in read), name
        assert change[1] > 1e-4, name


@torch.no_grad()
def test_a_query_that_is_left_out_is_not_there_and_the_other_asks() -> None:
    assert TINY.indicator is not None
    given = batch(1, 2)
    names = {}
    for switch in ("keypoint_query", "learned_query"):
        network = new_network(replace(TINY, indicator=replace(TINY.indicator, **{switch: False})))
        names[switch] = {name for name, _ in network.named_parameters()}
        before = network(**given)
        reads_keypoints = not torch.equal(network(**{**given, "keypoints_BFK": given["keypoints_BFK"].flip(1)}), before)
        assert reads_keypoints == (switch == "learned_query")
        assert not torch.equal(network(**{**given, "features_BFE": given["features_BFE"] + 1}), before)
    every = {name for name, _ in new_network().named_parameters()}
    assert every - names["learned_query"] == {"indicator.queries"}
    assert every - names["keypoint_query"] == {name for name in every if name.startswith("indicator.keypoints.")}
    with pytest.raises(ValueError, match="asks by keypoint_query, learned_query or both"):
        replace(TINY.indicator, keypoint_query=False, learned_query=False)


def test_without_a_learned_query_motion_tokens_differ_from_the_start() -> None:
    assert TINY.indicator is not None
    torch.manual_seed(0)
    network = AnimateX(replace(TINY, indicator=replace(TINY.indicator, learned_query=False)))
    tokens = network.motion_tokens(torch.rand(1, 2, 36), torch.randn(1, 2, 64))
    assert tokens is not None
    assert not torch.allclose(tokens[..., 0, :], tokens[..., 1, :], atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, 3, 5), (40, 2, 2), (3, 1, 7)])
def test_any_resolution_and_any_length(num_frames: int, height: int, width: int) -> None:
    given = batch(1, num_frames, height, width)
    assert new_network()(**given).shape == given["latents_BCFHW"].shape


@torch.no_grad()
def test_motion_attention_is_added_alpha_times() -> None:
    given = batch(1, 2)

    def made(alpha: float) -> torch.Tensor:
        # One pose transformer: between others α would act through them as well.
        unet = replace(TINY.unet, widths=(16,), attention=(True,), pose_attention=alpha)
        network = new_network(replace(TINY, unet=unet))
        found: list[torch.Tensor] = []
        module = network.denoiser.pose_transformers[0]
        module.register_forward_hook(lambda _, inputs, output: found.append(output[0] - inputs[0]))
        network(**given)
        return found[0]

    assert made(1.0).abs().max() > 1e-3
    torch.testing.assert_close(made(0.5), 0.5 * made(1.0))
    assert not made(0.0).any()


def test_new_motion_attention_and_temporal_layers_begin_as_nothing_at_all() -> None:
    torch.manual_seed(0)
    network = AnimateX(TINY)
    assert not any(layer.proj_out.weight.any() for layer in network.denoiser.pose_transformers)
    network.denoiser.temporal = True
    given = batch(1, 3)
    torch.nn.init.normal_(network.denoiser.conv_out.weight)
    with_layers = network(**given)
    network.denoiser.temporal = False
    torch.testing.assert_close(network(**given), with_layers, atol=1e-5, rtol=0)


def test_checkpointing_gives_the_same_gradients_and_every_parameter_that_is_read_learns() -> None:
    network, given = new_network(), batch(2, 2)
    gradients = []
    for again in (False, True):
        network.zero_grad()
        network.denoiser.gradient_checkpointing = again
        network(**given).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)
    idle = {name for name, p in network.named_parameters() if name not in gradients[0] or not p.grad.any()}
    # The reference is a picture here, not a frame.
    assert not {name for name in idle if not name.startswith(("reference_pose.", "reference_latents."))}


def test_temporal_parameters_are_those_of_layers_over_frames() -> None:
    network = new_network()
    temporal = {id(p) for p in network.denoiser.temporal_parameters()}
    named = {name for name, p in network.denoiser.named_parameters() if id(p) in temporal}
    assert {name.split(".")[0] for name in named if "blocks" not in name} == {"transformer_in", "mid_block"}
    assert all(any(part in name for part in ("transformer_in", "temporal_convs", "motion_modules")) for name in named)


@pytest.mark.parametrize(("asked_for", "given"), [(True, "no latents"), (False, "latents")])
def test_a_reference_moved_limb_by_limb_is_given_where_it_is_asked_for(asked_for: bool, given: str) -> None:
    network = new_network(replace(TINY, limb_warp=asked_for))
    with pytest.raises(ValueError, match=f"limb_warp={asked_for}, got {given} of the reference"):
        network(**batch(1, 2, warped=not asked_for))


def test_an_indicator_without_motion_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="motion attention reads the pose indicator's tokens"):
        replace(TINY, indicator=None)


def test_released_sizes() -> None:
    with torch.device("meta"):
        sizes = {
            name: sum(p.numel() for p in AnimateX(c).parameters()) for name, c in (("x", ANIMATE_X), ("u", UNIANIMATE))
        }
    assert sizes == {
        "x": 1_817_742_348 - 33 * 1024,
        "u": 1_416_564_300,
    }  # a published table of positions is computed here


def test_the_size_that_ships_stays_below_25_megabytes_in_half_precision() -> None:
    with torch.device("meta"):
        assert 2 * sum(p.numel() for p in AnimateX(EMBEDDED).parameters()) < 25e6
