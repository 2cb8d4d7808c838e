"""Seconds, operations and memory of X-Dyna's inference, against a loop in the way of the public code.

The loop has the same weights and computes the same video, but runs both ControlNets for both halves of guidance and
projects text and image tokens to keys and values again for every frame of every step. The videos are compared. At the
released size, operations of one step of a window are counted without computing anything. Memory: peak of the process
after clips of one, two and four windows.

Both run the reference's frame again in every window: statistics of the ResNets' norms are pooled over the window, so
that the reference's features depend on its frames and cannot be shared without other numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import bench_animate
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.animation.animator import AnimationInputs, Animator, RequestEncoder
from models.animation.signals import CONTROLS, FACE_CONTROL
from models.appearance.encoders import FrozenEncoders
from models.appearance.vae import to_frames
from models.common.unet.config import TemporalConfig, UNetConfig
from models.common.unet.control import ControlResiduals
from models.sampling.denoise import Windows, sample
from models.sampling.noise import initial_noise
from models.sampling.windows import window_offsets, windows
from models.x_dyna.conditions import ClipConditions, ControlPictures
from models.x_dyna.config import XDynaConfig
from models.x_dyna.implementation import XDynaImplementation
from models.x_dyna.network import XDyna

SMALL = XDynaConfig(
    unet=UNetConfig(
        in_channels=16,
        out_channels=16,
        widths=(48, 80, 112),
        attention=(True, True, True),
        layers_per_block=1,
        num_heads=4,
        context_width=64,
        norm_groups=16,
        residual_norm="pooled",
    ),
    temporal=TemporalConfig(max_frames=24, num_heads=4, middle=False),
)
"""About the size of the networks for puppets."""
HEIGHT, WIDTH = 112, 64
"""Latents of the released size, 896 x 512."""


class PublicDenoiser:
    """The networks of a clip, called as the public code calls its own."""

    def __init__(self, network: XDyna, clip: ClipConditions) -> None:
        assert clip.face_BFHWC is not None
        self.network, self.clip = network, clip
        self.tokens = torch.cat([clip.blank_tokens_1LD, clip.image_tokens_BLD])
        self.pictures = ControlPictures(clip.poses_BFHWC), ControlPictures(clip.face_BFHWC)

    def __call__(self, latents_BCFHW: Tensor, t: int, windows: Windows, conditional: Sequence[bool]) -> Tensor:
        """The prediction for both halves of guidance of one window."""
        assert list(conditional) == [False, True]
        pose, face = self.network.control_images(*self.pictures, windows[0], (True, True), latents_BCFHW)
        assert pose is not None
        assert face is not None
        return self.predict(latents_BCFHW, torch.full((2,), t), pose, face)

    def predict(self, latents_2CFHW: Tensor, t_2: Tensor, pose_1FCHW: Tensor, face_1FCHW: Tensor) -> Tensor:
        """The prediction for both halves of guidance, with control images of the window."""
        network, clip = self.network, self.clip
        images = tuple(control.expand(2, *control.shape[1:]) for control in (pose_1FCHW, face_1FCHW))
        maps = network.control_residuals(latents_2CFHW, t_2, clip.text_tokens_1LD, images)  # type: ignore[arg-type]  # both images are there
        rows = 2 * (latents_2CFHW.shape[2] + 1)
        conditions = network.denoiser.image_conditions(
            clip.text_tokens_1LD.expand(rows, -1, -1), self.tokens.repeat_interleave(rows // 2, 0)
        )
        control = ControlResiduals(maps=maps)
        return network.predict(latents_2CFHW, t_2, clip.reference_latents_BCHW, conditions, control)


@torch.no_grad()
def public_frames(animator: Animator, inputs: AnimationInputs) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) by the loop."""
    config, implementation = animator.config, animator.implementation
    num_frames = len(inputs.pose_THWC)
    clip = inputs.clip(num_frames)
    encoder = RequestEncoder(clip, animator.encoders, device=animator.device, dtype=animator.dtype, batch=1)
    conditions = implementation.conditions(clip, encoder, animator.network)
    reference = encoder.reference_latents()[0]
    assert inputs.num_steps is not None
    assert inputs.guidance_scale is not None
    timesteps = animator.schedule.timesteps(inputs.num_steps)
    noise = initial_noise(len(reference), num_frames, *reference.shape[1:], seed=inputs.seed)
    first = implementation.first_latents(noise, reference, config, num_windows=1, t=timesteps[0], seed=inputs.seed)
    offsets = window_offsets(len(timesteps), config.windows, seed=inputs.seed)
    latents = sample(
        PublicDenoiser(animator.network, conditions),
        first,
        schedule=animator.schedule,
        num_steps=inputs.num_steps,
        guidance_scale=inputs.guidance_scale,
        windows=lambda step: windows(num_frames, config.windows, offset=offsets[step]),
        window_batch=2,
    )
    return np.concatenate([to_frames(animator.encoders.vae.decode(frame[None])) for frame in latents.unbind(1)])


def new_animator(text_tokens: int) -> Animator:
    """A small X-Dyna with random weights, and the puppets' encoders with tokens of a text."""
    torch.manual_seed(0)
    like = bench_animate.new_animator(None).encoders
    network = XDyna(SMALL)
    bench_animate.randomise(network)
    encoders = FrozenEncoders(
        vae=like.vae,
        image_encoder=like.image_encoder,
        text_tokens_1LD=torch.randn(1, text_tokens, SMALL.unet.context_width),
    )
    return Animator("benchmark", implementation=XDynaImplementation(), network=network, encoders=encoders)


