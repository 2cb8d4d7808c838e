"""The first hour of a newcomer on real videos, driven by `newcomers_walk.sh`."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_jobs import PUPPETS

SCRIPT = Path(__file__).with_name("newcomers_walk.sh")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_does_what_a_newcomer_expects(shared_media: Path, tmp_path: Path) -> None:
    people = os.environ.get("ZOETROPE_PEOPLE_WEIGHTS")
    environment = {**os.environ, **({"ZOETROPE_WEIGHTS": people} if people else {})}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", str(SCRIPT), str(shared_media), str(tmp_path / "walk"), *(() if people else PUPPETS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Traceback" not in done.stdout + done.stderr
    for line in (
        "error: No such command 'prepair'",
        "error: no model is called 'animate-anyon'; did you mean animate-anyone?",
        "error: 2 of 5 rows failed, --max-failed allows 0 (NotAVideo 2)",
    ):
        assert line in done.stderr
    corpus = tmp_path / "walk" / "corpus"
    videos = pq.read_table(corpus / "videos").to_pylist()
    assert collections.Counter(row["reason"] for row in videos) == {None: 3, "NotAVideo": 2}
    clips = pq.read_table(corpus / "clips").to_pylist()
    prepared = pq.read_table(corpus / "prepared").to_pylist()
    assert len({row["video_id"] for row in prepared}) == 3 == len(prepared)
    assert {row["clip_id"] for row in prepared} < {row["clip_id"] for row in clips}
    # The included networks know drawn puppets, not people: with them, no clip is taken for a person's.
    assert {row["status"] for row in prepared} == {"ok" if people else "rejected"}
    assert f"prepare: 3 rows of {len(clips)} in the manifest, 3 done before, 0 to do" in done.stdout
    (animation,) = pq.read_table(tmp_path / "walk" / "animations").to_pylist()
    assert animation["status"] in (("ok",) if people else ("ok", "rejected"))
    poses = {one["value"] for row in (*prepared, animation) for one in row["networks"] if "pose" in one["name"]}
    assert poses == {"people" if people else "embedded"}
