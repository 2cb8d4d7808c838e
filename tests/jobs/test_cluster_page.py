"""The commands of the cluster page for machines of one's own, run as they stand there on two nodes of this machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_jobs import PUPPETS, Corpus, tracking_uri

PAGE = Path(__file__).resolve().parents[2] / "docs" / "clusters.md"
BLOCK = re.compile(r"<!-- not run: tests/jobs/test_cluster_page.py [^\n]*-->\n```sh\n(?P<code>.*?)```", re.S)
SMALL_NODE = ("--object-store-memory=100000000", "--num-gpus=1")


@pytest.mark.slow
def test_the_page_is_followed_on_two_nodes(corpus: Corpus, ray_session: Path, tmp_path: Path) -> None:
    found = BLOCK.search(PAGE.read_text())
    assert found is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands = found["code"].replace("HEAD:", "127.0.0.1:").replace("6379", port).splitlines()
    (tmp_path / "corpus").mkdir()
    shutil.copytree(corpus.clips, tmp_path / "corpus" / "clips")
    verbs = []
    for command in commands:
        words = shlex.split(command, comments=True)
        verbs.append(" ".join(words[:2]))
        match words[:2]:
            case ["export", assignment]:
                name, _, value = assignment.partition("=")
                environment[name] = value
                continue
            case ["ray", "start"] if "--head" in words:
                words += [*SMALL_NODE, f"--temp-dir={ray_session}", "--include-dashboard=false"]
            case ["ray", "start"]:
                words += [*SMALL_NODE, "--num-cpus=2"]
            case ["zoetrope", _]:
                words[0:1] = [sys.executable, "-m", "jobs.cli"]
                words += [
                    "--tracking-uri",
                    tracking_uri(tmp_path / "mlflow.db"),
                    *("--set", "workers.default.actors=1"),
                    # As Ray counts GPUs, which need not exist. Every step is on one, also the first.
                    *("--set", "workers.default.gpus=0.5"),
                    *PUPPETS,
                ]
        done = subprocess.run(
            words,
            env={**environment, "PYTHONPATH": str(PAGE.parents[1])},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert verbs == ["export RAY_AUTH_MODE=token", "ray get-auth-token", "ray start", "ray start", "zoetrope prepare"]
    assert pq.read_table(tmp_path / "corpus" / "prepared", columns=["status"]).num_rows == 3
