"""One entry of a convolution's output: the patch of the image under the filter, and the sum."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minires import devices
from minires.autograd import AutogradError
from minires.devices import Array

from ..records import Forward
from .words import Glyphs, number

if TYPE_CHECKING:
    from ..trace import Trace

_STRIDE = re.compile(r"stride=\((\d+), (\d+)\), padding=\(\((\d+), \d+\), \((\d+), \d+\)\)")


@dataclass(frozen=True)
class Patch:
    """What a convolution multiplies and adds up for one entry of its output.

    Attributes
    ----------
    place : tuple of int
        Image, filter, row and column of the entry.
    image, weight : ndarray (C, KH, KW)
        The patch, and the filter; their products sum to the entry.
    corner : tuple of int or None
        Row and column of the input at the patch's upper left, which may lie in the padding.
    """

    place: tuple[int, int, int, int]
    image: Array
    weight: Array
    corner: tuple[int, int] | None

    @property
    def total(self) -> float:
        """The output's entry, without a bias."""
        return float((self.image * self.weight).sum())


def spelled_out(trace: Trace, step: int) -> list[Forward]:
    """Return the steps that spell out the same call of conv2d as this one; [] for any other."""
    forward = trace.records.forward
    twin = forward[step].twin_of
    if not twin.rpartition("/")[2].startswith("conv2d:"):
        return []
    return [each for each in forward if each.twin_of == twin]


def patch_of(trace: Trace, step: int, pixel: tuple[int, ...]) -> Patch | str:
    """Cut out what one entry of a convolution's output is made of.

    Parameters
    ----------
    trace : Trace
        Recorded under ``mr.expand("conv2d")``.
    step : int
        One of the forward steps that spell the convolution out.
    pixel : tuple of int
        Row and column; filter and image, if given. Brought into range.

    Returns
    -------
    Patch or str
        A sentence instead where the values were not kept.
    """
    members = spelled_out(trace, step)
    by_op = {each.op: each for each in members}
    if "matmul" not in by_op or "im2col" not in by_op:
        return "there is no im2col and no matmul here"
    product, columns = by_op["matmul"], by_op["im2col"]
    values = trace.records.values
    found = _operands(trace, product)
    if isinstance(found, str):
        return found
    weight, cols = found  # (1, G, O/G, K) and (N, G, K, L)
    image = next(s for s in members if s.operands[0].value == product.output)
    images, filters, OH, OW = values[image.output].shape
    y, x = (min(at, most - 1) for at, most in zip(pixel, (OH, OW), strict=False))
    o = min(pixel[2], filters - 1) if len(pixel) > 2 else 0
    n = min(pixel[3], images - 1) if len(pixel) > 3 else 0
    group, row = divmod(o, weight.shape[2])
    # The filter had its shape before it was laid flat for the product.
    flattened = trace.records.forward[values[product.operands[0].value or 0].op or 0]
    shape = values[flattened.operands[0].value or 0].shape[1:]
    return Patch(
        (n, o, y, x),
        cols[n, group, :, y * OW + x].reshape(shape),
        weight[0, group, row].reshape(shape),
        _corner(columns, y, x),
    )


def _operands(trace: Trace, product: Forward) -> tuple[Array, Array] | str:
    """Find the two matrices, in what was kept of the trace or for a replay."""
    kept = [trace.arrays.get(f"value/{operand.value}") for operand in product.operands]
    if kept[0] is not None and kept[1] is not None:
        return kept[0], kept[1]
    node = None if trace.tape is None else trace.tape.nodes.get(product.output)
    if node is None or node.kept is None or len(node.kept) < 2:
        return 'the values were not kept: record with save="full" to see what is multiplied here'
    try:
        weight, cols = (_host(value) for value in node.values())
    except AutogradError as error:
        return str(error)
    return weight, cols


def _host(array: Any) -> Array:
    return devices.of(array).to_numpy(array)


def _corner(columns: Forward, y: int, x: int) -> tuple[int, int] | None:
    found = _STRIDE.search(columns.constants.get("window", ""))
    if found is None:
        return None
    down, right, top, left = map(int, found.groups())
    return y * down - top, x * right - left


def patch_lines(patch: Patch, marks: Glyphs) -> list[str]:
    """Write a patch, the filter and their product side by side, and how they sum up."""
    n, o, y, x = patch.place
    products = patch.image * patch.weight
    by_channel = products.sum((1, 2))
    channel = int(abs(by_channel).argmax())
    where = f"output entry [image {n}, filter {o}, row {y}, column {x}]"
    if patch.corner is not None:
        where += f"; its patch begins at row {patch.corner[0]}, column {patch.corner[1]}"
    grids = [_grid(each[channel]) for each in (patch.image, patch.weight, products)]
    headings = ("patch", "filter", "product")
    widths = [max(len(grid[0]), len(head)) for grid, head in zip(grids, headings, strict=True)]
    middle = (len(grids[0]) - 1) // 2
    found = [where, "   ".join(h.center(w) for h, w in zip(headings, widths, strict=True)).rstrip()]
    for line, row in enumerate(zip(*grids, strict=True)):
        signs = (f" {marks.times} ", " = ") if line == middle else ("   ", "   ")
        a, b, c = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        found.append(f"{a}{signs[0]}{b}{signs[1]}{c}".rstrip())
    total, own = patch.total, float(by_channel[channel])
    if len(by_channel) == 1:
        found.append(f"they sum to {number(total)}, the output's entry")
    else:
        others = len(by_channel) - 1
        found.append(
            f"channel {channel}, which adds most, sums to {number(own)}; the other {others} to"
            f" {number(total - own)}; in all {number(total)}, the output's entry"
        )
    return found


def _grid(square: Array) -> list[str]:
    texts = [[number(float(entry)) for entry in row] for row in square[:7, :7]]
    width = max(len(text) for row in texts for text in row)
    return [" ".join(text.rjust(width) for text in row) for row in texts]
