"""Stochastic gradient descent, as the original does it."""

from weakref import WeakMethod

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4

_LARGE = 1 << 19
"""Weights of so many numbers, on a CPU, are moved by themselves. To move smaller ones so takes
longer: from 65,536 numbers on, a step on 16 images of 28 pixels took 4 % more than with none."""


class SGD:
    """SGD with Nesterov momentum and weight decay.

    On a CPU, large weights are moved as soon as their gradient is there, which is gone before that
    of the next weights comes: a ResNet-18 has 40 MB of gradients else. So ``backward`` is one half
    of a step, and ``step`` must follow it.

    Args:
        net: the network whose weights it moves, on its device.
        rate: the learning rate.

    Attributes:
        rate: the learning rate, which may be changed.
        momenta: weights → their momentum; they have none before the first step.
    """

    def __init__(self, net: nn.Module, rate: float) -> None:
        self.rate = rate
        self.momenta: dict[Tensor, Tensor] = {}
        self._together = []
        # Hooks that kept the optimiser, which has all weights, would keep the network for ever.
        move = WeakMethod(self._move)

        def move_alone(weights: Tensor) -> None:
            method = move()
            assert method is not None, "weights are trained without their optimiser"
            method(weights)

        for weights in net.parameters():
            if weights.device.type == "cpu" and weights.numel() >= _LARGE:
                weights.register_post_accumulate_grad_hook(move_alone)  # type: ignore[no-untyped-call]  # torch does not type it
            else:
                self._together.append(weights)

    def step(self) -> None:
        """Move the weights that have a gradient still, which is gone then."""
        self._move(*self._together)

    @torch.no_grad()
    def _move(self, *weights: Tensor) -> None:
        moving = [each for each in weights if each.grad is not None]
        momenta = [None if m is None else _flat(m) for m in map(self.momenta.get, moving)]
        sgd(
            [*map(_flat, moving)],
            [_flat(each.grad) for each in moving if each.grad is not None],
            momenta,  # which it makes where there are none
            fused=True,  # one pass over the weights instead of four
            lr=self.rate,
            momentum=MOMENTUM,
            weight_decay=WEIGHT_DECAY,
            dampening=0,
            nesterov=True,
            maximize=False,
        )
        for each, momentum in zip(moving, momenta, strict=True):
            assert momentum is not None
            self.momenta[each] = momentum.as_strided(each.shape, each.stride())
            each.grad = None


def _flat(tensor: Tensor) -> Tensor:
    """The numbers of a weight, its gradient or its momentum, in the order that they lie in.

    It is the same for all three: so autograd and this optimiser make them. In another order than
    that of rows, the fused step of PyTorch copies the gradient first, which takes ten times as long
    as the step where weights lie tap by tap (see ``models.kernel_maps``).
    """
    return tensor.as_strided((tensor.numel(),), (1,))
