"""Animate as a whole, with toy models."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import toy_animation
from dataset_rows import plain_rows
from puppet_media import write_driving, write_reference, write_scenery
from small_jobs import PUPPETS, Corpus, options, small_config, tracking_uri
from toy_animation import ToySystem, failing_model, published_model, toy_model

from jobs.engine.console import Console
from jobs.engine.spec import JobResult
from jobs.verbs.animate import animate
from jobs.verbs.maintenance import compact, report, retry
from jobs.verbs.pair import pair
from models.systems import SYSTEMS
from pipelines.engine.plan import Retry
from pipelines.engine.schema import REQUEST_COLUMNS

Rows = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("media")
    write_reference(root / "a.png")
    write_reference(root / "b.png", seed=5)
    (root / "broken.png").write_bytes((root / "a.png").read_bytes()[:80])
    write_driving(root / "a.mp4", audio=True)
    write_driving(root / "one-frame.mp4", num_frames=1)
    write_scenery(root / "nobody.mp4")
    (root / "page.mp4").write_bytes(b"<html>404</html>")
    return root


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Registers the models of these tests; returns the path of the log of loads."""
    log = tmp_path / "loads"
    toys = (
        toy_model(log=log, notice="toy: for tests, not for people"),
        toy_model("second", log=log),
        published_model(),
    )
    monkeypatch.setitem(SYSTEMS, "toys", ToySystem(toys))
    return log


def write_requests(path: Path, media: Path, rows: dict[str, dict[str, Any]]) -> str:
    base = {"reference_uri": str(media / "a.png"), "driving_uri": str(media / "a.mp4"), "model": "toy", "seed": 1}
    table = pa.Table.from_pylist(
        [{**base, "request_id": name, **row} for name, row in rows.items()],
        schema=pa.schema(list(REQUEST_COLUMNS.items())),
    )
    pq.write_table(table, path)
    return str(path)


def run(requests: str, out: Path, *settings: str, **how: Any) -> JobResult:
    return animate(
        str(out),
        requests=requests,
        config=small_config(*settings),
        options=options(out.parent, **{"max_failed": "100%", **how}),
        console=Console(json_only=True),
    )


def rows_of(dataset: Path) -> Rows:
    # Reads the folder like any Parquet reader.
    table = pyarrow.dataset.dataset(dataset).to_table()
    return {row["request_id"]: row for row in plain_rows(table)}


def videos_of(dataset: Path) -> dict[str, tuple[bytes, bytes]]:
    return {
        name: tuple((dataset / row[uri]).read_bytes() for uri in ("video_uri", "side_by_side_uri"))  # type: ignore[misc]
        for name, row in rows_of(dataset).items()
        if row["status"] == "ok"
    }


REQUESTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "good": ({}, None),
    "good-second": ({"model": "second", "num_steps": 2, "guidance_scale": 1.5}, None),
    "good-sized": ({"width_px": 64, "height_px": 64}, None),
    "one-frame": ({"driving_uri": "one-frame.mp4"}, None),
    "no-picture": ({"reference_uri": "nowhere.png"}, "NotFound"),
    "broken-picture": ({"reference_uri": "broken.png"}, "NotAnImage"),
    "no-video": ({"driving_uri": "nowhere.mp4"}, "NotFound"),
    "page": ({"driving_uri": "page.mp4"}, "NotAVideo"),
    "nobody": ({"driving_uri": "nobody.mp4"}, "NoPerson"),
    "odd-size": ({"width_px": 100}, "InvalidRow"),
    "unknown-model": ({"model": "toyy"}, "UnknownModel"),
    "no-weights": ({"model": "published"}, "MissingWeights"),
    "no-driver": ({"driving_uri": None}, "InvalidRow"),
    "forbidden": ({"reference_uri": "http://169.254.169.254/a.png"}, "NotAllowed"),
}


