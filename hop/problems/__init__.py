"""Problems: one file per PDE.

A problem is a frozen dataclass (`hop.problem.Problem`); its fields are its options in a config. Its
module exports that class alone (`__all__`) and is found by name, so a new PDE is one new file.
"""

import dataclasses

from hop.errors import check_choice
from hop.problem import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dirichlet(Problem):
    """What problems share whose values are given on the whole boundary of a box.

    Attributes:
      conditions_by: "lift" builds the values into u; "loss" adds them to the loss instead.
      symmetry: "none", or "odd" to make u odd about the box's middle in every coordinate.
    """

    conditions_by: str = "lift"
    symmetry: str = "none"

    def __post_init__(self):
        check_choice("config.problem.conditions_by", self.conditions_by, ("lift", "loss"))
        check_choice("config.problem.symmetry", self.symmetry, ("none", "odd"))

    @property
    def odd(self) -> tuple[str, ...]:
        return tuple("xyz"[: self.domain.dim]) if self.symmetry == "odd" else ()
