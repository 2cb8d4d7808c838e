"""Animate Anyone 2 beside Animate Anyone: operations at the released size, and seconds and memory at the puppets' size.

Operations are counted without computing anything: one step of one window of 16 frames of 512 x 512 with guidance; the
denoiser as it is, with reference attention in every block as in Animate Anyone, and Animate Anyone's own. Seconds: CPU
time of one clip of two windows of random pictures, by networks of the same widths; the ratio is taken in turns. Memory:
peak of the process after clips of one, two and four windows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import bench_animate
import numpy as np
import torch
from numpy.typing import NDArray

from models.animate_anyone.config import MOORE
from models.animate_anyone.network import AnimateAnyone, ReferenceConditions
from models.animate_anyone.network import ClipConditions as AnimateAnyoneConditions
from models.animate_anyone_2.conditions import ClipConditions
from models.animate_anyone_2.config import AnimateAnyone2Config
from models.animate_anyone_2.implementation import AnimateAnyone2Implementation
from models.animate_anyone_2.network import AnimateAnyone2
from models.animation.animator import AnimationInputs, Animator
from models.animation.signals import AGNOSTIC_MASK, OBJECT_FRAMES, OBJECT_MASK, SCENE_FRAMES, STRUCTURED_DEPTH
from models.puppet_models.animate_anyone_2.system import PUPPETS

NAME = "animate-anyone-2"
FRAMES, LATENT = 16, 64
"""Frames of a window, and side of its latents, of the operations that are counted."""


@torch.no_grad()
def released_gflop() -> dict[str, float]:
    """GFLOP of one step of one window of each denoiser, and of what is computed once per window."""
    config = AnimateAnyone2Config()
    with torch.device("meta"):
        network, other = AnimateAnyone2(config).to("meta"), AnimateAnyone(MOORE).to("meta")
        token, latents = torch.empty(1, 1, 768), torch.empty(1, 4, LATENT, LATENT)
        noise, t = torch.empty(2, 4, FRAMES, LATENT, LATENT), torch.empty(2, dtype=torch.long)
        frames, mask = torch.empty(1, 4, FRAMES, LATENT, LATENT), torch.empty(1, 1, FRAMES, LATENT, LATENT)
        pixels = (1, FRAMES, 8 * LATENT, 8 * LATENT)
        clip = ClipConditions(
            image_tokens_BLD=token,
            reference_latents_BCHW=latents,
            poses_BFHWC=np.zeros((*pixels, 3), np.uint8),
            depth_BFHW=np.zeros(pixels, np.uint8),
            environment_BCFHW=frames,
            environment_mask_B1FHW=mask,
            objects_BCFHW=frames,
            object_mask_B1FHW=mask,
        )
        halves = [network.window_conditions(clip, range(FRAMES), [half]) for half in (False, True)]
        windows = type(halves[0]).stack(halves)
        features = network.reference_features(clip)
        everywhere = network.denoiser.conditions(token, features)
        pose = torch.empty(2, 320, FRAMES, LATENT, LATENT)
        other_clip = AnimateAnyoneConditions(
            image_tokens_BLD=token, reference_latents_BCHW=latents, poses_BFHWC=clip.poses_BFHWC
        )
        blocks: ReferenceConditions = other.reference_conditions(other_clip)
        reference = network.reference_conditions(clip)
        return {
            "animate-anyone-2, a step": bench_animate.flops(lambda: network.denoiser(noise, t, windows, reference)),
            "reference in every block": bench_animate.flops(lambda: network.denoiser(noise, t, windows, everywhere)),
            "animate-anyone, a step": bench_animate.flops(
                lambda: other.denoiser(noise, t, blocks, pose, num_unconditional=1)
            ),
            "once per window": bench_animate.flops(lambda: network.window_conditions(clip, range(FRAMES), [True])),
        }


def scene_signals(pictures_THWC: NDArray[np.uint8]) -> Mapping[str, NDArray[Any]]:
    """Signals of a scene in which a quarter of the area is missing and another is an object."""
    size = pictures_THWC.shape[:3]
    missing, objects = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    missing[:, : size[1] // 2, : size[2] // 2] = True
    objects[:, size[1] // 2 :, : size[2] // 2] = True
    return {
        SCENE_FRAMES: pictures_THWC,
        AGNOSTIC_MASK: missing,
        OBJECT_FRAMES: np.where(objects[..., None], pictures_THWC, np.uint8(0)),
        OBJECT_MASK: objects,
        STRUCTURED_DEPTH: pictures_THWC[..., 0],
    }


def new_animator(like: Animator) -> Animator:
    """The paper's network, without the puppets' draft, at the size of the puppets'."""
    torch.manual_seed(0)
    implementation = AnimateAnyone2Implementation()
    network = implementation.new_network(PUPPETS)
    bench_animate.randomise(network)
    return Animator("benchmark", implementation=implementation, network=network, encoders=like.encoders)


def cpu_seconds(animator: Animator, inputs: AnimationInputs) -> float:
    """CPU time of an animation."""
    started = time.process_time()
    animator.animate(inputs)
    return time.process_time() - started


def main() -> None:
    """Prints a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one step, one repeat")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.repeats = 1, 1
    torch.set_num_threads(1)
    first = bench_animate.new_animator(None)
    second = new_animator(first)

    def request(num_windows: int, steps: int) -> AnimationInputs:
        inputs = bench_animate.request(num_windows, side_px=arguments.side, steps=steps)
        return replace(inputs, signals=scene_signals(inputs.pose_THWC))

    memory_mb = {}
    for count in (1, 2, 4):
        second.animate(request(count, 1))
        memory_mb[f"{count} windows"] = round(bench_animate.peak_mb())
    inputs = request(2, arguments.steps)
    rounds = [
        {name: cpu_seconds(animator, inputs) for name, animator in (("animate-anyone", first), (NAME, second))}
        for _ in range(arguments.repeats)
    ]
    ratios = [each[NAME] / each["animate-anyone"] for each in rounds]
    gflop = {name: round(count) for name, count in released_gflop().items()}
    for name, count in gflop.items():
        print(f"{name:<28} {count:>9} GFLOP")
    for name in rounds[0]:
        print(f"{name:<28} {statistics.median(each[name] for each in rounds):>9.1f} s of CPU")
    print(f"its time over animate-anyone's {statistics.median(ratios):.2f}; peak MB {memory_mb}")
    print(json.dumps({"gflop": gflop, "seconds": rounds, "ratio": statistics.median(ratios), "peak_mb": memory_mb}))


if __name__ == "__main__":
    main()
