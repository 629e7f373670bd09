"""What `hop check` says of a problem, and of one with a mistake in it."""

import dataclasses
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import Listener

import hop
from hop import cli, examining, training
from hop.config import files
from hop.derivatives import LAPLACIAN
from hop.laws import how_many
from hop.problem import Lam

EXAMPLES = Path(hop.__file__).parents[1] / "examples"
HERE = Lam(0.0, 0.5)


@pytest.fixture(autouse=True)
def as_users_have_it():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@dataclasses.dataclass(frozen=True)
class Bars(hop.Problem):
    """−ε Δu + u = f with u = sin πx sin πy on the square, and a second unknown that is twice it."""

    domain = hop.Box((0.0, 0.0), (1.0, 1.0))
    unknowns, derivatives = ("u", "v"), ("", LAPLACIAN)

    def residual(self, u, x, a, lam):
        (u, v), (Δu, _) = u[""], u[LAPLACIAN]
        f = (1 + 2 * jnp.pi**2 * lam.eps) * jnp.sin(jnp.pi * x[0]) * jnp.sin(jnp.pi * x[1])
        return jnp.stack([-lam.eps * Δu + u - f, v - 2 * u])

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (1 - x) * y * (1 - y) * network

    def reference(self, a, x, lam):
        u = np.prod(np.sin(np.pi * x), axis=1)[None].repeat(how_many(a), axis=0)
        return np.stack([u, 2 * u])


def doubts(problem, lam=HERE):
    return [(part, text) for part, text, doubt in examining.look(problem, lam) if doubt]


@pytest.mark.parametrize(
    "name", ["reaction_diffusion", "robin", "convection_diffusion", "fitzhugh_nagumo"]
)
def test_nothing_is_wrong_with_the_examples(name):
    problem = files.problem_class(str(EXAMPLES / f"{name}.py"))()
    found = list(examining.look(problem, HERE))
    assert not [finding for finding in found if finding.doubt]
    assert {"shapes", "boundary", "reference", "gauge"} <= {finding.part for finding in found}
    del sys.modules[name]


def test_nor_with_a_system_in_the_plane():
    assert not doubts(Bars())
    (said,) = (text for part, text, _ in examining.look(Bars(), HERE) if part == "reference")
    first, second = (float(word.rstrip(",")) for word in said.split() if "e-" in word)
    assert max(first, second) < 1e-6


def test_a_wall_that_is_forgotten(monkeypatch):
    def lift(self, network, x, a, lam):
        factor = jnp.stack([x[0] * (1 - x[0]) * x[1], x[0] * (1 - x[0]) * x[1] * (1 - x[1])])
        return factor * network

    monkeypatch.setattr(Bars, "lift", lift)
    ((part, text),) = doubts(Bars())
    assert part == "boundary"
    assert text.startswith("y = 1: nothing is said of u; build")
    top, side = np.array([[0.3, 1.0], [0.7, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.5], [1.0, 1.0]])
    for points, unknown, enough in ((top, 0, True), (top, 1, False), (side, 0, False)):
        soft = hop.Condition((points,), ("",), lambda u, a, lam, k=unknown: u[0][""][k])
        monkeypatch.setattr(Bars, "conditions", lambda self, lam, c=soft: (c,))
        assert (not doubts(Bars())) == enough, "of another unknown, or a wall that is only touched"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_equation_that_the_reference_does_not_solve(monkeypatch, sign):
    right = Bars.residual

    def residual(self, u, x, a, lam):
        return right(self, u | {LAPLACIAN: sign * u[LAPLACIAN]}, x, a, lam)

    monkeypatch.setattr(Bars, "residual", residual)
    found = doubts(Bars())
    assert bool(found) == (sign < 0)
    assert all("residual and reference are of different equations" in text for _, text in found)


def scaled(by):
    """The right residual, and that of another second equation, which is small beside the first."""
    right = Bars.residual

    def residual(self, u, x, a, lam):
        first, second = right(self, u, x, a, lam)
        return jnp.stack([first, 1e-3 * (second + by * u[""][0])])

    return {"residual": residual}


