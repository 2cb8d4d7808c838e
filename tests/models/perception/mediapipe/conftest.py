from __future__ import annotations

import os
from pathlib import Path

import pytest
from stand_in_weights import fill

from models.catalogue import CATALOGUE
from models.perception.mediapipe.pose import MediapipePose
from models.perception.mediapipe.tracking import BodyTracker
from models.weights.resolve import find

PEOPLE = CATALOGUE["people"]


def opened(folder: Path) -> MediapipePose:
    modules = find(PEOPLE, folder).path
    return MediapipePose(modules, bodies=BodyTracker(modules))


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> MediapipePose:
    """Networks that find one person in the middle of any frame that is not black."""
    folder = tmp_path_factory.mktemp("people")
    fill(folder, ["people"])
    return opened(folder)


@pytest.fixture(scope="session")
def published() -> MediapipePose:
    """The published networks, from the folder that `ZOETROPE_PEOPLE_WEIGHTS` names; skips where it names none."""
    folder = os.environ.get("ZOETROPE_PEOPLE_WEIGHTS")
    if not folder:
        pytest.skip("ZOETROPE_PEOPLE_WEIGHTS names no folder of published networks")
    return opened(Path(folder))
