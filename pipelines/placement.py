"""Where a step runs on a cluster: the one place that speaks of GPUs."""

from typing import Final

from kfp import kubernetes
from kfp.dsl import PipelineTask
from pydantic import Field

from components.shared.config import Section

GPU_STEPS: Final = ("tune", "train", "predict")


class PlacementSection(Section):
    """Cluster settings; a local run needs none of them."""

    registry: str = Field("", description="prefix of image names, e.g. registry.example/team")
    parts: int = Field(1, ge=1, le=1000, description="tasks that read the source side by side")
    gpus: int = Field(0, ge=0, description="GPUs of each training task")
    gpu_resource: str = Field("nvidia.com/gpu", description="the cluster's name for a GPU")
    node_selector: dict[str, str] = Field({}, description="labels of the GPU nodes")
    tolerate: list[str] = Field(["nvidia.com/gpu"], description="taints of the GPU nodes")
    shared_memory_gib: int = Field(
        8, ge=1, description="shared memory of training tasks; counts against their memory"
    )


def place(task: PipelineTask, section: PlacementSection) -> None:
    """Give a task its accelerator, node and shared memory. CPU steps never hold a GPU."""
    if task.name not in GPU_STEPS:
        return
    # Containers get 64 MiB of /dev/shm, in which DataLoader workers die.
    kubernetes.empty_dir_mount(
        task,
        volume_name="shared-memory",
        mount_path="/dev/shm",  # noqa: S108 - the mount point itself
        medium="Memory",
        size_limit=f"{section.shared_memory_gib}Gi",
    )
    if not section.gpus:
        return
    task.set_accelerator_type(section.gpu_resource).set_accelerator_limit(section.gpus)
    for label, value in section.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for taint in section.tolerate:
        kubernetes.add_toleration(task, key=taint, operator="Exists", effect="NoSchedule")
