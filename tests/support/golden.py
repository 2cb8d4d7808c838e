"""Numbers that the public implementations computed, and the weights they computed them with."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.animate_anyone.config import MOORE, AnimateAnyoneConfig

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"


@dataclass(frozen=True)
class GoldenCase:
    """One case of numbers that a public implementation computed."""

    folder: Path
    description: dict[str, Any]
    rule: ModuleType

    def inputs(self) -> dict[str, Tensor]:
        """The named inputs; what a case says to edit in them is not done."""
        return {
            name: torch.from_numpy(self.rule.input_for(name, **{k: v for k, v in spec.items() if k != "edit"}))
            for name, spec in self.description["inputs"].items()
        }

    def outputs(self) -> dict[str, Tensor]:
        return load_file(self.folder / "outputs.safetensors")

    def stored(self, name: str, whole: Tensor) -> Tensor:
        """The part of an output that was kept."""
        for call in self.description["calls"]:
            kept = call["outputs"].get(name)
            if kept is not None and "stored" in kept:
                return whole[tuple(slice(*part) for part in kept["stored"])]
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

    def write_checkpoints(self, folder: Path) -> None:
        """The published files, with the case's weights."""
        folder.mkdir(exist_ok=True)
        for file in self.description["checkpoints"]:
            self.rule.write_pth(str(self.folder / file["spec"]), folder / file["file"], file["seed"], file["layout"])


def golden_case(name: str) -> GoldenCase:
    if not GOLDEN.is_dir():
        pytest.skip("the golden numbers are not beside this checkout")
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "golden_weights.py")
    assert spec is not None
    assert spec.loader is not None
    rule = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rule)
    return GoldenCase(GOLDEN / name, json.loads((GOLDEN / name / "case.json").read_text()), rule)
