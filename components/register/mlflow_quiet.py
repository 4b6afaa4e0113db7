"""MLflow with its telemetry and chatter off: import it from here, never directly.

MLflow starts its telemetry client, and looks for git, while it is imported, so these settings
must come before. Whoever sets one of them in the environment keeps the last word.
"""

import logging
import os

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Its default of seven retries, each waiting twice as long, keeps silent about a wrong
    # address for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "GIT_PYTHON_REFRESH": "quiet",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, RunTag  # noqa: E402
from mlflow.entities.model_registry import ModelVersion  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

for _logger in ("mlflow", "alembic"):
    logging.getLogger(_logger).setLevel(logging.WARNING)

__all__ = ["Metric", "MlflowClient", "MlflowException", "ModelVersion", "Param", "RunTag"]
