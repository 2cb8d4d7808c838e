from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import GoldenCase, golden_case

from models.animate_anyone.weights import PUBLISHED_FILES, load_published
from models.common.digest import CheckpointError
from models.common.unet.unet import is_temporal


@pytest.fixture(scope="module")
def case() -> GoldenCase:
    return golden_case("moore_tiny")


@pytest.fixture
def files(case: GoldenCase, tmp_path: Path) -> Path:
    case.write_checkpoints(tmp_path)
    return tmp_path


def rewrite(path: Path, change: object) -> None:
    tensors = torch.load(path, weights_only=True)
    change(tensors)  # type: ignore[operator]
    torch.save(tensors, path)


def test_temporal_layers_may_lie_in_the_denoisers_file_and_then_win(case: GoldenCase, files: Path) -> None:
    apart = load_published(files, case.config())
    motion = torch.load(files / "motion_module.pth", weights_only=True)
    rewrite(files / "denoising_unet.pth", lambda tensors: tensors.update(motion))
    rewrite(
        files / "motion_module.pth",
        lambda tensors: [tensor.zero_() for key, tensor in tensors.items() if ".pe" not in key],
    )
    together = load_published(files, case.config())
    temporal = [name for name, _ in apart.named_parameters() if is_temporal(name)]
    assert temporal
    assert all(torch.equal(apart.get_parameter(name), together.get_parameter(name)) for name in temporal)
    (files / "motion_module.pth").unlink()
    load_published(files, case.config())


def test_the_classic_mistake_is_named(case: GoldenCase, files: Path) -> None:
    (files / "motion_module.pth").unlink()
    with pytest.raises(CheckpointError, match=r"no temporal layers: .*motion_module\.pth is absent"):
        load_published(files, case.config())


@pytest.mark.parametrize("name", [name for name in PUBLISHED_FILES if name != "motion_module.pth"])
def test_an_absent_file_is_named(case: GoldenCase, files: Path, name: str) -> None:
    (files / name).unlink()
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        load_published(files, case.config())


@pytest.mark.parametrize("name", PUBLISHED_FILES)
@pytest.mark.parametrize("kind", ["missing", "unexpected", "misshapen", "truncated"])
def test_files_that_are_not_whole_are_refused(case: GoldenCase, files: Path, name: str, kind: str) -> None:
    path = files / name
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-2000])
        words = f"cannot read the checkpoint .*{name}"
    else:
        tensors = torch.load(path, weights_only=True)
        key = next(key for key, value in tensors.items() if value.ndim == 2 or "conv_in.weight" in key)
        if kind == "missing":
            del tensors[key]
        elif kind == "unexpected":
            tensors["another.weight"] = torch.zeros(3)
        else:
            tensors[key] = tensors[key][1:]
        torch.save(tensors, path)
        words = f"1 {kind}"
    with pytest.raises(CheckpointError, match=words):
        load_published(files, case.config())


def test_a_table_that_is_not_sinusoidal_is_refused(case: GoldenCase, files: Path) -> None:
    def shift(tensors: dict[str, torch.Tensor]) -> None:
        key = next(key for key in tensors if key.endswith("pos_encoder.pe"))
        tensors[key] = tensors[key] + 0.1

    rewrite(files / "motion_module.pth", shift)
    with pytest.raises(CheckpointError, match=r"pos_encoder\.pe .* no table of sinusoidal positions"):
        load_published(files, case.config())


def test_files_that_hold_code_are_refused(case: GoldenCase, files: Path) -> None:
    torch.save({"weight": Harmful()}, files / "pose_guider.pth")
    with pytest.raises(CheckpointError, match=r"pose_guider\.pth"):
        load_published(files, case.config())


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('code of a checkpoint ran')",))
