from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_animation import ToyAnimator, ToyModel, failing_model, toy_model

from models.animation.animator import Animation, AnimationInputs, OnStep
from models.animation.system import LoadOptions
from stages.animate.diffusion import PROGRESS, AnimateConfig, AnimateStage
from stages.base import Row
from stages.chain import run_row
from stages.io.storage import Storage


def row(request_id: str = "a", model: str = "toy", **changes: Any) -> Row:
    rng = np.random.default_rng(1)
    return {
        "request_id": request_id,
        "model": model,
        "model_digest": f"sha256:{model}",
        "seed": 5,
        "num_steps": None,
        "guidance_scale": None,
        "long_video": None,
        "reference_image": rng.integers(0, 255, (16, 8, 3), dtype=np.uint8),
        "skeleton_frames": rng.integers(0, 255, (4, 16, 8, 3), dtype=np.uint8),
        "retarget_fallbacks": [],
        "driving_fallbacks": [],
        "signals": {"driving_keypoints": rng.random((4, 133, 3), dtype=np.float32)},
        **changes,
    }


def opened(models: dict[str, ToyModel], config: AnimateConfig | None = None, **rest: Any) -> AnimateStage:
    stage = AnimateStage(config or AnimateConfig(device="cpu"), models, **rest)
    stage.open()
    return stage


def run(stage: AnimateStage, one: Row) -> Row:
    return run_row(one, [stage], {"animate": "k"})


def test_process_returns_frames_fallbacks_and_device() -> None:
    done = run(opened({"toy": toy_model()}), row())
    assert done["animation_frames"].shape == (4, 16, 8, 3)
    assert (done["fallbacks"], done["device"]) == (["window_batch=1"], "cpu")
    assert done["window_borders"] == [2]
    retargeted, lost = "retarget_limbs=thighs as shins", "no_sound=UnsupportedCodec"
    done = run(opened({"toy": toy_model()}), row(retarget_fallbacks=[retargeted], driving_fallbacks=[lost]))
    assert done["fallbacks"] == [retargeted, "window_batch=1", lost]


def test_results_do_not_depend_on_earlier_requests() -> None:
    models = {"toy": toy_model(), "other": toy_model("other")}
    alone = run(opened(models), row())["animation_frames"]
    stage = opened(models)
    for before in (row("x", seed=9), row("y", model="other")):
        run(stage, before)
    np.testing.assert_array_equal(run(stage, row())["animation_frames"], alone)
    assert (run(stage, row(seed=6))["animation_frames"] != alone).any()


def test_settings_reach_the_model(tmp_path: Path) -> None:
    given: list[AnimationInputs] = []
    options: list[LoadOptions] = []

    class Recorder(ToyAnimator):
        def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
            given.append(inputs)
            return super().animate(inputs, on_step=on_step)

    class Logged(ToyModel):
        def load(self, how: LoadOptions) -> Recorder:
            options.append(how)
            return Recorder(name="toy")

    model = Logged()
    config = AnimateConfig(device="cpu", dtype="bfloat16", compile=True, weights=str(tmp_path))
    stage = opened({"toy": model}, config)
    run(stage, row(num_steps=7, guidance_scale=2.0))
    run(stage, row(long_video="chain"))
    assert options == [LoadOptions(weights=str(tmp_path), device="cpu", dtype="bfloat16", compile=True)]
    expected = row()
    for name, array in expected["signals"].items():
        np.testing.assert_array_equal(given[0].signals[name], array)
    assert (given[0].seed, given[0].num_steps, given[0].guidance_scale) == (5, 7, 2.0)
    assert [inputs.long_video for inputs in given] == ["windows", "chain"]


def test_a_model_is_loaded_once_and_timed_separately(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stage = opened({name: toy_model(name, log=log) for name in ("a", "b")})
    done = [run(stage, row(str(i), model=name)) for i, name in enumerate("aaabb")]
    assert log.read_text().split("\n") == ["a cpu auto", "b cpu auto", ""]
    assert ["animate.load" in one["seconds_by_stage"] for one in done] == [True, False, False, True, False]
    # New weights under the same name count as another model.
    run(stage, row("z", model="b", model_digest="sha256:new"))
    assert log.read_text().count("b cpu") == 2


def test_out_of_memory_fails_only_the_row() -> None:
    models = {"toy": toy_model(), "failing": failing_model(lambda: torch.OutOfMemoryError("CUDA out of memory"))}
    stage = opened(models)
    done = run(stage, row(model="failing"))
    assert (done["status"], done["reason"]) == ("failed", "OutOfMemory")
    assert "4 x 16 x 8 (frames, height, width) do not fit: CUDA out of memory" in done["message"]
    assert run(stage, row())["status"] == "ok"


def test_wrong_number_of_frames_is_an_error() -> None:
    class Short(ToyAnimator):
        def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
            return Animation(frames_THWC=inputs.pose_THWC[:-1])

    model = ToyModel(animator=Short)
    done = run(opened({"toy": model}), row())
    assert done["reason"] == "UnexpectedError"
    assert "toy returned frames of shape (3, 16, 8, 3), expected (4, 16, 8, 3)" in done["message"]


def test_progress_is_published_and_deleted(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    seen: list[dict[str, Any]] = []

    class Watched(ToyAnimator):
        def animate(self, inputs: AnimationInputs, *, on_step: OnStep | None = None) -> Animation:
            assert on_step is not None
            for step in range(3):
                on_step(step + 1, 3)
                seen.extend(json.loads(storage.read(name)) for name in storage.names(PROGRESS))
            raise RuntimeError("asked for")

    model = ToyModel(animator=Watched)
    config = AnimateConfig(device="cpu", progress_seconds=0.0)
    run(opened({"toy": model}, config, progress=storage), row())
    assert seen == [{"request_id": "a", "step": step, "num_steps": 3} for step in (1, 2, 3)]
    assert storage.names(PROGRESS) == []
    seen.clear()
    run(opened({"toy": model}, AnimateConfig(device="cpu", progress_seconds=60.0), progress=storage), row())
    run(opened({"toy": model}, config), row())
    assert seen == []


def test_rejects_an_unknown_dtype() -> None:
    with pytest.raises(ValueError, match="unknown dtype 'float8', expected one of auto, float32"):
        AnimateConfig(dtype="float8")  # type: ignore[arg-type]
