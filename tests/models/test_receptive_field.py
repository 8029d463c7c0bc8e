"""Receptive fields against what the gradient of one output pixel reaches."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires as mr
from minires import models, nn, ops
from minires.models import receptive_field
from minires.models.counting import count, without_values
from minires.models.receptive_field import EVERYTHING, Span, fields

SIZE = 61


class Joined(nn.Module):
    """The sum of two ways of equal stride."""

    def __init__(self, left: nn.Module, right: nn.Module) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        left, right = self.left(x), self.right(x)
        n, m = (min(a, b) for a, b in zip(left.shape[2:], right.shape[2:], strict=True))
        return left[:, :, :n, :m] + right[..., :n, :m]


class Slices(nn.Module):
    def __init__(self, *index: slice) -> None:
        super().__init__()
        self.index = index

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return x[(..., *self.index)]


class Pads(nn.Module):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.widths = widths

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return ops.pad(x, self.widths)


def ones(layer: nn.Conv2d) -> nn.Conv2d:
    """Let every tap count, and add up."""
    layer.weight.copy_(1.0)
    return layer


@st.composite
def layers(draw, strides=(1, 2)):
    pair, stride = st.tuples(*[st.integers(1, 3)] * 2), st.sampled_from(strides)
    kernel, steps = draw(pair), (draw(stride), draw(stride))
    kind = draw(st.sampled_from(["conv", "pool", "slice", "pad"]))
    if kind == "conv":
        padding, dilation = draw(st.integers(0, 2)), draw(pair)
        return ones(nn.Conv2d(1, 1, kernel, steps, padding, dilation, bias=False))
    if kind == "pool":
        return nn.AvgPool2d(kernel, steps, padding=(kernel[0] // 2, 0))
    if kind == "slice":
        return Slices(*(slice(draw(st.integers(0, 3)), None, step) for step in steps))
    return Pads(*draw(st.tuples(*[st.integers(-1, 2)] * 4)))


@st.composite
def networks(draw):
    begin = draw(st.lists(layers(), max_size=2))
    ways = [draw(st.lists(layers(strides=(1,)), max_size=2)) for _ in range(2)]
    end = draw(st.lists(layers(), max_size=2))
    return nn.Sequential(*begin, Joined(*(nn.Sequential(*way) for way in ways)), *end)


def told(model: nn.Module) -> tuple[Span, Span]:
    found = fields(count(without_values(model), (1, SIZE, SIZE)).steps)[-1]
    assert found is not None
    return found


def reached(model: nn.Module, place: tuple[int, int]) -> list[tuple[int, int]]:
    """The first and last pixel, of rows and columns, that the output at a place depends on."""
    x = mr.zeros(1, 1, SIZE, SIZE, requires_grad=True)
    model(x)[0, 0][place].backward()
    return [(int(each.min()), int(each.max())) for each in np.nonzero(x.grad.numpy()[0, 0])]


def agree(model: nn.Module) -> bool:
    shape = model(mr.zeros(1, 1, SIZE, SIZE)).shape
    place = shape[2] // 2, shape[3] // 2
    for span, position, (first, last) in zip(
        told(model), place, reached(model, place), strict=True
    ):
        expected = [int(end + position * span.stride) for end in (span.first, span.last)]
        if expected != [first, last] or span.size != last - first + 1:
            return False
    return True


@settings(max_examples=max(settings().max_examples // 3, 12))
@given(networks())
def test_the_field_is_where_the_gradient_goes(model):
    assert agree(model)


def test_a_planted_mistake_is_caught(monkeypatch):
    model = nn.Sequential(nn.AvgPool2d(2), ones(nn.Conv2d(1, 1, 3, bias=False)))
    assert agree(model)
    monkeypatch.setattr(
        Span, "moved", lambda self, start, wider=0, step=1: Span(self.first, self.last + wider, 1)
    )
    assert not agree(model)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (4, 2, 1), (3, 1, 1)]
)
def test_a_transposed_convolution_sees_what_overlaps(kernel, stride, padding):
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, bias=False)
    layer.weight.copy_(1.0)
    ends = [reached(layer, (place, place))[0] for place in range(20, 20 + stride)]
    rows, columns = told(layer)
    assert rows == columns
    assert rows.size == max(last - first + 1 for first, last in ends)
    assert rows.stride * stride == 1
    assert ends[0][0] == rows.first + 20 * rows.stride


@pytest.mark.parametrize(
    "layer",
    [
        nn.Upsample(scale_factor=3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(size=20),
        nn.AdaptiveAvgPool2d(7),
        nn.AdaptiveAvgPool2d(SIZE),
    ],
    ids=repr,
)
def test_another_size_sees_as_much_as_any_of_its_places(layer):
    length = layer(mr.zeros(1, 1, SIZE, SIZE)).shape[2]
    first = min(length // 3, length - 7)
    ends = [reached(layer, (place, place))[0] for place in range(first, first + 7)]
    assert told(layer)[0].size == max(last - first + 1 for first, last in ends)
    assert told(layer)[0].stride == Fraction(SIZE, length)


def test_resnet50_sees_what_its_layers_add_up_to():
    """7x7/2, pool 3/2, then a 3x3 in each of 3, 4, 6 and 3 blocks, the first of a stage strided."""
    rows = {row.path: row for row in models.summary("resnet50").rows}
    size = 7 + 2 * 2
    size += 3 * 2 * 4
    size += 2 * 4 + 3 * 2 * 8
    size += 2 * 8 + 5 * 2 * 16
    size += 2 * 16 + 2 * 2 * 32
    (vertical, horizontal) = rows["layer4.2.conv3"].field
    assert (vertical.size, vertical.stride) == (horizontal.size, horizontal.stride) == (size, 32)
    assert rows["fc"].field == (EVERYTHING, EVERYTHING)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Linear(SIZE, 3), (EVERYTHING, EVERYTHING)),
        (nn.AdaptiveAvgPool2d(1), (EVERYTHING, EVERYTHING)),
        (nn.AdaptiveMaxPool2d(5), (EVERYTHING, EVERYTHING)),
        (nn.Softmax(1), (Span(), Span())),
        (nn.Softmax(3), (Span(), EVERYTHING)),
        (nn.Flatten(), (Span(), Span())),
        (Slices(slice(None), slice(None, None, 3)), (Span(), Span(0, 0, 3))),
    ],
    ids=repr,
)
def test_what_joins_all_places_sees_everything(layer, expected):
    assert told(layer) == expected


class Unrecorded(nn.Module):
    """Adds to a pixel what it saw around it when nothing was recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        with mr.no_grad():
            y = self.conv(x)
        return ops.relu(x + y)


def test_what_was_not_recorded_is_unknown():
    assert fields(count(without_values(Unrecorded()), (1, SIZE, SIZE)).steps)[1:] == [None] * 3


def test_a_vector_has_fields_as_well():
    model = nn.Sequential(nn.Conv2d(1, 1, SIZE), nn.Flatten(0), nn.ReLU())
    assert told(model)[0].size == SIZE


def test_a_gate_is_left_aside():
    model = nn.Sequential(nn.Conv2d(1, 32, 3), nn.SqueezeExcitation(32))
    assert told(model)[0].size == 3
    assert receptive_field.EVERYTHING.size == float("inf")
