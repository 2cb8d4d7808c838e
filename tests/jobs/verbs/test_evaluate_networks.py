"""`zoetrope evaluate` with files in the formats and sizes of the published networks, in Ray's workers."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import stand_in_metric_weights
import stand_in_weights
from compared_videos import moving_frames, worse, write_video
from small_jobs import tracking_uri

from jobs.cli.main import main
from models.metrics.frechet import FrechetStatistics, frechet_distance

LENGTHS = {"long": 17, "short": 3}
SIZES = {"fid": (20, 2048), "fvd": (2, 400)}
"""Number and dimensions of all features of a measure: frames, and windows of 16 frames."""


@pytest.mark.slow
def test_published_networks_measure_in_workers(
    ray_cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in_weights.forget_digests(monkeypatch)
    names = stand_in_metric_weights.MAKERS.keys() - {"resnet3d-50-kinetics"}
    stand_in_weights.fill(tmp_path / "weights", names)
    lines = ["animation_id,animation_uri,truth_uri,model"]
    for seed, (name, length) in enumerate(LENGTHS.items()):
        truth = moving_frames(seed, num_frames=length)
        write_video(tmp_path / f"{name}.truth.mp4", truth)
        write_video(tmp_path / f"{name}.mp4", worse(truth, levels=60))
        lines.append(f"{name},{name}.mp4,{name}.truth.mp4,m")
    (tmp_path / "pairs.csv").write_text("\n".join(lines))

    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri(tmp_path / "mlflow.db"))
    out = tmp_path / "evaluation"
    command: list[object] = [
        "evaluate",
        "--pairs",
        tmp_path / "pairs.csv",
        "--out",
        out,
        "--weights",
        tmp_path / "weights",
    ]
    command += [word for measure in ("lpips", "fid", "fvd", "fid_vid") for word in ("--measure", measure)]
    command += ["--set", "workers.default.cpus=0.5", "--set", "workers.default.actors=1"]
    monkeypatch.setattr(sys, "argv", ["zoetrope", *map(str, command)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "NOT COMPUTED for lack of weights: FID-VID (resnet3d-50-kinetics)." in capsys.readouterr().out

    rows = pyarrow.dataset.dataset(out).to_table().sort_by("animation_id").to_pylist()
    with (out / "_tables" / "measures.csv").open(newline="") as file:
        table = {line["measure"]: line for line in csv.DictReader(file)}
    assert all(0 < row["lpips_disco"] != row["lpips"] > 0 for row in rows)
    assert float(table["lpips"]["value"]) == pytest.approx(np.mean([row["lpips"] for row in rows]))
    for name, size in SIZES.items():
        sides = [
            np.array([feature for row in rows for feature in row[column] or ()], np.float32)
            for column in (f"{name}_features", f"{name}_truth_features")
        ]
        assert [side.shape for side in sides] == [size, size]
        distance = frechet_distance(*(FrechetStatistics.of(side) for side in sides), ddof=1)
        assert float(table[name]["value"]) == pytest.approx(distance, rel=1e-9)
        assert distance > 0
        assert int(table[name]["n"]) == size[0]
