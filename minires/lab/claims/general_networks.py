"""A, of networks: what they are made of, and what they cost."""

from __future__ import annotations

from itertools import pairwise

from minires import nn
from minires.lab.experiments.activation_orders import SHORT_SKIPS_TRAINING
from minires.lab.rules import Above, Equal, Every, Measured, Within

from .graphs import counted, kernels, meetings, numbers, ways
from .item import Items, Lab
from .papers import HE2015, HE2016

ITEMS = Items()


@ITEMS.experiment(
    "A1",
    "ResNet clearly beats VGG and AlexNet in the number of parameters and in performance.",
    "true",
    "True of parameters, misleading otherwise: ResNet-18 and -50 have 11.7M and 25.6M parameters,"
    " AlexNet 61.1M and VGG-16 138.4M; but ResNet-50 costs 4.1 billion multiply-accumulates an"
    " image, AlexNet 0.71.",
    f"{HE2015}, table 1; Krizhevsky et al. 2012; Simonyan and Zisserman 2014, arXiv 1409.1556",
    Every(
        Equal("parameters of ResNet-18", 11_689_512),
        Equal("parameters of ResNet-50", 25_557_032),
        Equal("parameters of AlexNet", 61_100_840),
        Equal("parameters of VGG-16", 138_357_544),
        Within("billion multiply-accumulates of ResNet-50", 4.0, 4.2),
        Within("billion multiply-accumulates of AlexNet", 0.70, 0.72),
    ),
)
def _a1(lab: Lab) -> Measured:
    names = {"ResNet-18": "resnet18", "ResNet-50": "resnet50", "AlexNet": "alexnet"}
    counts = {said: counted(name) for said, name in (names | {"VGG-16": "vgg16"}).items()}
    return {
        **{f"parameters of {said}": each.params for said, each in counts.items()},
        **{
            f"billion multiply-accumulates of {said}": round(each.macs / 1e9, 3)
            for said, each in counts.items()
        },
    }


@ITEMS.experiment(
    "A4",
    "The short circuit improves the reuse of features.",
    "misleading",
    "Reuse by concatenation is DenseNet's reason; ResNet sums, and keeps as many channels.",
    f"Huang et al. 2017, arXiv 1608.06993, section 3; {HE2015}",
    Every(
        Equal("channels behind each block of a residual stage", [16] * 9),
        Equal("channels that each layer of a dense block adds", [12] * 12),
    ),
)
def _a4(lab: Lab) -> Measured:
    residual = counted("cifar_resnet56").steps
    dense = counted("densenet_40_12").steps
    sums = [residual[number] for number in numbers(residual, "residual_add")]
    joined = [dense[number].output[1] for number in numbers(dense, "concatenate")[:12]]
    return {
        "channels behind each block of a residual stage": [
            step.output[1] for step in sums if step.path.startswith("layer1")
        ],
        "channels that each layer of a dense block adds": [
            after - before for before, after in pairwise([16, *joined])
        ],
    }


@ITEMS.experiment(
    "A5",
    "A residual block's input and output have the same size and are merged along the channels.",
    "false",
    "They are added element by element, which joins no channels. Sizes differ where a stage"
    " begins.",
    f"{HE2015}, section 3.2 and figure 3",
    Every(
        Equal("additions in ResNet-20", 9),
        Equal("concatenations in ResNet-20", 0),
        Equal("additions whose output has another size than either side", 0),
        Equal("blocks whose output has another size than their input", ["layer2.0", "layer3.0"]),
        Equal(
            "weights of the next convolution, had the channels been joined, over those it has", 2
        ),
    ),
)
def _a5(lab: Lab) -> Measured:
    steps = counted("cifar_resnet20").steps
    additions = [steps[number] for number in numbers(steps, "residual_add")]
    sizes = [(1, 16, 32, 32), *(step.output for step in additions)]
    summed, joined = (
        counted(nn.Conv2d(each, 16, 3, bias=False), (each, 8, 8)) for each in (16, 32)
    )
    return {
        "additions in ResNet-20": len(additions),
        "concatenations in ResNet-20": len(numbers(steps, "concatenate")),
        "additions whose output has another size than either side": sum(
            set(step.shapes) != {step.output} for step in additions
        ),
        "blocks whose output has another size than their input": [
            step.path
            for step, (size, output) in zip(additions, pairwise(sizes), strict=True)
            if size != output
        ],
        "weights of the next convolution, had the channels been joined, over those it has": (
            joined.params / summed.params
        ),
    }


