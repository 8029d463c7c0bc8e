"""B: what a history, from AlexNet to DenseNet, says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires import devices, nn
from minires.devices import random
from minires.lab.experiments.dense_growth import MEMORY
from minires.lab.experiments.grouped_convolution import APART, PATHS
from minires.lab.experiments.inception_reducers import WORST
from minires.lab.experiments.local_response_norm import NO_BETTER
from minires.lab.experiments.squeeze_excitation import OPEN, SHAPE
from minires.lab.rules import Above, Below, Equal, Every, Measured, Within
from minires.models import AlexNet, create, summary
from minires.ops import randn, tensor, zeros

from .graphs import counted, kernels, numbers, ways
from .item import Items, Lab
from .papers import HE2015

ITEMS = Items()
KRIZHEVSKY = "Krizhevsky et al. 2012, Advances in Neural Information Processing Systems 25"
SIMONYAN = "Simonyan and Zisserman 2014, arXiv 1409.1556"
SZEGEDY = "Szegedy et al. 2014, arXiv 1409.4842"
XIE = "Xie et al. 2017, arXiv 1611.05431"
HU = "Hu et al. 2018, arXiv 1709.01507"
HUANG = "Huang et al. 2017, arXiv 1608.06993"


@ITEMS.experiment(
    "B1",
    "In 2015 AlexNet and VGG were the first to pass a million parameters.",
    "false",
    "They are of 2012 and 2014, with about 61 and 138 million; a million was passed long before.",
    f"{KRIZHEVSKY}; {SIMONYAN}",
    Every(Equal("parameters of AlexNet", 61_100_840), Equal("parameters of VGG-16", 138_357_544)),
)
def _b1(lab: Lab) -> Measured:
    return {
        "parameters of AlexNet": counted("alexnet").params,
        "parameters of VGG-16": counted("vgg16").params,
    }


ITEMS.citation(
    "B2",
    "AlexNet is today's mainstream.",
    "false",
    "It is historic: no current system is built on it.",
    "common knowledge; torchvision keeps it for reference",
)


@ITEMS.experiment(
    "B3",
    "AlexNet uses two GPUs, local response normalisation and dropout.",
    "true",
    "Dropout in the first two linear layers; two GPUs because one had 3 GB of memory, so that three"
    " convolutions are split in two; local response normalisation works across channels, and is not"
    " strictly a regulariser (it took 1.4 and 1.2 % from the top-1 and top-5 errors).",
    f"{KRIZHEVSKY}, sections 3.2, 3.3 and 4.2",
    Every(
        Equal("dropouts among the linear layers", 2),
        Equal("local response norms", 2),
        Equal("convolutions split in two", 3),
        Equal("an image's neighbour in space changes its local response norm", False),
        Equal("a neighbouring channel does", True),
    ),
)
def _b3(lab: Lab) -> Measured:
    with devices.default("meta"):
        network = AlexNet(2012)
    modules = list(network.modules())
    with random.seeded(0):
        x = randn(1, 8, 3, 3)
    norm = nn.LocalResponseNorm(5, alpha=1.0)
    before = norm(x).numpy().copy()

    def changes(channel: int, row: int) -> bool:
        other = x.numpy().copy()
        other[0, channel, row, 0] += 1
        after = norm(tensor(other)).numpy()
        return bool(after[0, 0, 0, 0] != before[0, 0, 0, 0])

    return {
        "dropouts among the linear layers": sum(isinstance(m, nn.Dropout) for m in modules),
        "local response norms": sum(isinstance(m, nn.LocalResponseNorm) for m in modules),
        "convolutions split in two": sum(
            isinstance(m, nn.Conv2d) and m.groups == 2 for m in modules
        ),
        "an image's neighbour in space changes its local response norm": changes(0, 1),
        "a neighbouring channel does": changes(1, 0),
    }


@ITEMS.experiment(
    "B4",
    "AlexNet uses Inception modules, a normalisation technique.",
    "false",
    "Inception is of GoogLeNet, 2014: branches side by side, concatenated; it normalises nothing.",
    f"{SZEGEDY}, figure 2",
    Every(
        Equal("concatenations in AlexNet", 0),
        Equal("concatenations in GoogLeNet", 9),
        Equal("norms in GoogLeNet's Inception modules", 0),
    ),
)
def _b4(lab: Lab) -> Measured:
    googlenet = counted("googlenet_2014").steps
    modules = [step for step in googlenet if step.path.startswith("inception")]
    return {
        "concatenations in AlexNet": len(numbers(counted("alexnet").steps, "concatenate")),
        "concatenations in GoogLeNet": len(numbers(googlenet, "concatenate")),
        "norms in GoogLeNet's Inception modules": sum("norm" in step.op for step in modules),
    }


@ITEMS.experiment(
    "B5",
    "AlexNet is smaller and can therefore process larger images.",
    "false",
    "Both take crops of 224 or 227 pixels; their linear layers fix the size, unless pooling adapts"
    " to it. (The form of 2012 happens to take 256 pixels as well: its pools round.)",
    f"{KRIZHEVSKY}, section 3.5; {SIMONYAN}, section 2.1",
    Every(
        Equal("AlexNet takes 224 pixels, without adaptive pooling", True),
        Equal("AlexNet takes 256 pixels so", False),
        Equal("VGG-16 takes 224 pixels so", True),
        Equal("VGG-16 takes 256 pixels so", False),
    ),
)
def _b5(lab: Lab) -> Measured:
    found = {}
    for said, name in (("AlexNet", "alexnet"), ("VGG-16", "vgg16")):
        network = create(name, device="meta")
        fixed = nn.Sequential(network.features, nn.Flatten(), network.classifier)
        for side, words in ((224, "pixels, without adaptive pooling"), (256, "pixels so")):
            words = "pixels so" if said != "AlexNet" else words
            found[f"{said} takes {side} {words}"] = _takes(fixed, side)
    # Its pools round 62 to 30, 14 and 6, which is what its linear layers take.
    found["the form of 2012 takes 256 pixels"] = _takes("alexnet_2012", 256)
    return found


@ITEMS.experiment(
    "B6",
    "AlexNet did not beat VGG because it has too many parameters.",
    "false",
    "It has less than half of VGG's parameters, and came two years earlier.",
    f"{KRIZHEVSKY}; {SIMONYAN}, table 2",
    Below("parameters of AlexNet over those of VGG-16", 0.5),
)
def _b6(lab: Lab) -> Measured:
    ratio = counted("alexnet").params / counted("vgg16").params
    return {"parameters of AlexNet over those of VGG-16": ratio}


@ITEMS.experiment(
    "B7",
    'VGG was inspired by a "Newton predictor".',
    "false",
    "No such source was found. The idea is stacked 3x3 convolutions: three see 7x7 pixels, with 27"
    " C^2 weights instead of 49 C^2.",
    f"{SIMONYAN}, section 2.3",
    Every(
        Equal("pixels a side that three 3x3 convolutions see", 7),
        Equal("their weights over C^2", 27),
        Equal("weights of one 7x7 convolution over C^2", 49),
    ),
)
def _b7(lab: Lab) -> Measured:
    channels = 8
    stacked = nn.Sequential(*(nn.Conv2d(channels, channels, 3, bias=False) for _ in range(3)))
    single = nn.Conv2d(channels, channels, 7, bias=False)
    field = summary(stacked, (channels, 32, 32)).rows[-1].field
    assert field is not None
    counts = [counted(each, (channels, 32, 32)).params for each in (stacked, single)]
    return {
        "pixels a side that three 3x3 convolutions see": int(field[0].size),
        "their weights over C^2": counts[0] // channels**2,
        "weights of one 7x7 convolution over C^2": counts[1] // channels**2,
    }


@ITEMS.experiment(
    "B8",
    "VGG reduces the number of parameters effectively.",
    "false",
    "It has 133 to 144 million, 2.2 to 2.4 times as many as AlexNet.",
    f"{SIMONYAN}, table 2",
    Every(
        Within("millions of parameters of VGG-11", 132.5, 133.5),
        Within("millions of parameters of VGG-19", 143.5, 144.5),
        Above("parameters of VGG-11 over those of AlexNet", 2.0, otherwise=1.0),
    ),
)
def _b8(lab: Lab) -> Measured:
    small, large = (counted(name).params for name in ("vgg11", "vgg19"))
    return {
        "millions of parameters of VGG-11": small / 1e6,
        "millions of parameters of VGG-19": large / 1e6,
        "parameters of VGG-11 over those of AlexNet": small / counted("alexnet").params,
    }


@ITEMS.experiment(
    "B9",
    "VGG also uses local response normalisation.",
    "false",
    "One of its six configurations does, A-LRN, without gain. (Here of five configurations, without"
    " that of 1x1 convolutions; and the gain is that of a small AlexNet.)",
    f"{SIMONYAN}, table 1 and section 4",
    Every(
        Equal("configurations with local response normalisation", ["vgg11_lrn"]),
        NO_BETTER,
    ),
)
def _b9(lab: Lab) -> Measured:
    names = ("vgg11", "vgg11_lrn", "vgg13", "vgg16", "vgg19")
    normed = [name for name in names if numbers(counted(name).steps, "local_response_norm")]
    found = lab.measured("local-response-norm")
    return {
        "configurations with local response normalisation": normed,
        **{name: found[name] for name in NO_BETTER.quantities},
    }


ITEMS.citation(
    "B10",
    "VGG was trained on two GPUs.",
    "false",
    "On four, for two to three weeks each network.",
    f"{SIMONYAN}, section 3.3",
)


@ITEMS.experiment(
    "B11",
    "VGG has max-pooling after every convolution.",
    "false",
    "Five pools, each behind a group of convolutions; VGG-16 has 13 convolutions. Built as said, an"
    " image of 224 pixels is 1x1 after 7 pairs, and the eighth pool is impossible.",
    f"{SIMONYAN}, table 1",
    Every(
        Equal("convolutions of VGG-16", 13),
        Equal("pools of VGG-16", 5),
        Equal("pairs of convolution and pool that 224 pixels allow", 7),
    ),
)
def _b11(lab: Lab) -> Measured:
    steps = counted("vgg16").steps
    x = zeros(1, 1, 224, 224)
    convolution, pool = nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2, 2)
    pairs = 0
    while pairs < 13:
        try:
            x = pool(convolution(x))
        except ValueError:
            break
        pairs += 1
    return {
        "convolutions of VGG-16": len(numbers(steps, "conv2d")),
        "pools of VGG-16": len(numbers(steps, "max_pool2d")),
        "pairs of convolution and pool that 224 pixels allow": pairs,
    }


@ITEMS.experiment(
    "B12",
    "VGG has two fully connected layers.",
    "false",
    "Three, of 4096, 4096 and 1000 values, with 123.6 of its 138.4 million parameters.",
    f"{SIMONYAN}, table 1",
    Every(
        Equal("linear layers", [4096, 4096, 1000]),
        Equal("their parameters", 123_642_856),
    ),
)
def _b12(lab: Lab) -> Measured:
    network = create("vgg16", device="meta")
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return {
        "linear layers": [layer.out_features for layer in layers],
        "their parameters": sum(p.data.size for layer in layers for p in layer.parameters()),
    }


@ITEMS.experiment(
    "B13",
    'GoogLeNet has "residual borders", connects each layer to all earlier ones, and uses hourglass'
    " kernels.",
    "false",
    "No residuals and no dense links: parallel branches of 1x1, 3x3, 5x5 and pooling are"
    " concatenated.",
    f"{SZEGEDY}, figures 2 and 3",
    Every(
        Equal("residual additions", 0),
        Equal("concatenations", 9),
        Equal("inputs of each concatenation", [4]),
        Equal("sides of kernels in a module", [1, 3, 5]),
        Equal("modules that read more than the one before them", 0),
    ),
)
def _b13(lab: Lab) -> Measured:
    steps = counted("googlenet_2014").steps
    joins = numbers(steps, "concatenate")
    added = numbers(steps, "residual_add") + numbers(steps, "add")
    sides: set[int] = set()
    dense = 0
    for earlier, join in zip([None, *joins], joins, strict=False):
        branches = ways(steps, join)
        sides |= {side for branch in branches for side in kernels(steps, branch)}
        read = {number for branch in branches for number in branch}
        dense += earlier is not None and min(read) < earlier
    return {
        "residual additions": len(added),
        "concatenations": len(joins),
        "inputs of each concatenation": _counts_of_inputs(steps, joins),
        "sides of kernels in a module": sorted(sides),
        "modules that read more than the one before them": dense,
    }


@ITEMS.experiment(
    "B14",
    "GoogLeNet first takes global features with large kernels, then local ones with small kernels.",
    "false",
    "The branches run side by side; the 1x1 convolutions reduce channels, and with them the cost.",
    f"{SZEGEDY}, section 4",
    Every(Equal("branches side by side in a module", 4), Below(WORST, 0.67, otherwise=1)),
)
def _b14(lab: Lab) -> Measured:
    steps = counted("googlenet_2014").steps
    (inputs,) = _counts_of_inputs(steps, numbers(steps, "concatenate"))
    worst = lab.measured("inception-reducers")[WORST]
    return {"branches side by side in a module": inputs, WORST: worst}


@ITEMS.experiment(
    "B15",
    "An Inception module has four branches, including pooling.",
    "true",
    "Four branches, one of which pools, and 1x1 reducers before the 3x3 and the 5x5.",
    f"{SZEGEDY}, figure 2 (b)",
    Every(
        Equal("kernels along each branch", [[1], [1, 3], [1, 5], [1]]),
        Equal("branches with a pool", [False, False, False, True]),
        Equal("reducers that do not leave fewer channels than their module has", 0),
    ),
)
def _b15(lab: Lab) -> Measured:
    steps = counted("googlenet_2014").steps
    modules = [ways(steps, number) for number in numbers(steps, "concatenate")]
    branches = modules[0]
    convolutions = [
        [steps[number] for number in branch if steps[number].op == "conv2d"]
        for module in modules
        for branch in module
    ]
    reducers = [each[0] for each in convolutions if len(each) > 1]
    return {
        "kernels along each branch": [kernels(steps, branch) for branch in branches],
        "branches with a pool": [
            any(steps[number].op == "max_pool2d" for number in branch) for branch in branches
        ],
        "reducers that do not leave fewer channels than their module has": sum(
            step.output[1] >= step.shapes[0][1] for step in reducers
        ),
    }


@ITEMS.experiment(
    "B16",
    'ResNet has "interpolation invariance": the same computation at every scale, trainable on any'
    " size.",
    "false",
    "Cost grows with the image's area. Any size is possible through convolutions and global"
    " pooling, in plain networks as well.",
    f"{HE2015}, section 3.3",
    Every(
        Within("MACs of ResNet-50 at 448 pixels over those at 224", 3.9, 4.1),
        Within("MACs at 128 pixels over those at 224", 0.3, 0.36),
        Equal("a plain network takes images of 96 and of 160 pixels", True),
    ),
)
def _b16(lab: Lab) -> Measured:
    macs = {side: counted("resnet50", (3, side, side)).macs for side in (128, 224, 448)}
    return {
        "MACs of ResNet-50 at 448 pixels over those at 224": macs[448] / macs[224],
        "MACs at 128 pixels over those at 224": macs[128] / macs[224],
        "a plain network takes images of 96 and of 160 pixels": all(
            _takes("plain34", side) for side in (96, 160)
        ),
    }


@ITEMS.experiment(
    "B17",
    "ResNeXt connects modules in series.",
    "false",
    "Parallel branches are added up, which is a grouped convolution, at about ResNet-50's cost:"
    " 25.03 million parameters, 4.23 billion multiplications.",
    f"{XIE}, figure 3 and table 1",
    Every(
        Equal(PATHS, 32),
        Below(APART, 1e-12),
        Within("millions of parameters of ResNeXt-50", 25.02, 25.04),
        Within("billions of multiplications", 4.22, 4.28),
    ),
)
def _b17(lab: Lab) -> Measured:
    found = lab.measured("grouped-convolution")
    counts = counted("resnext50_32x4d")
    return {
        PATHS: found[PATHS],
        APART: found[APART],
        "millions of parameters of ResNeXt-50": counts.params / 1e6,
        "billions of multiplications": counts.macs / 1e9,
    }


@ITEMS.experiment(
    "B18",
    "Squeeze and excitation modulates the residual unit in depth.",
    "false",
    "It gates channels, by a sigmoid of what all pixels say; ResNet-50 gets 2.53 million parameters"
    " more. With the gates at 1 the output is the ResNet's.",
    f"{HU}, figure 3",
    Every(
        Equal(SHAPE, "(N, C, 1, 1)"),
        Equal(OPEN, 0.0),
        Within("millions of parameters that SE-ResNet-50 has more", 2.52, 2.54),
    ),
)
def _b18(lab: Lab) -> Measured:
    found = lab.measured("squeeze-excitation")
    more = counted("se_resnet50").params - counted("resnet50").params
    return {
        SHAPE: found[SHAPE],
        OPEN: found[OPEN],
        "millions of parameters that SE-ResNet-50 has more": more / 1e6,
    }


@ITEMS.experiment(
    "B19",
    "DenseNet is hard to train because it is shallow; each layer consists of small residual"
    " blocks.",
    "false",
    "It was made for very deep networks; layers concatenate, and nothing is added.",
    f"{HUANG}, sections 1 and 3",
    Every(
        Equal("layers of DenseNet-121", 121),
        Equal("additions", 0),
        Above("concatenations", 57),
        Equal("channels that each layer makes", [32]),
    ),
)
def _b19(lab: Lab) -> Measured:
    counts = counted("densenet121")
    steps = counts.steps
    made = {step.output[1] for step in steps if step.path.endswith("conv2") and step.op == "conv2d"}
    return {
        "layers of DenseNet-121": counts.depth,
        "additions": len(numbers(steps, "residual_add") + numbers(steps, "add")),
        "concatenations": len(numbers(steps, "concatenate")),
        "channels that each layer makes": sorted(made),
    }


@ITEMS.experiment(
    "B20",
    "DenseNet is more accurate, and better on small data.",
    "misleading",
    "Per parameter, yes: DenseNet-BC-100 has 0.77 million and 4.51 % error, ResNet-110 1.73 million"
    " and 6.61 % (errors are cited, sizes counted). Its activations need more memory.",
    f"{HUANG}, table 2; {HE2015}, table 6",
    Every(
        Within("millions of parameters of DenseNet-BC-100 (k = 12)", 0.76, 0.78),
        Within("millions of parameters of ResNet-110", 1.72, 1.74),
        Above(MEMORY, 1.0),
    ),
)
def _b20(lab: Lab) -> Measured:
    return {
        "millions of parameters of DenseNet-BC-100 (k = 12)": counted("densenet_bc_100_12").params
        / 1e6,
        "millions of parameters of ResNet-110": counted("cifar_resnet110").params / 1e6,
        MEMORY: lab.measured("dense-growth")[MEMORY],
    }


@ITEMS.experiment(
    "B21",
    "ResNet adds the outputs of two layers directly.",
    "true",
    "F(x) + x: a branch of two or three layers, and its input.",
    f"{HE2015}, equation 1",
    Every(
        Equal("residual additions in ResNet-20", 9),
        Equal("convolutions on the branch of each", [2]),
        Equal("convolutions on the shortcut of each", [0]),
        Equal("a pre-activation block returns x and what its branch makes of x, to the bit", True),
    ),
)
def _b21(lab: Lab) -> Measured:
    steps = counted("cifar_resnet20").steps
    meeting = [ways(steps, number) for number in numbers(steps, "residual_add")]
    with random.seeded(0):
        x, made = randn(2, 4, 5, 5), []
    for each in ("A", None):  # with a shortcut, and its branch alone
        with random.seeded(0):
            made.append(nn.BasicBlock(4, 4, shortcut=each, order="full_preactivation")(x).numpy())
    whole, branch = made
    return {
        "residual additions in ResNet-20": len(meeting),
        "convolutions on the branch of each": sorted({len(kernels(steps, b)) for _, b in meeting}),
        "convolutions on the shortcut of each": sorted(
            {len(kernels(steps, s)) for s, _ in meeting}
        ),
        "a pre-activation block returns x and what its branch makes of x, to the bit": bool(
            (whole == x.numpy() + branch).all()
        ),
    }


def _takes(network: str | nn.Module, side: int) -> bool:
    """Tell whether a network takes images of so many pixels a side."""
    try:
        counted(network, (3, side, side))
    except ValueError:
        return False
    return True


def _counts_of_inputs(steps: Sequence[Any], joins: Sequence[int]) -> list[int]:
    return sorted({len([s for s in steps[join].sources if s is not None]) for join in joins})
