"""Seconds and floating-point operations of Animate Anyone's inference, against a loop in the way of the public code.

The loop has the same weights and computes the same video, but in every frame of every step it projects the reference's
features to keys and values again and attends to the image token, computes the attention of unconditional rows twice,
calls the network for each window and each half of guidance by itself, and decodes frame by frame. The videos are
compared. Memory: peak of the process, after clips of one, two and four windows. At the released size, operations of one
step are counted without computing anything.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from stand_in_networks import randomise

from models.animate_anyone.config import MOORE
from models.animate_anyone.implementation import AnimateAnyoneImplementation
from models.animate_anyone.network import AnimateAnyone, ClipConditions, Denoiser, ReferenceConditions
from models.animation.animator import AnimationInputs, Animator
from models.appearance.encoders import FrozenEncoders
from models.appearance.image_encoder import new_puppets_image_encoder
from models.appearance.vae import PUPPETS_VAE, Vae, to_frames, to_images
from models.common.unet.transformer import TransformerBlock
from models.metrics.pixels import psnr
from models.puppet_models.animate_anyone.system import PUPPETS
from models.sampling.denoise import guide
from models.sampling.noise import initial_noise
from models.sampling.schedule import ddim_step
from models.sampling.windows import blend_weights, windows

GUIDANCE_SCALE = 3.5
MAX_DIFFERENCE = 2
"""Maximum difference between frames, out of 255: order of summation, and rounding to integers."""


@dataclass(frozen=True, kw_only=True)
class PublicConditions:
    """Input of a transformer in the public code: tokens and features, not projected."""

    context_RLD: Tensor
    reference_RLD: Tensor


class PublicBlock(TransformerBlock):
    """A transformer block that projects everything anew, as the public code's patched forward does."""

    def forward(  # type: ignore[override]  # the public way takes other inputs
        self, x_NLD: Tensor, conditions: PublicConditions, *, num_frames: int, num_unconditional: int
    ) -> tuple[Tensor, Tensor]:
        normed = self.norm1(x_NLD)
        reference = conditions.reference_RLD.expand(len(x_NLD), -1, -1)
        attended = self.attn1(normed, self.attn1.keys_values(torch.cat([normed, reference], 1)))
        if num_unconditional:
            attended = self.attn1(normed)
        x_NLD = x_NLD + attended
        context = conditions.context_RLD.expand(len(x_NLD), -1, -1)
        x_NLD = x_NLD + self.attn2(self.norm2(x_NLD), self.attn2.keys_values(context))
        return x_NLD + self.ff(self.norm3(x_NLD)), normed


def public_denoiser(denoiser: Denoiser) -> Denoiser:
    """A copy that projects everything anew and keeps images in rows, as the public code does."""
    public = copy.deepcopy(denoiser).to(memory_format=torch.contiguous_format)
    for transformer in public.transformers:
        transformer.block.__class__ = PublicBlock
    public.conv_in.register_forward_pre_hook(lambda _, arguments: (arguments[0].contiguous(),))
    return public


class PublicLoop:
    """The animator's networks, used as the public code uses its own."""

    def __init__(self, animator: Animator) -> None:
        self.animator = animator
        self.denoiser = public_denoiser(animator.network.denoiser)

    @torch.no_grad()
    def animate(self, inputs: AnimationInputs) -> NDArray[np.uint8]:
        """Frames (T, H, W, 3)."""
        animator, network, config = self.animator, self.animator.network, self.animator.config
        reference = to_images(inputs.reference_HWC[None])
        vae = animator.encoders.vae
        latents = vae.encode(reference)
        token = animator.encoders.image_encoder(reference)[:, None]
        pose = network.pose_guider(torch.from_numpy(inputs.pose_THWC).permute(0, 3, 1, 2) / 255)
        tokens = torch.cat([torch.zeros_like(token), token])
        features = network.reference_net(latents.repeat(2, 1, 1, 1), tokens)
        halves = [
            ReferenceConditions(
                blocks=[
                    PublicConditions(context_RLD=tokens[half : half + 1], reference_RLD=block[half : half + 1])
                    for block in features
                ]
            )
            for half in (0, 1)
        ]
        num_frames = len(inputs.pose_THWC)
        x = initial_noise(latents.shape[1], num_frames, *latents.shape[2:], seed=inputs.seed)
        plan = windows(num_frames, config.windows)
        weights = blend_weights(plan, num_frames, config.windows.blend)
        for t in animator.schedule.timesteps(inputs.num_steps):
            mean = [torch.zeros_like(x), torch.zeros_like(x)]
            for window, weight in zip(plan, weights, strict=True):
                window_pose = pose[window].transpose(0, 1)[None]
                for half in (0, 1):
                    predicted = self.denoiser(
                        x[:, window][None], torch.tensor([t]), halves[half], window_pose, num_unconditional=1 - half
                    )
                    mean[half][:, window] += predicted[0] * weight[:, None, None]
            prediction = guide(mean[0], mean[1], inputs.guidance_scale)
            x = ddim_step(animator.schedule, prediction, t, animator.schedule.previous(t, inputs.num_steps), x)
        return np.concatenate([to_frames(vae.decode(frame[None])) for frame in x.unbind(1)])


