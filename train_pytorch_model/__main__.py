"""``python -m train_pytorch_model``: the command that the component specs run."""

import sys

from train_pytorch_model.cli import main

sys.exit(main())
