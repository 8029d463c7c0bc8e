"""D: what a longer explanation with numerical examples says."""

from __future__ import annotations

import numpy as np

from minires import nn
from minires.autograd import Tensor
from minires.devices import float64, random
from minires.lab.experiments import batch_norm
from minires.lab.experiments.degradation import DEEPER_IS_WORSE, TEST_RISE
from minires.lab.experiments.gradient_norms import GAP, NOT_VANISHING, SETTLED, TWINS
from minires.lab.experiments.shortcut_options import C_BEFORE_B, EXTRA_A, better, knows
from minires.lab.experiments.six_shortcuts import IS_BEST, LAW, worse
from minires.lab.rules import Above, Below, Equal, Every, Given, Measured, Within
from minires.ops import conv2d, full, mean, randn, relu, residual_add, tensor
from minires.optim import SGD

from .gradients import SEEDS, drawn, gradient, norm
from .item import Items, Lab
from .papers import HE2015, HE2016, IOFFE

ITEMS = Items()
SANTURKAR = "Santurkar et al. 2018, arXiv 1805.11604"
ARITHMETIC = "arithmetic"
_NEAR = "loss of y = x + g(x) / 10 after 200 steps, residual over plain branch"
_OPPOSITE = "loss of y = -x after 200 steps, residual over plain branch"
_SIGMOIDS = "gradient through ten sigmoids with batch norm over that without, inputs far out"


@ITEMS.experiment(
    "D1",
    "With more depth training and test error rise, so it is not overfitting.",
    "true",
    "That is degradation: the deeper plain network is worse on the images it learns from.",
    f"{HE2015}, section 1 and figure 1",
    Every(DEEPER_IS_WORSE, Above(TEST_RISE)),
)
def _d1(lab: Lab) -> Measured:
    found = lab.measured("degradation")
    return {name: found[name] for name in (*DEEPER_IS_WORSE.quantities, TEST_RISE)}


@ITEMS.experiment(
    "D2",
    "The reason is vanishing or exploding gradients.",
    "false",
    "He et al. report healthy norms with batch norm during training. At initialisation deep plain"
    " networks with batch norm explode rather than vanish; within some steps they settle, and still"
    " train worse. Shattering and ill-conditioning are later explanations.",
    f"{HE2015}, section 4.1; Yang et al. 2019, arXiv 1902.08129",
    Every(
        Above(TWINS, 10, otherwise=1),
        Below(SETTLED, 0.1, otherwise=1),
        NOT_VANISHING,
        Above(GAP),
    ),
)
def _d2(lab: Lab) -> Measured:
    found = lab.measured("gradient-norms")
    return {name: found[name] for name in (TWINS, SETTLED, *NOT_VANISHING.quantities, GAP)}


@ITEMS.experiment(
    "D3",
    "Batch norm pulls the distribution back to the standard normal.",
    "misleading",
    "It sets mean and variance of each channel to 0 and 1 and keeps the shape, skewness and"
    " kurtosis too; then scale and shift move it.",
    f"{IOFFE}, algorithm 1",
    Every(
        Within(batch_norm.SKEW_BEFORE, 1.8, 2.2),
        Below(batch_norm.SKEW_CHANGE, 1e-3),
        Below(batch_norm.KURTOSIS_CHANGE, 1e-2),
        Below(batch_norm.MOMENTS, 1e-3),
    ),
)
def _d3(lab: Lab) -> Measured:
    names = ("SKEW_BEFORE", "SKEW_CHANGE", "KURTOSIS_CHANGE", "MOMENTS")
    found = lab.measured("batch-norm")
    return {getattr(batch_norm, name): found[getattr(batch_norm, name)] for name in names}


@ITEMS.experiment(
    "D4",
    "Values then fall into the activation's sensitive region: gradients grow, vanishing is avoided,"
    " convergence speeds up.",
    "misleading",
    "That argues for sigmoid and tanh. ReLU does not saturate on the right, and batch norm shrinks"
    " gradients where the spread is above 1. By Santurkar et al. it helps because the loss becomes"
    " smoother, which is not tested here.",
    f"{SANTURKAR}; {IOFFE}, section 1",
    Every(
        Above(_SIGMOIDS, 10),
        Below("the same of ten ReLUs", 10),
        Within("gradient through batch norm at a spread of 4, over that at 1", 0.24, 0.26),
    ),
)
def _d4(lab: Lab) -> Measured:
    return {
        _SIGMOIDS: [
            _deep(nn.Sigmoid, True, seed) / _deep(nn.Sigmoid, False, seed) for seed in SEEDS
        ],
        "the same of ten ReLUs": [
            _deep(nn.ReLU, True, seed) / _deep(nn.ReLU, False, seed) for seed in SEEDS
        ],
        "gradient through batch norm at a spread of 4, over that at 1": [
            _through_norm(4.0, seed) / _through_norm(1.0, seed) for seed in SEEDS
        ],
    }