def lifted_by(by):
    """The right lift, and other values of v on the boundary."""
    right = Bars.lift

    def lift(self, network, x, a, lam):
        return right(self, network, x, a, lam) + by * jnp.array([0.0, 1.0])[:, None, None]

    return {"lift": lift}


def slope(by):
    """A condition on the slope of v = 2 sin πx sin πy at the top, −2π sin πx, and another one."""
    top = np.stack([np.linspace(0, 1, 9), np.ones(9)], axis=1)

    def rows(u, a, lam):
        return u[0]["y"][1] + (1 + by) * 2 * jnp.pi * jnp.sin(jnp.pi * top[:, 0])

    return {"conditions": lambda self, lam: (hop.Condition((top,), ("y",), rows),)}


def trained(which):
    """A lift of which v depends on the network, or does not."""

    def lift(self, network, x, a, lam):
        x, y = x
        return x * (1 - x) * y * (1 - y) * jnp.stack([network[0], which * network[1] + 1])

    return {"lift": lift}


def across(place):
    """A lift that fixes u along a line inside the square, or on a wall."""
    right = Bars.lift

    def lift(self, network, x, a, lam):
        return right(self, network, x, a, lam) * (x[0] - place)

    return {"lift": lift}


def test_a_lift_of_another_box_without_a_reference(monkeypatch):
    """That of the unit square, on a box where x = 1 is inside, and 1 no simple fraction of it."""

    @dataclasses.dataclass(frozen=True)
    class Longer(hop.Problem):
        domain = hop.Box((0.0, 0.0), (np.pi, 1.0))
        unknowns, derivatives = Bars.unknowns, Bars.derivatives
        residual, lift = Bars.residual, Bars.lift

    found = [text for part, text in doubts(Longer()) if part == "lift"]
    said = "at x = 1, inside the domain, {} does not depend on the network; let"
    assert [text.split(" its")[0] for text in found] == [said.format("u"), said.format("v")]
    # Where the reference is 0 there too, this is no mistake.
    monkeypatch.setattr(Bars, "domain", Longer.domain)
    assert not any(part == "lift" for part, _ in doubts(Bars()))


@dataclasses.dataclass(frozen=True)
class Turning(hop.Problem):
    """−ε u″ + x u′ + u = 1 on [−1, 1], u = 0 at both ends."""

    domain, derivatives = hop.Box((-1.0,), (1.0,)), ("", "x", "xx")

    def residual(self, u, x, a, lam):
        (x,) = x
        return -lam.eps * u["xx"] + x * u["x"] + u[""] - 1

    def lift(self, network, x, a, lam):
        (x,) = x
        return (1 - x**2) * network


def test_coordinates_that_were_not_unpacked(monkeypatch):
    assert doubts(Turning()) == []
    with monkeypatch.context() as patch:
        patch.setattr(Turning, "lift", lambda self, network, x, a, lam: (1 - x**2) * network)
        with pytest.raises(hop.UserError, match=r"lift gives shape .*: write \(x,\) = x first"):
            doubts(Turning())

    def residual(self, u, x, a, lam):
        return -lam.eps * u["xx"] + x * u["x"] + u[""] - 1

    monkeypatch.setattr(Turning, "residual", residual)
    ((part, text),) = doubts(Turning())
    assert part == "equations"
    assert text.endswith("write (x,) = x first")


def test_a_law_of_another_box_is_refused(monkeypatch):
    for low, high in ((0.0, 1.0), (-1.0, 0.9)):
        law = hop.GaussianField(hop.Box((low,), (high,)), length=0.3)
        monkeypatch.setattr(Turning, "inputs", {"f": law}, raising=False)
        said = rf"law of 'f' lives on \[{low:g}, {high:g}\], and the problem on \[-1, 1\]"
        with pytest.raises(hop.UserError, match=said):
            doubts(Turning())
    monkeypatch.setattr(Turning, "inputs", {"f": hop.GaussianField(Turning.domain, length=0.3)})
    assert doubts(Turning()) == []


