"""Checks Kubernetes manifests; started by Scripts/lib/test-manifests, in an environment that has kubernetes-validate."""

import pathlib
import sys

import kubernetes_validate
import yaml

VERSION = "1.31"
REQUIRED = {"TUTTI_SIZE", "TUTTI_RENDEZVOUS", "TUTTI_SECRET_FILE", "TUTTI_JOB"}


def complaints(document):
    """What is wrong with one document."""
    if document["kind"] == "JobSet":
        for job in document["spec"]["replicatedJobs"]:
            name = f"{document['metadata']['name']}-{job['name']}-0"
            inner = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, **job["template"]}
            if job["replicas"] != 1:
                yield "replicas must be 1: the completion index of one Job is the rank"
            yield from complaints(inner)
            yield from rank_complaints(inner, document["metadata"]["name"])
        return
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    if document["kind"] == "Job" and "subdomain" in document["spec"]["template"]["spec"]:
        yield from rank_complaints(document, document["spec"]["template"]["spec"]["subdomain"])


def rank_complaints(job, subdomain):
    """What is wrong with a Job whose pods are ranks."""
    spec = job["spec"]
    for container in spec["template"]["spec"]["containers"]:
        variables = {entry["name"]: entry.get("value") for entry in container["env"]}
        if missing := REQUIRED - variables.keys():
            yield f"{', '.join(sorted(missing))} not set"
        if not str(spec["completions"]) == str(spec["parallelism"]) == variables.get("TUTTI_SIZE"):
            yield "completions, parallelism and TUTTI_SIZE must be the same number"
        if variables.get("TUTTI_RENDEZVOUS", "").split(":")[0] != f"{job['metadata']['name']}-0.{subdomain}":
            yield f"TUTTI_RENDEZVOUS is not the first pod, {job['metadata']['name']}-0.{subdomain}"
    if spec.get("completionMode") != "Indexed":
        yield "completionMode must be Indexed: the index is the rank"


def main():
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.yaml"))
    if not paths:
        sys.exit(f"there is no manifest in {sys.argv[1]}")
    found = False
    for path in paths:
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            for complaint in complaints(document):
                found = True
                print(f"{path.name}: {document['kind']}: {complaint}")
    print(f"{len(paths)} manifests: {'wrong' if found else 'right'}")
    sys.exit(found)


main()
