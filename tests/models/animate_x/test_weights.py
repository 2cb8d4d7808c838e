from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from golden import GOLDEN, GoldenCase, golden_case
from golden_animate_x import config_of
from golden_weights import read_shapes, sinusoidal_table

from models.animate_x.config import ANIMATE_X, UNIANIMATE, AnimateXConfig
from models.animate_x.network import AnimateX
from models.animate_x.system import ANIMATE_X_WEIGHTS, UNIANIMATE_WEIGHTS
from models.animate_x.weights import _renamed, load_published
from models.common.digest import CheckpointError

ANIMATE_X_FILE = ANIMATE_X_WEIGHTS.files[0].name
UNIANIMATE_FILE = UNIANIMATE_WEIGHTS.files[0].name


@pytest.fixture(scope="module")
def case() -> GoldenCase:
    return golden_case("animate_x_tiny")


@pytest.fixture
def file(case: GoldenCase, tmp_path: Path) -> Path:
    case.write_checkpoints(tmp_path)
    return tmp_path / ANIMATE_X_FILE


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    whole = torch.load(path, weights_only=True)
    change(whole["state_dict"])
    torch.save(whole, path)


@pytest.mark.parametrize(
    ("config", "file", "keys"), [(ANIMATE_X, ANIMATE_X_FILE, 2100), (UNIANIMATE, UNIANIMATE_FILE, 1544)]
)
def test_every_published_key_of_the_released_size_has_its_place(config: AnimateXConfig, file: str, keys: int) -> None:
    shapes = read_shapes(GOLDEN / "released_keys" / Path(file).with_suffix(".json"))
    assert len(shapes) == keys
    tensors = {
        key: torch.from_numpy(sinusoidal_table(shape))
        if key.endswith("pos_table")
        else torch.empty(shape, device="meta")
        for key, shape in shapes.items()
    }
    with torch.device("meta"):
        expected = AnimateX(config).state_dict()
    renamed = _renamed(tensors, config.unet, Path(file))
    assert {key: value.shape for key, value in renamed.items()} == {key: value.shape for key, value in expected.items()}


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("1 missing", lambda tensors: tensors.pop("input_blocks.1.1.pose_attention.norm_p.weight")),
        ("1 missing", lambda tensors: tensors.pop("output_blocks.2.1.conv.bias")),
        ("1 unexpected", lambda tensors: tensors.update({"input_blocks.11.1.norm.weight": torch.zeros(3)})),
        ("1 misshapen", lambda tensors: tensors.update({"out.2.weight": torch.zeros(3)})),
        ("no table of sinusoidal", lambda tensors: tensors["pose_embedding_before.pos_embed.pos_table"].add_(0.1)),
    ],
)
def test_files_that_are_not_whole_are_refused(
    case: GoldenCase, file: Path, kind: str, change: Callable[[dict[str, torch.Tensor]], None]
) -> None:
    rewrite(file, change)
    with pytest.raises(CheckpointError, match=kind):
        load_published(file, config_of(case))


def test_a_truncated_and_an_absent_file_are_named(case: GoldenCase, file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(CheckpointError, match=f"cannot read the checkpoint .*{ANIMATE_X_FILE}"):
        load_published(file, config_of(case))
    file.unlink()
    with pytest.raises(CheckpointError, match=ANIMATE_X_FILE):
        load_published(file, config_of(case))


def test_unianimates_file_is_no_animate_x(case: GoldenCase, file: Path) -> None:
    rewrite(file, lambda tensors: [tensors.pop(key) for key in list(tensors) if key.startswith("pose_embedding_")])
    with pytest.raises(CheckpointError, match=r"missing \(indicator\."):
        load_published(file, config_of(case))
