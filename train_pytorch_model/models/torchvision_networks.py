"""torchvision's networks."""

from train_pytorch_model.imports import lean

with lean():
    import torchvision

networks = torchvision.models
"""torchvision's functions that make networks, by name."""
