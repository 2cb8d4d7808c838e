from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from small_jobs import Corpus, options, small_config

from jobs.engine.console import Console
from jobs.verbs.ingest import ingest
from jobs.verbs.prepare import prepare
from jobs.verbs.puppets import write_puppets


@pytest.fixture(scope="session")
def corpus(ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    root = tmp_path_factory.mktemp("corpus")
    puppets = root / "puppets"
    write_puppets(puppets, num_videos=3, seed=11, size_px=(192, 144), fps=12, seconds=1.5)
    config, how, console = small_config(), options(root), Console(json_only=True)
    ingested = ingest(
        [str(puppets / "puppets.parquet")],
        str(root),
        objects=str(puppets / "objects.parquet"),
        config=config,
        options=how,
        console=console,
    )
    prepared = prepare(str(root / "clips"), str(root / "prepared"), config=config, options=how, console=console)
    return Corpus(root=root, puppets=puppets, ingested=ingested, prepared=prepared)


@pytest.fixture
def ray_session() -> Iterator[Path]:
    """Short folder for the sockets of a cluster, whose processes are ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    yield folder
    for process in psutil.process_iter(["cmdline"]):
        if str(folder) in " ".join(process.info["cmdline"] or ()):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)