def _deep(activation: type[nn.Module], normed: bool, seed: int) -> float:
    """Return the norm of the gradient that reaches inputs far from 0 through ten layers."""
    with random.seeded(seed):
        layers: list[nn.Module] = []
        for _ in range(10):
            layers.append(nn.Linear(32, 32))
            nn.init.kaiming_normal_(layers[-1].weight)
            layers += [nn.BatchNorm1d(32)] * normed
            layers.append(activation())
        x = 8 * randn(64, 32, dtype=float64)
        g = randn(64, 32, dtype=float64)
    inputs = x.detach().requires_grad_()
    output = nn.Sequential(*layers).to(float64)(inputs)
    return norm(gradient(output, inputs, g))


def _through_norm(spread: float, seed: int) -> float:
    x = (spread * drawn(64, 4, 3, 3, seed=seed)).detach().requires_grad_()
    g = drawn(64, 4, 3, 3, seed=seed + 100).detach()
    return norm(gradient(nn.BatchNorm2d(4, eps=1e-12).to(float64)(x), x, g))


@ITEMS.experiment(
    "D5",
    "F = 0 makes an identity mapping.",
    "true",
    "In a pre-activation block; in a post-activation block only because x is not negative already.",
    f"{HE2016}, sections 2 and 4",
    Every(
        Equal("a pre-activation block with F = 0 returns x", True),
        Equal("a post-activation block returns x", False),
        Equal("it returns relu(x)", True),
        Equal("it returns x where x is not negative", True),
    ),
)
def _d5(lab: Lab) -> Measured:
    with random.seeded(0):
        x = randn(2, 4, 5, 5)
    pre = _silent("full_preactivation")(x).numpy()
    block = _silent("original")
    post = block(x).numpy()
    return {
        "a pre-activation block with F = 0 returns x": bool((pre == x.numpy()).all()),
        "a post-activation block returns x": bool((post == x.numpy()).all()),
        "it returns relu(x)": bool((post == relu(x).numpy()).all()),
        "it returns x where x is not negative": bool(
            (block(relu(x)).numpy() == relu(x).numpy()).all()
        ),
    }


def _silent(order: str) -> nn.Module:
    """Return a block whose convolutions are all 0."""
    block = nn.BasicBlock(4, 4, shortcut="A", order=order)
    for weight in block.parameters():
        if weight.ndim == 4:
            nn.init.zeros_(weight)
    return block


@ITEMS.experiment(
    "D6",
    "Fitting the residual is certainly easier.",
    "misleading",
    "A hypothesis: it holds where the optimum is near the identity, for which small responses of"
    " layers speak. To learn y = -x is easier for the plain layers.",
    f"{HE2015}, sections 3.1 and 4.2 (responses)",
    Every(Below(_NEAR, 1), Above(_OPPOSITE, 1)),
)
def _d6(lab: Lab) -> Measured:
    found: dict[str, list[float]] = {_NEAR: [], _OPPOSITE: []}
    for seed in SEEDS:
        with random.seeded(seed):
            x = randn(256, 8, dtype=float64)
            g = _branch()(x).detach()
        for name, targets in ((_NEAR, x + 0.1 * g), (_OPPOSITE, -x)):
            residual, plain = (_descended(x, targets, each, seed) for each in (True, False))
            found[name].append(residual / plain)
    return found


def _branch() -> nn.Module:
    """Return what may be learned: two layers, with a ReLU between them."""
    first, second = nn.Linear(8, 32), nn.Linear(32, 8)
    for layer in (first, second):
        nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(first, nn.ReLU(), second).to(float64)


def _descended(x: Tensor, targets: Tensor, residual: bool, seed: int) -> float:
    """Return the loss of a branch, with a shortcut or without, after 200 steps of descent."""
    with random.seeded(seed + 100):
        branch = _branch()
    optimizer = SGD(branch.parameters(), lr=0.05)

    def loss() -> Tensor:
        made = branch(x)
        return mean(((residual_add(x, made) if residual else made) - targets) ** 2)

    for _ in range(200):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return float(loss().item())


@ITEMS.experiment(
    "D7",
    "H(5.1) = F(5) + 5.",
    "typo",
    "H(5) = F(5) + 5, with H(5) = 5.1 and F(5) = 0.1.",
    ARITHMETIC,
    Every(
        Within("F(5) + 5 with F(5) = 0.1", 5.1 - 1e-12, 5.1 + 1e-12),
        Within("F(5.1) + 5.1 with the same F", 5.202 - 1e-12, 5.202 + 1e-12),
    ),
)
def _d7(lab: Lab) -> Measured:
    def h(x: float) -> float:
        value = tensor(x, dtype=float64)
        return float(residual_add(value, value * 0.02).item())

    return {"F(5) + 5 with F(5) = 0.1": h(5.0), "F(5.1) + 5.1 with the same F": h(5.1)}


