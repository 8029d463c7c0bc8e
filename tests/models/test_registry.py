"""Networks by name: where they are made, from which numbers, and what is told of wrong names."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minires as mr
from minires import devices, models, nn
from minires.models import registry


def test_a_network_is_made_on_the_device_that_is_asked_for():
    made = models.create("se_resnet18", width=16, device="meta")
    assert {value.device.name for value in made.state_dict().values()} == {"meta"}
    with devices.default("meta"):
        assert models.create("cifar_resnet8").fc.weight.device is devices.meta
        assert models.create("cifar_resnet8", device="cpu").fc.weight.device is devices.cpu
    assert mr.zeros(1).device is devices.cpu


@pytest.mark.parametrize("name", ["cifar_resnet8_c", "googlenet_aux", "alexnet_2012", "vgg11"])
def test_nothing_is_drawn_for_a_network_without_values(name):
    mr.manual_seed(0)
    expected = mr.randn(3).numpy()
    mr.manual_seed(0)
    models.create(name, width=16, device="meta")
    np.testing.assert_array_equal(mr.randn(3).numpy(), expected)


def test_a_network_that_is_moved_and_one_that_is_made_there_are_alike():
    made = models.create("inception_v3", width=2, device="meta").state_dict()
    moved = models.create("inception_v3", width=2).to("meta").state_dict()
    assert {k: (v.shape, v.dtype) for k, v in made.items()} == {
        k: (v.shape, v.dtype) for k, v in moved.items()
    }


def test_an_unknown_device_is_told():
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        models.create("cifar_resnet8", device="gpu")


def test_seeds_make_equal_networks():
    first, second, other = (
        models.create("cifar_resnet8", width=4, seed=seed).fc.weight.numpy() for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_names_are_found_in_capitals_too(monkeypatch):
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    models.register("MyNet", models.cifar_plain, (1, 8, 8), depth=8, width=4)
    assert models.create("MyNet").depth == models.create("mynet", in_channels=1).depth == 8
    assert models.input_of("MYNET") == (1, 8, 8)
    with pytest.raises(ValueError, match="there is a network 'mynet' already"):
        models.register("mynet", models.cifar_plain)


def test_families_go_on_beyond_the_papers_depths():
    assert models.create("cifar_resnet26_b", width=2).depth == 26
    assert models.input_of("cifar_plain26") == (3, 32, 32)
    with pytest.raises(ValueError, match="6n \\+ 2"):
        models.create("cifar_resnet27")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("resnet5O", "near: resnet50"),
        ("densenet_121", "densenet121"),
        ("xyz", "minires models"),
        ("cifar_resnt8", "near: cifar_resnet8,"),
    ],
)
def test_an_unknown_name_is_told_with_what_is_near(name, advice):
    with pytest.raises(ValueError, match=advice):
        models.create(name)


def test_a_wrong_option_is_told_by_the_name_that_it_was_given_to():
    with pytest.raises(TypeError, match=r"^resnet18 has no option 'widht'; near: width$"):
        models.create("resnet18", widht=8, device="meta")
    with pytest.raises(TypeError, match=r"^vgg11 has no option 'shortcut'$"):
        models.create("vgg11", shortcut="A", device="meta")
    with pytest.raises(ValueError, match=r"^stochastic_depth must lie between 0 and 1, found 2$"):
        models.create("resnet18", stochastic_depth=2, device="meta")


@pytest.mark.parametrize(
    "name",
    ["alexnet", "vgg11", "googlenet", "inception_v3", "densenet_40_12", "resnet18", "wrn_16_2"],
)
def test_sizes_that_no_network_has_are_told(name):
    advice = r"^num_classes must be at least 1, found 0; for features .* nn.Identity"
    with pytest.raises(ValueError, match=advice):
        models.create(name, num_classes=0, device="meta")
    with pytest.raises(ValueError, match=r"^in_channels must be a whole number, found 2\.5$"):
        models.create(name, in_channels=2.5, device="meta")
    with pytest.raises(ValueError, match="width"):
        models.create(name, width=0, device="meta")


def test_a_mistake_within_a_builder_stays_what_it_is(monkeypatch):
    def build(**options):
        return nn.Linear(3, 2, **options, depth=1)

    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    models.register("broken", build)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        models.create("broken", bias=False)


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("cifar_resnet20_b", {"shortcut": "C"}, "shortcut='B', as its name says, and not 'C'"),
        ("cifar_resnet26_b", {"shortcut": "C"}, "shortcut='B', as its name says, and not 'C'"),
        ("cifar_plain20", {"shortcut": "B"}, "shortcut=None, as its name says, and not 'B'"),
        (
            "resnet18",
            {"depth": 34},
            "depth=18, as its name says, and not 34; take another name, or",
        ),
    ],
)
def test_what_a_name_has_decided_is_not_decided_again(name, asked, told):
    with pytest.raises(ValueError, match=rf"^{name} has {told}"):
        models.create(name, **asked, device="meta")


def test_what_a_name_leaves_open_can_be_decided():
    create = partial(models.create, device="meta")
    assert nn.parameter_count(create("cifar_resnet20", shortcut="B")) == 272_474  # with norms
    assert create("cifar_resnet8_b", shortcut="B").depth == 8
    assert nn.parameter_count(create("densenet121", blocks=(1, 1))) < 400_000


@pytest.mark.parametrize("name", ["cifar_resnet100000000004", "cifar_plain10004"])
def test_a_network_that_is_too_deep_is_told_so(name):
    with pytest.raises(ValueError, match="at most 9998 layers, found 100"):
        models.create(name)


def test_names_are_listed_by_their_numbers():
    names = models.list()
    plain = [name for name in names if name.startswith("cifar_plain")]
    assert plain == [f"cifar_plain{n}" for n in (8, 14, 20, 32, 44, 56, 110, 1202)]
    assert names.index("densenet_bc_40_12") < names.index("densenet_bc_100_12")
