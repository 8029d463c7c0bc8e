"""What the architectures share: sizes, branches of layers, widths, first weights."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

from minires import nn, ops
from minires.autograd import Tensor

Draw = Callable[[Tensor], Tensor]
Scaling = Callable[[int], int]
Pair = int | tuple[int, int]


class Joined(nn.Module):
    """Run branches side by side on one input and join their outputs' channels.

    Parameters
    ----------
    **branches : Module
        Called by their names.
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to (N, the sum of the branches' channels, H', W')."""
        return ops.cat([branch(x) for branch in self.children()], 1)


class BasicConv2d(nn.Sequential):
    """A convolution, batch normalisation and ReLU; or with ``norm=False`` a bias and ReLU.

    Parameters
    ----------
    in_channels, channels : int
    kernel_size : int or (int, int)
    stride : int
    padding : int or (int, int), optional
        By default what keeps the size at stride 1.
    norm : bool
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: Pair,
        stride: int = 1,
        padding: Pair | None = None,
        norm: bool = True,
    ) -> None:
        if padding is None:
            h, w = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
            padding = h // 2, w // 2
        conv = nn.Conv2d(in_channels, channels, kernel_size, stride, padding, bias=not norm)
        if norm:
            norm_layer = nn.BatchNorm2d(channels, eps=1e-3)
            super().__init__({"conv": conv, "bn": norm_layer, "relu": nn.ReLU()})
        else:
            super().__init__({"conv": conv, "relu": nn.ReLU()})


def check_sizes(**sizes: int) -> None:
    """Raise ValueError unless all of them are whole numbers of at least 1."""
    for name, size in sizes.items():
        if not isinstance(size, Integral):
            raise ValueError(f"{name} must be a whole number, found {size!r}")
        if size < 1:
            advice = "; for features in place of logits, put nn.Identity() for the last layer"
            raise ValueError(
                f"{name} must be at least 1, found {size}{advice * (name == 'num_classes')}"
            )


def lrn() -> nn.LocalResponseNorm:
    """Make AlexNet's local response normalisation, which VGG and GoogLeNet took over."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0, convention="sum")


def scaling(width: int, published: int) -> Scaling:
    """Return the function that scales a published number of channels to a narrower network's.

    Parameters
    ----------
    width, published : int
        What `published` channels become: c channels become c * width // published.

    Raises
    ------
    ValueError
        From the function, if no channel is left.
    """

    def scaled(channels: int) -> int:
        made = channels * width // published
        if made < 1:
            raise ValueError(
                f"width {width} leaves none of the {channels} channels that belong to width"
                f" {published}; take a larger width"
            )
        return made

    return scaled


def draw_weights(
    model: nn.Module,
    convolution: Draw | None = None,
    linear: Draw | None = None,
    convolution_bias: float | None = None,
    linear_bias: float | None = None,
) -> None:
    """Draw the weights of all convolutions and of all linear layers anew, and set their biases.

    None leaves what the layers started with.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            draw, bias = convolution, convolution_bias
        elif isinstance(module, nn.Linear):
            draw, bias = linear, linear_bias
        else:
            continue
        if draw is not None:
            draw(module.weight)
        if bias is not None and module.bias is not None:
            nn.init.constant_(module.bias, bias)


def rescaled(x: Tensor) -> Tensor:
    """Take images (N, 3, H, W) from ImageNet's mean and deviation to mean 0.5 and deviation 0.5.

    Weights that came to torchvision from TensorFlow expect the latter.
    """
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scale = ops.tensor([d / 0.5 for d in deviations], x.dtype, device=x.device)
    shift = ops.tensor([(m - 0.5) / 0.5 for m in means], x.dtype, device=x.device)
    return x * scale.reshape(3, 1, 1) + shift.reshape(3, 1, 1)