@ITEMS.experiment(
    "A6",
    "Skip layers only concatenate channels, connect two different stages and do not change size.",
    "false",
    "Skips span two or three convolutions within a stage, and are added. Where a stage begins they"
    " halve the image and double the channels.",
    f"{HE2015}, section 3.3 and figures 3 and 5",
    Every(
        Equal("convolutions that each skip of ResNet-20 spans", [2] * 9),
        Equal("convolutions that each skip of ResNet-50 spans", [3] * 16),
        Equal(
            "skips of ResNet-20 that change the size",
            ["(16, 32, 32) to (32, 16, 16)", "(32, 16, 16) to (64, 8, 8)"],
        ),
    ),
)
def _a6(lab: Lab) -> Measured:
    small, large = (counted(name).steps for name in ("cifar_resnet20", "resnet50"))
    changing = []
    for number in numbers(small, "residual_add"):
        shortcut, branch = ways(small, number)
        reads = small[branch[0]].shapes[0]
        if shortcut:
            changing.append(f"{reads[1:]} to {small[shortcut[-1]].output[1:]}")
    return {
        f"convolutions that each skip of {name} spans": [
            len(kernels(steps, ways(steps, number)[1])) for number in numbers(steps, "residual_add")
        ]
        for name, steps in {"ResNet-20": small, "ResNet-50": large}.items()
    } | {"skips of ResNet-20 that change the size": changing}


@ITEMS.experiment(
    "A8",
    "A residual unit is one convolution and one batch normalisation; the first makes learning"
    " easier, the second controls exploding gradients.",
    "false",
    "It is two convolutions (basic) or three (bottleneck), each with batch normalisation, with ReLU"
    " between them, and a shortcut. Units of one layer are worse: ResNet-110 has an error of 9.90 %"
    " with them, of 6.61 % with two.",
    f"{HE2015}, section 3.2 and figure 5; {HE2016}, table 3",
    Every(
        Equal("convolutions, norms and activations in a basic branch", [2, 2, 1]),
        Equal("convolutions, norms and activations in a bottleneck's branch", [3, 3, 2]),
        Above(SHORT_SKIPS_TRAINING),
    ),
)
def _a8(lab: Lab) -> Measured:
    def in_branch(name: str) -> list[int]:
        steps = counted(name).steps
        branch = ways(steps, numbers(steps, "residual_add")[1])[1]
        ran = [steps[number].op for number in branch]
        return [ran.count(op) for op in ("conv2d", "batch_norm", "relu")]

    return {
        "convolutions, norms and activations in a basic branch": in_branch("cifar_resnet20"),
        "convolutions, norms and activations in a bottleneck's branch": in_branch("resnet50"),
        SHORT_SKIPS_TRAINING: lab.measured("activation-orders")[SHORT_SKIPS_TRAINING],
    }


@ITEMS.experiment(
    "A10",
    "Residual networks are a special case of ResNet; convolutions that are stacked without skips"
    " may be called residual as well.",
    "false",
    "The two names mean the same; without skips the network is plain.",
    f"{HE2015}, section 3.3",
    Every(
        Equal("places where two ways from one value meet, ResNet-20", 9),
        Equal("places where two ways from one value meet, ResNet-18", 8),
        Equal("places where two ways from one value meet, plain-20", 0),
        Equal("layers of ResNet-20 less those of plain-20", 0),
    ),
)
def _a10(lab: Lab) -> Measured:
    names = {"ResNet-20": "cifar_resnet20", "ResNet-18": "resnet18", "plain-20": "cifar_plain20"}
    counts = {said: counted(name) for said, name in names.items()}
    return {
        **{
            f"places where two ways from one value meet, {said}": len(meetings(each.steps))
            for said, each in counts.items()
        },
        "layers of ResNet-20 less those of plain-20": (
            counts["ResNet-20"].depth - counts["plain-20"].depth
        ),
    }


