# The environment of the components as an image, for those who build their own: the same base image
# and the same packages as Azure Machine Learning builds from the specs, with the package in it.
#   docker build --tag train-pytorch-model .
#   docker run --gpus all train-pytorch-model python -m train_pytorch_model --help
FROM mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:latest

WORKDIR /component
COPY conda.yaml .
RUN conda env create --prefix /opt/component --file conda.yaml && conda clean --all --yes
ENV PATH=/opt/component/bin:$PATH
COPY train_pytorch_model train_pytorch_model
ENV PYTHONPATH=/component
