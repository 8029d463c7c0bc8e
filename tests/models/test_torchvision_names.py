"""Names and shapes of the networks for large images: those of torchvision's files, in their order.

The rule below was compared with torchvision 0.28 itself, which the tests do without.
"""

from __future__ import annotations

import pytest

from minires import devices, models

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
# Depth, groups, channels of a group where a block is given 64.
NETWORKS = {
    "resnet18": (18, 1, 64),
    "resnet34": (34, 1, 64),
    "resnet50": (50, 1, 64),
    "resnet101": (101, 1, 64),
    "resnet152": (152, 1, 64),
    "resnext50_32x4d": (50, 32, 4),
    "resnext101_32x8d": (101, 32, 8),
    "resnext101_64x4d": (101, 64, 4),
    "wide_resnet50_2": (50, 1, 128),
    "wide_resnet101_2": (101, 1, 128),
}


def norm(name, channels):
    for value in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{value}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def torchvision(depth, groups, base):
    """Every name and shape."""
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    before = 64
    for stage, count in enumerate(BLOCKS[depth]):
        channels = 64 * 2**stage
        inner = channels * base // 64 * groups
        for index in range(count):
            at = f"layer{stage + 1}.{index}"
            if depth < 50:
                shapes = [(channels, before, 3, 3), (channels, channels, 3, 3)]
            else:
                shapes = [(inner, before, 1, 1), (inner, inner // groups, 3, 3)]
                shapes.append((4 * channels, inner, 1, 1))
            for number, shape in enumerate(shapes, 1):
                yield f"{at}.conv{number}.weight", shape
                yield from norm(f"{at}.bn{number}", shape[0])
            after = shapes[-1][0]
            if index == 0 and (stage or before != after):
                yield f"{at}.downsample.0.weight", (after, before, 1, 1)
                yield from norm(f"{at}.downsample.1", after)
            before = after
    yield "fc.weight", (1000, before)
    yield "fc.bias", (1000,)


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_are_torchvisions(name):
    with devices.default("meta"):
        state = models.create(name).state_dict()
    assert [(key, value.shape) for key, value in state.items()] == [*torchvision(*NETWORKS[name])]
