"""The assignment on batch normalisation: right beside minires' own, and what is said of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from tests.classroom.assignments import Classroom


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a3_batch_norm")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a3_batch_norm")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 2, 5)])
@pytest.mark.parametrize("training", [True, False])
def test_the_solution_agrees_with_the_op_and_its_gradients(
    solved: Any, rng: np.random.Generator, shape: tuple[int, ...], training: bool
) -> None:
    x, g = rng.standard_normal((2, *shape))
    gamma, beta, mean = rng.standard_normal((3, shape[1]))
    var = rng.uniform(0.5, 2.0, shape[1])
    inputs = [mr.tensor(each, requires_grad=True) for each in (x, gamma, beta)]
    running = mr.tensor(mean), mr.tensor(var)
    y = mr.ops.batch_norm(inputs[0], *running, *inputs[1:], training, momentum=0.3, eps=0.1)
    y.backward(mr.tensor(g))

    if training:
        found, cache = solved.batch_norm_train(x, gamma, beta, 0.1)
        gradients = solved.batch_norm_train_backward(g, cache)
        mean, var = solved.update_running(mean, var, x, 0.3)
    else:
        found, cache = solved.batch_norm_eval(x, gamma, beta, mean, var, 0.1)
        gradients = solved.batch_norm_eval_backward(g, cache)

    np.testing.assert_allclose(found, y.numpy(), rtol=1e-12)
    for gradient, tensor in zip(gradients, inputs, strict=True):
        np.testing.assert_allclose(gradient, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mean, running[0].numpy(), rtol=1e-12)
    np.testing.assert_allclose(var, running[1].numpy(), rtol=1e-12)


def test_several_steps_agree_with_a_layer_and_gradient_descent(
    solved: Any, rng: np.random.Generator
) -> None:
    layer = mr.nn.BatchNorm2d(2, eps=0.1, momentum=0.2)
    optimizer = mr.optim.SGD(layer.parameters(), lr=0.05)
    batches, gs = [list(rng.standard_normal((3, 4, 2, 3, 2))) for _ in range(2)]
    for x, g in zip(batches, gs, strict=True):
        optimizer.zero_grad()
        layer(mr.tensor(x)).backward(mr.tensor(g))
        optimizer.step()
    found = solved.batch_norm_steps(batches, gs, np.ones(2), np.zeros(2), 0.05, 0.2, 0.1)
    state = layer.state_dict()
    for value, name in zip(found, ("weight", "bias", "running_mean", "running_var"), strict=True):
        np.testing.assert_allclose(value, np.asarray(state[name]), rtol=1e-5)


def test_the_first_intermediate_that_deviates_is_told(here: Classroom) -> None:
    told = {"B7_loops": "cache.var", "B9_float32": "cache.std", "B22_loops": "cache.x_hat"}
    files = {file.stem: file for file in here.files("second")}
    for stem, leaf in told.items():
        [failed, *_] = [each for each in here.results(files[stem]) if each.status == "failed"]
        assert failed.deviates == leaf


def test_a_cache_may_keep_an_argument_and_a_result_may_not(here: Classroom, tmp_path: Path) -> None:
    text = here.text
    assert text.count('"gamma": gamma}') == 2
    text = text.replace('"gamma": gamma}', '"gamma": gamma, "x": x}')
    file = tmp_path / "norm.py"
    assert text.count("return dx, dgamma, dbeta") == 1
    returned = "g[:] = dx\n    return g, dgamma, dbeta"
    file.write_text(text.replace("return dx, dgamma, dbeta", returned), encoding="utf-8")
    by_name = {each.name: each for each in here.results(file)}
    assert by_name["train_rows"].status == by_name["eval_values"].status == "passed"
    assert "it changes argument 1" in by_name["train_backward_rows"].says


def test_after_many_steps_the_running_statistics_are_those_of_the_data(here: Classroom) -> None:
    rng = np.random.default_rng(0)
    *_, (batches, gs, *rest) = here.assignment.calls("steps_values", rng, here.assignment.reference)
    assert len(batches) == len(gs) == 30
    _, _, mean, var = here.assignment.reference.batch_norm_steps(batches, gs, *rest)
    pooled = np.concatenate(batches)
    np.testing.assert_allclose(mean, pooled.mean((0, 2, 3)), atol=0.4)
    np.testing.assert_allclose(var, pooled.var((0, 2, 3)), rtol=0.4)
    # With the wrong weight, or had they not moved, they would be somewhere else.
    assert (np.abs(pooled.mean((0, 2, 3))) > 1.5).all()


def test_caches_that_are_kept_are_told(here: Classroom) -> None:
    [file] = [each for each in here.files("second") if each.stem == "B17_step_by_step"]
    [failed] = [each for each in here.results(file) if each.status == "failed"]
    assert (failed.name, failed.mistake) == ("steps_let_go", "B17")
    assert "kB more are held after each call, though what it returned is let go" in failed.says
