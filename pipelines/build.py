"""Build the container images whose content changed: `python -m pipelines.build`."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from pipelines.images import ROOT, environment, reference
from pipelines.training import STEP_IMAGES


def tags(image: str, registry: str = "") -> list[str]:
    """Return the references an image must carry: one for each step that runs in it."""
    return [reference(image, step, registry) for step, used in STEP_IMAGES.items() if used == image]


def is_built(names: list[str]) -> bool:
    """Tell whether the engine holds an image under every one of these references."""
    command = ["docker", "image", "inspect", *names]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def build(
    registry: Annotated[str, typer.Option(help="Prefix of the image names.")] = "",
    ca_bundle: Annotated[
        str, typer.Option(help="A file of CA certificates that pip needs, kept out of the image.")
    ] = "",
) -> None:
    """Build each image that lacks a tag of its present content, and tag it for its steps."""
    for image in sorted(set(STEP_IMAGES.values())):
        names = tags(image, registry)
        if is_built(names):
            print(f"{image}: up to date")
            continue
        print(f"{image}: building")
        command = ["docker", "build", "--file", f"images/{environment(image)}/Dockerfile"]
        if ca_bundle:
            command += ["--secret", f"id=ca,src={ca_bundle}", "--network", "host"]
        for name in names:
            command += ["--tag", name]
        # BuildKit, on engines where it is not the default yet: secrets need it.
        env = {**os.environ, "DOCKER_BUILDKIT": "1"}
        if subprocess.run([*command, "."], cwd=ROOT, env=env, check=False).returncode:
            print(f"error: {image} was not built; its output is above", file=sys.stderr)
            raise typer.Exit(1)
        print("\n".join(names))


if __name__ == "__main__":
    typer.run(build)
