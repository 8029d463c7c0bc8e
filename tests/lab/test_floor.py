"""The floor of a training step: the right products, and as many of them as a step has."""

from __future__ import annotations

import math

import pytest

from minires.devices import threads
from minires.lab import floor as room
from minires.lab.floor import Convolution, Copy, Floor, convolutions_of
from minires.models import cifar_resnet


def test_the_convolutions_are_read_off_the_network_itself_which_stays_as_it_is() -> None:
    model = cifar_resnet(20, seed=0)
    found = convolutions_of(model, (3, 32, 32))

    assert model.training
    assert model.bn1.num_batches_tracked.item() == 0
    assert len(found) == 19
    assert found[0] == Convolution(3, 16, 9, 1024, 1024, first=True)
    assert found[7] == Convolution(16, 32, 9, 1024, 256, first=False)
    assert found[-1] == Convolution(64, 64, 9, 64, 64, first=False)


@pytest.mark.parametrize("pixels_out", [1024, 256], ids=["stride 1", "stride 2"])
def test_each_product_of_a_convolution_is_the_same_amount_of_work_at_equal_size(
    pixels_out: int,
) -> None:
    products = Convolution(16, 32, 9, 1024, pixels_out, first=False).products()

    assert [each.reduces for each in products] == [False, False, True]
    assert {math.prod(each[:3]) for each in products} == {9 * 16 * 32 * pixels_out}


def test_the_first_convolution_has_no_input_gradient() -> None:
    assert len(Convolution(3, 16, 9, 64, 64, first=True).products()) == 2


def test_a_step_of_resnet_20_is_31_gigaflops_and_965_megabytes() -> None:
    floor = Floor(convolutions_of(cifar_resnet(20, seed=0), (3, 32, 32)), batch=128)

    assert floor.gigaflops == pytest.approx(31.0, abs=0.05)
    assert floor.traffic_bytes == pytest.approx(965e6, rel=0.001)


def test_all_of_the_work_is_done_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    convolutions = convolutions_of(cifar_resnet(8, width=2, seed=0), (3, 8, 8))
    done: list[int] = []
    real = room.np.matmul

    def counted(a: room.np.ndarray, b: room.np.ndarray, out: room.np.ndarray) -> None:
        done.append(a.shape[0] * a.shape[1] * b.shape[1])
        real(a, b, out=out)

    monkeypatch.setattr(room.np, "matmul", counted)
    monkeypatch.setattr(room, "_CHUNK", 5000)
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    try:
        floor = Floor(convolutions, batch=6)
        floor.products()
    finally:
        threads.set_num_threads(before)

    assert 2e-9 * sum(done) == pytest.approx(floor.gigaflops)


def test_a_copy_moves_what_it_is_asked_to() -> None:
    copy = Copy(1)
    (part,) = copy._parts

    copy(4 * 1000)

    assert part[1].sum() == 1000