def test_each_bad_request_is_one_failed_row_with_its_reason(ray_cluster: None, media: Path, tmp_path: Path) -> None:
    def absolute(row: dict[str, Any]) -> dict[str, Any]:
        return {k: str(media / v) if k.endswith("_uri") and v and "://" not in v else v for k, v in row.items()}

    requests = write_requests(
        tmp_path / "requests.parquet", media, {name: absolute(row) for name, (row, _) in REQUESTS.items()}
    )
    done = run(requests, tmp_path / "results")
    expected = {name: reason for name, (_, reason) in REQUESTS.items()}
    rows = rows_of(tmp_path / "results")
    assert {name: row["reason"] for name, row in rows.items()} == expected
    good = [name for name, reason in expected.items() if reason is None]
    assert (done.summary["ok"], done.summary["failed"], done.summary["not_run"]) == (4, 10, 0)
    assert [name for name, row in rows.items() if row["status"] == "ok"] == sorted(good)
    assert "did you mean toy?" in rows["unknown-model"]["message"]
    assert "--weights names the folder" in rows["no-weights"]["message"]
    for name in good:
        with av.open(str(tmp_path / "results" / rows[name]["video_uri"])) as container:
            frames = list(container.decode(video=0))
        assert len(frames) == rows[name]["num_frames"] == (1 if name == "one-frame" else 6)
        assert (frames[0].width, frames[0].height) == (rows[name]["video_width_px"], rows[name]["video_height_px"])
        assert float(frames[-1].time) == pytest.approx((len(frames) - 1) / 8, abs=1e-3)
    assert rows["good"]["fallbacks"] == ["window_batch=1"]
    assert (rows["good-sized"]["video_width_px"], rows["good-sized"]["video_height_px"]) == (64, 64)

    page = (tmp_path / "results" / "_report" / "report.html").read_text()
    assert page.count("<video ") == 4
    for text in ("toy: for tests, not for people", "NotAnImage", "animate.load", "short_side_px", "nowhere.png"):
        assert text in page
    logged = [path.name for path in (tmp_path / "mlruns").rglob("*.mp4")]
    assert sorted(logged) == sorted(f"{name}.mp4" for name in good)

    # Run again, only requests whose missing inputs now exist are pending.
    assert run(requests, tmp_path / "results").summary["rows_run"] == 0
    before = videos_of(tmp_path / "results")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "toy.safetensors").write_bytes(b"weights")
    again = run(requests, tmp_path / "results", f"animate.animate.weights={tmp_path / 'weights'}")
    assert (again.summary["rows_run"], again.summary["ok"]) == (1, 5)
    after = videos_of(tmp_path / "results")
    assert {name: after[name] for name in before} == before


def test_results_do_not_depend_on_other_requests(ray_cluster: None, media: Path, tmp_path: Path) -> None:
    few = {"m": {}, "n": {"seed": 2}}
    many = {"a": {"model": "second"}, "b": {"seed": 9}, **few, "z": {"seed": 4}}
    run(write_requests(tmp_path / "few.parquet", media, few), tmp_path / "alone")
    run(
        write_requests(tmp_path / "many.parquet", media, many),
        tmp_path / "together",
        "workers.default.actors=2",
    )
    alone, together = videos_of(tmp_path / "alone"), videos_of(tmp_path / "together")
    assert alone["m"] != alone["n"]
    assert {name: together[name] for name in alone} == alone


def test_rows_are_grouped_so_that_a_worker_loads_each_model_once(
    ray_cluster: None, media: Path, tmp_path: Path, models: Path
) -> None:
    rows = {f"r{i}": {"model": "toy" if i % 2 else "second"} for i in range(6)}
    run(write_requests(tmp_path / "requests.parquet", media, rows), tmp_path / "results")
    # Ray Data may pass the two groups on in either order, but a second load would show that they were mixed.
    assert sorted(models.read_text().splitlines()) == ["second cpu auto", "toy cpu auto"]
    results = rows_of(tmp_path / "results")
    loaded = [rows[name]["model"] for name, row in results.items() if "animate.load" in row["seconds_by_stage"]]
    assert sorted(loaded) == ["second", "toy"]


