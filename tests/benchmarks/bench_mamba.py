"""CPU time of our selective scan and of our Mamba layer against those of transformers, and time against frames.

The peer is what transformers runs without kernels: `mamba_selective_scan`, which makes the discretised A and B of all
frames and loops, and `MambaMixer` around it. Both are given the same weights; outputs and gradients are compared first.
The two take turns, and ratios are taken within each turn, so that what else the machine does moves them little. Then a
temporal layer with Mamba and one with attention, over 16 to 256 frames.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor
from torch.nn import functional
from transformers import MambaConfig as PeerConfig
from transformers.models.mamba.modeling_mamba import MambaMixer, mamba_selective_scan

from models.common.unet.config import MambaConfig, TemporalConfig
from models.common.unet.mamba import Mamba
from models.common.unet.selective_scan import selective_scan
from models.common.unet.temporal import temporal_layer

# F frames, M sequences, D width, S state

SIZES = ((64, 256, 16), (320, 32, 32), (1280, 16, 32))
"""Width of the layer, sequences, frames: the embedded size at 16 x 16 latent pixels; the released widths at fewer."""
FRAMES = (16, 32, 64, 128, 256)
WIDTH, SIDE = 320, 6
"""Channels and side in latent pixels for the series over frames."""
STATE = 16
TOLERANCE = 1e-4
"""Maximum difference between the gradients in float32, relative to the largest."""

Run = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """The same computation twice.

    `inputs`, `peer_inputs`: what gradients are taken of. `orders`: axes of a peer's input in our order; None: the same.
    """

    ours: Run
    peer: Run
    inputs: list[Tensor]
    peer_inputs: list[Tensor]
    orders: list[tuple[int, int, int] | None]


def scans(width: int, sequences: int, frames: int) -> Rivals:
    """The scan alone, at the inner width of a layer. Results are (M, D, F)."""
    inner = 2 * width
    x, step = torch.randn(2, frames, sequences, inner)
    b, c = torch.randn(2, frames, sequences, STATE)
    a = -torch.arange(1, STATE + 1).float().repeat(inner, 1)
    inputs = [t.clone().requires_grad_() for t in (x, functional.softplus(step - 3), a, b, c)]
    # In memory as transformers' layer has them: frames last, but for B and C.
    orders: list[tuple[int, int, int] | None] = [(1, 2, 0), (1, 2, 0), None, (1, 0, 2), (1, 0, 2)]
    peer_inputs = [
        (t if order is None else t.permute(order)).detach().contiguous().requires_grad_()
        for t, order in zip(inputs, orders, strict=True)
    ]
    peer_x, peer_delta, peer_a, peer_b, peer_c = peer_inputs
    return Rivals(
        ours=lambda: selective_scan(*inputs).permute(1, 2, 0),
        peer=lambda: mamba_selective_scan(peer_x, peer_delta, peer_a, peer_b.transpose(1, 2), peer_c.transpose(1, 2)),
        inputs=inputs,
        peer_inputs=peer_inputs,
        orders=[(2, 0, 1), (2, 0, 1), None, (1, 0, 2), (1, 0, 2)],
    )


def layers(width: int, sequences: int, frames: int) -> Rivals:
    """The whole layer. Results are (M, F, D)."""
    ours = Mamba(width, MambaConfig(state=STATE))
    torch.nn.init.normal_(ours.out_proj.weight, std=width**-0.5)
    config = PeerConfig(hidden_size=width, state_size=STATE, conv_kernel=4, expand=2, num_hidden_layers=1)
    peer = MambaMixer(config, layer_idx=0).eval()
    peer.load_state_dict({name.removeprefix("forward_scan."): tensor for name, tensor in ours.state_dict().items()})
    x = torch.randn(frames, sequences, width)
    x_FMD, x_MFD = x.clone().requires_grad_(), x.transpose(0, 1).contiguous().requires_grad_()
    names, parameters = zip(*ours.named_parameters(), strict=True)
    of_peer = dict(peer.named_parameters())
    return Rivals(
        ours=lambda: ours(x_FMD).transpose(0, 1),
        peer=lambda: peer(x_MFD),
        inputs=[x_FMD, *parameters],
        peer_inputs=[x_MFD, *(of_peer[name.removeprefix("forward_scan.")] for name in names)],
        orders=[(1, 0, 2), *(None for _ in names)],
    )


def check(rivals: Rivals) -> float:
    """The largest difference of results and of gradients, over the largest number of each."""
    one, other = rivals.ours(), rivals.peer()
    weights = torch.linspace(-1, 1, one.numel()).reshape(one.shape)
    found = torch.autograd.grad((one * weights).sum(), rivals.inputs)
    expected = torch.autograd.grad((other * weights).sum(), rivals.peer_inputs)
    pairs = [(one.detach(), other.detach())]
    for first, second, order in zip(found, expected, rivals.orders, strict=True):
        pairs.append((first, second if order is None else second.permute(order)))
    worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    assert worst <= TOLERANCE, worst
    return worst


def seconds(run: Run, inputs: list[Tensor] | None) -> float:
    """CPU time of a run, and of its gradients if inputs are given."""
    started = time.process_time()
    if inputs is None:
        with torch.no_grad():
            run()
    else:
        torch.autograd.grad(run().sum(), inputs)
    return time.process_time() - started


def in_turns(rivals: Rivals, *, backward: bool, repeats: int) -> dict[str, float]:
    """Medians in milliseconds, and the peer's time over ours: median, least and largest of the turns."""
    times = [
        (
            seconds(rivals.ours, rivals.inputs if backward else None),
            seconds(rivals.peer, rivals.peer_inputs if backward else None),
        )
        for _ in range(repeats)
    ]
    ratios = sorted(peer / ours for ours, peer in times)
    return {
        "ours_ms": round(1000 * statistics.median(ours for ours, _ in times), 1),
        "peer_ms": round(1000 * statistics.median(peer for _, peer in times), 1),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least": round(ratios[0], 1),
        "ratio_most": round(ratios[-1], 1),
    }


