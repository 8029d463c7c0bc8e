from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import minires as mr
from minires.training.distributed import Alone
from tests.training.distributed.ranks import on_ranks

NAMES = "weight", "bias", "running_mean", "running_var", "num_batches_tracked"


def parts(size: int, count: int) -> list[slice]:
    """Contiguous parts of a batch, of different sizes where they do not come out even."""
    edges = [count * rank // size for rank in range(size + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def normalised(norm, x, cotangent):
    """The output, the gradient in x, and all that the layer holds afterwards."""
    leaf = mr.tensor(x, requires_grad=True)
    y = norm(leaf)
    y.backward(mr.tensor(cotangent))
    state = {name: getattr(norm, name).detach().numpy().copy() for name in NAMES}
    grads = [norm.weight.grad.numpy(), norm.bias.grad.numpy()]
    return y.detach().numpy(), leaf.grad.numpy(), grads, state


def layer(kind, channels, **options):
    norm = kind(channels, **options).to("float64")
    rng = np.random.default_rng(3)
    for vector in (norm.weight, norm.bias):
        vector.copy_(rng.uniform(0.5, 2, channels))
    return norm


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("shape", [(12, 5), (7, 3, 4), (11, 3, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_ranks_together_compute_what_one_rank_computes_alone(size, shape, momentum):
    rng = np.random.default_rng(len(shape))
    x, cotangent = 3 + 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    kind = mr.nn.BatchNorm2d if len(shape) == 4 else mr.nn.BatchNorm1d
    y, dx, grads, state = normalised(layer(kind, shape[1], momentum=momentum), x, cotangent)

    def work(ranks):
        mine = parts(size, shape[0])[ranks.rank]
        norm = layer(mr.nn.SyncBatchNorm, shape[1], momentum=momentum, communicator=ranks)
        return normalised(norm, x[mine], cotangent[mine])

    found = on_ranks(size, work)
    close = {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(np.concatenate([each[0] for each in found]), y, **close)
    np.testing.assert_allclose(np.concatenate([each[1] for each in found]), dx, **close)
    for own, alone in zip(zip(*(each[2] for each in found), strict=True), grads, strict=True):
        np.testing.assert_allclose(sum(own), alone, **close)
    for *_, statistics in found:
        for name, value in state.items():
            np.testing.assert_allclose(statistics[name], value, **close)


def test_local_statistics_do_not_pass_for_those_of_all_ranks():
    """The test above can fail: without the exchange the result is another one."""
    x = np.random.default_rng(0).standard_normal((8, 2, 3, 3))
    alone = layer(mr.nn.BatchNorm2d, 2)(mr.tensor(x)).detach().numpy()
    halves = [layer(mr.nn.BatchNorm2d, 2)(mr.tensor(half)) for half in (x[:4], x[4:])]
    apart = np.concatenate([half.detach().numpy() for half in halves])
    assert np.abs(apart - alone).max() > 1e-2


def test_a_large_mean_cancels_nothing():
    x = 1e4 + np.random.default_rng(0).standard_normal((64, 2, 4, 4)).astype("float32")
    alone = mr.nn.BatchNorm2d(2)(mr.tensor(x)).detach().numpy()

    def work(ranks):
        norm = mr.nn.SyncBatchNorm(2, communicator=ranks)
        return norm(mr.tensor(x[parts(2, 64)[ranks.rank]])).detach().numpy()

    np.testing.assert_allclose(np.concatenate(on_ranks(2, work)), alone, atol=2e-3)


def test_one_value_per_rank_is_enough_if_all_together_have_several():
    def work(ranks):
        norm = mr.nn.SyncBatchNorm(1, eps=0.0, communicator=ranks)
        return norm(mr.tensor([[float(ranks.rank)]])).item()

    assert on_ranks(2, work) == [-1.0, 1.0]


@pytest.mark.parametrize("images", [0, 1])
def test_a_single_value_on_all_ranks_together_is_refused_by_every_rank(images):
    def work(ranks):
        norm = mr.nn.SyncBatchNorm(2, communicator=ranks)
        with pytest.raises(ValueError, match="have a single value per channel or none"):
            norm(mr.zeros(images if ranks.rank else 0, 2))

    on_ranks(3 if images == 0 else 2, work)


@pytest.mark.parametrize("images", [8, 1])  # of one image rank 0 has none
def test_second_order_is_that_of_one_rank(images):
    rng = np.random.default_rng(0)
    x, c, u = rng.standard_normal((3, images, 3, 2, 2))

    def second(norm, x, c, u):
        leaf = mr.tensor(x, requires_grad=True)
        (dx,) = mr.grad((norm(leaf) * mr.tensor(c)).sum(), leaf, create_graph=True)
        (dxx,) = mr.grad((dx * mr.tensor(u)).sum(), leaf)
        return dxx.numpy()

    alone = second(layer(mr.nn.BatchNorm2d, 3), x, c, u)

    def work(ranks):
        mine = parts(2, len(x))[ranks.rank]
        norm = layer(mr.nn.SyncBatchNorm, 3, communicator=ranks)
        return second(norm, x[mine], c[mine], u[mine])

    np.testing.assert_allclose(np.concatenate(on_ranks(2, work)), alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("images", [9, 1])
def test_the_twin_agrees_across_ranks(images):
    x, cotangent = np.random.default_rng(1).standard_normal((2, images, 3, 2, 2))
    y, dx, grads, state = normalised(layer(mr.nn.BatchNorm2d, 3), x, cotangent)

    def work(ranks):
        mine = parts(2, len(x))[ranks.rank]
        norm = layer(mr.nn.SyncBatchNorm, 3, communicator=ranks)
        with mr.expand("sync_batch_norm"):
            return normalised(norm, x[mine], cotangent[mine])

    found = on_ranks(2, work)
    close = {"rtol": 1e-11, "atol": 1e-12}
    np.testing.assert_allclose(np.concatenate([each[0] for each in found]), y, **close)
    np.testing.assert_allclose(np.concatenate([each[1] for each in found]), dx, **close)
    np.testing.assert_allclose(found[0][2][0] + found[1][2][0], grads[0], **close)
    np.testing.assert_allclose(found[1][3]["running_var"], state["running_var"], **close)


def test_a_pass_exchanges_once_forward_and_once_backward():
    def work(ranks):
        norm = mr.nn.SyncBatchNorm(3, communicator=ranks)
        norm(mr.randn(4, 3, 2, 2, requires_grad=True)).sum().backward()
        return ranks.sent

    assert on_ranks(2, work)[0] == [(3, 3), (2, 3)]


def test_alone_and_in_evaluation_it_is_batch_norm_to_the_bit():
    x = mr.randn(4, 3, 2, 2)
    norm, sync = mr.nn.BatchNorm2d(3), mr.nn.SyncBatchNorm(3)
    for _ in range(2):
        np.testing.assert_array_equal(sync(x).detach().numpy(), norm(x).detach().numpy())
        norm.eval()
        sync.eval()

    def work(ranks):
        sync.communicator = ranks
        return sync(x).detach().numpy()

    np.testing.assert_array_equal(on_ranks(2, work)[1], norm(x).detach().numpy())


def test_in_evaluation_no_rank_waits_for_another_even_without_running_statistics():
    def work(ranks):
        norm = mr.nn.SyncBatchNorm(3, track_running_stats=False, communicator=ranks).eval()
        if ranks.rank == 0:
            norm(mr.randn(4, 3))
        return ranks.sent

    assert on_ranks(2, work) == [[], []]


def test_conversion_keeps_parameters_names_and_modes():
    model = mr.models.cifar_resnet(8, shortcut="B", width=4)
    model.layer1.eval()
    tensors = [*model.parameters(), *model.buffers()]
    names = list(model.state_dict())
    modes = [module.training for module in model.modules()]
    x = mr.randn(4, 3, 8, 8)
    before = model(x).detach().numpy()

    assert mr.nn.convert_sync_batchnorm(model, Alone()) is model
    kinds = {type(module) for module in model.modules()}
    assert mr.nn.SyncBatchNorm in kinds
    assert mr.nn.BatchNorm2d not in kinds
    assert all(
        a is b for a, b in zip(tensors, [*model.parameters(), *model.buffers()], strict=True)
    )
    assert list(model.state_dict()) == names
    assert [module.training for module in model.modules()] == modes
    np.testing.assert_allclose(model(x).detach().numpy(), before, atol=1e-5)


def test_conversion_of_a_norm_returns_what_takes_its_place():
    norm = mr.nn.BatchNorm1d(3, momentum=None, affine=False)
    made = mr.nn.convert_sync_batchnorm(norm, Alone())
    assert isinstance(made, mr.nn.SyncBatchNorm)
    assert (made.weight, made.momentum) == (None, None)
    assert made.running_mean is norm.running_mean
