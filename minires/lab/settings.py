"""What a comparison of twins is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from minires import devices
from minires.models import is_possible_depth

from .learning import Recipe


@dataclass(frozen=True)
class Settings:
    """The recipe of a comparison, the same for every twin.

    It is He et al. 2015 (arXiv 1512.03385, section 4.2) in small: stochastic gradient descent with
    momentum, a learning rate that falls to a tenth after one half and again after three quarters
    of the training, no dropout, no augmentation.

    Parameters
    ----------
    depths : tuple of int
        Each 6n + 2; every depth is trained as a plain and as a residual network.
    epochs : int
    dataset : str
        A name or a path, as for `minires.data.get_dataset`.
    width : int
        Channels of the first stage.
    seed : int
        Of the initial weights and of the order of the images.
    device : str
    batch_size : int
    learning_rate, momentum, weight_decay : float

    Raises
    ------
    ValueError
        If something is out of range or unknown; the message says what would do.

    Examples
    --------
    >>> Settings(epochs=12).milestones
    [6, 9]
    """

    depths: tuple[int, ...] = (8, 20, 56)
    epochs: int = 12
    dataset: str = "digits"
    width: int = 8
    seed: int = 0
    device: str = "cpu"
    batch_size: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(sorted(set(self.depths))))
        if not self.depths:
            raise ValueError("depths: none given; name at least one, such as 8,20,56")
        for depth in self.depths:
            if not is_possible_depth(depth):
                raise ValueError(
                    f"depths: {depth} is not possible; these networks have 6n + 2 layers, such as"
                    " 8, 14, 20, 32, 44, 56, 110"
                )
        for name in ("epochs", "width", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1, found {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"seed: must be 0 or more, found {self.seed}")
        try:
            devices.get(self.device)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"device: {error}") from None

    @property
    def recipe(self) -> Recipe:
        """How each of the twins is trained."""
        return Recipe(
            self.epochs,
            self.batch_size,
            self.learning_rate,
            self.momentum,
            self.weight_decay,
            norms_every=1,
        )

    @property
    def milestones(self) -> list[int]:
        """How many epochs are done when the learning rate falls to a tenth, and again."""
        return self.recipe.milestones
