"""What an experiment is: claims with their sources, runs at three scales, rules, a figure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from .images import Images
from .rules import Measured, Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .theme import Theme

ScaleName = Literal["tiny", "small", "paper"]
SCALES: tuple[ScaleName, ...] = ("tiny", "small", "paper")

# By condition: what each seed's trial has returned, in the order of the seeds.
Trials = Mapping[str, Sequence[Mapping[str, Any]]]


class Claim(NamedTuple):
    """A statement of a paper, and what decides whether it holds here.

    Attributes
    ----------
    statement : str
    source : str
        Paper and place, such as ``"He et al. 2015, arXiv 1512.03385, figure 6"``.
    paper : str
        The number that is published there; "" where there is none.
    rule : Rule
        Written before anything was measured.
    shows_at : {"tiny", "small", "paper"} or None
        The least scale at which it should show; None if that is not sure of any here.
    """

    statement: str
    source: str
    paper: str
    rule: Rule
    shows_at: ScaleName | None = "small"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large an experiment is; experiments add fields of their own.

    Parameters
    ----------
    seconds : float
        What all of its trials take together on one core of an AMD EPYC, about.
    seeds : int
        How many seeds; an experiment without randomness has one.
    images : Images, optional
        None where it needs none.
    """

    seconds: float
    seeds: int = 3
    images: Images | None = None


class Experiment(ABC):
    """An experiment, each in a file of its own in `minires.lab.experiments`.

    A *trial* is what is run for one condition (a network, say) and one seed, in a process of its
    own; what it returns is all that the measured quantities and the figure are made of.

    Attributes
    ----------
    name : str
        On the command line, such as ``"six-shortcuts"``.
    title : str
    about : str
        What is done, in a few sentences.
    caption : str
        What the figure shows, and which figure of which paper has the same form.
    claims : tuple of Claim
    scales : dict
        A `Scale` for each of "tiny", "small" and "paper".
    """

    name: str
    title: str
    about: str
    caption: str
    claims: tuple[Claim, ...]
    scales: ClassVar[Mapping[ScaleName, Any]]

    @abstractmethod
    def conditions(self, scale: Any) -> Sequence[str]:
        """Return the names of what is compared."""

    def given(self, scale: Any) -> Any:
        """Return what trials depend on besides source and images: digests of weights, say."""
        return None

    @abstractmethod
    def run(self, condition: str, scale: Any, seed: int, device: str) -> dict[str, Any]:
        """Carry out one trial; return what was measured, ready for JSON."""

    @abstractmethod
    def measure(self, trials: Trials, scale: Any) -> Measured:
        """Return the quantities that the rules name: a list has one number for each seed."""

    @abstractmethod
    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        """Draw the figure, from what trials have returned alone."""
