"""What launched a run: the environment variables of Azure, torchrun and Open MPI."""

import os


def world_size() -> int:
    """The number of processes of the run: torchrun's and Azure's variable, or Open MPI's."""
    for variable in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE"):
        if os.environ.get(variable, "").isdecimal():
            return int(os.environ[variable])
    return 1


def has_metrics_service() -> bool:
    """Whether the run has a metrics service, as a job on Azure has."""
    # MLflow tries for minutes by default where its service does not answer.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))
