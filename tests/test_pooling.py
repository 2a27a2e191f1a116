"""Pooling before the activation computes the same."""

import copy
import weakref

import pytest
import torch
from torch import Tensor, nn

from train_pytorch_model.models.pooling import forget_pooled, pool_first
from train_pytorch_model.models.torchvision_networks import networks


def widths(net: nn.Module) -> list[int]:
    """The widths of what the activations of a network are given for an image of 64 pixels."""
    sizes: list[int] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        sizes.append(inputs[0].shape[-1])

    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(note)
    net(torch.zeros(2, 3, 64, 64))
    return sizes


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("resnet18", 16),
        ("wide_resnet50_2", 16),
        ("densenet121", 16),
        ("vgg11", 32),
        ("vgg11_bn", 32),
        ("alexnet", 7),
        ("squeezenet1_1", 15),
        ("shufflenet_v2_x0_5", 32),
    ],
)
def test_training_is_the_same_to_the_bit(name: str, first: int) -> None:
    """Outputs and gradients; the first activation sees what is pooled."""
    torch.manual_seed(0)
    before = getattr(networks, name)(num_classes=3)
    for module in before.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    after = copy.deepcopy(before)
    pool_first(after)
    forget_pooled(after)
    assert [type(m) for m in after.modules()] != [type(m) for m in before.modules()]
    images = torch.randn(2, 3, 96, 96)
    outputs = [net(images) for net in (before, after)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=0)
    assert list(after.state_dict()) == list(before.state_dict())
    assert widths(after.eval())[0] == first


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "pooling",
    [nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d((3, 2), (2, 1), ceil_mode=True)],
)
def test_nothing_is_kept_of_what_is_pooled(
    pooling: nn.MaxPool2d, dtype: torch.dtype, layout: torch.memory_format
) -> None:
    """And what is computed is the same to the bit, and lies the same in memory."""
    ours = copy.deepcopy(pooling)
    forget_pooled(ours)
    found = []
    for pool in (pooling, ours):
        torch.manual_seed(0)
        images = torch.randn(2, 3, 9, 8).to(dtype=dtype, memory_format=layout).requires_grad_()
        before = images * 2  # as a network would compute it
        kept = weakref.ref(before.untyped_storage())
        pooled = pool(before)
        del before
        assert (kept() is None) == (pool is ours)
        pooled.backward(torch.randn(pooled.shape).to(pooled))
        found.append((pooled.detach(), images.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        assert one.stride() == other.stride()
