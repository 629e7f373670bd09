"""Pictures show what they say."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from systems import Pair, drawn, inputs, pair

from hop import ambient, plotting
from hop.checkpoints import StageInfo
from hop.problems.allen_cahn_1d import AllenCahn1D
from hop.problems.burgers_time import BurgersTime


class Unknown(Pair):
    """The same without references."""

    def reference(self, a, x, lam):
        raise NotImplementedError


@pytest.fixture
def axes_of(tmp_path, monkeypatch):
    """A function (problem) → the axes of the picture of a run of it, of two stages."""
    stages = [StageInfo(k, {"s": 0.0, "eps": eps}) for k, eps in enumerate((0.5, 0.1))]
    store = SimpleNamespace(root=tmp_path, stages=lambda: stages)
    monkeypatch.setattr(plotting, "Store", SimpleNamespace(find=lambda workdir: store))

    def axes(problem):
        monkeypatch.setattr(
            plotting, "open_stage", lambda store, info, **_: pair(problem=problem, eps=info.eps)
        )
        with drawn() as found:
            target = plotting.path("w")
        assert target.stat().st_size > 10_000
        return found

    return axes


def example(x, problem):
    """The solutions (2, q) and references of the first sample of both inputs at x."""
    laws, fields, given = problem.inputs, {}, {}
    with ambient.numerics(np.float32):
        for k, (name, law) in enumerate(laws.items()):
            sample = law.sample(ambient.key(k), 1)
            given[name] = np.asarray(law.values(sample))
            fields[name] = law.field(np.asarray(sample.coefficients, np.float64))
    given["kappa"] = given["kappa"][:, 0]
    r = problem.reference(fields, x, None)[:, 0]
    return [part[0] for part in pair(problem=problem)(given, x).values()], r


def test_a_picture_of_losses_is_that_of_the_residual_stage_by_stage(tmp_path):
    windows = [(0, 10, 1e-1), (0, 20, 1e-2), (1, 30, 1e-1), (1, 40, 1e-3)]
    records = [
        {"kind": "window", "stage": k, "total_steps": n, "residual": h, "total": 9 * h}
        for k, n, h in windows
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    axes = Figure().subplots()
    plotting.losses(axes, path, np.zeros((2, 4)), tests=False)
    drawn = [line.get_xydata().tolist() for line in axes.get_lines()]
    assert drawn == [[[n, h] for k, n, h in windows if k == stage] for stage in (0, 1)]
    assert axes.get_yscale() == "log"


def lines(axes):
    return [np.asarray(line.get_ydata()) for line in axes.get_lines() if len(line.get_xdata())]


def test_a_run_on_a_line_shows_every_unknown_beside_its_reference(axes_of):
    *panels, losses = axes_of(Pair())
    assert [panel.get_ylabel() for panel in panels] == ["u", "v"]
    assert panels[0].get_title() == "Pair: one f and kappa, solutions along the path"
    assert losses.get_xlabel() == "step"
    for panel, u, r in zip(panels, *example(np.linspace(0, 1, 4001)[:, None], Pair()), strict=True):
        first, reference, second, again = lines(panel)
        np.testing.assert_allclose(first, u, atol=2e-6)
        np.testing.assert_allclose(second, u, atol=2e-6)  # the same network at every stage
        np.testing.assert_allclose([reference, again], [r, r], atol=1e-6)


def test_a_run_in_time_shows_moments_of_every_unknown(axes_of):
    problem = Pair("time")
    *panels, _ = axes_of(problem)
    assert [panel.get_ylabel() for panel in panels] == ["u", "v"]
    x = problem.domain.grid(1001, 6)
    for panel, u, r in zip(panels, *example(x, problem), strict=True):
        found = lines(panel)
        np.testing.assert_allclose(np.ravel(found[0::2]), u, atol=2e-6)
        np.testing.assert_allclose(np.ravel(found[1::2]), r, atol=1e-6)


def test_a_run_in_the_plane_shows_a_row_for_every_unknown(axes_of):
    problem = Pair("plane")
    axes = [panel for panel in axes_of(problem) if panel.get_images()]
    at = "Pair, ε = 0.1: "
    titles = [f"{at}u", "reference", "u − reference", "v", "reference", "v − reference"]
    assert [panel.get_title() for panel in axes] == titles
    u, r = example(problem.domain.grid(201, 201), problem)
    images = np.array([panel.get_images()[0].get_array() for panel in axes]).reshape(2, 3, -1)
    for shown, mine, theirs in zip(images, u, r, strict=True):
        for image, values in zip(shown, (mine, theirs, mine - theirs), strict=True):
            np.testing.assert_allclose(image, values, atol=5e-6)


def test_without_references_there_are_none(axes_of):
    axes = axes_of(Unknown("plane"))
    assert sum(bool(panel.get_images()) for panel in axes) == 2
    words = [text.get_text() for panel in axes for text in panel.texts]
    assert words == ["no reference", "no u − reference", "no reference", "no v − reference"]
    *panels, _ = axes_of(Unknown())
    assert [label.get_text() for label in panels[0].get_legend().get_texts()] == [
        "ε = 0.5", "ε = 0.1"
    ]  # fmt: skip


def test_a_moving_picture_of_a_system(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(plotting, "FRAMES", 2)
    with drawn() as axes:
        plotting.evolution(str(tmp_path / "u.gif"), pair("time"), inputs(2))
    assert [panel.get_ylabel() for panel in axes] == ["u", "u", "v", "v"]
    with Image.open(tmp_path / "u.gif") as moving:
        assert moving.n_frames == 2


def test_problems_that_ship_are_called_by_the_first_words_of_their_files():
    """Not by a class; a comma within brackets ends nothing."""
    assert plotting.called(BurgersTime()) == "Burgers' equation in time"
    assert plotting.called(AllenCahn1D()) == "Steady Allen–Cahn on [0, 1]"
    assert plotting.called(Pair()) == "Pair"
