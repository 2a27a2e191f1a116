"""Train PyTorch Model: an Azure Machine Learning component that trains an image classifier.

Importing this package imports neither torch nor an Azure SDK; ``train_pytorch_model.train.train``
is the program, ``python -m train_pytorch_model`` its command line.
"""

__version__ = "0.3.0"