def request(num_windows: int, *, side_px: int, steps: int) -> AnimationInputs:
    """A request with a face."""
    size, hop = SMALL.windows.size, SMALL.windows.size - SMALL.windows.overlap
    pictures = np.random.default_rng(0).integers(
        0, 256, (size + (num_windows - 1) * hop + 1, side_px, side_px, 3), dtype=np.uint8
    )
    face = np.concatenate([255 - pictures[1:], pictures[1:]], -1)
    return AnimationInputs(
        reference_HWC=pictures[0],
        pose_THWC=pictures[1:],
        seed=0,
        num_steps=steps,
        guidance_scale=SMALL.guidance_scale,
        signals={FACE_CONTROL: face, CONTROLS: np.ones(2, np.bool_)},
    )


@torch.no_grad()
def released_gflop() -> dict[str, float]:
    """GFLOP of one step of one window of 16 frames of 512 x 896 with guidance, at the released size."""
    config = XDynaConfig()
    frames = config.windows.size
    with torch.device("meta"):
        network = XDyna(config).to("meta")
        latents, t = torch.empty(2, 4, frames, HEIGHT, WIDTH), torch.empty(2, dtype=torch.long)
        pose, face = (torch.empty(1, frames, channels, 8 * HEIGHT, 8 * WIDTH) for channels in (3, 6))
        text, tokens, reference = torch.empty(1, 77, 768), torch.empty(1, 16, 768), torch.empty(1, 4, HEIGHT, WIDTH)
        clip = ClipConditions(
            image_tokens_BLD=tokens,
            blank_tokens_1LD=tokens,
            text_tokens_1LD=text,
            reference_latents_BCHW=reference,
            poses_BFHWC=np.zeros((1, 1, 1, 1, 3), np.uint8),
            face_BFHWC=np.zeros((1, 1, 1, 1, 6), np.uint8),
            controls_B2=np.ones((1, 2), np.bool_),
        )
        conditions = network.block_conditions(clip, tokens.expand(2, -1, -1))
        public = PublicDenoiser(network, clip)

        def ours() -> Tensor:
            maps = network.control_residuals(latents[:1], t[:1], text, (pose, face))
            return network.predict(latents, t, reference, conditions, ControlResiduals(maps=maps))

        runs: dict[str, Callable[[], Tensor]] = {
            "ours": ours,
            "public": lambda: public.predict(latents, t, pose, face),
        }
        return {name: bench_animate.flops(run) for name, run in runs.items()}


def main() -> None:
    """Memory first, for the most that a process held never falls; then the comparison. Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--windows", type=int, default=2, help="windows of the clip that is timed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one step, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.repeats = 1, 1
    torch.set_num_threads(1)
    animator = new_animator(text_tokens=77)
    memory_mb = {"loaded": round(bench_animate.peak_mb())}
    for count in (1, 2, 4):
        animator.animate(request(count, side_px=arguments.side, steps=1))
        memory_mb[f"{count} windows"] = round(bench_animate.peak_mb())
    inputs = request(arguments.windows, side_px=arguments.side, steps=arguments.steps)
    runs: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "ours": lambda: animator.animate(inputs).frames_THWC,
        "public": lambda: public_frames(animator, inputs),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.repeats):
        made = {}
        for name, run in runs.items():
            started = time.process_time()
            made[name] = run()
            seconds[name].append(time.process_time() - started)
        difference = int(np.abs(made["ours"].astype(int) - made["public"]).max())
        assert difference <= bench_animate.MAX_DIFFERENCE, difference
        assert made["ours"].std() > 10, "nothing can be told from videos of one colour"
    one_step = replace(inputs, num_steps=1)
    counted = {
        "ours": bench_animate.flops(lambda: animator.animate(one_step)),
        "public": bench_animate.flops(lambda: public_frames(animator, one_step)),
    }
    released = released_gflop()
    ratios = [public / ours for ours, public in zip(seconds["ours"], seconds["public"], strict=True)]
    print("CPU seconds per clip, one thread; GFLOP of a run of one step; GFLOP of a window's step at the released size")
    for name, values in seconds.items():
        print(f"  {name:10}{statistics.median(values):8.2f}{counted[name]:10.0f}{released[name]:12.0f}")
    print(f"the public code's time over ours {statistics.median(ratios):.2f}; peak MB {memory_mb}")
    print(
        json.dumps(
            {
                "benchmark": "x_dyna",
                "side_px": arguments.side,
                "frames": len(inputs.pose_THWC),
                "steps": arguments.steps,
                "cpu_seconds": {name: [round(s, 2) for s in values] for name, values in seconds.items()},
                "public_time_over_ours": [round(ratio, 2) for ratio in ratios],
                "gflop_one_step": {name: round(value) for name, value in counted.items()},
                "gflop_released_step": {name: round(value) for name, value in released.items()},
                "public_flop_over_ours_released_step": round(released["public"] / released["ours"], 2),
                "largest_difference": difference,
                "peak_mb": memory_mb,
            }
        )
    )


if __name__ == "__main__":
    main()
