"""Wrong arguments are refused where they are given, in words that name them."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import ops


def t(*shape, dtype="float32"):
    return mr.zeros(*shape, dtype=dtype)


SHAPES = [
    (
        lambda: ops.conv2d(t(3, 8, 8), t(4, 3, 3, 3)),
        r"conv2d.*\(N, C, H, W\).*\(3, 8, 8\).*unsqueeze",
    ),
    (lambda: ops.conv2d(t(1, 3, 8, 8), t(4, 3, 3)), r"conv2d: weight.*four axes.*\(4, 3, 3\)"),
    (
        lambda: ops.conv2d(t(1, 3, 8, 8), t(64, 64, 3, 3)),
        r"conv2d: input has 3 channels, weight expects 64 \(weight shape \(64, 64, 3, 3\)",
    ),
    (
        lambda: ops.conv2d(t(1, 4, 8, 8), t(4, 4, 3, 3), groups=2),
        r"conv2d: input has 4 channels, weight expects 8.*groups=2",
    ),
    (
        lambda: ops.conv2d(t(1, 3, 8, 8), t(4, 1, 3, 3), groups=2),
        r"groups=2 must divide.*3 channels",
    ),
    (lambda: ops.conv2d(t(1, 4, 8, 8), t(3, 2, 3, 3), groups=2), r"groups=2.*3 filters"),
    (lambda: ops.conv2d(t(1, 4, 8, 8), t(4, 4, 3, 3), groups=0), "groups=0"),
    (
        lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 5, 5)),
        r"conv2d: the kernel \(5, 5\) covers \(5, 5\) pixels.*only \(4, 4\)",
    ),
    (
        lambda: ops.conv2d(t(1, 1, 6, 6), t(1, 1, 3, 3), dilation=3),
        r"dilated by \(3, 3\)\) covers \(7, 7\)",
    ),
    (
        lambda: ops.conv2d(t(1, 1, 4, 4), t(2, 1, 3, 3), t(3)),
        r"bias must have shape \(2,\).*\(3,\)",
    ),
    (lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 3, 3), stride=0), "stride must be.*>= 1, found 0"),
    (lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 3, 3), padding=-1), "padding must be.*>= 0"),
    (lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 3, 3), padding="full"), "padding must be.*'full'"),
    (
        lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 3, 3), stride=2, padding="same"),
        "conv2d: padding 'same' needs stride 1, found 2",
    ),
    (lambda: ops.conv2d(t(1, 1, 4, 4), t(1, 1, 3, 3), stride=(1, 2, 3)), r"found \(1, 2, 3\)"),
    (
        lambda: ops.conv_transpose2d(t(1, 3, 4, 4), t(4, 2, 3, 3)),
        r"conv_transpose2d: input has 3 channels, weight expects 4",
    ),
    (
        lambda: ops.conv_transpose2d(t(1, 1, 4, 4), t(1, 1, 3, 3), stride=2, output_padding=2),
        r"output_padding \(2, 2\) must be smaller than stride \(2, 2\)",
    ),
    (
        lambda: ops.conv_transpose2d(t(1, 1, 1, 1), t(1, 1, 2, 2), padding=1),
        r"output would have size \(0, 0\)",
    ),
    (lambda: ops.im2col(t(1, 1, 2, 2), 3), r"im2col: the kernel \(3, 3\)"),
    (
        lambda: ops.col2im(t(1, 9, 5), 4, 3),
        r"col2im: columns must have shape \(N, C\*9, 4\).*found \(1, 9, 5\)",
    ),
    (lambda: ops.max_pool2d(t(1, 2, 2), 2), r"max_pool2d.*found \(1, 2, 2\)"),
    (lambda: ops.max_pool2d(t(1, 1, 4, 4), 2, padding=2), "padding 2 must be at most half the ker"),
    (
        lambda: ops.max_pool2d(t(1, 1, 2, 2), 2, padding=1, dilation=3),
        "max_pool2d: dilation 3.*without a pixel",
    ),
    (lambda: ops.avg_pool2d(t(1, 1, 2, 2), 3), r"avg_pool2d: the kernel \(3, 3\)"),
    (lambda: ops.avg_pool2d(t(1, 1, 4, 4), 2, divisor_override=0), "divisor_override=0"),
    (lambda: ops.adaptive_avg_pool2d(t(1, 1, 4, 4), 0), "output_size must be.*>= 1"),
    (lambda: ops.adaptive_avg_pool2d(t(1, 1, 0, 4), 2), r"size \(0, 4\) have no values"),
    (lambda: ops.adaptive_max_pool2d(t(1, 1, 4, 0), 2), r"size \(4, 0\).*to choose from"),
    (lambda: ops.interpolate(t(1, 4, 4), 2), r"interpolate: input must.*\(1, 4, 4\).*unsqueeze"),
    (lambda: ops.interpolate(t(1, 1, 4, 4)), "give size or scale_factor.*size=None"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), 2, 2.0), "and not both; found size=2"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), 0), "interpolate: size must be.*>= 1"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), scale_factor=-1), "numbers > 0, found -1"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), scale_factor="2"), "numbers > 0, found '2'"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), scale_factor=(1, 2, 3)), r"found \(1, 2, 3\)"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), scale_factor=0.2), r"\(4, 4\).* 0.2 have no pixels"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), 2, mode="bicubic"), "'bilinear', found 'bicubic'"),
    (lambda: ops.interpolate(t(1, 1, 4, 4), 2, align_corners=True), "needs mode 'bilinear'"),
    (lambda: ops.interpolate(t(1, 1, 0, 4), 2), r"size \(0, 4\) have no values"),
    (lambda: ops.local_response_norm(t(3), 5), r"\(N, C, \.\.\.\), found \(3,\)"),
    (lambda: ops.local_response_norm(t(1, 3), 0), "local_response_norm: size must be.*found 0"),
    (lambda: ops.local_response_norm(t(1, 3), 5, convention="max"), "'mean' or 'sum', found 'max"),
    (lambda: ops.dropout2d(t(3)), r"dropout2d: input must have shape \(N, C, \.\.\.\)"),
    (lambda: ops.dropout2d(t(3, 3), 1.5), "dropout2d: p must lie.*1.5"),
    (lambda: ops.stochastic_depth(t(3), -0.5, "row"), "stochastic_depth: p must lie.*-0.5"),
    (lambda: ops.stochastic_depth(t(3), 0.5, "image"), "'batch' or 'row', found 'image'"),
    (lambda: ops.stochastic_depth(t(), 0.5, "row"), r"stochastic_depth: .*\(N, \.\.\.\)"),
    (lambda: ops.batch_norm(t(3), None, None, training=True), r"\(N, C, \.\.\.\), found \(3,\)"),
    (
        lambda: ops.batch_norm(t(4, 3), t(2), t(2)),
        r"batch_norm: input has 3 channels.*running_mean has shape \(2,\)",
    ),
    (
        lambda: ops.batch_norm(t(4, 3), None, None, t(4), training=True),
        r"weight has shape \(4,\)",
    ),
    (
        lambda: ops.batch_norm(t(1, 3, 1, 1), None, None, training=True),
        r"one value per channel \(shape \(1, 3, 1, 1\)\).*model\.eval\(\)",
    ),
    (lambda: ops.batch_norm(t(4, 3), None, None), "outside of training it needs running_mean"),
    (
        lambda: ops.residual_add(t(2, 1, 4, 4), t(2, 64, 4, 4)),
        r"shortcut has shape \(2, 1, 4, 4\), branch \(2, 64, 4, 4\).*projection",
    ),
    (lambda: t(2, 3) + t(2, 4), r"add: shapes \(2, 3\) and \(2, 4\) do not broadcast"),
    (lambda: t(2, 3) ** t(2, 4), r"pow: shapes \(2, 3\) and \(2, 4\)"),
    (lambda: mr.where(t(2) > 0, t(3), t(4)), r"where: shapes \(3,\) and \(4,\)"),
    (lambda: mr.arange(3) ** mr.tensor([-1, 2, 3]), "negative powers; make the base floating"),
    (lambda: mr.arange(3) ** -1, "negative powers; make the base floating"),
    (lambda: mr.zeros(0, dtype="int64") ** -1, "negative powers; make the base floating"),
    (lambda: t(2, 3) @ t(2, 3), r"matmul: shapes \(2, 3\) and \(2, 3\) do not fit"),
    (lambda: t(2, 2, 3) @ t(3, 3, 4), r"matmul: shapes \(2, 2, 3\) and \(3, 3, 4\)"),
    (lambda: mr.matmul(mr.tensor(1.0), t(2)), r"matmul: both operands need an axis, found \(\)"),
    (lambda: ops.linear(t(2, 3), t(5, 4)), r"linear: input has 3 features.*\(5, 4\)"),
    (lambda: ops.linear(t(2, 3), t(5, 3), t(4)), r"linear: bias has shape \(4,\)"),
    (lambda: mr.einsum("ij,jk->ik", t(2, 3), t(4, 5)), r"einsum: 'j'.* is 3 .* and 4"),
    (lambda: mr.einsum("ij->ij", t(2)), r"'ij' in 'ij->ij' does not fit shape \(2,\)"),
    (lambda: mr.einsum("ij,jk->ik", t(2, 3)), "names 2 operands, found 1"),
    (lambda: mr.einsum("ij->ijj", t(2, 3)), "must name given letters once each"),
    (lambda: mr.concatenate([t(2, 3), t(3, 3)], 1), r"concatenate: shapes.*\(2, 3\), \(3, 3\)"),
    (lambda: mr.concatenate([t(2, 3), t(3)]), r"concatenate: shapes"),
    (lambda: mr.concatenate([]), r"concatenate: needs Tensors with an axis"),
    (
        lambda: mr.stack([t(2), t(3)]),
        r"stack: needs Tensors of one shape, found \[\(2,\), \(3,\)\]",
    ),
    (lambda: ops.pad(t(2), (1, 1, 1)), r"pad: needs up to 1 pairs of widths, found \(1, 1, 1\)"),
    (lambda: ops.pad(t(2), (-3, 4)), r"pad: \(-3, 4\) takes away more than shape \(2,\) has"),
    (lambda: ops.pad(t(2), (1, 1), "edge"), r"pad: mode must be 'constant' or .*found 'edge'"),
    (
        lambda: ops.pad(t(2), (1, 2), "reflect"),
        r"an axis of length 2 has not enough values to frame it by \(1, 2\) in mode 'reflect'",
    ),
    (lambda: ops.pad(t(2), (3, 0), "circular"), r"by \(3, 0\) in mode 'circular'"),
    (lambda: ops.pad(t(0), (1, 0), "replicate"), r"an axis of length 0 has not enough values"),
    (lambda: t(2, 3).reshape(4, 2), r"reshape: 6 values of shape \(2, 3\) do not fit \(4, 2\)"),
    (lambda: t(2, 3).reshape(-1, -1), r"do not fit \(-1, -1\)"),
    (lambda: t(0, 3).reshape(0, -1), r"0 values of shape \(0, 3\) do not fit"),
    (lambda: t(2, 3).permute(0), r"permute: \(0,\) does not order 2 dimensions"),
    (lambda: t(2, 3).permute(0, 0), "names a dimension twice"),
    (lambda: t(2, 3).flatten(1, 0), "start_dim 1 lies behind end_dim 0"),
    (lambda: t(2, 3).expand(4, 3), r"shape \(2, 3\) does not broadcast to \(4, 3\)"),
    (lambda: t(2, 3).sum((0, 0)), r"sum: dim \(0, 0\) names a dimension twice"),
    (
        lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, 3])),
        "label 3 is out of range; with 3 logits labels go from 0 to 2",
    ),
    (lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, -1])), "label -1 is out of range"),
    (lambda: ops.cross_entropy(t(2, 3), t(2)), "labels must be integers.*float32"),
    (
        lambda: ops.cross_entropy(t(2, 3), t(2, 4)),
        r"have shape \(2, 3\), labels \(N, \.\.\.\) have shape \(2, 4\)",
    ),
    (
        lambda: ops.cross_entropy(t(2, 3), t(2, 3), t(2)),
        r"weight must have shape \(3,\), one for each class, found \(2,\)",
    ),
    (
        lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, 1, 2])),
        r"logits \(N, C, \.\.\.\) have shape \(2, 3\), labels \(N, \.\.\.\) have shape \(3,\)",
    ),
    (
        lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, 1]), t(2)),
        r"weight must have shape \(3,\), one for each class, found \(2,\)",
    ),
    (
        lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, 1]), reduction="avg"),
        "cross_entropy: reduction must be 'mean', 'sum' or 'none', found 'avg'",
    ),
    (
        lambda: ops.cross_entropy(t(2, 3), mr.tensor([0, 1]), label_smoothing=2.0),
        r"label_smoothing must lie in \[0, 1\]",
    ),
    (lambda: ops.mse_loss(t(2, 1), t(2)), r"mse_loss: input has shape \(2, 1\), target \(2,\)"),
    (lambda: ops.dropout(t(2), 1.5), "dropout: p must lie between 0 and 1, found 1.5"),
    (lambda: ops.gelu(t(2), approximate="erf"), "approximate must be 'none' or 'tanh'"),
    (lambda: mr.clip(t(2)), "clip: give min, max, or both"),
    (
        lambda: t(2, 3).gather(0, mr.zeros(2, 2, dtype="int64")),
        r"gather: index of shape \(2, 2\) does not fit input \(2, 3\)",
    ),
]


@pytest.mark.parametrize(("call", "message"), SHAPES, ids=range(len(SHAPES)))
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t(2, 3).sum(2), r"sum: dim 2 of a Tensor with 2 dimensions does not exist"),
        (lambda: t(2, 3).mean(-3), r"mean: dim -3"),
        (lambda: ops.softmax(t(2), 1), r"softmax: dim 1"),
        (lambda: t(2, 3).transpose(0, 5), r"transpose: dim 5"),
        (lambda: t(2).unsqueeze(3), r"unsqueeze: dim 3"),
        (lambda: t(2).gather(0, mr.tensor([2])), r"gather: an index lies outside 0\.\.1"),
    ],
)
def test_an_axis_or_index_that_does_not_exist_is_named(call, message):
    with pytest.raises(IndexError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t(2).max(mr.tensor(0)), r"max: dim must be an integer; maximum\(a, b\)"),
        (lambda: t(2).min(t(2)), r"min: dim must be an integer; minimum\(a, b\)"),
        (lambda: t(2, 3).std(False), "std: dim must be an integer, found False"),
        (lambda: t(2, 3).transpose(0, True), "transpose: dim must be an integer, found True"),
        (lambda: mr.exp([1.0]), "found list"),
        (lambda: mr.maximum(t(2), [1.0, 2.0]), "found list"),
        (lambda: ops.relu(None), "found NoneType"),
    ],
)
def test_what_is_no_tensor_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("other", [None, "a", [1.0, 2.0], object()])
def test_operators_leave_other_operands_to_python(other):
    with pytest.raises(TypeError, match="unsupported operand"):
        t(2) + other


def test_the_module_in_which_it_happened_is_named():
    class Stem(mr.nn.Module):
        def forward(self, x):
            return ops.conv2d(x, t(4, 2, 3, 3))

    model = mr.nn.Sequential(mr.nn.Identity(), Stem())
    with pytest.raises(ValueError, match=r"weight expects 2 .*; in '1'"):
        model(t(1, 3, 8, 8))


def test_numpys_own_error_is_kept_as_the_cause():
    with pytest.raises(ValueError, match="add") as caught:
        t(2, 3) + np.zeros((2, 4), "float32")
    assert isinstance(caught.value.__cause__, ValueError)
