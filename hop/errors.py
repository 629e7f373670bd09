"""The two kinds of failure that a person meets; the command line prints each as one line."""

import difflib
import math
from collections.abc import Iterable


class UserError(ValueError):
    """The request cannot be served as it was made. The message names the thing and the remedy."""


class RunError(RuntimeError):
    """A well-formed run failed, or a stored file is damaged. The message says what is whole."""


class PreemptedError(Exception):
    """SIGTERM ended a run after it saved a checkpoint; the same request goes on from there."""

    code = 75  # of the process that ends so


def check_choice(where: str, value: str, known: Iterable[str]) -> None:
    """Refuses a value that is none of those known."""
    if value not in known:
        raise UserError(f"{where}={value!r} is not known{suggestion(value, sorted(known))}")


_RANGES = {
    "be positive": lambda v: v > 0 and math.isfinite(v),
    "not be negative": lambda v: v >= 0,
    "be at least 1": lambda v: v >= 1,
    "lie in [0, 1)": lambda v: 0 <= v < 1,
    "lie between 0 and 1": lambda v: 0 < v < 1,
}


def check_range(where: str, must: str, **values: float) -> None:
    """Refuses a number that is not what it must be, by the name of its option."""
    for name, value in values.items():
        if not _RANGES[must](value):
            raise UserError(f"{where}.{name}={value!r} must {must}")


def suggestion(word: str, known: list[str]) -> str:
    """The end of a message about an unknown word: the one that was meant, or all there are."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; use one of {', '.join(known)}"
