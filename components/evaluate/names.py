"""What is measured for each task, and what people call it; free of heavy imports."""

from typing import Final

from components.evaluate.config import EvaluateSection
from components.shared.errors import UserError
from components.shared.hints import hint
from components.shared.task import Task

METRICS: Final[dict[Task, dict[str, str]]] = {
    "classify": {
        "accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy",
        "f1_macro": "F1, macro", "precision_macro": "Precision, macro",
        "worst_recall": "Recall of the worst class", "top3_accuracy": "Top-3 accuracy",
        "top5_accuracy": "Top-5 accuracy", "log_loss": "Log loss", "roc_auc": "ROC AUC",
        "ece": "Calibration error (ECE)", "baseline_accuracy": "Accuracy, most frequent answer",
    },
    "count": {
        "rmse": "RMSE", "accuracy": "Accuracy", "mae": "Mean absolute error",
        "within_one": "Within one", "bias": "Bias", "rmse_integer": "RMSE, whole numbers",
        "rmse_ratio": "RMSE / best constant", "baseline_rmse": "RMSE, best constant",
        "log_loss": "Log loss",
        "baseline_accuracy": "Accuracy, most frequent answer",
    },
    "detect": {
        "ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "AP, small",
        "ap_medium": "AP, medium", "ap_large": "AP, large", "ar1": "AR, 1 detection",
        "ar10": "AR, 10 detections", "ar": "AR", "ar_small": "AR, small",
        "ar_medium": "AR, medium", "ar_large": "AR, large", "precision": "Precision",
        "recall": "Recall", "f1": "F1", "mean_iou": "Mean IoU",
        "count_mae": "Boxes an image, mean error",
    },
}  # fmt: skip
NAMES: Final = {name: label for metrics in METRICS.values() for name, label in metrics.items()}
HEADLINES: Final[dict[Task, tuple[str, ...]]] = {
    "classify": ("accuracy", "f1_macro", "roc_auc", "ece"),
    "count": ("rmse", "accuracy", "mae", "within_one"),
    "detect": ("ap", "ap50", "precision", "recall"),
}


def check_metrics(section: EvaluateSection, task: Task) -> None:
    """Refuse names of metrics that this task does not have: nobody waits hours for a typo.

    Raises:
        UserError: naming the key, the metric, and the nearest that there is.
    """
    named = [(f"gate.{number}.metric", rule.metric) for number, rule in enumerate(section.gate)]
    named += [(f"benchmark.metrics.{name}", name) for name in section.benchmark.metrics]
    for key, name in named:
        if name in METRICS[task]:
            continue
        known = hint(name, METRICS[task])
        raise UserError(f"evaluate.{key}: '{name}' is not measured for task '{task}'; {known}")
