"""minires' CUDA device on the stand-in for CuPy."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import devices, ops
from minires.devices.cuda.kernel import Kernel
from tests.devices.cuda import fake


def add_one_plain(x, y, count):
    y.reshape(-1)[:count] = x.reshape(-1)[:count] + 1


ADD_ONE = Kernel(
    r"""
    extern "C" __global__ void add_one(const T* x, T* y, int count) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        if (i < count) y[i] = (T)((A)x[i] + (A)1);
    }
    """,
    plain=add_one_plain,
)


@pytest.fixture
def device():
    with fake.installed() as made:
        yield made


def loss_after_two_steps(place):
    mr.manual_seed(0)
    draw = np.random.default_rng(0)
    images = mr.tensor(draw.standard_normal((4, 3, 8, 8)).astype("float32"), device=place)
    labels = mr.tensor(draw.integers(0, 10, 4), device=place)
    network = mr.models.cifar_resnet(8, width=4).to(place)
    optimizer = mr.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    with fake.counting() as counts, fake.strict():
        for _ in range(2):
            optimizer.zero_grad()
            loss = ops.cross_entropy(network(images), labels)
            loss.backward()
            optimizer.step()
    return loss, counts


def test_training_step_transfers_nothing_and_agrees_with_the_cpu(device):
    loss, counts = loss_after_two_steps("cuda:0")
    assert (counts.uploads, counts.downloads, counts.waits) == ([], [], [])
    expected, _ = loss_after_two_steps("cpu")
    np.testing.assert_allclose(loss.numpy(), expected.numpy(), rtol=1e-5)


def test_names_of_the_device_hold_for_a_while():
    with fake.installed() as device:
        assert devices.get("cuda") is devices.get("cuda:0") is device
        assert devices.of(fake.module.ones(1)) is device
    assert fake.ndarray not in devices.ARRAY_TYPES


@pytest.mark.parametrize("kernels", ["plain", "host"])
def test_a_kernel_is_one_launch(kernels):
    x, y = fake.module.ones(5, "float32"), fake.module.empty(5, "float32")
    with fake.installed(kernels) as device, fake.counting() as counts:
        device.launch(ADD_ONE, ADD_ONE.grid(5), x, y, 5, T=x.dtype)
    assert counts.launches == ["add_one"]
    assert y.get().tolist() == [2] * 5


@pytest.mark.parametrize("position", [0, 1])
def test_a_kernel_takes_no_host_arrays(device, position):
    arrays = [fake.module.ones(5, "float32"), fake.module.ones(5, "float32")]
    arrays[position] = arrays[position].get()
    with pytest.raises(TypeError, match="no address on the device"):
        device.launch(ADD_ONE, 1, *arrays, 5, T=np.dtype("float32"))


def test_a_kernel_takes_no_other_dtype(device):
    x, y = fake.module.ones(5, "float64"), fake.module.empty(5, "float32")
    with pytest.raises(TypeError, match="'x' must be float32"):
        device.launch(ADD_ONE, 1, x, y, 5, T=y.dtype)


def test_numbers_become_the_dtypes_that_they_become_on_the_cpu(device):
    for given in ([1.5, 2.0], 2.5, [1, 2], True, np.float64(1), np.ones(2), np.float16(3)):
        assert device.array(given).dtype == devices.cpu.array(given).dtype
        assert mr.tensor(given, device=device).dtype == mr.tensor(given).dtype
