from __future__ import annotations

from pathlib import Path

import pytest
from trained_networks import write_perception

from jobs.engine import config as configuration
from jobs.engine.config import ConfigError, JobConfig
from jobs.engine.presets import PRESETS, SECTIONS
from pipelines.engine.keys import stage_keys
from pipelines.prepare import STAGES, steps


def load(text: str, tmp_path: Path, *assignments: str) -> JobConfig:
    (tmp_path / "job.yaml").write_text(text)
    return configuration.load(tmp_path / "job.yaml", assignments)


def backends(config: JobConfig) -> dict[str, str]:
    sections = ("pose", "depth", "character_mask", "object_masks")
    return {name: getattr(config.prepare, name).backend for name in sections}


@pytest.mark.parametrize("name", PRESETS)
def test_one_line_switches_every_backend(name: str, tmp_path: Path) -> None:
    config = load(f"prepare: {{preset: {name}}}", tmp_path)
    assert backends(config) == {
        "pose": PRESETS[name]["pose"],
        "depth": PRESETS[name]["depth"],
        "character_mask": PRESETS[name]["masks"],
        "object_masks": PRESETS[name]["objects"],
    }


def test_people_is_the_default_of_every_verb(tmp_path: Path) -> None:
    named = [f"{verb}.preset=people" for verb in SECTIONS]
    assert configuration.load(None) == configuration.load(None, named) == JobConfig()
    assert backends(JobConfig())["pose"] == "people"


def test_a_former_name_is_accepted_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    former, now = (load(f"prepare: {{preset: {name}}}", tmp_path) for name in ("embedded", "puppets"))
    assert former == now
    (record,) = caplog.records
    assert "prepare.preset: the preset embedded is now called puppets" in record.getMessage()


def test_what_a_section_says_itself_wins(tmp_path: Path) -> None:
    config = load(
        "prepare: {preset: sapiens-sam2, weights: /models, device: cpu, pose: {backend: dwpose},"
        " object_masks: {model: sam2.1-hiera-tiny, weights: /mine}}",
        tmp_path,
        "prepare.character_mask.backend=embedded",
    )
    assert backends(config) == {
        "pose": "dwpose",
        "depth": "sapiens",
        "character_mask": "embedded",
        "object_masks": "sam2",
    }
    assert config.prepare.depth.weights == config.prepare.pose.weights == "/models"
    assert config.prepare.object_masks.weights == "/mine"
    assert config.prepare.pose.device == "cpu"
    assert config.prepare.vae_latents.weights == "/models"
    assert not config.prepare.vae_latents.enabled


def test_a_folder_of_trained_networks_is_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_perception(tmp_path / "own" / "published", "figure")
    write_perception(tmp_path / "nets", "figure", "object")
    write_perception(tmp_path / "puppets", "figure")
    monkeypatch.chdir(tmp_path)
    for verb, sections in SECTIONS.items():
        whole, part, named = (
            getattr(configuration.load(None, [f"{verb}.preset={place}"]), verb)
            for place in ("nets", "./own/../own", "puppets")
        )
        for name, signal in sections.items():
            if signal in PRESETS["puppets"]:
                assert getattr(whole, name).trained == str(tmp_path / "nets")
                assert getattr(part, name).trained == (None if signal == "objects" else str(tmp_path / "own"))
                assert getattr(named, name).trained is None  # a preset's name is no folder
                assert {getattr(each, name).backend for each in (whole, part, named)} == {"embedded"}
            else:
                assert getattr(whole, name).trained is None


def test_a_section_with_a_place_is_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "sam3").mkdir()
    write_perception(tmp_path / "others", "figure", "object")
    monkeypatch.chdir(tmp_path)
    config = load(
        "prepare: {preset: others, pose: {model: nets}, vae_latents: {model: ./encoders}, depth: {backend: embedded},"
        " object_masks: {backend: sam2}, character_mask: {backend: sam3, model: sam3}}",
        tmp_path,
    )
    assert (config.prepare.pose.backend, config.prepare.pose.trained) == ("embedded", str(tmp_path / "nets"))
    assert config.prepare.vae_latents.trained == str(tmp_path / "encoders")
    assert config.prepare.depth.trained is None  # the included one
    assert (config.prepare.object_masks.backend, config.prepare.object_masks.model) == ("sam2", None)
    assert config.prepare.character_mask.network == "sam3"  # not the folder of that name
    assert configuration.validated(configuration.resolved(config), JobConfig) == config


def test_requests_have_presets_too(tmp_path: Path) -> None:
    config = load("animate: {preset: dwpose-sam2, weights: /models, allow_torchscript: true}", tmp_path)
    assert config.animate.reference_pose.backend == config.animate.driving_pose.backend == "dwpose"
    assert config.animate.driving_pose.weights == config.animate.animate.weights == "/models"
    assert config.animate.driving_mask.backend == config.animate.reference_mask.backend == "sam2"
    assert config.animate.driving_objects.backend == "sam2"
    assert config.animate.driving_depth.backend == "depth-anything"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prepare: {preset: dwpose-sam}", "prepare.preset: no preset is named 'dwpose-sam'; did you mean dwpose-sam2"),
        ("prepare: {preset: [1]}", r"prepare.preset: no preset is named \[1\]"),
        ("prepare: {preset: embedded, pose: dwpose}", "prepare.pose: got 'dwpose'"),
        ("prepare: {presets: embedded}", "prepare.presets: no such key"),
        ("prepare: {pose: {backend: dwpose, model: sapiens-pose-17-1b}}", "'dwpose' has no model 'sapiens-pose-17-1b'"),
        ("prepare: {weights: 3}", r"prepare\.\w+\.weights: got 3"),
        ("prepare: 5", "prepare: got 5"),
        (
            "prepare: {preset: no/nets}",
            "prepare.preset: .*/no/nets holds no perception networks, expected the folder to",
        ),
        ("prepare: {pose: {backend: dwpose, model: /nets}}", "'dwpose' has no model '/nets'"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, ConfigError), match=message):
        load(text, tmp_path)


def test_the_whole_configuration_can_be_read_back(tmp_path: Path) -> None:
    config = load("prepare: {preset: dwpose-sam2, weights: /models}", tmp_path)
    assert configuration.validated(configuration.resolved(config), JobConfig) == config


def test_a_switched_backend_reaches_only_what_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new depth backend affects structured depth only; a new pose backend most stages, but not decode and objects."""
    monkeypatch.setattr(
        "stages.backends.base.BackendStage.weights", lambda self: dict.fromkeys(self.config.parts, "sha256:0")
    )

    def keys(*assignments: str) -> dict[str, str]:
        config = configuration.load(None, assignments)
        return stage_keys([step.stage for step in steps(config.prepare, config.workers_by_stage(list(STAGES)))])

    def stale(*assignments: str) -> set[str]:
        before, after = keys("prepare.preset=dwpose-sam2"), keys("prepare.preset=dwpose-sam2", *assignments)
        return {name for name in before if before[name] != after[name]}

    assert stale("prepare.weights=/elsewhere", "prepare.device=cpu", "prepare.allow_torchscript=true") == set()
    assert stale("prepare.depth.backend=sapiens") == {"depth", "structured_depth"}
    assert stale("prepare.depth.model=depth-anything-v2-large") == {"depth", "structured_depth"}
    assert stale("prepare.object_masks.backend=embedded") == {"object_masks"}
    masks = {"character_mask", "agnostic_mask", "quality", "select"}
    assert stale("prepare.character_mask.model=sam2.1-hiera-tiny") == masks
    assert stale("prepare.pose.backend=sapiens") == {"pose", "structured_depth", *masks}
