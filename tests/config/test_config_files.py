"""Config files: every one that ships builds, and its training begins."""

import runpy
from pathlib import Path

import jax
import pytest

import hop
from hop import config as config_lib
from hop.training import Program, train

ROOT = Path(hop.__file__).parent
CONFIGS = [
    (path, variant)
    for path in sorted((ROOT.parent / "configs").glob("*.py"))
    for variant in ("", "paper", "tanh", "quickstart", "plain", "free", "ladder", "one")
    if not variant or f'"{variant}"' in path.read_text()
]


class Traced(Exception):  # noqa: N818
    """Of a step; holds the types and shapes that it gives."""


@pytest.mark.parametrize(("path", "variant"), CONFIGS, ids=lambda v: getattr(v, "stem", v))
def test_every_config_builds_and_traces_a_step(
    path, variant, data_dir, tmp_path, listener, monkeypatch
):
    """Up to the compiler, which takes what is traced, and most of the time."""
    dispatch = Program.dispatch

    def trace(program, *asked):
        raise Traced(jax.eval_shape(dispatch.__get__(program), *asked))

    monkeypatch.setattr(Program, "dispatch", trace)
    get_config = runpy.run_path(str(path))["get_config"]
    skin = get_config(variant) if variant else get_config()
    skin.data.data_dir = data_dir
    skin.train.update(steps=1, functions=12, points=16, validation=1, dispatch=1)
    config = config_lib.parse(skin.to_dict())
    assert config_lib.parse(config_lib.to_json(config)) == config
    with pytest.raises(Traced) as traced:
        train(config, tmp_path / "w", listener())
    _, losses, _ = traced.value.args[0]
    assert losses["total"].shape == ()
