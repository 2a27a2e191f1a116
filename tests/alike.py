"""Networks that are to compute the same as torchvision's, in double precision."""

import torch
import torchvision
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


def plain_network(name: str) -> nn.Module:
    """A network of torchvision's that drops nothing out, the channels of a pixel side by side."""
    torch.manual_seed(0)
    net: nn.Module = getattr(torchvision.models, name)(num_classes=3)
    if isinstance(net, torchvision.models.VGG):  # all but its convolutions takes a gigabyte
        net.classifier = nn.Sequential(nn.Linear(512 * 7 * 7, 3))
    net.double().train()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return net.to(memory_format=torch.channels_last)


def assert_gradients_are_alike(
    net: nn.Module, plain: nn.Module, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Compare their gradients, and then what they give in evaluation; returns their logits."""
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    images = images.to(memory_format=torch.channels_last)
    found, expected = net(images), plain(images)
    for logits in (found, expected):
        cross_entropy(logits, torch.tensor([0, 2])).backward()  # type: ignore[no-untyped-call]  # torch does not type it
    for (key, ours), theirs in zip(net.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, msg=key, rtol=1e-6, atol=1e-9)
    with torch.inference_mode():
        torch.testing.assert_close(net.eval()(images), plain.eval()(images))
    return found, expected
