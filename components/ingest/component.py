"""The KFP components of the ingest step: in one task, or as a plan, parts and their merger."""

from typing import List  # noqa: UP035 - the spelling that kfp's task wrapper provides

from kfp import dsl

from components.shared.images import DATA


@dsl.component(base_image=DATA, install_kfp_package=False)
def ingest(
    task: str,
    seed: int,
    config: str,
    source_version: str,  # noqa: ARG001
    images: dsl.Output[dsl.Dataset],
    table: dsl.Output[dsl.Dataset],
    rejected: dsl.Output[dsl.Dataset],
    ids: dsl.Output[dsl.Dataset],
) -> None:
    """Read the source into shards and an image table; list what was set aside.

    `ids` lists the images' ids; given as `ingest.ids`, it takes the same images again.
    `source_version` is not read: it makes the cache notice that a source has changed.
    """
    from pathlib import Path

    from components.ingest.config import IngestSection
    from components.ingest.ids import write_ids
    from components.ingest.ingest import ingest
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        ingest(
            IngestSection.from_json(config), as_task(task), seed,
            Path(images.path), Path(table.path), Path(rejected.path),
        )  # fmt: skip
        write_ids(Path(table.path), Path(ids.path))


@dsl.component(base_image=DATA, install_kfp_package=False)
def ingest_plan(
    task: str,
    seed: int,
    config: str,
    source_version: str,  # noqa: ARG001
    parts: int,
    plan: dsl.Output[dsl.Artifact],
) -> None:
    """Select the images, and deal them out to parts; no pixel is looked at."""
    from pathlib import Path

    from components.ingest.config import IngestSection
    from components.ingest.parts import plan as write_plan
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        write_plan(IngestSection.from_json(config), as_task(task), seed, parts, Path(plan.path))


@dsl.component(base_image=DATA, install_kfp_package=False)
def ingest_part(
    task: str,
    config: str,
    part: int,
    plan: dsl.Input[dsl.Artifact],
    piece: dsl.Output[dsl.Artifact],
) -> None:
    """Read, check and pack the images of one part."""
    from pathlib import Path

    from components.ingest.config import IngestSection
    from components.ingest.parts import read_part
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    section = IngestSection.from_json(config)
    with reported_errors():
        read_part(section, as_task(task), Path(plan.path), part, Path(piece.path))


@dsl.component(base_image=DATA, install_kfp_package=False)
def ingest_merge(
    task: str,
    config: str,
    plan: dsl.Input[dsl.Artifact],
    pieces: dsl.Input[List[dsl.Artifact]],  # noqa: UP006
    images: dsl.Output[dsl.Dataset],
    table: dsl.Output[dsl.Dataset],
    rejected: dsl.Output[dsl.Dataset],
    ids: dsl.Output[dsl.Dataset],
) -> None:
    """Make of the parts' pieces what the step gives in one task."""
    from pathlib import Path

    from components.ingest.config import IngestSection
    from components.ingest.ids import write_ids
    from components.ingest.parts import merge
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        merge(
            IngestSection.from_json(config), as_task(task), Path(plan.path),
            [Path(piece.path) for piece in pieces],
            Path(images.path), Path(table.path), Path(rejected.path),
        )  # fmt: skip
        write_ids(Path(table.path), Path(ids.path))
