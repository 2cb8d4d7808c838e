from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import ray.cloudpickle
from small_jobs import small_config
from toy_animation import toy_model

from models.common.digest import CheckpointError
from pipelines.animate import KEY_COLUMNS, STAGE_NAMES, WRITTEN, AnimationConfig, scene_weights, steps
from pipelines.engine.keys import stage_keys
from pipelines.engine.schema import REQUEST_COLUMNS, RESOLVED_COLUMNS
from pipelines.engine.steps import Workers, check, fuse
from stages.animate.diffusion import AnimateConfig
from stages.io.storage import Storage
from stages.prepare.character_mask import CharacterMaskConfig
from stages.prepare.depth import DepthConfig

PUPPETS = small_config().animate
WORKERS = dict.fromkeys(STAGE_NAMES, Workers())
GPU_WORKERS = {**WORKERS, "animate": Workers(gpus=1.0)}


def test_pipeline_is_valid_and_every_column_has_a_type(tmp_path: Path) -> None:
    made = steps(PUPPETS, WORKERS, Storage(str(tmp_path)), models={})
    assert tuple(step.stage.name for step in made) == STAGE_NAMES
    check(made, [*REQUEST_COLUMNS, *RESOLVED_COLUMNS, "work_key"])
    durable = frozenset().union(*(step.stage.writes - step.stage.transient for step in made))
    assert durable == WRITTEN.keys()
    assert len(fuse(made)) == 1
    assert len(fuse(steps(PUPPETS, GPU_WORKERS, Storage(str(tmp_path)), models={}))) == 3


def test_a_worker_without_a_gpu_uses_the_cpu(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))

    def device(workers: dict[str, Workers], config: AnimationConfig | None = None) -> str:
        made = {step.stage.name: step.stage for step in steps(config or PUPPETS, workers, storage, models={})}
        return str(made["animate"].config.device)

    assert device(WORKERS) == "cpu"
    assert device(GPU_WORKERS) == "auto"
    assert device(WORKERS, dataclasses.replace(PUPPETS, animate=AnimateConfig(device="cuda:1"))) == "cuda:1"


def test_device_and_compile_settings_are_not_in_keys(tmp_path: Path) -> None:
    def keys(config: AnimationConfig) -> dict[str, str]:
        return stage_keys([step.stage for step in steps(config, WORKERS, Storage(str(tmp_path)), models={})])

    plain = keys(PUPPETS)
    elsewhere = AnimateConfig(device="cuda", compile=True, weights="/weights", progress_seconds=1.0)
    assert keys(dataclasses.replace(PUPPETS, animate=elsewhere)) == plain
    changed = keys(dataclasses.replace(PUPPETS, animate=AnimateConfig(dtype="bfloat16")))
    assert {name for name in plain if plain[name] != changed[name]} == {"animate", "publish"}


def test_weights_of_masks_and_depth_are_a_column_and_no_part_of_stage_keys(tmp_path: Path) -> None:
    """Other models need none of these files."""
    config = dataclasses.replace(
        PUPPETS,
        driving_mask=CharacterMaskConfig(backend="sam2", weights="/nowhere"),
        driving_depth=DepthConfig(backend="depth-anything", weights="/nowhere"),
    )
    assert stage_keys([step.stage for step in steps(config, WORKERS, Storage(str(tmp_path)), models={})])
    with pytest.raises(CheckpointError, match="sam2"):
        scene_weights(config)
    names = json.loads(scene_weights(PUPPETS))
    assert len(names) >= 3
    assert all(digest.startswith("sha256:") for digest in names.values())


def test_location_of_a_clip_is_not_in_its_key() -> None:
    assert {"scene_weights", "objects", "character_scale"} <= set(KEY_COLUMNS)
    assert {"clip_key", "driving_uri", "reference_stamp", "model_digest", "seed", "retarget"} <= set(KEY_COLUMNS)
    assert not {"clip", "clips_uri", "request_id", "model_spec"} & set(KEY_COLUMNS)


def test_steps_can_be_pickled(tmp_path: Path) -> None:
    made = steps(PUPPETS, WORKERS, Storage(str(tmp_path)), models={"toy": toy_model()}, publish_progress=True)
    there = ray.cloudpickle.loads(ray.cloudpickle.dumps([step.stage for step in made]))
    assert there[-2].progress.url == str(tmp_path)
    assert there[-2].models["toy"].variant.short_side_px == 64
