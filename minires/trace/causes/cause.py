"""What a cause is, and from which size on something counts as one."""

from __future__ import annotations

from dataclasses import dataclass

# A ReLU of a network that learns lets about half of its units through, a sparse one a tenth. Where
# fewer than one in twenty are left, the layer is dying.
DEAD = 0.95

# Numbers that are exactly 0 are rare among sums of products. Where every second input of a ReLU is,
# something made them so, and the gradient there is a convention.
KINK = 0.5

# gamma / sigma is what a batch norm multiplies a gradient by. Between 0.1 and 10 is usual;
# sqrt(eps) in the place of sigma, which a constant channel has, makes it 316.
NORM_GAIN = (0.01, 100.0)

# A sigma below this is that of a batch norm's input that hardly varies.
CONSTANT = 0.01

# What the mean and variance terms of a batch norm may leave of the direct term: of M values per
# channel they take 2 dimensions, so that of M = 2 nothing is left.
PROJECTED = 0.01

# rms(weight) * sqrt(fan in): 1.4 as He et al. initialise, 0.6 for PyTorch's linear layers. Weight
# decay takes it to a tenth; what is far outside is a mistake, or a layer that has collapsed.
WEIGHT_SCALE = (0.02, 50.0)

# |sum| / (sum of norms) at a fork: 0.7 for two orthogonal parts of equal size. Below a tenth,
# the parts have cosines near -1.
CANCELLED = 0.1

# What a hook may do to a norm, as one that clips does, before it is named.
HOOKED = (0.1, 10.0)

# What one op may do to a norm, or its inverse, before that is out of the ordinary without any
# cause that has a name: a loss scaled for float16 is multiplied by 65,536, a mean over 1e9 terms
# divides by 3e4.
EXTREME = 1e6

# Share of the numbers not 0 that are below the smallest normal one. There digits are lost; where
# nearly all are, so is the gradient.
SUBNORMAL = 0.9

# What a sigmoid or tanh lets through; at its steepest 1/4 or 1, at |x| = 5 less than this.
SATURATED = 0.01

# Rounding of a norm in float32, of which two that should be equal may differ; float16 has less.
SAME = 1e-4


@dataclass(frozen=True)
class Cause:
    """Something that was measured, and what it does to a gradient.

    Attributes
    ----------
    kind : str
        Such as "dead_relu"; see `minires.trace.Trace.explain` for all of them.
    place : str
        Where: the path of a module, or the name of a value outside of modules.
    number : float
        The measurement that shows it; the sentence says of what.
    sentence : str
    alarm : bool
        Something is out of the ordinary. The others say what the gradient's size is made of.
    step : int or None
        The forward step that it belongs to.
    effect : float
        By how much it changed the logarithm of the norm, without its sign; infinite where it left
        nothing.
    """

    kind: str
    place: str
    number: float
    sentence: str
    alarm: bool = True
    step: int | None = None
    effect: float = 0.0
