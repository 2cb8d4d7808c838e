from __future__ import annotations

from pathlib import Path

import pytest
from puppet_media import write_driving, write_reference


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Picture of a puppet, 96 x 128 pixels."""
    return write_reference(tmp_path_factory.mktemp("picture") / "a.png")


@pytest.fixture(scope="session")
def driving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Video of another puppet: six frames at 8 per second, with sound."""
    return write_driving(tmp_path_factory.mktemp("driving") / "a.mp4", audio=True)