@pytest.mark.parametrize(("count", "remedy"), [(1, "stack one for each"), (3, "leave some out")])
def test_an_equation_for_each_unknown(monkeypatch, count, remedy):
    right = Bars.residual

    def residual(self, u, x, a, lam):
        h = right(self, u, x, a, lam)
        return h[0] if count == 1 else jnp.stack([*h, h[0] + h[1]])

    monkeypatch.setattr(Bars, "residual", residual)
    ((part, text),) = doubts(Bars())
    assert part == "equations"
    assert text.startswith(f"residual gives {count} equation")
    assert remedy in text


@pytest.mark.parametrize(
    ("members", "right", "wrong", "said"),
    [
        (scaled, 0.0, 1.0, [r"H\(reference\) of equation 2 of 2, the worst, is 4e-04, 4e-04 by"]),
        (lifted_by, 0.0, 0.5, [rf"{x} = {e}: the lift builds in values of v that are up to 5e-01"
                               for x in "xy" for e in "01"]),
        (slope, 0.0, 0.2, [r"conditions\[0\] does not hold for the reference: its rows are up to"]),
        (trained, 1.0, 0.0, ["nothing of v is trained"]),
        (across, 0.0, 0.3, [r"at x = 0.3, inside the domain, u does not .*, and is up to 8e-01 off",
                            r"at x = 0.3, inside the domain, v does not"]),
    ],
)  # fmt: skip
def test_what_the_reference_or_the_lift_tells(monkeypatch, members, right, wrong, said):
    for by, expected in ((right, []), (wrong, said)):
        for name, member in members(by).items():
            monkeypatch.setattr(Bars, name, member)
        found = [text for _, text in doubts(Bars())]
        monkeypatch.undo()
        assert len(found) == len(expected), found
        assert all(re.match(one, text) for one, text in zip(expected, found, strict=True)), found


@pytest.mark.parametrize(
    ("name", "role"),
    [("condition", "conditions"), ("features", "trunk_features"), ("weight", "weights"),
     ("lifted", None), ("nonlinearity", None)],
)  # fmt: skip
def test_a_name_that_is_close_to_a_roles(monkeypatch, name, role):
    monkeypatch.setattr(Bars, name, lambda self, lam: (), raising=False)
    (*found,) = (text for part, text, _ in examining.glance(Bars(), HERE) if part == "names")
    assert found == ([f"hop does not read Bars.{name}; is Bars.{role} meant?"] if role else [])


def test_such_a_name_is_said_with_what_is_refused():
    class Misspelt(hop.Problem):
        domain, derivative = hop.Box((0.0,), (1.0,)), ("xx",)

        def residual(self, u, x, a, lam):
            return u["xx"]

    with pytest.raises(hop.UserError, match=r"reads 'xx', .* is Misspelt.derivatives meant\?"):
        doubts(Misspelt())


def test_too_few_sensors(monkeypatch):
    law = hop.GaussianField(hop.Box((0.0,), (1.0,)), length=0.05, sensors=9)
    monkeypatch.setattr(Bars, "inputs", {"g": law}, raising=False)
    ((part, text),) = doubts(Bars())
    assert part == "input g"
    assert "9 sensors miss" in text


def test_what_training_refuses_is_refused(monkeypatch):
    monkeypatch.setattr(Bars, "reference", lambda self, a, x, lam: 1 / 0)
    with pytest.raises(hop.UserError, match=r"Bars.reference fails: ZeroDivisionError"):
        doubts(Bars())


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (EXAMPLES / "reaction_diffusion.py").read_text()
    Path("own_check.py").write_text(text.replace("x * (1 - x) * network", "x * network"))
    try:
        assert cli.main(["check", "--problem=own_check.py"]) == 0
        out = capsys.readouterr().out
        assert "? boundary     x = 1: nothing is said of u" in out
        assert "1 line to look at" in out
        assert cli.main(["check"]) == 2
        # `hop train` says it too.
        problem = files.problem_class("own_check.py")()
        heard = Listener()
        skin = sys.modules["own_check"].get_config()
        skin.path.eps, skin.train.steps, skin.network.widths = (0.5,), 1, (4,)
        training.train(hop.config.parse(skin.to_dict()), "w", heard, problem)
        assert any("x = 1: nothing is said of u" in said for said in heard.messages)
    finally:
        sys.modules.pop("own_check", None)