def new_animator(window_batch: int | None, dtype: torch.dtype = torch.float32) -> Animator:
    """The paper's network, without what the puppets' reads besides, at the size of the puppets'."""
    torch.manual_seed(0)
    implementation = AnimateAnyoneImplementation()
    network = implementation.new_network(PUPPETS)
    encoders = FrozenEncoders(vae=Vae(PUPPETS_VAE), image_encoder=new_puppets_image_encoder())
    for part in (network, encoders.vae.network):
        randomise(part)
    return Animator(
        "benchmark",
        implementation=implementation,
        network=network,
        encoders=encoders,
        dtype=dtype,
        window_batch=window_batch,
    )


def request(num_windows: int, *, side_px: int, steps: int) -> AnimationInputs:
    size, overlap = PUPPETS.windows.size, PUPPETS.windows.overlap
    num_frames = size + (num_windows - 1) * (size - overlap)
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (num_frames + 1, side_px, side_px, 3), dtype=np.uint8)
    return AnimationInputs(
        reference_HWC=pictures[0],
        pose_THWC=pictures[1:],
        seed=0,
        num_steps=steps,
        guidance_scale=GUIDANCE_SCALE,
    )


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def flops(run: Callable[[], object]) -> float:
    """Multiplications and additions of all convolutions, matrix products and attentions, in 10⁹."""
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu

    def count(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    with FlopCounterMode(display=False, custom_mapping={attention: count}) as counter:
        run()
    return counter.get_total_flops() / 1e9


@torch.no_grad()
def released_flops() -> dict[str, float]:
    """GFLOP of one step of one window of Moore-AnimateAnyone, 24 frames of 512 x 768 with guidance."""
    with torch.device("meta"):
        network = AnimateAnyone(MOORE).to("meta")
        latents, frames = torch.empty(1, 4, 96, 64), torch.empty(2, 4, 24, 96, 64)
        token, pose, t = torch.empty(1, 1, 768), torch.empty(2, 320, 24, 96, 64), torch.empty(2, dtype=torch.long)
        clip = ClipConditions(
            image_tokens_BLD=token, reference_latents_BCHW=latents, poses_BFHWC=np.empty((1, 24, 0, 0, 3), np.uint8)
        )
        conditions = network.reference_conditions(clip)
        features = network.reference_net(latents, token)
        blocks = [PublicConditions(context_RLD=token, reference_RLD=block) for block in features]
        public, public_conditions = public_denoiser(network.denoiser), ReferenceConditions(blocks=blocks)
        runs = {
            "ours": lambda: network.denoiser(frames, t, conditions, pose, num_unconditional=1),
            "public": lambda: [
                public(frames[:1], t[:1], public_conditions, pose[:1], num_unconditional=half) for half in (0, 1)
            ],
        }
        return {name: flops(run) for name, run in runs.items()}


def main() -> None:
    """Memory first, for the most that a process held never falls; then the comparison. Prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--windows", type=int, default=2, help="windows of the clip that is timed")
    parser.add_argument("--window-batch", type=int, help="rows of a call of the network [the animator's own choice]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="two steps, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.repeats = 2, 1
    torch.set_num_threads(1)
    animator = new_animator(arguments.window_batch)
    loop = PublicLoop(animator)
    animator.animate(request(1, side_px=64, steps=1))
    memory = {"loaded": round(peak_mb())}
    for count in (1, 2, 4):
        animator.animate(request(count, side_px=arguments.side, steps=1))
        memory[f"{count} windows"] = round(peak_mb())

    inputs = request(arguments.windows, side_px=arguments.side, steps=arguments.steps)
    runs: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "ours": lambda: animator.animate(inputs).frames_THWC,
        "public": lambda: loop.animate(inputs),
    }
    half = new_animator(arguments.window_batch, torch.bfloat16)
    runs["ours, bfloat16"] = lambda: half.animate(inputs).frames_THWC
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.repeats):
        made = {}
        for name, run in runs.items():
            started = time.process_time()
            made[name] = run()
            seconds[name].append(time.process_time() - started)
        difference = int(np.abs(made["ours"].astype(int) - made["public"]).max())
        assert difference <= MAX_DIFFERENCE, difference
        assert made["ours"].std() > 10, "nothing can be told from videos of one colour"
    counted = {name: flops(runs[name]) for name in ("ours", "public")}
    released = released_flops()
    ratios = {
        name: round(statistics.median(np.array(seconds["public"]) / np.array(values)), 2)
        for name, values in seconds.items()
    }
    print("CPU seconds per clip, one thread; the public code's over each")
    for name, values in seconds.items():
        print(f"  {name:16}{statistics.median(values):8.2f}{ratios[name]:8.2f}")
    print("GFLOP per clip; of one step of a window at the released size")
    for name, value in counted.items():
        print(f"  {name:16}{value:8.0f}{released[name]:12.0f}")
    print(f"peak memory, MB: {memory}")
    print(
        json.dumps(
            {
                "benchmark": "animate",
                "side_px": arguments.side,
                "frames": len(inputs.pose_THWC),
                "steps": arguments.steps,
                "cpu_seconds": {name: [round(s, 2) for s in values] for name, values in seconds.items()},
                "public_time_over": ratios,
                "gflop": {name: round(value) for name, value in counted.items()},
                "public_flop_over_ours": round(counted["public"] / counted["ours"], 2),
                "gflop_released_step": {name: round(value) for name, value in released.items()},
                "public_flop_over_ours_released_step": round(released["public"] / released["ours"], 2),
                "largest_difference": difference,
                "bfloat16_psnr_db": round(float(psnr(made["ours, bfloat16"], made["ours"]).mean()), 1),
                "peak_mb": memory,
            }
        )
    )


if __name__ == "__main__":
    main()
