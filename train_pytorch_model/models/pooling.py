"""Activations behind max-pooling instead of before it.

The maximum of what is left of ReLU is what ReLU leaves of the maximum, and the gradient goes the
same way: where a maximum is positive, to it, and nowhere else. Behind the pooling a ReLU has a
quarter of the pixels or less to go through, forwards and backwards.
"""

from itertools import pairwise

from torch import nn

from train_pytorch_model.models.torchvision_networks import networks


def pool_first(net: nn.Module) -> None:
    """Swap, in place, each ReLU with the max-pooling that is applied to its output alone.

    That is so where one follows the other in an ``nn.Sequential``, and in the stem of a ResNet.
    """
    for parent in net.modules():
        if isinstance(parent, nn.Sequential | networks.ResNet):
            for (name, relu), (next_name, pool) in pairwise([*parent.named_children()]):
                if isinstance(relu, nn.ReLU) and isinstance(pool, nn.MaxPool2d):
                    setattr(parent, name, pool)
                    setattr(parent, next_name, relu)
