"""Packaging. Each dependency says why it is one."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (HERE / "train_pytorch_model/__init__.py").read_text("utf-8").splitlines()
    if line.startswith("__version__")
)

setup(
    name="train-pytorch-model",
    version=VERSION,
    description="An Azure Machine Learning component that trains an image classifier",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["train_pytorch_model", "train_pytorch_model.*"]),
    package_data={"train_pytorch_model": ["deployment/*"]},
    install_requires=[
        "torch>=2.11",  # trains
        "torchvision>=0.26",  # the architectures, whose parameter names are those on disk
        "numpy>=1.26",  # pixels between Pillow and torch
        "pillow>=11",  # decodes images, and to the very pixels of the original
        "pyarrow>=16",  # reads images.lst fast and small; writes scored images as Parquet
        "pyyaml>=6",  # the ports' YAML, loaded safely
        "tqdm>=4.66",  # progress bars that behave in a terminal and in a log
        "urllib3>=2.6",  # fetches coco_url with timeouts and retries, in bounded memory
    ],
    extras_require={
        "bench": [
            "pytorch-lightning>=2.6",  # its Trainer is one of those that ours is compared with
            "scikit-image>=0.25",  # ships photographs
        ],
        "azure": [
            "azureml-mlflow>=1.60",  # lets MLflow log to a workspace
            "mlflow-skinny>=2.14",  # logs the metrics of a job
        ],
        "pipelines": [
            "azure-ai-ml>=1.30",  # the v2 SDK, which builds and submits a pipeline
            "azure-identity>=1.15",  # signs in to a workspace
        ],
        "test": [
            "pytest>=8",  # runs the tests
            "pytest-cov>=6",  # and measures what they reach
            "pytest-timeout>=2.3",  # a test that hangs fails
            "hypothesis>=6.100",  # makes the inputs that the readers are tested with
            "ruff>=0.12",  # style
            "mypy>=1.15",  # types
            "types-PyYAML",  # the types of pyyaml
            "types-tqdm",  # the types of tqdm
            "pandas>=2",  # reads what Score Image Model writes, as its users do
            "mlflow-skinny>=2.14",  # logs metrics, here to a file
            "azure-ai-ml>=1.30",  # the v2 SDK, which loads module_spec.yaml
            # the classic SDK, which loads module_spec.classic.yaml; none for later Pythons
            "azure-ml-component==0.9.18.post2; python_version < '3.12'",
            # which needs pkg_resources at run time and does not say so
            "setuptools<81; python_version < '3.12'",
        ],
    },
    entry_points={"console_scripts": ["train-pytorch-model=train_pytorch_model.cli:main"]},
)
