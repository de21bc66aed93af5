"""The manifests in deploy/ are what KubeRay's definitions and the real command line take."""

import json
import re
import shlex
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import ROOT

from growsearch.cli.parser import _parser

SCHEMAS = ROOT.parent / "shared" / "schemas"
JOBS = sorted((ROOT / "deploy").glob("rayjob-*.yaml"))


def commands(text):
    """The growsearch commands in a text, with lines that go on joined."""
    joined = text.replace("\\\n#", " ").replace("\\\n", " ")
    lines = (line.strip("# ") for line in joined.splitlines())
    return [
        line[line.index("growsearch search") :] for line in lines if "growsearch search" in line
    ]


@cache
def validator_of(kind):
    """Checks KubeRay's version v1; an object has no field that the definition does not list."""

    def closed(part):
        if isinstance(part, list):
            return [closed(item) for item in part]
        if not isinstance(part, dict):
            return part
        made = {name: closed(value) for name, value in part.items()}
        if isinstance(made.get("properties"), dict) and made.get("type") == "object":
            made.setdefault("additionalProperties", False)
        if made.pop("x-kubernetes-int-or-string", False):
            made.setdefault("type", ["integer", "string"])
        return made

    text = (SCHEMAS / f"ray.io_{kind}.yaml").read_text()
    definition = yaml.load(text, yaml.CSafeLoader)  # libyaml: a tenth of the time
    (version,) = (v for v in definition["spec"]["versions"] if v["name"] == "v1")
    schema = closed(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    jsonschema.Draft202012Validator.check_schema(schema)  # seconds, so once
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_job_is_what_kuberay_defines(path, record_property):
    job = yaml.safe_load(path.read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    if not SCHEMAS.is_dir():
        record_property("not checked", f"{SCHEMAS} is not there")
        pytest.xfail(f"could not compare with KubeRay's definitions: {SCHEMAS} is not there")
    validator = validator_of("rayjobs")
    validator.validate(job)
    misspelt = json.loads(json.dumps(job))
    misspelt["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["continers"] = []
    with pytest.raises(jsonschema.ValidationError, match="continers"):
        validator.validate(misspelt)


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_job_repeats_one_command_that_goes_on(path):
    job = yaml.safe_load(path.read_text())
    parsed = _parser().parse_args(shlex.split(job["spec"]["entrypoint"])[1:])
    assert parsed.resume
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray=={version}" in (ROOT / "constraints.txt").read_text()


def shared_folders(path):
    """Where a manifest mounts what several machines see."""
    manifest = yaml.safe_load(path.read_text())
    if "spec" not in manifest:
        return list(manifest["file_mounts"])
    pod = manifest["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    claims = {v["name"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
    mounts = pod["containers"][0]["volumeMounts"]
    return [mount["mountPath"] for mount in mounts if mount["name"] in claims]


@pytest.mark.parametrize("path", [*JOBS, ROOT / "deploy/skypilot.yaml"], ids=lambda path: path.name)
def test_a_study_is_on_a_local_disk_and_its_copy_and_epochs_are_in_the_shared_folder(path):
    """A shared volume is usually NFS, where locks and appends of a study are not tested."""
    (shared,) = shared_folders(path)
    (line,) = commands(path.read_text().replace("\n    --", " --"))
    parsed = _parser().parse_args(shlex.split(line)[1:])
    assert not Path(parsed.out).is_relative_to(shared)
    assert Path(parsed.copy_to).is_relative_to(shared)
    assert Path(parsed.store).is_relative_to(shared)


def test_the_page_of_clusters_puts_no_study_in_a_shared_folder():
    for line in commands((ROOT / "docs/how-to/cluster.md").read_text()):
        assert not _parser().parse_args(shlex.split(line)[1:]).out.startswith("/shared")


@pytest.mark.parametrize("name", ["skypilot.yaml", "ray-up.yaml"])
def test_other_files_run_commands_that_there_are(name):
    text = (ROOT / "deploy" / name).read_text()
    assert isinstance(yaml.safe_load(text), dict)
    found = commands(text)
    assert found
    for command in found:
        assert _parser().parse_args(shlex.split(command)[1:]).resume


def test_the_cluster_on_aws_is_what_ray_and_ec2_take_and_all_of_its_nodes_reach_the_bucket():
    """Ray gives a profile of its own to the head only."""
    import ray.autoscaler
    from botocore.session import get_session
    from botocore.validate import validate_parameters

    cluster = yaml.safe_load((ROOT / "deploy/ray-up.yaml").read_text())
    schema = Path(ray.autoscaler.__file__).with_name("ray-schema.json")
    jsonschema.validate(cluster, json.loads(schema.read_text()))
    request = get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    nodes = cluster["available_node_types"]
    assert cluster["head_node_type"] in nodes
    for node in nodes.values():
        assert node["node_config"]["IamInstanceProfile"]
        validate_parameters(node["node_config"] | {"MinCount": 1, "MaxCount": 1}, request)
    (command,) = commands((ROOT / "deploy/ray-up.yaml").read_text())
    parsed = _parser().parse_args(shlex.split(command)[1:])
    assert parsed.store.startswith("s3://") and parsed.copy_to.startswith("s3://")


def test_the_cluster_on_aws_has_a_worker_when_a_search_starts_and_asks_for_more():
    """Nodes that are not up have no CPUs, and without trials that wait Ray starts none."""
    cluster = yaml.safe_load((ROOT / "deploy/ray-up.yaml").read_text())
    workers = cluster["available_node_types"]["worker"]
    assert 1 <= workers["min_workers"] < workers["max_workers"] <= cluster["max_workers"]
    (command,) = commands((ROOT / "deploy/ray-up.yaml").read_text())
    parsed = _parser().parse_args(shlex.split(command)[1:])
    cpus = 4  # of a c7i.xlarge
    assert workers["node_config"]["InstanceType"] == "c7i.xlarge"
    assert parsed.max_concurrent == workers["max_workers"] * cpus


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_a_job_has_all_workers_when_its_search_starts(path):
    """KubeRay submits a job once all `replicas` are ready, unless Ray itself starts them."""
    made = yaml.safe_load(path.read_text())["spec"]["rayClusterSpec"]
    assert not made.get("enableInTreeAutoscaling")
    assert all(group["replicas"] >= 1 for group in made["workerGroupSpecs"])


def test_the_container_copies_files_that_there_are_and_all_that_the_wheel_is_built_from():
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied
    assert all((ROOT / name).exists() for name in copied)
    packages = re.findall(r"package_dir=[{](.*)[}]", (ROOT / "setup.py").read_text())[0]
    assert set(re.findall(r'"([^"]+)"', packages)) <= set(copied)