@ITEMS.experiment(
    "A15",
    "Downsampling is done by shrinking the kernel.",
    "false",
    "By stride or pooling; a smaller kernel, padded by its half, keeps the size.",
    f"{HE2015}, section 3.3",
    Every(
        Equal("side of a 16 x 16 image behind kernels 5, 3, 1", [16, 16, 16]),
        Equal("side behind a 3x3 convolution with stride 2, and behind a 2x2 pool", [8, 8]),
    ),
)
def _a15(lab: Lab) -> Measured:
    def side(layer: nn.Module) -> int:
        return counted(layer, (1, 16, 16)).steps[-1].output[-1]

    same = [side(nn.Conv2d(1, 1, each, padding=each // 2)) for each in (5, 3, 1)]
    halved = [side(nn.Conv2d(1, 1, 3, stride=2, padding=1)), side(nn.MaxPool2d(2, 2))]
    return {
        "side of a 16 x 16 image behind kernels 5, 3, 1": same,
        "side behind a 3x3 convolution with stride 2, and behind a 2x2 pool": halved,
    }


@ITEMS.experiment(
    "A17",
    "A bottleneck layer is a wider layer.",
    "false",
    "Its middle is narrow: 256-64-64-256 has 69,632 weights. Two 3x3 convolutions have 73,728 of 64"
    " channels, and 1,179,648 of 256.",
    f"{HE2015}, section 4.1 and figure 5",
    Every(
        Equal("channels between the convolutions of a bottleneck", [256, 64, 64, 256]),
        Equal("weights of the bottleneck", 69_632),
        Equal("weights of two 3x3 convolutions of 64 channels", 73_728),
        Equal("weights of two 3x3 convolutions of 256 channels", 1_179_648),
    ),
)
def _a17(lab: Lab) -> Measured:
    bottleneck = counted(nn.Bottleneck(256, 64, norm="none"), (256, 8, 8))
    convolutions = [bottleneck.steps[number] for number in numbers(bottleneck.steps, "conv2d")]
    return {
        "channels between the convolutions of a bottleneck": [
            256,
            *(step.output[1] for step in convolutions),
        ],
        "weights of the bottleneck": bottleneck.params,
        **{
            f"weights of two 3x3 convolutions of {channels} channels": counted(
                nn.BasicBlock(channels, channels, norm="none"), (channels, 8, 8)
            ).params
            for channels in (64, 256)
        },
    }


@ITEMS.experiment(
    "A18",
    "Width is the depth times the number of kernels.",
    "false",
    "Width is the number of channels of a layer: k times as many in a Wide ResNet, whatever the"
    " depth.",
    "Zagoruyko and Komodakis 2016, arXiv 1605.07146, table 1",
    Every(
        Equal("channels of ResNet-20's stages", [16, 32, 64]),
        Equal("channels of ResNet-56's stages", [16, 32, 64]),
        Equal("channels of WRN-16-4's stages", [64, 128, 256]),
    ),
)
def _a18(lab: Lab) -> Measured:
    names = {"ResNet-20": "cifar_resnet20", "ResNet-56": "cifar_resnet56", "WRN-16-4": "wrn_16_4"}
    found = {}
    for said, name in names.items():
        steps = counted(name).steps
        sums = [steps[number].output[1] for number in numbers(steps, "residual_add")]
        found[f"channels of {said}'s stages"] = sorted(set(sums))
    return found


@ITEMS.experiment(
    "A19",
    "Depth is the number of residual modules.",
    "false",
    "Depth counts the layers with weights on the longest path: 6n + 2 of 3n blocks; ResNet-50 has"
    " 16 blocks and 50 layers.",
    f"{HE2015}, section 4.2 and table 1",
    Every(
        Equal("blocks of ResNet-20, -56, -110 and -50", [9, 27, 54, 16]),
        Equal("layers on their longest path", [20, 56, 110, 50]),
    ),
)
def _a19(lab: Lab) -> Measured:
    names = ("cifar_resnet20", "cifar_resnet56", "cifar_resnet110", "resnet50")
    counts = [counted(name) for name in names]
    return {
        "blocks of ResNet-20, -56, -110 and -50": [
            len(numbers(each.steps, "residual_add")) for each in counts
        ],
        "layers on their longest path": [each.depth for each in counts],
    }
