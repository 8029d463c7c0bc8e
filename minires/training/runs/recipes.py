"""Recipes: the options with which a paper trained its networks, by name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

from minires.data.registry import located
from minires.models import registry
from minires.models.weights.catalogue import is_listed

from .config import RunConfig
from .errors import ConfigError

__all__ = ["RECIPES", "Recipe", "configured"]


_NO_WARM_UP = {"warm_up_lr": None, "warm_up_steps": 0, "warm_up_error": None}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How networks of one paper are trained; `RunConfig` says what each option is.

    Attributes
    ----------
    source : str
        Where the numbers stand.
    steps, epochs : int or None
        The length of the training, one of the two.
    milestones : tuple of int
        When the rate falls, counted like the length. For a training of another length they are
        moved to the same shares of it.
    warm_up_from_depth : int
        Only networks of at least so many layers are warmed up.
    """

    source: str
    steps: int | None = None
    epochs: int | None = None
    batch_size: int
    lr: float
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float
    schedule: Literal["steps", "cosine", "plateau"]
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    patience: int = 10
    warm_up_lr: float | None = None
    warm_up_steps: int = 0
    warm_up_error: float | None = None
    warm_up_from_depth: int = 0
    label_smoothing: float = 0.0
    augmentation: Literal["none", "crop", "crop-flip", "imagenet"]
    crop_padding: int = 4
    crop_padding_mode: Literal["constant", "reflect"] = "constant"
    normalize: Literal["channel", "pixel"] = "channel"
    val_split: float = 0.1

    def options(self, model: str) -> dict[str, Any]:
        """Return what it says, as options of a `RunConfig`, for the network of this name."""
        length = self.steps or self.epochs or 1
        options = {
            name: value
            for name, value in vars(self).items()
            if name not in ("source", "warm_up_from_depth")
        }
        options["milestones"] = tuple(milestone / length for milestone in self.milestones)
        if registry.find(model).options.get("depth", 0) < self.warm_up_from_depth:
            options |= _NO_WARM_UP
        return options


_HE_CIFAR = Recipe(
    source="He et al. 2015 (arXiv 1512.03385), section 4.2",
    steps=64_000,
    batch_size=128,
    lr=0.1,
    weight_decay=1e-4,
    schedule="steps",
    milestones=(32_000, 48_000),
    # The paper does so for ResNet-110 alone of its networks.
    warm_up_lr=0.01,
    warm_up_error=0.8,
    warm_up_from_depth=110,
    augmentation="crop-flip",
    normalize="pixel",
    val_split=0.1,  # of 50,000 images: the paper's 45k/5k
)

RECIPES: dict[str, Recipe] = {
    "he2015-cifar": _HE_CIFAR,
    "he2015-imagenet": Recipe(
        source="He et al. 2015 (arXiv 1512.03385), section 3.4",
        steps=600_000,
        batch_size=256,
        lr=0.1,
        weight_decay=1e-4,
        # How long a plateau is, the paper does not say.
        schedule="plateau",
        patience=5,
        augmentation="imagenet",
        val_split=0.04,  # of 1,281,167 images: about as many as the paper's validation set has
    ),
    "wrn": Recipe(
        source="Zagoruyko and Komodakis 2016 (arXiv 1605.07146), section 3",
        epochs=200,
        batch_size=128,
        lr=0.1,
        nesterov=True,
        weight_decay=5e-4,
        schedule="steps",
        milestones=(60, 120, 160),
        gamma=0.2,
        augmentation="crop-flip",
        crop_padding_mode="reflect",
    ),
    # As in the paper before, but for the warm-up.
    "preact": replace(
        _HE_CIFAR,
        source="He et al. 2016 (arXiv 1603.05027), appendix",
        warm_up_steps=400,
        warm_up_error=None,
        warm_up_from_depth=0,
    ),
    "mnist": Recipe(
        source="minires; docs/training.md tells what it reaches",
        epochs=20,
        batch_size=128,
        lr=0.1,
        nesterov=True,
        weight_decay=5e-4,
        schedule="cosine",
        augmentation="crop",
        crop_padding=2,
        val_split=0.0,
    ),
}
# Images of 8x8 pixels have no room to be moved in.
RECIPES["digits"] = replace(RECIPES["mnist"], augmentation="none")

_GREY = ("mnist", "fashion_mnist", "fashion-mnist", "kmnist")


def default_recipe(dataset: str) -> str:
    """Return the name of the recipe for a data set for which none is named.

    Examples
    --------
    >>> default_recipe("cifar100"), default_recipe("photos/of/birds")
    ('he2015-cifar', 'he2015-imagenet')
    """
    if dataset == "digits":
        return "digits"
    if dataset in _GREY:
        return "mnist"
    if dataset.startswith("cifar") or PurePath(dataset).suffix == ".npz":
        return "he2015-cifar"
    return "he2015-imagenet"


def configured(model: str, dataset: str, recipe: str | None = None, **options: Any) -> RunConfig:
    """Return the configuration of a recipe, with some of its options changed.

    Parameters
    ----------
    model, dataset : str
        Paths are kept absolute, of `root` and `weights` too: the run may be gone on with from
        anywhere.
    recipe : str, optional
        A name in `RECIPES`; by default the data set's.
    **options
        Of `RunConfig`; None stands for what the recipe says. Naming `epochs` or `steps` stretches
        the schedule to that length, naming a `schedule` drops the recipe's milestones, naming an
        `lr` that is as low as that of its warm-up, or one option of a warm-up, drops the recipe's,
        and naming a `momentum` of 0 drops Nesterov's.

    Raises
    ------
    ConfigError
        If an option makes no sense, or there is no such recipe or network.

    Examples
    --------
    >>> config = configured("cifar_resnet20", "cifar10", epochs=10)
    >>> config.recipe, config.epochs, config.milestones, config.weight_decay
    ('he2015-cifar', 10, (0.5, 0.75), 0.0001)
    """
    name = default_recipe(dataset) if recipe is None else recipe
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, 1)
        advice = f"perhaps {near[0]!r}" if near else f"there are: {', '.join(RECIPES)}"
        raise ConfigError(f"recipe: there is none called {name!r}; {advice}")
    try:
        asked = RECIPES[name].options(model)
    except ValueError as error:
        raise ConfigError(f"model: {error}") from None
    named = {option: value for option, value in options.items() if value is not None}
    if "root" in named:
        named["root"] = str(Path(named["root"]).absolute())
    if "weights" in named and not is_listed(named["weights"]):
        named["weights"] = str(Path(named["weights"]).absolute())
    if "epochs" in named or "steps" in named:
        asked |= {"epochs": None, "steps": None}
    if named.get("schedule", asked["schedule"]) != asked["schedule"]:
        asked["milestones"] = ()
    gentle, lr = asked["warm_up_lr"], named.get("lr")
    needless = gentle is not None and isinstance(lr, int | float) and lr <= gentle
    if needless or named.keys() & _NO_WARM_UP.keys():
        asked |= _NO_WARM_UP
    if named.get("momentum") == 0:
        asked["nesterov"] = False
    told = {"model": model, "dataset": located(dataset), "recipe": name}
    return RunConfig.checked(**told, **{**asked, **named})
