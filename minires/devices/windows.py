"""Where a sliding window stands: the geometry shared by convolution, pooling and im2col."""

from __future__ import annotations

from typing import NamedTuple


class Window(NamedTuple):
    """A window of `kernel` taps sliding over an image.

    Each field is a pair, rows first. `padding` counts the rows added above and below, then the
    columns added left and right; they may differ (a pool in ceil_mode pads more at the end).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)

    @property
    def taps(self) -> int:
        """Number of positions in the window, KH * KW."""
        return self.kernel[0] * self.kernel[1]

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns that the (dilated) window covers."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    def padded_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of an image of `size` after padding."""
        (top, bottom), (left, right) = self.padding
        return size[0] + top + bottom, size[1] + left + right

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Number of window positions, (OH, OW), over an image of `size` (H, W)."""
        (h, w), (eh, ew) = self.padded_size(size), self.extent
        return (h - eh) // self.stride[0] + 1, (w - ew) // self.stride[1] + 1
