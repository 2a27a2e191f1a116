"""Batch normalisation of large images that costs less: of what is pooled alone.

To normalise a channel is to scale and to shift it. The maximum of what that gives is what it gives
of the maximum, or of the minimum where the scale is negative. So behind a max-pooling a quarter of
the pixels or less are to be normalised; mean and variance come of all of them, as before. (Where
the scale is zero, every pixel is the maximum; the gradient may take another then.)

What costs is not the arithmetic but what is written, and read again, in between: forwards and
backwards 51 MB, of 16 images of 224 pixels in a ResNet-18.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import batch_norm

from train_pytorch_model.models.pooling import Geometry, geometry_of
from train_pytorch_model.models.torchvision_networks import networks


def normalise_pooled(net: nn.Module) -> None:
    """Have ``net``, in place, pool what convolutions give before it normalises it.

    For images on the CPU, the channels of whose pixels lie side by side. Where there is a batch
    normalisation between a convolution and a max-pooling (``pooling.pool_first`` puts it there),
    it keeps its place and its weights, and does both. Nothing else may take what the convolution
    gives, which in an ``nn.Sequential`` and in the stem of a ResNet nothing does.
    """
    for parent in net.modules():
        if isinstance(parent, nn.Sequential | networks.ResNet):
            children = [*parent.named_children()]
            for (_, conv), (_, norm), (name, pool) in zip(
                children, children[1:], children[2:], strict=False
            ):
                if isinstance(conv, nn.Conv2d) and _normalises(norm) and _pools(pool):
                    norm.__class__ = _PooledBatchNorm2d  # its weights stay
                    geometry = geometry_of(cast(nn.MaxPool2d, pool))
                    cast(_PooledBatchNorm2d, norm).geometry = geometry
                    setattr(parent, name, nn.Identity())


def _normalises(module: nn.Module) -> bool:
    """Whether it is a batch normalisation that has weights and running statistics."""
    if type(module) is not nn.BatchNorm2d:
        return False
    return module.affine and module.track_running_stats and module.momentum is not None


def _pools(module: nn.Module) -> bool:
    """Whether it is a max-pooling that gives what it pools alone."""
    return type(module) is nn.MaxPool2d and not module.return_indices


class _PooledBatchNorm2d(nn.BatchNorm2d):
    """A batch normalisation, then a max-pooling."""

    geometry: Geometry

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, height, width) → (b, channels, rows, columns)."""
        mean, variance = self.running_mean, self.running_var
        if not self.training:
            pooled, _ = _pooled(images, self.weight, self.geometry)
            return batch_norm(pooled, mean, variance, self.weight, self.bias, eps=self.eps)
        assert self.num_batches_tracked is not None  # it tracks
        self.num_batches_tracked.add_(1)
        given: Tensor = _Normalisation.apply(
            *(images, self.weight, self.bias, mean, variance),
            *(self.momentum, self.eps, self.geometry),
        )
        return given


class _Normalisation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        eps: float,
        geometry: Geometry,
    ) -> Tensor:
        running = (running_mean, running_variance)
        mean, variance = torch.batch_norm_update_stats(images, *running, momentum)
        inverse = (variance + eps).rsqrt()
        pooled, places = _pooled(images, weight, geometry)
        ctx.save_for_backward(images, weight, mean, inverse, places)
        scale = weight * inverse
        shift = bias - mean * scale
        return torch.addcmul(shift[:, None, None], pooled, scale[:, None, None], out=pooled)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, mean, inverse, places = ctx.saved_tensors
        pixels, given, at = map(_pixels, (images, gradient, places))
        of_bias = given.sum((0, 1))
        centred = pixels.gather(1, at).sub_(mean)
        of_weight = centred.mul_(given).sum((0, 1)).mul_(inverse)
        # Each pixel has a part in the mean and the variance, and those that were pooled one more.
        scale = weight * inverse
        count = pixels.shape[0] * pixels.shape[1]
        slope = -scale * inverse * of_weight / count
        same = -scale * of_bias / count - slope * mean
        # In place: nothing else keeps what a convolution gave. It is the largest tensor of a step.
        torch.addcmul(same, pixels, slope, out=pixels)
        pixels.scatter_add_(1, at, torch.mul(given, scale, out=centred))
        of_images = pixels.view(images.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)
        return of_images, of_weight, of_bias, None, None, None, None, None


def _pooled(images: Tensor, weight: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Of each window the pixel that ``weight`` scales to the largest value, and its place."""
    pooled, places = torch.ops.aten.max_pool2d_with_indices(images, *geometry)
    # New networks have no such channels, but those with weights of ImageNet have some.
    (negative,) = torch.nonzero(weight < 0, as_tuple=True)
    if len(negative):
        opposite = images.index_select(1, negative).neg_()
        highest, there = torch.ops.aten.max_pool2d_with_indices(opposite, *geometry)
        pooled.index_copy_(1, negative, highest.neg_())
        places.index_copy_(1, negative, there)
    return pooled, places


def _pixels(tensor: Tensor) -> Tensor:
    """(b, channels, height, width) → (b, height · width, channels)."""
    return tensor.permute(0, 2, 3, 1).flatten(1, 2)
