"""Hostile files and hundreds of mutations in the decoder process: each decodes, or fails with one reason."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest

from models.video.errors import MediaError, MediaReason
from models.video.sandbox import DecoderProcess, SandboxConfig
from models.video.window import ClipWindow

NUM_MUTATIONS = 500


def read(decoder: DecoderProcess, path: str) -> np.ndarray:
    """All frames of the file, in the way that ingest and prepare read it."""
    info = decoder.inspect(path).info
    window = ClipWindow(start_seconds=info.start_seconds, num_frames=info.num_frames, frame_step=1, fps=info.fps)
    return decoder.decode(path, window, short_side_px=64).frames


def test_every_hostile_file_gives_the_expected_outcome(cases, decoder):
    assert len(cases) >= 20
    wrong = {}
    for name, case in cases.items():
        try:
            frames = read(decoder, str(case.path))
            outcome = "ok"
            assert frames.ndim == 4
        except MediaError as error:
            outcome = error.reason
        if outcome not in case.expected:
            wrong[name] = outcome
    assert wrong == {}


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_mutations(media, tmp_path, container, capsys):
    """Also counts silent damage: files that decode without an error to other frames than were written."""
    whole = media.encode(tmp_path / "a.bin", media.numbered_frames(12, width=64, height=64), container=container)
    data = whole.read_bytes()
    counts: dict[str, int] = {}
    lost: set[int] = set()
    num_mutations = NUM_MUTATIONS // 2
    with DecoderProcess(SandboxConfig(decode_timeout_seconds=10, inspect_timeout_seconds=10)) as decoder:
        sound = read(decoder, str(whole))
        pids = {decoder.pid}
        for seed in range(num_mutations):
            path = tmp_path / "mutated.bin"
            path.write_bytes(media.mutate(data, seed))
            try:
                frames = read(decoder, str(path))
                same = frames.shape == sound.shape and np.array_equal(frames, sound)
                outcome = "ok, same pixels" if same else "ok, other pixels"
            except MediaError as error:
                outcome = error.reason
                if outcome in ("Crash", "Timeout"):
                    lost.add(seed)
            counts[outcome] = counts.get(outcome, 0) + 1
            pids.add(decoder.pid)
    with capsys.disabled():
        print("\n", json.dumps({"container": container, **counts}))
    assert sum(counts.values()) == num_mutations
    assert set(counts) <= {"ok, same pixels", "ok, other pixels", *get_args(MediaReason)}
    assert lost == set()
    assert counts.get("ok, other pixels", 0) <= 0.12 * num_mutations
