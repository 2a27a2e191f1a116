"""Scores images with this trained model in an Azure Machine Learning online endpoint.

``init`` loads the model of the directory ``AZUREML_MODEL_DIR``; ``run`` takes the rows of
``_samples.json``, a JSON list of objects with the image as base64, and answers
``{"result": rows}``: the other columns by name, a probability per label, and the scored label.
"""

import base64
import csv
import io
import json
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torchvision
import yaml
from PIL import Image, PngImagePlugin

# As in training: PNGs of cameras carry profiles and text of more than Pillow's 1 MB a chunk.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY

network = None
labels = []
columns = []
image_column = "image"


def init():
    """Load the model; called once, before the first request."""
    global network, labels, columns, image_column
    root = Path(os.environ["AZUREML_MODEL_DIR"])
    folder = min(root.rglob("_meta.yaml"), key=lambda path: len(path.parts)).parent
    spec = yaml.safe_load((folder / "model_spec.yaml").read_text("utf-8"))
    settings = dict(spec["flavor_extras"]["init_params"], weights=None)
    del settings["pretrained"]  # the weights are here
    network = getattr(torchvision.models, settings.pop("model_name"))(**settings)
    saved = torch.load(folder / spec["model_file"], map_location="cpu", weights_only=True)
    state = OrderedDict((key[len("model.") :], value) for key, value in saved.items())
    state._metadata = network.state_dict()._metadata  # versions of layers, which MNASNet asks for
    network.load_state_dict(state)
    network.eval()
    with open(folder / spec["label_map_file"], encoding="utf-8", newline="") as file:
        labels = [row[1] for row in list(csv.reader(file))[1:]]
    image_column = spec["inputs"][0]["name"]
    schema = json.loads((folder / "_schema.json").read_text("utf-8"))
    columns = sorted(
        column["name"] for column in schema["columnAttributes"] if not column.get("isFeature", True)
    )


def run(data):
    """Score the rows of a request, a JSON text."""
    return json.dumps({"result": [_scored(row) for row in json.loads(data)]})


def _scored(row):
    image = Image.open(io.BytesIO(base64.b64decode(row[image_column])))
    deep = image.mode.startswith(("I", "F"))
    grey = _to_8_bits(_values(image))[:, :, None].repeat(3, axis=2) if deep else None
    pixels = torch.from_numpy(grey if deep else np.array(image.convert("RGB")))
    batch = pixels.permute(2, 0, 1)[None].float().div(255).sub(0.5).div(0.5)
    with torch.inference_mode():
        probabilities = network(batch).softmax(dim=1)[0]
    known = [row.get(column) for column in columns]
    return [*known, *probabilities.tolist(), labels[int(probabilities.argmax())]]


def _values(image):
    """The values of a deep image; those of a PGM are of 16 bits, though Pillow calls them 32."""
    values = np.asarray(image)
    return values.astype(np.uint16) if image.format == "PPM" and image.mode == "I" else values


def _to_8_bits(values):
    """Scale a deep greyscale image to 0…255, by the same rule as in training."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "u":
        low, high = 0.0, float(np.iinfo(values.dtype).max)
    else:
        usual = (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0)
        fitting = [limit for limit in usual if low >= 0 and high <= limit]
        low, high = (0.0, fitting[0]) if fitting else (low, high)
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((values.astype(np.float64) - low) * scale).astype(np.uint8)
