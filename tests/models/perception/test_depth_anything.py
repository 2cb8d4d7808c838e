from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from stand_in_networks import save_depth_anything

from models.common.digest import CheckpointError
from models.perception.depth_anything import MEAN, STD, DepthAnything, input_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("depth-anything")
    save_depth_anything(folder)
    return folder


def noise(num_frames: int = 3) -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (num_frames, 8, 10, 3), dtype=np.uint8)
    return small.repeat(8, 1).repeat(8, 2)


def raw(network: DepthAnything, frames: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        maps = network.network(network.pixels(frames)).predicted_depth
    resized = torch.nn.functional.interpolate(maps[:, None], frames.shape[1:3], mode="bicubic", align_corners=False)
    return resized[:, 0].numpy()


def test_inverse_depth_is_inverted_with_one_scale_per_clip(folder: Path) -> None:
    network = DepthAnything(folder)
    frames = noise(11)
    depth, inverse = network.depth(frames), raw(network, frames)
    assert depth.shape == frames.shape[:3]
    assert inverse.std() > 0
    assert depth.argmin() == inverse.argmax()
    assert depth.min() == 0
    assert np.allclose(depth, inverse.max() - inverse, atol=1e-4)


def test_metric_depth_is_unchanged(tmp_path: Path) -> None:
    save_depth_anything(tmp_path, metric=True)
    network = DepthAnything(tmp_path)
    assert not network.near_is_large
    assert np.allclose(network.depth(noise()), raw(network, noise()), atol=1e-4)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [((480, 640), (518, 686)), ((896, 512), (910, 518)), ((1080, 1920), (518, 924)), ((518, 518), (518, 518))],
)
def test_input_sizes_match_the_published_processor(frame: tuple[int, int], expected: tuple[int, int]) -> None:
    """The expected ones were computed with transformers' `get_resize_output_image_size`."""
    assert input_size(*frame, side_px=518, multiple_px=14) == expected


def test_pixels_are_antialiased_bicubic_in_uint8(folder: Path) -> None:
    frames = noise(2)
    pixels = DepthAnything(folder).pixels(frames).numpy().transpose(0, 2, 3, 1)
    levels = pixels * np.array(STD, np.float32) + np.array(MEAN, np.float32)
    pillow = np.asarray(Image.fromarray(frames[1]).resize(levels.shape[2:0:-1], Image.Resampling.BICUBIC))
    assert np.abs(levels[1] - pillow).max() < 1.01


def test_a_truncated_file_gives_a_one_line_error(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(CheckpointError, match="cannot load a DepthAnything"):
        DepthAnything(tmp_path / "cut")
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        DepthAnything(tmp_path / "nowhere")


def test_a_black_clip_has_a_depth(folder: Path) -> None:
    assert np.isfinite(DepthAnything(folder).depth(np.zeros((2, 30, 30, 3), np.uint8))).all()


@pytest.mark.weights
def test_published_weights_give_nearer_depth_towards_the_camera(shared_media: Path) -> None:
    if not os.environ.get("ZOETROPE_TEST_DEPTH_ANYTHING"):
        pytest.skip("set ZOETROPE_TEST_DEPTH_ANYTHING to a folder of depth-anything/Depth-Anything-V2-Small-hf")
    picture = Image.open(shared_media / "reference" / "animatex_3.jpeg").convert("RGB")
    depth = DepthAnything(Path(os.environ["ZOETROPE_TEST_DEPTH_ANYTHING"])).depth(np.asarray(picture)[None])[0]
    assert depth[-depth.shape[0] // 8 :].mean() < depth[: depth.shape[0] // 8].mean()
