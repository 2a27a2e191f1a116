"""The neighbours of Train PyTorch Model in a pipeline, each a command of its own."""