def over_frames(repeats: int) -> dict[str, list[float]]:
    """Milliseconds per frame, without gradients, of a temporal layer: the least of the turns."""
    attention = TemporalConfig(layout="modelscope", positions=False, norm="pooled", head_width=64)
    mamba = TemporalConfig(layout="modelscope", positions=False, norm="pooled", mamba=MambaConfig(state=STATE))
    made = {
        name: temporal_layer(WIDTH, config, norm_groups=32)
        for name, config in (("mamba", mamba), ("attention", attention))
    }
    times: dict[str, list[float]] = {name: [] for name in made}
    for frames in FRAMES:
        x_NCHW = torch.randn(frames, WIDTH, SIDE, SIDE)
        runs = {name: partial(layer, x_NCHW, frames) for name, layer in made.items()}
        turns = [{name: seconds(run, None) for name, run in runs.items()} for _ in range(repeats)]
        for name, values in times.items():
            values.append(round(1000 * min(turn[name] for turn in turns) / frames, 3))
    return times


def main() -> None:
    """Prints two tables and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    differences, found = [], []
    print("CPU milliseconds, one thread, and the time of transformers over ours")
    for what, build in (("scan", scans), ("layer", layers)):
        for size in SIZES:
            rivals = build(*size)
            differences.append(check(rivals))
            for backward in (False, True):
                row = in_turns(rivals, backward=backward, repeats=arguments.repeats)
                width, sequences, frames = size
                label = f"{what}, {'with gradients' if backward else 'forward'}"
                print(
                    f"  {label:24}{width:6}{sequences:5}{frames:4}{row['ours_ms']:9}{row['peer_ms']:9}{row['ratio']:7}"
                )
                found.append(
                    {
                        "what": what,
                        "backward": backward,
                        "width": width,
                        "sequences": sequences,
                        "frames": frames,
                        **row,
                    }
                )
    per_frame = over_frames(arguments.repeats)
    print(f"milliseconds per frame over {', '.join(str(frames) for frames in FRAMES)} frames")
    for name, values in per_frame.items():
        print(f"  {name:12}" + "".join(f"{value:8.3f}" for value in values))
    print(
        json.dumps(
            {
                "benchmark": "mamba",
                "runs": found,
                "largest_difference": max(differences),
                "frames": FRAMES,
                "ms_per_frame": per_frame,
                "growth_per_frame": {name: round(values[-1] / values[0], 2) for name, values in per_frame.items()},
            }
        )
    )


if __name__ == "__main__":
    main()
