from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hostile_media
import pytest

from models.video.sandbox import DecoderProcess, SandboxConfig


@pytest.fixture(scope="session")
def media() -> ModuleType:
    """The generator of media files, `tests/support/hostile_media.py`."""
    return hostile_media


@pytest.fixture(scope="session")
def cases(media: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Every file of the generator, by name."""
    return {case.name: case for case in media.cases(tmp_path_factory.mktemp("media"))}


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecoderProcess]:
    with DecoderProcess(SandboxConfig(decode_timeout_seconds=30, inspect_timeout_seconds=30)) as process:
        yield process


@pytest.fixture(scope="session")
def driving(shared_media: Path) -> Path:
    """Folder of real driving videos; optional data."""
    return shared_media / "driving"
