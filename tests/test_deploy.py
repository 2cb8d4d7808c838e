"""The cluster files are what they say: checked by Ray's own schema, and by starting what they start."""

import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jobs.engine import config

ROOT = Path(__file__).resolve().parents[1]


def load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


def test_the_ray_cluster_is_valid_to_ray() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    cluster = load("ray_cluster.yaml")
    filled = prepare_config(cluster)
    validate_config(filled)
    assert filled["head_node_type"] in filled["available_node_types"]
    assert filled["available_node_types"]["head"]["resources"] == {"CPU": 0}
    with pytest.raises(jsonschema.ValidationError, match="max_workerz"):
        validate_config({**filled, "max_workerz": 1})


def test_the_ray_job_runs_a_command_that_exists() -> None:
    job = load("deploy/rayjob.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["shutdownAfterJobFinishes"] is True
    cluster = spec["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
    assert all(g["minReplicas"] <= g["replicas"] <= g["maxReplicas"] for g in cluster["workerGroupSpecs"])

    import typer.main

    from jobs.cli.main import app

    program, verb, *arguments = shlex.split(spec["entrypoint"])
    assert program == "zoetrope"
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    context = command.make_context(verb, list(arguments))
    assert context.params["ray_address"] == "auto"
    assert Path(context.params["config"]).name == "cluster_job.yaml"


def test_versions_agree() -> None:
    """The images, and what CI pins, are the same Ray."""
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    image = load("ray_cluster.yaml")["docker"]["image"]
    assert (
        image.split(":")[1].split("-")[0]
        == pins["ray"]
        == load("deploy/rayjob.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    )


def test_the_job_file_loads() -> None:
    loaded = config.load(ROOT / "deploy/cluster_job.yaml")
    assert loaded.prepare.decode.short_side_px == 512
    assert loaded.workers["default"].memory_gib == 3
