"""The networks of measures at reduced width: files, windows, batches and unusual clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in_weights
import torch
from golden import GOLDEN
from golden_weights import read_shapes
from numpy.typing import NDArray
from stand_in_metric_weights import DIVISOR, TINY, expect_tiny
from torch import nn

from models.catalogue import CATALOGUE
from models.common.digest import CheckpointError
from models.metrics.networks.i3d import I3d
from models.metrics.networks.inception import InceptionV3
from models.metrics.networks.lpips import Heads, Lpips, Vgg16
from models.metrics.networks.resnet3d import ResNet3d
from models.metrics.networks.windows import windows
from models.weights.resolve import place
from stages.backends.base import Loading
from stages.backends.features import FEATURES, LPIPS, FeatureNetwork

WIDTHS = {"fid": 2048 // DIVISOR, "fid_vid": 2048 // DIVISOR, "fvd": 400, "cd_fvd": 48, "dtfvd": 1024 // DIVISOR}
FRAMES_OF_TWO_FEATURES = {"fid": 2, "fid_vid": 17, "fvd": 17, "cd_fvd": 33, "dtfvd": 33}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    stand_in_weights.fill(folder, TINY, makers=TINY)
    return folder


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    expect_tiny(monkeypatch)


def path_of(weights: Path, name: str) -> Path:
    return place(CATALOGUE[name], CATALOGUE[name].files[0], weights)


def load(table: Any, name: str, weights: Path) -> Any:
    (parts,) = table[name].models.values()
    paths = tuple(path_of(weights, part) for part in parts)
    return table[name].load(Loading(paths=paths, device="cpu", allow_torchscript=False))


def clip(num_frames: int, seed: int = 0, size_px: tuple[int, int] = (24, 20)) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, *size_px, 3), dtype=np.uint8)


def close(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * float(np.abs(theirs).max()))


@pytest.mark.parametrize(
    ("build", "released", "prefix"),
    [
        (InceptionV3, "pt_inception-2015-12-05-6726825d", ""),
        (ResNet3d, "resnet-50-kinetics", "module."),
        (I3d, "i3d_pretrained_400", ""),
        (Vgg16, "vgg16-397923af", ""),
        (Heads, "lpips-vgg", ""),
    ],
)
def test_the_released_files_fit(build: Callable[[], nn.Module], released: str, prefix: str) -> None:
    with torch.device("meta"):
        ours = {prefix + key: list(value.shape) for key, value in build().state_dict().items()}
    shapes = read_shapes(GOLDEN / "released_keys" / f"{released}.json")
    assert ours == {key: shape for key, shape in shapes.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parametrize("name", WIDTHS)
def test_features_are_float32_and_repeatable(weights: Path, name: str) -> None:
    network: FeatureNetwork = load(FEATURES, name, weights)
    frames = clip(FRAMES_OF_TWO_FEATURES[name])
    features = network.features(frames)
    assert features.shape == (2, WIDTHS[name])
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.ptp(features, axis=0).max() > 1e-3
    np.testing.assert_array_equal(features, network.features(frames))
    flipped = np.ascontiguousarray(frames[:, ::-1])
    np.testing.assert_array_equal(features, network.features(flipped[:, ::-1]))  # a view is as good as a copy


@pytest.mark.parametrize("name", ["fid_vid", "fvd"])
def test_every_frame_with_fifteen_others_behind_it_begins_a_window(
    weights: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.metrics.networks.windows.BATCH_WINDOWS", 2)
    network: FeatureNetwork = load(FEATURES, name, weights)
    frames = clip(18)
    features = network.features(frames)
    assert len(features) == 3
    for start in range(3):  # the first batch, and the next one with a single window
        close(network.features(frames[start : start + 16])[0], features[start])


@pytest.mark.parametrize(("name", "num_frames"), [("fid", 0), ("fid_vid", 15), ("fvd", 15), ("fvd", 1)])
def test_a_clip_shorter_than_the_window_has_no_features(weights: Path, name: str, num_frames: int) -> None:
    network: FeatureNetwork = load(FEATURES, name, weights)
    features = network.features(clip(num_frames))
    assert features.shape == (0, WIDTHS[name])
    assert features.dtype == np.float32


def test_batches_do_not_change_the_features_of_frames(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.metrics.networks.inception.BATCH_FRAMES", 2)
    network: FeatureNetwork = load(FEATURES, "fid", weights)
    frames = clip(5)
    features = network.features(frames)
    for index in (0, 1, 2, 4):
        close(network.features(frames[index : index + 1])[0], features[index])


@pytest.mark.parametrize("size_px", [(1, 1), (3, 301), (16, 9)])
def test_frames_of_any_size_have_features(weights: Path, size_px: tuple[int, int]) -> None:
    for name in WIDTHS:
        assert np.isfinite(load(FEATURES, name, weights).features(clip(16, size_px=size_px))).all()


def test_windows_prepare_each_frame_once() -> None:
    seen: list[int] = []

    def prepare(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        seen.append(int(frame[0, 0, 0]))
        return frame.astype(np.float32)

    frames = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 2, 3, 3))
    batches = list(windows(frames, prepare))
    assert seen == list(range(40))
    assert [batch.shape for batch in batches] == [(8, 3, 16, 2, 3)] * 3 + [(1, 3, 16, 2, 3)]
    firsts = np.concatenate([batch[:, 0, :, 0, 0] for batch in batches])
    np.testing.assert_array_equal(firsts, np.arange(25)[:, None] + np.arange(16))


def test_lpips_of_identical_frames_is_zero_and_grows_with_noise(weights: Path) -> None:
    lpips: Lpips = load(LPIPS, "lpips", weights)
    truth = clip(3, size_px=(32, 40))
    noise = np.random.default_rng(1).normal(0, 1, truth.shape)
    distances = [
        lpips.distances(np.clip(truth + std * noise, 0, 255).astype(np.uint8), truth) for std in (0.0, 10.0, 60.0)
    ]
    for none, little, much in zip(*distances, strict=True):
        np.testing.assert_array_equal(none, 0)
        assert (little < much).all()
        assert (little > 0).all()


def test_lpips_is_symmetric_and_of_each_frame_alone(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lpips: Lpips = load(LPIPS, "lpips", weights)
    animation, truth = clip(5, 1, (32, 33)), clip(5, 2, (32, 33))
    whole = lpips.distances(animation, truth)
    for ours, swapped in zip(whole, lpips.distances(truth, animation), strict=True):
        close(swapped, ours)
    monkeypatch.setattr("models.metrics.networks.lpips.BATCH_PIXELS", 2 * 32 * 33)
    for ours, batched in zip(whole, lpips.distances(animation, truth), strict=True):
        close(batched, ours)
    assert not np.allclose(*whole, rtol=1e-2)  # the two ways of feeding it


def test_lpips_names_frames_that_it_cannot_compare(weights: Path) -> None:
    lpips: Lpips = load(LPIPS, "lpips", weights)
    assert lpips.distances(clip(1, 1, (16, 16)), clip(1, 2, (16, 16)))[0].shape == (1,)
    with pytest.raises(ValueError, match="20 × 15 px are too small for LPIPS, which needs 16 px"):
        lpips.distances(clip(1, size_px=(15, 20)), clip(1, size_px=(15, 20)))
    with pytest.raises(ValueError, match=r"\(2, 16, 16, 3\) cannot be compared with \(1, 16, 16, 3\)"):
        lpips.distances(clip(2, size_px=(16, 16)), clip(1, size_px=(16, 16)))


@pytest.mark.parametrize("part", ["fid-inception", "resnet3d-50-kinetics", "i3d-kinetics-400", "lpips-heads"])
@pytest.mark.parametrize(
    ("change", "message"), [("drop", "1 missing"), ("add", "1 unexpected"), ("reshape", "1 misshapen")]
)
def test_an_incomplete_or_foreign_file_is_refused(
    weights: Path, tmp_path: Path, part: str, change: str, message: str
) -> None:
    stand_in_weights.fill(tmp_path, [part], makers=TINY)
    path = path_of(tmp_path, part)
    file = torch.load(path, weights_only=True)
    tensors = file.get("state_dict", file)
    key = list(tensors)[-1]
    if change == "drop":
        del tensors[key]
    elif change == "add":
        tensors["other.weight"] = torch.zeros(1)
    else:
        tensors[key] = torch.zeros(7, 7)
    torch.save(file, path)
    table, name = next(
        (table, name)
        for table in (FEATURES, LPIPS)
        for name in table
        if part in next(iter(table[name].models.values()))
    )
    for other in next(iter(table[name].models.values())):
        if other != part:
            path_of(tmp_path, other).parent.mkdir(parents=True)
            path_of(tmp_path, other).symlink_to(path_of(weights, other))
    with pytest.raises(CheckpointError, match=message):
        load(table, name, tmp_path)


def test_vgg_without_its_classifier_is_refused(weights: Path, tmp_path: Path) -> None:
    tensors = torch.load(path_of(weights, "lpips-vgg16"), weights_only=True)
    path = tmp_path / "vgg16.pth"
    torch.save({key: value for key, value in tensors.items() if not key.startswith("classifier")}, path)
    with pytest.raises(CheckpointError, match=r"6 missing \(classifier\.0\.weight"):
        Lpips(path, path_of(weights, "lpips-heads"))


def test_networks_are_frozen(weights: Path) -> None:
    network = load(FEATURES, "fid", weights).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
