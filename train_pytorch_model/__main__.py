"""``python -m train_pytorch_model``: the command that the component specs run."""

from train_pytorch_model.cli import main
from train_pytorch_model.termination import leave

leave(main())
