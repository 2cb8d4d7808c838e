"""The cluster files are what they say: checked by Ray's own schema, and by starting what they start."""

import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jobs.engine import config
from jobs.verbs.network_notices import wants_gpu
from jobs.verbs.prepare import networks_of
from pipelines.prepare import STAGES

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
    for template in (spec["submitterPodTemplate"], *(group["template"] for group in groups)):
        (container,) = template["spec"]["containers"]
        assert {"name": "RAY_AUTH_MODE", "value": "token"} in container["env"]
        assert "RAY_AUTH_TOKEN" in {variable["name"] for variable in container["env"]}
    assert all(g["minReplicas"] <= g["replicas"] <= g["maxReplicas"] for g in cluster["workerGroupSpecs"])

    import typer.main

    from jobs.cli.main import app

    program, verb, *arguments = shlex.split(spec["entrypoint"])
    assert program == "zoetrope"
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    context = command.make_context(verb, list(arguments))
    assert context.params["ray_address"] == "auto"
    assert Path(context.params["config"]).name == "cluster_job.yaml"
    assert context.params["preset"] == "dwpose-sam2"


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
    networks = networks_of(loaded)
    workers = loaded.workers_by_stage(list(STAGES))
    on_gpus = [name for name, network in networks.items() if wants_gpu(network)]
    assert on_gpus
    assert all(workers[name].gpus for name in on_gpus)
    # The groups of workers fit the node types of both clusters.
    nodes = [kind["resources"] for kind in load("ray_cluster.yaml")["available_node_types"].values()]
    for group in load("deploy/rayjob.yaml")["spec"]["rayClusterSpec"]["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        nodes.append({"CPU": float(limits["cpu"]), "GPU": float(limits.get("nvidia.com/gpu", 0))})
    for each in workers.values():
        fitting = [node for node in nodes if node["CPU"] >= each.cpus and node.get("GPU", 0) >= each.gpus]
        assert len(fitting) >= 2


def test_the_weights_of_the_job_are_fetched_on_every_node() -> None:
    needed = {
        part
        for network in networks_of(config.load(ROOT / "deploy/cluster_job.yaml")).values()
        for part in network.parts
    }
    fetched = next(command for command in load("ray_cluster.yaml")["setup_commands"] if "weights fetch" in command)
    assert needed <= set(shlex.split(fetched))
    assert needed <= set((ROOT / "deploy/rayjob.yaml").read_text().split())
