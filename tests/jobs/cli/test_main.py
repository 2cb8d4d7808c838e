from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_jobs import PUPPETS

from jobs.cli.main import main

ZOETROPE = str(Path(sys.executable).with_name("zoetrope"))


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Runs the command line in this process, because a new process per case would take minutes to import."""
    monkeypatch.setattr(sys, "argv", ["zoetrope", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Manifest of one clip with a missing file."""
    columns = {
        "clip_id": ["a"],
        "uri": [str(tmp_path / "a.mp4")],
        "fingerprint": ["sha256:0"],
        "width_px": [64],
        "height_px": [64],
        "fps": [12.0],
        "start_seconds": [0.0],
        "num_frames": [8],
        "frame_step": [1],
    }
    pq.write_table(pa.table(columns), tmp_path / "clips.parquet")
    return tmp_path / "clips.parquet"


USAGE = [
    (["prepare", "CLIPS"], r"Missing option '--out'."),
    (["prepare", "CLIPS", "--out", "OUT", "--speed", "9"], r"No such option: --speed"),
    (["preprae"], r"No such command 'preprae'."),
    (["prepare", "nowhere.parquet", "--out", "OUT"], r"nowhere.parquet does not exist; expected a Parquet or CSV file"),
    (
        ["prepare", "CLIPS", "--out", "OUT", "--set", "prepare.decode.short_side=9"],
        "prepare.decode.short_side: no such key; did you mean short_side_px?",
    ),
    (
        ["prepare", "CLIPS", "--out", "OUT", "--set", "prepare.decode.short_side_px=big"],
        "prepare.decode.short_side_px: got 'big'",
    ),
    (
        ["prepare", "CLIPS", "--out", "OUT", "--set", "prepare.agnostic_mask.mode=both"],
        "prepare.agnostic_mask.mode: got 'both'",
    ),
    (["prepare", "CLIPS", "--out", "OUT", "--set", "nonsense"], "expected key.key=value"),
    (
        ["prepare", "CLIPS", "--out", "OUT", "--set", "workers.posse.gpus=1"],
        "workers.posse: no such stage; did you mean pose?",
    ),
    (["prepare", "CLIPS", "--out", "OUT", "--config", "missing.yaml"], "cannot read the job file missing.yaml"),
    (
        ["prepare", "CLIPS", "--out", "OUT", "--max-failed", "some"],
        "--max-failed some: expected a number of rows or a percentage",
    ),
    (["prepare", "CLIPS", "--out", "OUT", "--limit", "0"], "Invalid value for '--limit'"),
    (
        ["ingest", "nowhere", "--out", "OUT"],
        "nowhere does not exist; expected a folder, a glob, a file, or a .parquet or .csv list",
    ),
    (["ingest", "EMPTY", "--out", "OUT", "--objects", "CLIPS"], "lacks the columns ['object_id', 'seconds']"),
    (["animate", "--out", "OUT"], "expected either a table of requests, or --reference and --driving"),
    (["animate", "CLIPS", "--reference", "a.png", "--out", "OUT"], "expected either a table of requests, or"),
    (["animate", "CLIPS", "--out", "OUT"], "lacks the columns ['request_id', 'reference_uri']"),
    (["animate", "nowhere.csv", "--out", "OUT"], "nowhere.csv does not exist; expected a Parquet or CSV file"),
    (["animate", "CLIPS", "--out", "OUT", "--steps", "0"], "Invalid value for '--steps'"),
    (
        ["animate", "CLIPS", "--out", "OUT", "--set", "animate.animate.dtype=float8"],
        "animate.animate.dtype: got 'float8'",
    ),
    (
        ["animate", "CLIPS", "--out", "OUT", "--set", "animate.skeleton.rules=box"],
        "animate.skeleton.rules: no such key; did you mean rule?",
    ),
    (["pair", "EMPTY", "--out", "r.parquet"], "expected pictures, followed by the clips"),
    (["pair", "EMPTY", "CLIPS", "--out", "r.txt"], "expected the name of a file that ends in .parquet"),
    (["pair", "EMPTY", "CLIPS", "--out", "r.parquet"], "no picture found in"),
    (["retry", "EMPTY"], "was not written by a zoetrope job"),
    (["retry", "EMPTY", "--reason", "Boredom"], "got the reasons ['Boredom'], expected some of"),
    (["compact", "EMPTY"], "was not written by a zoetrope job"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(a)[:50] for a, _ in USAGE])
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"CLIPS": str(clips), "OUT": str(tmp_path / "out"), "EMPTY": str(tmp_path / "empty")}
    monkeypatch.chdir(tmp_path)
    puppets = PUPPETS if arguments[0] in ("prepare", "animate") else ()
    code, _, err = run(capsys, monkeypatch, *[places.get(a, a) for a in arguments], *puppets)
    assert code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prepare: [1]", "prepare: got [1]"),
        ("- a", "got a list, expected a mapping with ingest, prepare, animate, evaluate, workers, limits"),
        ("prepare: {pose: {backend: magic}}", "unknown pose backend 'magic'"),
        ("a: b: c", "is not YAML"),
        ("limits: {rows_per_block: 0}", "limits must be positive"),
        ("workers: {pose: {gpus: 0.3}}", "a fraction of a GPU must be 1/n"),
    ],
)
def test_a_wrong_job_file_is_refused(
    text: str,
    message: str,
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "job.yaml").write_text(text)
    code, _, err = run(
        capsys,
        monkeypatch,
        "prepare",
        str(clips),
        "--out",
        str(tmp_path / "out"),
        "--config",
        str(tmp_path / "job.yaml"),
    )
    assert (code, err.count("\n")) == (2, 1)
    assert message in err


def test_dry_run_writes_nothing(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(
        capsys, monkeypatch, "prepare", str(clips), "--out", str(tmp_path / "out"), *PUPPETS, "--dry-run", "--json"
    )
    assert code == 0
    summary = json.loads(out)
    assert summary.pop("why")["new"] == 1
    assert summary == {"verb": "prepare", "rows": 1, "pending": 1, "dry_run": True, "estimate": None}
    assert not (tmp_path / "out").exists()


def test_help_names_every_verb() -> None:
    done = subprocess.run([ZOETROPE, "--help"], capture_output=True, text=True, check=True)
    for verb in ("ingest", "prepare", "pair", "animate", "retry", "compact", "puppets", "demo", "train", "report"):
        assert verb in done.stdout


def test_the_packages_are_ours() -> None:
    """The package names are generic: an installed package of the same name must not shadow them."""
    code = "import models, stages, pipelines, jobs\nfor m in (models, stages, pipelines, jobs): print(m.__file__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    root = Path(__file__).resolve().parents[3]
    assert done.stdout.split() == [
        str(root / name / "__init__.py") for name in ("models", "stages", "pipelines", "jobs")
    ]
