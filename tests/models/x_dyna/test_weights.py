from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from golden import GOLDEN, GoldenCase, golden_case
from golden_weights import read_shapes, sinusoidal_table
from golden_x_dyna import config_of, write_published

from models.common.digest import CheckpointError
from models.common.unet.motion_keys import renamed_motion_keys
from models.weights.resolve import find, place
from models.x_dyna.config import FACE_FILE, POSE_FILE, UNET_FILE, XDynaConfig
from models.x_dyna.network import XDyna
from models.x_dyna.system import X_DYNA_WEIGHTS
from models.x_dyna.weights import load_published


@pytest.fixture(scope="module")
def case() -> GoldenCase:
    return golden_case("x_dyna_tiny")


@pytest.fixture(scope="module")
def published(case: GoldenCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(case, tmp_path_factory.mktemp("published"))


@pytest.fixture
def folder(published: Path, tmp_path: Path) -> Path:
    return copytree(published, tmp_path / "copy")


def rewrite(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    whole = torch.load(path, weights_only=True)
    change(whole["state_dict"])
    torch.save(whole, path)


@pytest.fixture(scope="module")
def released() -> XDyna:
    with torch.device("meta"):
        return XDyna(XDynaConfig())


@pytest.mark.parametrize(
    ("part", "file", "keys"),
    [("denoiser", UNET_FILE, 1326), ("pose_control", POSE_FILE, 340), ("face_control", FACE_FILE, 340)],
)
def test_every_published_key_of_the_released_size_has_its_place(
    released: XDyna, part: str, file: str, keys: int
) -> None:
    shapes = read_shapes(GOLDEN / "released_keys" / Path(file).with_suffix(".json").name)
    assert len(shapes) == keys
    tensors = {
        key: torch.from_numpy(sinusoidal_table(shape))
        if key.endswith("pos_encoder.pe")
        else torch.empty(shape, device="meta")
        for key, shape in shapes.items()
    }
    renamed = renamed_motion_keys(tensors, Path(file))
    expected = released.get_submodule(part).state_dict()
    assert {key: value.shape for key, value in renamed.items()} == {key: value.shape for key, value in expected.items()}


def test_files_lie_where_the_publishers_repository_has_them(case: GoldenCase, published: Path, tmp_path: Path) -> None:
    copytree(published, place(X_DYNA_WEIGHTS, X_DYNA_WEIGHTS.files[0], tmp_path).parents[1])
    network = load_published(find(X_DYNA_WEIGHTS, tmp_path).path, config_of(case))
    assert not network.training
    assert not any(parameter.is_meta for parameter in network.parameters())


UNET_KEY = "module.down_blocks.0.attentions.0.transformer_blocks.0.attn1."
MOTION_KEY = "module.up_blocks.0.motion_modules.0.temporal_transformer."


@pytest.mark.parametrize(
    ("file", "words", "change"),
    [
        (UNET_FILE, r"1 missing \(down_blocks.0.*to_q_ff", lambda t: t.pop(f"{UNET_KEY}to_q_ff.weight")),
        (UNET_FILE, "1 missing", lambda t: t.pop(f"{MOTION_KEY}proj_out.bias")),
        (UNET_FILE, r"1 unexpected \(mid_block.motion", lambda t: t.update({"mid_block.motion.w": torch.zeros(3)})),
        (
            UNET_FILE,
            r"1 misshapen \(conv_out.bias \(3,\)",
            lambda t: t.update({"module.conv_out.bias": torch.zeros(3)}),
        ),
        (
            UNET_FILE,
            "no table of sinusoidal",
            lambda t: t[f"{MOTION_KEY}transformer_blocks.0.attention_blocks.1.pos_encoder.pe"].add_(0.1),
        ),
        (POSE_FILE, r"1 missing \(controlnet_mid_block", lambda t: t.pop("module.controlnet_mid_block.weight")),
        (FACE_FILE, r"1 missing \(conv_in.bias", lambda t: t.pop("module.conv_in.bias")),
    ],
)
def test_files_that_are_not_whole_are_refused(
    case: GoldenCase, folder: Path, file: str, words: str, change: Callable[[dict[str, torch.Tensor]], object]
) -> None:
    rewrite(folder / file, change)
    with pytest.raises(CheckpointError, match=f"{Path(file).name}.*{words}"):
        load_published(folder, config_of(case))


def test_the_pose_control_net_is_no_face_control_net(case: GoldenCase, folder: Path) -> None:
    (folder / FACE_FILE).write_bytes((folder / POSE_FILE).read_bytes())
    with pytest.raises(CheckpointError, match=r"1 misshapen \(controlnet_cond_embedding.conv_in.weight"):
        load_published(folder, config_of(case))


@pytest.mark.parametrize("file", [UNET_FILE, POSE_FILE, FACE_FILE])
def test_an_absent_file_is_named(case: GoldenCase, folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=Path(file).name):
        load_published(folder, config_of(case))
    if file == FACE_FILE:
        assert load_published(folder, replace(config_of(case), face=False)).face_control is None