@ITEMS.experiment(
    "D8",
    "A change of 2 % against one of 100 %: the residual acts more strongly on the weights.",
    "false",
    "How much F's target changes is no gradient. For y = (1 + w) x and y = w' x gradients are"
    " equal, -0.5 at x = 5, y = 5 and a target of 5.1. What differs is where they start: from 0 the"
    " loss is 0.005 or 13.0; and weight decay pulls one to the identity, the other to 0.",
    ARITHMETIC,
    Every(
        Within("gradient, residual", -0.5 - 1e-9, -0.5 + 1e-9),
        Within("gradient, plain", -0.5 - 1e-9, -0.5 + 1e-9),
        Within("loss from weight 0, residual", 0.0049, 0.0051),
        Within("loss from weight 0, plain", 12.9, 13.1),
        Within("output at 5 under decay alone, residual", 4.99, 5.01),
        Within("output at 5 under decay alone, plain", -0.01, 0.01),
    ),
)
def _d8(lab: Lab) -> Measured:
    def loss(w: Tensor, residual: bool) -> Tensor:
        x = tensor(5.0, dtype=float64)
        made = residual_add(x, w * x) if residual else w * x
        return (made - 5.1) ** 2 / 2

    found: dict[str, float] = {}
    for residual, words, same in ((True, "residual", 0.0), (False, "plain", 1.0)):
        weight = tensor(same, dtype=float64, requires_grad=True)
        found[f"gradient, {words}"] = float(gradient(loss(weight, residual), weight).item())
        start = tensor(0.0, dtype=float64)
        found[f"loss from weight 0, {words}"] = float(loss(start, residual).item())
        optimizer = SGD([weight], lr=0.5, weight_decay=1.0)
        for _ in range(40):
            optimizer.zero_grad()
            (0 * weight).backward()
            optimizer.step()
        found[f"output at 5 under decay alone, {words}"] = 5 * (residual + float(weight.item()))
    return found


@ITEMS.experiment(
    "D9",
    "There are six shortcuts, X/2 is the second, the first is best.",
    "true",
    "With 0.5 on both sides the error is 12.35 %, with 0.5 on the shortcut alone training fails;"
    " the identity is best. What comes through 54 shortcuts of 0.5 alone is multiplied by 5.6e-17;"
    " the whole gradient is not.",
    f"{HE2016}, table 1",
    Every(Below(LAW, 1e-9), Above(worse("0.5 : 1", "training"), 0.1, otherwise=0.0), IS_BEST),
)
def _d9(lab: Lab) -> Measured:
    found = lab.measured("six-shortcuts")
    names = (LAW, worse("0.5 : 1", "training"), *IS_BEST.quantities)
    return {name: found[name] for name in names}


@ITEMS.experiment(
    "D10",
    "Where sizes differ, fill with zeros or use a 1x1 projection.",
    "true",
    "Options A and B; C, which projects always, is not needed.",
    f"{HE2015}, section 4.1 and table 3: 25.03, 24.52 and 24.19 % top-1 error",
    Every(
        *(Above(better(option)) for option in "AB"),
        Equal(EXTRA_A, 0),
        Given(Above(knows("B"), 0.1), Below(C_BEFORE_B, 0.05, otherwise=0.15)),
    ),
)
def _d10(lab: Lab) -> Measured:
    found = lab.measured("shortcut-options")
    names = (better("A"), better("B"), EXTRA_A, knows("B"), C_BEFORE_B)
    return {name: found[name] for name in names}


@ITEMS.experiment(
    "D11",
    "A 1x1 convolution does not enlarge the receptive field, and changes the number of channels.",
    "true",
    "With stride 1. With stride 2 it looks at one position in four.",
    "He et al. 2015, arXiv 1512.03385, section 3.3; arithmetic",
    Every(
        Equal("positions that an output sees, 1x1", 1),
        Equal("channels of the output, from 4", 6),
        Within("share of positions that reach the output at stride 1", 1, 1),
        Within("share at stride 2", 0.25, 0.25),
    ),
)
def _d11(lab: Lab) -> Measured:
    x, weight = drawn(1, 4, 8, 8), drawn(6, 4, 1, 1, seed=1).detach()
    shares = {}
    for stride in (1, 2):
        output = conv2d(x, weight, stride=stride)
        seen = (gradient(output, x, full(output.shape, 1.0, dtype=float64)).numpy() != 0).any(1)
        shares[stride] = float(seen.mean())
    single = np.zeros((1, 6, 8, 8))
    single[0, 0, 3, 3] = 1
    at_one = gradient(conv2d(x, weight), x, tensor(single)).numpy()
    return {
        "positions that an output sees, 1x1": int((at_one != 0).any(1).sum()),
        "channels of the output, from 4": conv2d(x, weight).shape[1],
        "share of positions that reach the output at stride 1": shares[1],
        "share at stride 2": shares[2],
    }
