"""Parity cases: outputs of the public implementations, stored in `tests/golden`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import golden_weights
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from models.animate_anyone.config import MOORE, AnimateAnyoneConfig

REPOSITORY = Path(__file__).resolve().parents[2]
GOLDEN = REPOSITORY / "tests" / "golden"
OPTIONAL_GOLDEN = REPOSITORY.parent / "shared" / "golden"
"""Cases of the released network sizes, and the pictures of the other cases; not part of the repository."""

TINY_NETWORKS = ("moore_tiny", "musepose_tiny", "unianimate_tiny", "animate_x_tiny", "x_dyna_tiny")


@dataclass(frozen=True)
class GoldenCase:
    """Inputs, weights and expected outputs of one network."""

    folder: Path
    description: dict[str, Any]

    def inputs(self) -> dict[str, Tensor]:
        """The named inputs, without the changes that their `edit` entries describe."""
        return {
            name: torch.from_numpy(golden_weights.network_input(name, **{k: v for k, v in spec.items() if k != "edit"}))
            for name, spec in self.description["inputs"].items()
        }

    def outputs(self) -> dict[str, Tensor]:
        return load_file(self.folder / "outputs.safetensors")

    def stored(self, name: str, whole: Tensor) -> Tensor:
        """The part of an output that the case stores."""
        for call in self.description["calls"]:
            output = call["outputs"].get(name)
            if output is not None and "stored" in output:
                return whole[tuple(slice(*part) for part in output["stored"])]
        return whole

    def parameters(self, call: str) -> dict[str, Any]:
        return next(c for c in self.description["calls"] if c["name"] == call)["params"]

    def config(self) -> AnimateAnyoneConfig:
        unet = self.description["config"]["unet"]
        table = unet["motion_module_kwargs"]["temporal_position_encoding_max_len"]
        return replace(
            MOORE,
            unet=replace(
                MOORE.unet, widths=tuple(unet["block_out_channels"]), context_width=unet["cross_attention_dim"]
            ),
            temporal=replace(MOORE.temporal, max_frames=table),
            schedule=replace(MOORE.schedule, betas=self.description["config"]["scheduler"]["beta_schedule"]),
        )

    def state_dict(self, checkpoint: dict[str, Any]) -> dict[str, Tensor]:
        """Generated weights of one entry of the case's `checkpoints`."""
        shapes = golden_weights.read_shapes(self.folder / checkpoint["spec"])
        return golden_weights.state_dict(shapes, checkpoint["seed"])

    def write_checkpoints(self, folder: Path) -> None:
        """Writes the checkpoint files under their published names and in their published layout."""
        folder.mkdir(exist_ok=True)
        for checkpoint in self.description["checkpoints"]:
            self.write_checkpoint(checkpoint, folder / checkpoint["file"])

    def write_checkpoint(self, checkpoint: dict[str, Any], path: Path) -> None:
        """Writes one entry of the case's `checkpoints` in its published layout."""
        path.parent.mkdir(parents=True, exist_ok=True)
        golden_weights.write_checkpoint(path, self.state_dict(checkpoint), checkpoint["layout"])


def golden_case(name: str) -> GoldenCase:
    """A case of `tests/golden`, or one of a released size from the folder of optional data."""
    folder = GOLDEN / name
    if name.endswith(("_full", "_full_res")):
        folder = optional_golden(name)
    return GoldenCase(folder, json.loads((folder / "case.json").read_text()))


def optional_golden(name: str) -> Path:
    """Folder of a case with pictures or of a released size; skips where it is absent."""
    folder = OPTIONAL_GOLDEN / name
    if not folder.is_dir():
        pytest.skip(f"no optional golden data: {name} has pictures or weights of a released size")
    return folder


def drawings(images_N3HW: Tensor) -> NDArray[np.uint8]:
    """Images with values 0–1 in the layout of skeleton drawings, (N, H, W, 3) with levels 0–255, but not rounded to
    whole levels: the public code's inputs are not.
    """
    levels: NDArray[np.uint8] = (255 * images_N3HW.movedim(-3, -1)).numpy()
    return levels
