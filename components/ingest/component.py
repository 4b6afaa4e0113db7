"""The KFP component of the ingest step."""

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
) -> None:
    """Read the source into shards and an image table; list what was set aside.

    `source_version` is not read: it makes the cache notice that a source has changed.
    """
    from pathlib import Path

    from components.ingest.config import IngestSection
    from components.ingest.ingest import ingest
    from components.shared.step import reported_errors
    from components.shared.task import as_task

    with reported_errors():
        ingest(
            IngestSection.from_json(config), as_task(task), seed,
            Path(images.path), Path(table.path), Path(rejected.path),
        )  # fmt: skip
