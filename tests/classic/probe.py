"""What Microsoft's packages read, as JSON; runs in their Python 3.9 and knows nothing of ours.

The form is the first argument::

    probe.py images DIRECTORY…         the files, labels, ids and classes of image directories
    probe.py pixels TARGET FILE…       writes each image's RGB pixels to TARGET/<file name>.npy
    probe.py table DIRECTORY           the columns and the schema of a DataFrameDirectory
    probe.py networks DIRECTORY…       how many tensors each model directory has, which are those of
                                       the network that Train PyTorch Model makes of it
"""

import json
import sys
from pathlib import Path

import numpy as np
from azureml.studio.core.io.data_frame_directory import DataFrameDirectory
from azureml.studio.core.io.image_directory import ImageDirectory, image_from_file


def images(path):
    """One image directory."""
    directory = ImageDirectory.load(path)
    column = directory.get_image_column()
    everything = range(len(directory))
    read = {
        "files": [
            directory.get_image_file(i, column).relative_to(path).as_posix() for i in everything
        ],
        "ids": [directory.image_list[i].get("id") for i in everything],
    }
    try:
        label_column = directory.get_annotation_column()
    except ValueError:  # which is how it says that there is none
        return {**read, "labels": [None] * len(directory), "classes": []}
    labelled = set(directory.get_valid_annotation_indexes(label_column))
    labels = [directory.image_list[i].get(label_column) for i in everything]
    return {
        **read,
        "labels": [label if i in labelled else None for i, label in enumerate(labels)],
        "classes": directory.to_torchvision_dataset().classes,
    }


def pixels(target, files):
    """Write the pixels of each file."""
    for file in files:
        np.save(Path(target, Path(file).name + ".npy"), np.asarray(image_from_file(file)))


def table(path):
    """One table."""
    directory = DataFrameDirectory.load(path)
    return {
        "columns": list(directory.data.columns),
        "rows": len(directory.data),
        "schema": directory.schema,
    }


def network(path):
    """One model directory, for as many classes as ImageNet has."""
    import torch  # and with it what only this form needs
    from azureml.designer.modules.dl.pytorch.train.train_pytorch_model import init_model

    made, _, _ = init_model(path, 1000)
    weights = torch.load(Path(path, "model"), weights_only=True)
    made.load_state_dict(weights, strict=True)
    return len(weights)


if __name__ == "__main__":
    form, *arguments = sys.argv[1:]
    if form == "images":
        answer = [images(path) for path in arguments]
    elif form == "pixels":
        answer = pixels(arguments[0], arguments[1:])
    elif form == "networks":
        answer = [network(path) for path in arguments]
    else:
        answer = table(arguments[0])
    print(json.dumps(answer))  # noqa: T201 - the answer is what is printed
