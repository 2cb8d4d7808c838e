from __future__ import annotations

from pathlib import Path

import pytest
from stand_in_networks import save_sam2


@pytest.fixture(scope="session")
def sam2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAM 2 in the published layout."""
    folder = tmp_path_factory.mktemp("sam2")
    save_sam2(folder)
    return folder
