from __future__ import annotations

from pathlib import Path

import pytest

from models.animate_x.animator import AnimateXAnimator
from models.animate_x.config import EMBEDDED
from models.animate_x.network import AnimateX
from models.common.checkpoint import save_checkpoint
from stages.animate.models import MODELS, LoadOptions, MissingWeightsError

NAME = "animate-x-embedded"


def test_it_is_loaded_from_its_checkpoint_and_missed_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "embedded.safetensors"
    monkeypatch.setattr("models.animate_x.weights.CHECKPOINT", path)
    monkeypatch.setattr("models.animate_x.weights.load_embedded.__defaults__", (path,))
    model = MODELS[NAME]
    with pytest.raises(MissingWeightsError, match="part of this project"):
        model.digest(None)
    network = AnimateX(EMBEDDED)
    save_checkpoint(network.state_dict(), path, metadata={})
    assert path.stat().st_size < 2 * 25e6  # it ships in half of this precision
    before = model.digest(None)
    animator = model.load(LoadOptions())
    assert isinstance(animator, AnimateXAnimator)
    assert (animator.name, animator.pose_preset) == (NAME, model.pose_preset)
    state = animator.network.state_dict()
    assert all(state[key].equal(value) for key, value in network.state_dict().items())
    path.write_bytes(path.read_bytes() + b" ")
    assert model.digest(None) != before
    assert "puppets" in str(model.notice)
