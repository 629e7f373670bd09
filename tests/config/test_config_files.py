"""Config files: every one that ships builds and trains, and overrides are checked."""

import runpy
from pathlib import Path

import pytest

import hop
from hop import config as config_lib
from hop.training import train

ROOT = Path(hop.__file__).parent
CONFIGS = [
    (path, variant)
    for path in sorted((ROOT.parent / "configs").glob("*.py"))
    for variant in ("", "paper", "tanh", "quickstart", "plain", "free", "ladder")
    if not variant or f'"{variant}"' in path.read_text()
]


@pytest.mark.parametrize(("path", "variant"), CONFIGS, ids=lambda v: getattr(v, "stem", v))
def test_every_config_builds_and_takes_a_step(path, variant, data_dir, tmp_path, listener):
    get_config = runpy.run_path(str(path))["get_config"]
    skin = get_config(variant) if variant else get_config()
    skin.data.data_dir = data_dir
    skin.train.update(steps=1, functions=8, points=16, validation=1, dispatch=1)
    config = config_lib.parse(skin.to_dict())
    assert config_lib.parse(config_lib.to_json(config)) == config
    heard = listener(interrupt_after=1)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "w", heard)
    assert heard.windows[0]["total"] > 0
