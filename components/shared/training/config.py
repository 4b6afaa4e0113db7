"""Settings of training, shared by the steps train and tune."""

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from components.shared.augmentation.config import Operations
from components.shared.config import Section
from components.shared.task import Axis

Model = Literal[
    "resnet18", "resnet34", "resnet50", "resnet9",  # classify and count
    "ssd_resnet50", "fcos_resnet18",  # detect
]  # fmt: skip

# Edge in pixels under which a model's coarsest feature maps would vanish.
SMALLEST_IMAGE: Final = {"ssd_resnet50": 96, "fcos_resnet18": 64}


def is_weights_file(weights: str) -> bool:
    """Tell a file of weights from `none` and from torchvision's names."""
    return weights.endswith((".safetensors", ".pth", ".pt"))


class TrainAugmentSection(Operations):
    """Changes made to training images anew whenever they are seen."""

    mixup: float = Field(
        0.0, ge=0, description="alpha of mixup's Beta distribution; 0: off (not for detect)"
    )


class TrainSection(Section):
    """The model and how it is trained."""

    model: Model = Field("resnet18", description="see components/shared/models")
    weights: str = Field(
        "none", description="none, a torchvision weights name, or a file of weights"
    )
    frozen_stages: int = Field(
        0, ge=0, le=5, description="first stages of the backbone kept as they are (5: all)"
    )
    image_size: int = Field(224, ge=16, le=2048, description="edge the model sees, pixels")
    epochs: int = Field(20, ge=1, le=10_000)
    batch_size: int = Field(32, ge=1)
    optimizer: Literal["sgd", "adam", "adamw"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0, description="the highest rate of the schedule")
    stage_rate: float = Field(
        1.0, gt=0, le=1, description="rate of each stage of the body, as a share of the next one's"
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.05, ge=0)
    schedule: Literal["constant", "onecycle", "cosine", "step"] = "onecycle"
    warmup_share: float = Field(0.2, ge=0, lt=1, description="of the steps, rate rising")
    step_epochs: list[int] = Field([], description="epochs at which `step` lowers the rate")
    step_factor: float = Field(0.1, gt=0, lt=1, description="by how much it is lowered")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: the rarer a class (or count), the more its images weigh"
    )
    gradient_clip: float = Field(5.0, ge=0, description="largest gradient norm; 0: off")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="of the weights' moving average, which is kept; 0: off"
    )
    mirror_average: bool = Field(
        False,
        description="answer with the mean over an image and its mirror images, along the axes "
        "that training flips; costs two or four times the inference",
    )
    nms_threshold: float = Field(0.5, gt=0, lt=1, description="IoU above which boxes merge")
    min_score: float = Field(0.01, ge=0, lt=1, description="weaker detections are left out")
    max_detections: int = Field(100, ge=1, description="strongest detections kept an image")
    early_stop_epochs: int = Field(
        0, ge=0, description="stop after so many epochs without a better validation; 0: never"
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="auto: bf16 where the processor or GPU computes in it"
    )
    workers: int = Field(-1, ge=-1, description="reader processes; -1: by size and cores")
    augment: TrainAugmentSection = TrainAugmentSection()

    @model_validator(mode="after")
    def _shows_enough_to_the_model(self) -> Self:
        smallest = SMALLEST_IMAGE.get(self.model, 0)
        if self.image_size < smallest:
            raise ValueError(f"{self.model} needs an image_size of {smallest} or more")
        return self

    @model_validator(mode="after")
    def _mirrors_what_it_saw(self) -> Self:
        if self.mirror_average and not self.mirrored:
            raise ValueError(
                "mirror_average needs augment.horizontal_flip or augment.vertical_flip above 0: "
                "a model that never saw mirror images is no judge of them"
            )
        return self

    @property
    def mirrored(self) -> tuple[Axis, ...]:
        """The axes along which a trained model's answers are averaged."""
        flips: dict[Axis, float] = {
            "horizontal": self.augment.horizontal_flip,
            "vertical": self.augment.vertical_flip,
        }
        return tuple(axis for axis, share in flips.items() if self.mirror_average and share > 0)
