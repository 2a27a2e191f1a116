"""The whole pipeline, from a folder of images to an evaluated model, in both SDKs."""
