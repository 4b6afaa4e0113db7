"""The training pipeline: from images to a verified endpoint.

One definition for every target; a target differs in image references and placement alone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kfp import compiler, dsl
from kfp.dsl.base_component import BaseComponent

from components.augment.component import augment as augment_step
from components.deploy.component import deploy as deploy_step
from components.evaluate.component import evaluate as evaluate_step
from components.explore.component import explore as explore_step
from components.im2rec.component import im2rec as im2rec_step
from components.ingest.component import ingest as ingest_step
from components.ingest.component import ingest_merge as ingest_merge_step
from components.ingest.component import ingest_part as ingest_part_step
from components.ingest.component import ingest_plan as ingest_plan_step
from components.ingest.source_version import source_version
from components.predict.component import predict as predict_step
from components.register.component import register as register_step
from components.shared.addresses import without_password
from components.shared.errors import UserError
from components.shared.images import AWS, DATA, RECORDIO, TRAINER
from components.split.component import split as split_step
from components.train.component import train as train_step
from components.tune.component import tune as tune_step
from components.validate.component import validate as validate_step
from pipelines.config import Project, local_paths
from pipelines.images import owner, reference
from pipelines.placement import PlacementSection, place

_LARGEST_PROFILE = 100_000  # characters: parameters travel on a command line of 128 KiB

# What acts on the world must act again when the run does.
UNCACHED = ("register", "deploy")

STEP_IMAGES = {
    "ingest": DATA,
    "validate": DATA,
    "explore": DATA,
    "split": DATA,
    "augment": TRAINER,
    "im2rec": RECORDIO,
    "tune": TRAINER,
    "train": TRAINER,
    "predict": TRAINER,
    "evaluate": TRAINER,
    "register": AWS,
    "deploy": TRAINER,
}


def arguments(project: Project, baseline: str = "") -> dict[str, Any]:
    """Return the pipeline's parameters: each step's section as JSON text.

    Text, because KFP turns the integers of dict parameters into floats and refuses nulls.

    Args:
        project: the config.
        baseline: profile of the data of an earlier run, as JSON, for validate to compare with.
    """
    sections = {step: project.section(step).model_dump_json() for step in STEP_IMAGES}
    return {
        "project": project.project,
        "task": project.task,
        "seed": project.seed,
        "source_version": source_version(project.ingest),
        "weights_version": _weights_version(project),
        "baseline": _named_baseline(project) or baseline,
        # Not all of `train`: an edit of its epochs must not redo augment and im2rec.
        "train_view": project.train.model_dump_json(include={"augment", "image_size"}),
        "config_text": _published(project),
        **sections,
    }


def _published(project: Project) -> str:
    """Return the config as the registry shows it: without passwords, and where it ran."""
    uri = without_password(project.register_.tracking_uri)
    register = project.register_.model_copy(update={"tracking_uri": uri})
    shown = project.model_copy(update={"register_": register})
    return shown.model_dump_json(by_alias=True, exclude={"placement"})


def _named_baseline(project: Project) -> str:
    """Return the profile in a local file that the config names, so that an edit of it counts."""
    path = local_paths(project).get("validate.drift.baseline")
    if path is None:
        return ""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"validate.drift.baseline: {path}: cannot be read: {error}") from None
    if len(text) > _LARGEST_PROFILE:
        raise UserError(f"validate.drift.baseline: {path}: too large for a profile of validate's")
    return text


def _weights_version(project: Project) -> str:
    """Return text that changes when a file of pretrained weights does."""
    path = local_paths(project).get("train.weights")
    if path is None or not path.exists():
        return ""
    status = path.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def build(placement: PlacementSection) -> BaseComponent:
    """Return the pipeline, its tasks placed and bound to images by content."""

    def configure(task: dsl.PipelineTask) -> dsl.PipelineTask:
        step = owner(task.name)
        task.set_container_image(reference(STEP_IMAGES[step], step, placement.registry))
        task.set_caching_options(step not in UNCACHED)
        place(task, placement)
        return task

    @dsl.pipeline(
        name="sightline-training",
        description="Images to a verified endpoint: detection, counting or classification.",
    )
    def training(
        project: str,
        task: str,
        seed: int,
        source_version: str,
        weights_version: str,
        baseline: str,
        train_view: str,
        config_text: str,
        ingest: str,
        validate: str,
        explore: str,
        split: str,
        augment: str,
        im2rec: str,
        tune: str,
        train: str,
        predict: str,
        evaluate: str,
        register: str,
        deploy: str,
    ) -> None:
        source = {"task": task, "seed": seed, "config": ingest, "source_version": source_version}
        if placement.parts == 1:
            read = configure(ingest_step(**source)).outputs
        else:
            read = _ingest_in_parts(source, placement.parts, configure)
        checked = configure(
            validate_step(
                task=task,
                seed=seed,
                config=validate,
                baseline=baseline,
                images=read["images"],
                table=read["table"],
                rejected=read["rejected"],
            )
        )
        divided = configure(
            split_step(
                task=task, seed=seed, config=split, images=read["images"], table=read["table"]
            )
        ).after(checked)
        table = divided.outputs["split_table"]
        configure(
            explore_step(
                task=task,
                seed=seed,
                config=explore,
                images=read["images"],
                table=table,
                rejected=read["rejected"],
            )
        )
        augmented = configure(
            augment_step(
                task=task,
                seed=seed,
                config=augment,
                train_config=train_view,
                images=read["images"],
                table=table,
            )
        ).outputs
        records = configure(
            im2rec_step(
                task=task,
                config=im2rec,
                images=read["images"],
                augmented_images=augmented["augmented_images"],
                table=augmented["augmented_table"],
            )
        ).outputs["records"]
        tuned = configure(
            tune_step(
                task=task,
                seed=seed,
                config=tune,
                train_config=train,
                weights_version=weights_version,
                records=records,
            )
        ).outputs
        model = configure(
            train_step(
                task=task,
                seed=seed,
                config=train,
                hyperparameters=tuned["best"],
                weights_version=weights_version,
                records=records,
            )
        ).outputs["model"]
        predictions = configure(predict_step(config=predict, model=model, records=records)).outputs[
            "predictions"
        ]
        judged = configure(
            evaluate_step(
                task=task,
                seed=seed,
                config=evaluate,
                predictions=predictions,
                table=table,
                images=read["images"],
                model=model,
            )
        )
        passed = judged.outputs["Output"]
        # Text with text: a condition that KFP cannot evaluate counts as False.
        with dsl.If(passed == "true", name="gate"):
            registered = configure(
                register_step(
                    project=project,
                    config=register,
                    config_text=config_text,
                    model=model,
                    verdict=judged.outputs["verdict"],
                    table=table,
                    predictions=predictions,
                )
            ).outputs
            configure(
                deploy_step(
                    config=deploy,
                    model=model,
                    version=registered["version"],
                    predictions=predictions,
                    records=records,
                )
            )

    pipeline: BaseComponent = training
    return pipeline


def _ingest_in_parts(
    source: dict[str, Any], parts: int, configure: Callable[[dsl.PipelineTask], dsl.PipelineTask]
) -> dict[str, Any]:
    """Add the tasks that read a source side by side; return the outputs of the ingest step.

    In the loop's body kfp.local is right about pipeline parameters, artifacts and the loop's
    item alone (not about parameters that a task gives), so nothing else is used there.
    """
    plan = configure(ingest_plan_step(**source, parts=parts)).outputs["plan"]
    task, config = source["task"], source["config"]
    with dsl.ParallelFor(list(range(parts)), name="parts") as part:
        piece = configure(ingest_part_step(task=task, config=config, part=part, plan=plan)).outputs[
            "piece"
        ]
    merged = ingest_merge_step(task=task, config=config, plan=plan, pieces=dsl.Collected(piece))
    outputs: dict[str, Any] = configure(merged).outputs
    return outputs


def compile_pipeline(project: Project, placement: PlacementSection, output: Path) -> None:
    """Write the pipeline as IR YAML, with the project's settings as its default parameters."""
    output.parent.mkdir(parents=True, exist_ok=True)
    compiler.Compiler().compile(
        build(placement),
        package_path=str(output),
        pipeline_parameters=arguments(project),
    )
