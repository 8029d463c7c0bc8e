"""The gradient through a batch norm, in its three terms.

With x_hat = (x - mean) / std and <.> the mean over a channel's values, the input's gradient is
weight / std * (g - <g> - x_hat * <g * x_hat>): what passes directly, what comes back because the
mean depends on x, and what comes back because the variance does (Ioffe and Szegedy 2015).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minires import devices
from minires.autograd import Tensor
from minires.devices import Array

from .replay import ReplayError, replay
from .statistics import norm_of, shares_of

if TYPE_CHECKING:
    from .trace import Trace


@dataclass(frozen=True)
class BatchNormTerms:
    """The terms of a batch norm's input gradient; they add up to it, to rounding.

    Attributes
    ----------
    at : str
        Path of the module.
    direct, mean, variance : array
        Of the input's shape, on the host. Mean and variance are zero where running statistics
        were used.
    total : array
        What the engine's VJP sent.
    norms : dict of str to float
    shares : dict of str to float or None
        <term, total> / <total, total>.
    """

    at: str
    direct: Array = field(repr=False)
    mean: Array = field(repr=False)
    variance: Array = field(repr=False)
    total: Array = field(repr=False)
    norms: dict[str, float]
    shares: dict[str, float | None]


def batch_norm_terms(trace: Trace, module: str) -> BatchNormTerms:
    """Split what a batch norm sends back; see `Trace.batch_norm_terms`."""
    records = trace.records
    norms = [step for step in records.forward if step.op == "batch_norm"]
    steps = [s for s in norms if module in (s.module, records.values[s.output].name)]
    if not steps:
        known = sorted({step.module for step in norms})
        spelled = any("batch_norm:" in step.twin_of for step in records.forward)
        why = "; mr.expand spelled it out in other ops" if spelled else ""
        raise KeyError(f"no batch_norm ran in {module!r}{why}; there are: {known}")
    step = steps[-1]
    g = replay(trace, step.output).total
    tape = trace.tape
    node = None if tape is None else tape.nodes.get(step.output)
    if node is None or node.kept is None or node.op is None:
        raise ReplayError(f"the batch norm in {module!r} was not put on the tape")
    if node.parents[0] is None:
        raise ReplayError(f"the input of the batch norm in {module!r} has no gradient to split")
    kept = dict(zip(("input", "weight"), node.values(), strict=False))
    x, weight = kept["input"], kept["weight"]
    xp = devices.of(x).xp
    axes, shape = (0, *range(2, x.ndim)), (1, -1, *(1,) * (x.ndim - 2))
    average, variance = node.aux
    std = xp.sqrt(variance + variance.dtype.type(node.constants["eps"])).reshape(shape)
    x_hat = (x - average.reshape(shape)) / std
    scale = (1 if weight is None else weight.reshape(shape)) / std
    direct = (scale * g).astype(x.dtype)
    through_mean = through_variance = xp.zeros_like(direct)
    if node.constants["statistics"] is None:
        same = -scale * g.mean(axes, keepdims=True)
        through_mean = xp.broadcast_to(same, g.shape).astype(x.dtype)
        product = (g * x_hat).mean(axes, keepdims=True)
        through_variance = (-scale * x_hat * product).astype(x.dtype)
    # The engine's own gradient: with the needs that it had, in the dtype that it casts to.
    needs = tuple([parent is not None for parent in node.parents])
    total = node.op.pull_back(node, g, needs, False)[0]
    assert total is not None
    assert not isinstance(total, Tensor)
    host = devices.of(x).to_numpy
    total = host(total.astype(x.dtype, copy=False))
    found = {"direct": direct, "mean": through_mean, "variance": through_variance}
    terms = {name: host(term) for name, term in found.items()}
    sizes = {name: norm_of(term) for name, term in terms.items()}
    shares = dict(zip(terms, shares_of(terms.values(), total), strict=True))
    return BatchNormTerms(module, **terms, total=total, norms=sizes, shares=shares)