@pytest.mark.nightly  # tests/jobs/verbs/test_prepare.py runs the same verbs
def test_retry_report_and_compact(
    ray_cluster: None, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sick = failing_model(lambda: RuntimeError("out of sorts"), "sick")
    monkeypatch.setitem(SYSTEMS, "sick", ToySystem((sick,)))
    rows = {"a": {}, "b": {"model": "sick"}}
    done = run(write_requests(tmp_path / "requests.parquet", media, rows), tmp_path / "results")
    assert (done.summary["ok"], done.summary["reasons"]) == (1, {"UnexpectedError": 1})
    # Repaired, with the same weights.
    monkeypatch.setitem(SYSTEMS, "sick", ToySystem((toy_model("sick"),)))
    quiet, how = Console(json_only=True), options(tmp_path, retry=Retry(reasons=("UnexpectedError",)))
    again = retry(str(tmp_path / "results"), options=how, console=quiet)
    assert (again.exit_code, again.summary["ok"], again.summary["rows_run"]) == (0, 2, 1)
    assert rows_of(tmp_path / "results")["b"]["attempts"] == 2
    page = tmp_path / "results" / "_report" / "report.html"
    page.unlink()
    assert report(str(tmp_path / "results"), options=options(tmp_path), console=quiet).exit_code == 0
    assert page.read_text().count("<video ") == 2
    assert compact(str(tmp_path / "results"), console=quiet).summary["rows"] == 0


def test_pair_and_animate_with_prepared_clips(corpus: Corpus, media: Path, tmp_path: Path, models: Path) -> None:
    quiet = Console(json_only=True)
    made = pair(
        [str(media / "a.png"), str(media / "b.png")],
        str(corpus.dataset),
        str(tmp_path / "requests.parquet"),
        settings={},
        models=["toy"],
        limit=3,
        console=quiet,
    )
    assert made.summary["requests"] == 3
    done = run(str(tmp_path / "requests.parquet"), tmp_path / "results")
    assert (done.exit_code, done.summary["ok"]) == (0, 3)
    prepared = {row["clip_id"]: row for row in pyarrow.dataset.dataset(corpus.dataset).to_table().to_pylist()}
    for row in rows_of(tmp_path / "results").values():
        clip = prepared[row["clip_id"]]
        assert row["num_frames"] == clip["num_frames"]
        assert row["fps"] == pytest.approx(clip["fps"] / clip["frame_step"])
        assert row["driving_fingerprint"] == clip["fingerprint"]
        # The driving pose is the prepared clip's.
        assert row["networks"] == {"reference_pose": "embedded"}
    # Unchanged keypoints keep the key, so there is nothing to do.
    assert run(str(tmp_path / "requests.parquet"), tmp_path / "results").summary["rows_run"] == 0


def test_dry_run_writes_nothing(media: Path, tmp_path: Path) -> None:
    requests = write_requests(tmp_path / "requests.parquet", media, {"a": {}})
    done = run(requests, tmp_path / "results", dry_run=True)
    assert done.summary.pop("why")["new"] == 1
    assert done.summary == {"verb": "animate", "rows": 1, "pending": 1, "dry_run": True, "estimate": None}
    assert not (tmp_path / "results").exists()


COMMAND = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("toy_animation", sys.argv.pop(1))
toy_animation = importlib.util.module_from_spec(spec)
sys.modules["toy_animation"] = toy_animation
spec.loader.exec_module(toy_animation)
import ray
ray.cloudpickle.register_pickle_by_value(toy_animation)
from models.systems import SYSTEMS
toy = toy_animation.toy_model(seconds_per_step=float(sys.argv.pop(1)), notice="toy: for tests, not for people")
SYSTEMS["toys"] = toy_animation.ToySystem((toy,))
from jobs.cli.main import main
main()
"""


def command(*arguments: object, seconds_per_step: float = 0.0) -> list[str]:
    """Runs `zoetrope` with a toy model registered."""
    return [
        *(sys.executable, "-c", COMMAND, str(toy_animation.__file__), str(seconds_per_step)),
        *(str(argument) for argument in arguments),
    ]


@pytest.mark.nightly  # tests/docs/test_pages.py runs the command, in `docs/animate.md`
def test_one_picture_and_one_video_by_command_line(media: Path, tmp_path: Path) -> None:
    arguments = ["animate", "--reference", media / "a.png", "--driving", media / "a.mp4", "--model", "toy", *PUPPETS]
    arguments += ["--out", tmp_path / "out", "--size", 64, 96, "--steps", 2, "--seed", 5, "--keep-audio", "--json"]
    arguments += ["--set", "workers.default.actors=1", "--tracking-uri", tracking_uri(tmp_path / "mlflow.db")]
    done = subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] == 1
    assert "note: toy: for tests, not for people" in done.stderr
    (row,) = rows_of(tmp_path / "out").values()
    video = tmp_path / "out" / row["video_uri"]
    assert f"video:   {video}" in done.stderr
    assert (row["seed"], row["num_steps"], row["has_audio"]) == (5, 2, True)
    with av.open(str(video)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (64, 96)
        assert container.streams.audio[0].codec_context.name == "aac"


@pytest.mark.nightly  # tests/pipelines/engine/test_driver_killed.py kills drivers of a cheaper pipeline
@pytest.mark.slow
def test_a_killed_driver_resumes_to_the_same_videos(media: Path, tmp_path: Path) -> None:
    requests = write_requests(
        tmp_path / "requests.parquet", media, {f"r{i}": {"seed": i, "num_steps": 3} for i in range(6)}
    )

    def start(out: Path, seconds_per_step: float) -> subprocess.Popen[bytes]:
        arguments = ["animate", requests, "--out", out, "--tracking-uri", tracking_uri(out.with_suffix(".db"))]
        arguments += [*PUPPETS, "--set", "workers.default.actors=1"]
        return subprocess.Popen(
            command(*arguments, seconds_per_step=seconds_per_step),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
        )

    assert start(tmp_path / "unbroken", 0.0).wait(timeout=240) == 0
    driver = start(tmp_path / "broken", 0.5)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and driver.poll() is None:
        if len(list((tmp_path / "broken").glob("_videos/*.mp4"))) >= 4:  # two requests, two videos each
            break
        time.sleep(0.1)
    assert driver.poll() is None
    driver.kill()
    driver.wait()
    time.sleep(2.0)  # its workers end when they notice
    assert start(tmp_path / "broken", 0.0).wait(timeout=240) == 0
    assert videos_of(tmp_path / "broken") == videos_of(tmp_path / "unbroken")
    columns = ("status", "work_key", "video_uri", "num_frames", "seed", "retarget_rule")
    unbroken, broken = rows_of(tmp_path / "unbroken"), rows_of(tmp_path / "broken")
    assert {name: [row[c] for c in columns] for name, row in broken.items()} == {
        name: [row[c] for c in columns] for name, row in unbroken.items()
    }
    assert not list((tmp_path / "broken").glob("_videos/.*"))
