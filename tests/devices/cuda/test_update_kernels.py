from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.devices.cuda.adam import ADAM, ADAM_COUNT, ADAM_MANY
from minires.devices.cuda.sgd import SGD, SGD_MANY
from minires.devices.cuda.update_tables import PIECE
from tests.devices.cuda import fake, host

xp = fake.module
SGD_OPTIONS = [
    {},
    {"weight_decay": 0.1},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
]
OPTIMISERS = [
    *[(mr.optim.SGD, options) for options in SGD_OPTIONS],
    (mr.optim.Adam, {}),
    (mr.optim.Adam, {"weight_decay": 0.1, "betas": (0.5, 0.8), "eps": 1e-3}),
    (mr.optim.AdamW, {"weight_decay": 0.1}),
]
SHAPES = [(3,), (), (0, 2), (7, 5), (2, 3, 4), (1030,), (5,)]


def optimiser_case(make, options, seed=0, dtype="float32", device="cpu"):
    """Return an optimiser of parameters on a device, and what gives them gradients."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    parameters = [mr.tensor(x, device=device, requires_grad=True) for x in values]
    optimizer = make(parameters, lr=0.1, **options)

    def give_gradients(step, skipped=()):
        draw = np.random.default_rng(1000 * seed + step)
        for number, parameter in enumerate(parameters):
            grad = draw.normal(size=parameter.shape).astype(dtype)
            parameter.grad = None if number in skipped else mr.tensor(grad, device=device)

    return optimizer, parameters, give_gradients


def run(case, steps, skipped=()):
    optimizer, _, give_gradients = case
    for step in steps:
        give_gradients(step, skipped)
        optimizer.step()


def assert_same(found, expected, rtol=1e-6):
    for x, y in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(x.detach().to("cpu").numpy(), y.detach().numpy(), rtol, rtol)


@pytest.mark.parametrize(("make", "options"), OPTIMISERS)
@pytest.mark.parametrize(
    ("kernels", "dtype"),
    [
        *[("plain", dtype) for dtype in ("float16", "float32", "float64")],
        ("host", "float32"),
        pytest.param("host", "float16", marks=pytest.mark.long),
        pytest.param("host", "float64", marks=pytest.mark.long),
    ],
)
def test_the_kernels_follow_the_optimisers_rule(make, options, kernels, dtype):
    if kernels == "host":
        host.needs_compiler()
    if dtype == "float16" and make is not mr.optim.SGD and "eps" not in options:
        pytest.skip("1e-8, and squares of small gradients, are 0 in float16")
    expected = optimiser_case(make, options, dtype=dtype)
    run(expected, range(4))
    with fake.installed(kernels):
        found = optimiser_case(make, options, dtype=dtype, device="cuda")
        run(found, range(4))
        assert_same(found, expected, {"float16": 1e-2, "float32": 1e-6, "float64": 1e-13}[dtype])


@pytest.mark.parametrize(("make", "options"), [*OPTIMISERS[2:4], *OPTIMISERS[5:]])
def test_a_parameter_without_gradient_is_skipped_and_keeps_its_own_count(make, options):
    expected = optimiser_case(make, options)
    with fake.installed():
        found = optimiser_case(make, options, device="cuda")
        for case in (expected, found):
            run(case, [0], skipped=(0, 3))
            run(case, [1, 2], skipped=(4,))
            run(case, [3])
        assert_same(found, expected)
        steps = [
            {number: state.get("step") for number, state in case[0].state_dict()["state"].items()}
            for case in (found, expected)
        ]
        assert steps[0] == steps[1]


@pytest.mark.parametrize(("make", "launches"), [(mr.optim.SGD, 1), (mr.optim.Adam, 2)])
def test_a_step_is_a_launch_or_two_and_nothing_is_copied(make, launches):
    with fake.installed():
        case = optimiser_case(make, {}, device="cuda")
        run(case, [0])
        case[2](1)
        with fake.counting() as counts, fake.strict():
            case[0].step()
    assert len(counts.launches) == launches
    assert not counts.uploads
    assert not counts.downloads


def test_more_parameters_than_fit_take_as_many_launches_as_needed():
    with fake.installed():
        many = 2 * SGD_MANY + 1
        parameters = [mr.tensor(np.full(2, i, "float32"), device="cuda") for i in range(many)]
        for parameter in parameters:
            parameter.requires_grad_().grad = mr.tensor(np.ones(2, "float32"), device="cuda")
        optimizer = mr.optim.SGD(parameters, lr=1.0)
        optimizer.step()
        with fake.counting() as counts:
            optimizer.step()
        assert counts.launches == ["sgd"] * 3
        for i, parameter in enumerate(parameters):
            np.testing.assert_array_equal(parameter.detach().to("cpu").numpy(), [i - 2, i - 2])


@pytest.mark.parametrize("make", [mr.optim.SGD, mr.optim.Adam])
def test_gradients_in_another_memory_order_are_matched(make):
    values, grads = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) ** 2
    with fake.installed():
        outcomes = []
        for transposed in (False, True):
            p = mr.tensor(values, device="cuda", requires_grad=True)
            g = mr.tensor(np.ascontiguousarray(grads.T), device="cuda").T
            p.grad = g if transposed else mr.tensor(grads, device="cuda")
            make([p], lr=0.1).step()
            outcomes.append(p.detach().to("cpu").numpy())
    np.testing.assert_array_equal(*outcomes)


def test_a_parameter_with_gaps_in_its_memory_is_updated_by_the_readable_rule():
    with fake.installed():
        p = mr.tensor(np.zeros((4, 4)), device="cuda")
        p._data = p._data[::2, ::2]
        p.requires_grad_().grad = mr.tensor(np.ones((2, 2)), device="cuda")
        optimizer = mr.optim.SGD([p], lr=1.0, momentum=0.5)
        optimizer.step()
        optimizer.step()
        np.testing.assert_array_equal(p.detach().to("cpu").numpy(), np.full((2, 2), -2.5))


def test_a_subclass_with_its_own_rule_keeps_it():
    class Signs(mr.optim.SGD):
        def update(self, data, grad, state, options):
            data -= options["lr"] * mr.devices.of(data).xp.sign(grad)

    class Undecayed(mr.optim.Adam):
        def decay(self, data, grad, options):
            return grad * 0

    with fake.installed():
        p = mr.tensor([1.0, 2.0], device="cuda", requires_grad=True)
        p.grad = mr.tensor([3.0, -4.0], device="cuda")
        Signs([p], lr=0.5).step()
        np.testing.assert_array_equal(p.detach().to("cpu").numpy(), [0.5, 2.5])
        Undecayed([p], lr=0.5).step()
        np.testing.assert_array_equal(p.detach().to("cpu").numpy(), [0.5, 2.5])


def test_a_graph_that_needs_the_old_values_notices_a_step_on_the_gpu():
    with fake.installed():
        p = mr.tensor([1.0, 2.0], device="cuda", requires_grad=True)
        loss = (p * p).sum()
        p.grad = mr.tensor([1.0, 1.0], device="cuda")
        mr.optim.SGD([p], lr=0.5).step()
        with pytest.raises(mr.AutogradError, match="overwrit"):
            loss.backward()


@pytest.mark.parametrize(("make", "options"), [OPTIMISERS[3], *OPTIMISERS[5:]])
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_state_goes_on_across_devices(make, options, first, second):
    expected = optimiser_case(make, options)
    run(expected, range(5))
    with fake.installed():
        before = optimiser_case(make, options, device=first)
        run(before, range(3))
        saved = before[0].state_dict()
        kinds = {type(v) for state in saved["state"].values() for v in state.values()}
        assert kinds <= {int, float, mr.Tensor}
        after = optimiser_case(make, options, device=second)
        for x, y in zip(after[1], before[1], strict=True):
            x.detach().copy_(y.detach().to(second))
        after[0].load_state_dict(copy.deepcopy(saved))
        run(after, range(3, 5))
        assert_same(after, expected)


def test_the_learning_rate_lives_on_the_device_and_is_written_only_when_it_changes():
    expected = optimiser_case(mr.optim.SGD, {})
    with fake.installed():
        found = optimiser_case(mr.optim.SGD, {}, device="cuda")
        for case in (expected, found):
            scheduler = mr.optim.lr_scheduler.MultiStepLR(case[0], [2], gamma=0.1)
            counted = []
            for step in range(4):
                case[2](step)
                with fake.counting() as counts:
                    case[0].step()
                counted.append(counts.launches)
                scheduler.step()
        assert counted == [["fill", "sgd"], ["sgd"], ["fill", "sgd"], ["sgd"]]
        assert_same(found, expected)


def test_refresh_writes_a_new_rate_and_refuses_what_a_graph_has_frozen():
    with fake.installed():
        optimizer, _, give_gradients = optimiser_case(
            mr.optim.SGD, {"momentum": 0.9}, device="cuda"
        )
        with pytest.raises(RuntimeError, match="no step was taken on a GPU"):
            optimizer.refresh()
        give_gradients(0)
        optimizer.step()
        with fake.counting() as counts:
            optimizer.refresh()
            optimizer.param_groups[0]["lr"] = 0.5
            optimizer.refresh()
        assert counts.launches == ["fill"]
        optimizer.param_groups[0]["momentum"] = 0.5
        with pytest.raises(RuntimeError, match=r"momentum was 0\.9 .* is 0\.5 now"):
            optimizer.refresh()
        optimizer.step()
        optimizer.refresh()
        optimizer.load_state_dict(optimizer.state_dict())
        with pytest.raises(RuntimeError, match="capture the next"):
            optimizer.refresh()


def test_a_changed_rate_is_refused_inside_a_capture(monkeypatch):
    with fake.installed() as device:
        optimizer, _, give_gradients = optimiser_case(mr.optim.SGD, {}, device="cuda")
        give_gradients(0)
        optimizer.step()
        monkeypatch.setattr(device, "is_capturing", lambda: True)
        optimizer.step()
        optimizer.param_groups[0]["lr"] = 0.5
        with pytest.raises(RuntimeError, match="before the capture"):
            optimizer.step()


# The sources against their plain versions, over tables of memory that the runner checks.


def table_case(kernel, sizes, dtype, rng):
    """Return a table of arrays, the arrays by name, and the number of blocks."""
    names = [n for n in ("p", "g", "m", "v", "step") if n in kernel.types["Table"].names]
    table, memory = np.zeros((), kernel.types["Table"]), {}
    for i, size in enumerate(sizes):
        for name in names:
            values = rng.normal(size=size).astype(dtype)
            array = np.array([rng.integers(0, 9)], "int32") if name == "step" else values
            memory[f"{name}{i}"] = abs(array) if name == "v" else array
            table[name][i] = memory[f"{name}{i}"].ctypes.data
    blocks = [-(-size // PIECE) for size in sizes]
    table["size"][: len(sizes)] = sizes
    table["first"][1 : len(sizes)] = np.cumsum(blocks)[:-1]
    table["tensors"], table["itemsize"] = len(sizes), np.dtype(dtype).itemsize
    return table, memory, sum(blocks)


SIZES = st.lists(
    st.sampled_from([1, 2, 255, 257, PIECE, PIECE + 1, 2 * PIECE + 5]),
    min_size=1,
    max_size=6,
)
DTYPES = [
    "float32",
    pytest.param("float64", marks=pytest.mark.long),
    pytest.param("float16", marks=pytest.mark.long),
]
SHARES = np.abs(np.random.default_rng(1).normal(size=2 * ADAM_MANY)) + 0.5


def sgd_arguments(table, options):
    momentum, decay, nesterov, fresh = options
    return table, np.array([0.1]), momentum, 0.75, decay, nesterov, fresh


def adam_arguments(table, options):
    decay, decoupled = options
    return table, np.array([0.1]), SHARES.copy(), 0.1, 0.99, 0.01, 1e-3, decay, decoupled


SGD_CHOICES = [
    (momentum, decay, nesterov, fresh)
    for momentum, decay in itertools.product([0.0, 0.9], [0.0, 0.1])
    for nesterov, fresh in itertools.product([False, True], repeat=2)
]
ADAM_CHOICES = [(0.0, False), (0.1, False), (0.1, True)]


def typed(kernel, args, dtype):
    """Return the arguments as a launch hands them over, for the plain version to compute alike."""
    return kernel.arguments(args, np.dtype(dtype))


def tolerance(dtype):
    # A power or a root may be rounded otherwise by the compiler's library.
    return {"float16": 2e-3, "float32": 1e-6, "float64": 1e-14}[dtype]


def check(kernel, sizes, dtype, arguments, seed, sanitize=None):
    host.needs_compiler()
    table, memory, blocks = table_case(kernel, sizes, dtype, np.random.default_rng(seed))
    args = typed(kernel, arguments(table), dtype)
    rtol = tolerance(dtype)
    host.check(kernel, blocks, args, np.dtype(dtype), rtol, rtol, sanitize, memory)


@pytest.mark.parametrize("dtype", DTYPES)
@given(SIZES, st.sampled_from(SGD_CHOICES), st.integers(0, 9))
def test_the_source_of_sgd_is_its_plain_version(dtype, sizes, options, seed):
    check(SGD, sizes, dtype, lambda table: sgd_arguments(table, options), seed)


@pytest.mark.parametrize("dtype", DTYPES)
@given(SIZES, st.sampled_from(ADAM_CHOICES), st.integers(0, 9))
def test_the_source_of_adam_is_its_plain_version(dtype, sizes, options, seed):
    check(ADAM, sizes, dtype, lambda table: adam_arguments(table, options), seed)


@given(SIZES, st.integers(0, 9))
def test_the_source_of_adams_count_is_its_plain_version(sizes, seed):
    check_count(ADAM_COUNT, sizes, seed)


def check_count(kernel, sizes, seed):
    host.needs_compiler()
    table, memory, _ = table_case(kernel, sizes, "float32", np.random.default_rng(seed))
    args = typed(kernel, (table, np.array([0.1]), SHARES.copy(), 0.9, 0.999), "float32")
    host.check(kernel, 1, args, np.dtype("float32"), 1e-12, 0, None, memory)


@pytest.mark.long
@pytest.mark.parametrize("kernel", [SGD, ADAM], ids=repr)
def test_no_thread_disturbs_another(kernel):
    arguments = {
        SGD: lambda table: sgd_arguments(table, (0.9, 0.1, True, False)),
        ADAM: lambda table: adam_arguments(table, (0.1, True)),
    }[kernel]
    check(kernel, [3, PIECE + 1, 2], "float32", arguments, 0, sanitize="thread")


FIND_MISTAKES = [
    ("table.first[middle] <= blockIdx.x", "table.first[middle] < blockIdx.x"),
    ("high = table.tensors - 1", "high = table.tensors"),
    ("(blockIdx.x - table.first[low]) * PIECE", "blockIdx.x * PIECE"),
    ("min(start + PIECE, table.size[low])", "start + PIECE"),
    ("min(start + PIECE, table.size[low])", "table.size[low]"),
    ("start + threadIdx.x", "start + threadIdx.x + 1"),
    ("i += BLOCK", "i += 2 * BLOCK"),
]
SGD_MISTAKES = [
    ("step + decay * value", "step - decay * value"),
    ("if (decay != 0)", "if (decay == 0)"),
    ("fresh ? step : momentum", "false ? step : momentum"),
    ("+ kept * step", "+ step"),
    ("table.v[low][i] = (T)moved", "table.v[low][i] = (T)step"),
    ("nesterov ? step + momentum * moved : moved", "moved"),
    ("nesterov ? step + momentum * moved", "nesterov ? moved + momentum * moved"),
    ("(value - lr * step)", "(value + lr * step)"),
]
ADAM_MISTAKES = [
    ("(A)shares[2 * low]", "(A)shares[low]"),
    ("shares[2 * low + 1]", "shares[2 * low]"),
    ("decoupled ? (A)(1 - rate[0] * decay) : (A)1", "(A)1"),
    ("decoupled ? (A)0 : (A)decay", "(A)decay"),
    ("slope + penalty * value", "slope + penalty"),
    ("kept1 * (slope - mean)", "kept1 * slope"),
    ("(slope * slope)", "slope"),
    ("table.v[low][i] = (T)square", "table.v[low][i] = (T)mean"),
    ("sqrt(square) / root + eps", "sqrt(square) / root"),
    ("sqrt(square) / root", "sqrt(square / root)"),
    ("lr * (mean /", "lr * (slope /"),
]
COUNT_MISTAKES = [
    ("[0] + 1", "[0]"),
    ("table.step[i][0] = step", "table.step[0][0] = step"),
    ("rate[0] / (1 - pow(beta1", "rate[0] * (1 - pow(beta1"),
    ("sqrt(1 - pow(beta2", "(1 - pow(beta2"),
    ("pow(beta2", "pow(beta1"),
    ("if (i >= table.tensors) return", "if (i > table.tensors) return"),
]
TRIED = [2, PIECE + 1, 1, 3 * PIECE, 300]


def check_all(kernel, choices, arguments):
    for options in choices:
        check(kernel, TRIED, "float32", lambda table, o=options: arguments(table, o), 0)


@pytest.mark.long
@pytest.mark.parametrize("change", [*FIND_MISTAKES, *SGD_MISTAKES])
def test_a_mistake_in_sgd_is_caught(change):
    mutant = host.mutated(SGD, *change)
    with pytest.raises((AssertionError, host.Fault)):
        check_all(mutant, SGD_CHOICES, sgd_arguments)


@pytest.mark.long
@pytest.mark.parametrize("change", [*FIND_MISTAKES[:3], *ADAM_MISTAKES])
def test_a_mistake_in_adam_is_caught(change):
    mutant = host.mutated(ADAM, *change)
    with pytest.raises((AssertionError, host.Fault)):
        check_all(mutant, ADAM_CHOICES, adam_arguments)


@pytest.mark.long
@pytest.mark.parametrize("change", COUNT_MISTAKES)
def test_a_mistake_in_adams_count_is_caught(change):
    mutant = host.mutated(ADAM_COUNT, *change)
    with pytest.raises((AssertionError, host.Fault)):
        check_count(mutant, [3, 1, 2], 0)


@pytest.mark.parametrize("kernel", [SGD, ADAM, ADAM_COUNT], ids=repr)
def test_the_arguments_fit_into_what_cuda_takes(kernel):
    given = kernel.parameters
    assert sum(max(8, kernel.dtype_of(p, "float64").itemsize) for p in given) <= 4096
