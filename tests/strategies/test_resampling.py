"""Training on points drawn by the residual."""

import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import with_strategy

import hop
from hop import config as config_lib
from hop.problem import Lam
from hop.training import train


def test_resampled_training_is_on_points_by_p_and_resumes_to_the_bit(tiny_mlp, tmp_path, listener):
    count, one = 1024, {"mesh__function": 1, "mesh__point": -1, "train__points": 1024}
    config = tiny_mlp(
        **one, train__steps=4, train__dispatch=1, train__save_seconds=0.0, path__eps=(0.5, 0.05)
    )
    config = with_strategy(config, "resampling", power=2.0)
    heard = listener()
    (record,) = train(config, tmp_path / "w", heard)
    assert record["eps"] == 0.05
    params = hop.load(tmp_path / "w").params
    shutil.rmtree(tmp_path / "w/stages/0")  # what is left is the rolling checkpoint at step 3
    again = listener()
    train(config, tmp_path / "w", again)
    assert [record["step"] for record in again.windows] == [4]
    jax.tree.map(np.testing.assert_array_equal, params, hop.load(tmp_path / "w").params)
    # The loss of the fresh network is ½ E_p[H²], with E_p[f] = ½ (E[f H²] / E[H²] + E[f]).
    ansatz = config_lib.build(config).ansatz
    fresh = jax.jit(ansatz.init)(jax.random.key(config.seed))
    x = jnp.asarray(ansatz.problem.domain.grid(4001), jnp.float32)
    square = np.asarray(ansatz.residual(fresh, {}, x, Lam(0.0, 0.05)))[0] ** 2

    def mean(f):
        return 0.5 * (np.mean(f * square) / np.mean(square) + np.mean(f))

    noise = math.sqrt((mean(square**2) - mean(square) ** 2) / count)
    assert 2 * heard.windows[0]["residual"] == pytest.approx(mean(square), abs=4 * noise)
    assert mean(square) - np.mean(square) > 8 * noise  # even points are told apart


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"train__sampler": "grid"}, {}, "train.sampler='grid'; use uniform or stratified"),
        ({"train__sampler": "adaptive"}, {}, "use uniform or stratified"),
        ({}, {"pool": 1}, "use 2 or more"),
        ({}, {"power": -1.0}, "config.strategy.power=-1.0 must not be negative"),
        ({}, {"floor": -1.0}, "config.strategy.floor=-1.0 must not be negative"),
    ],
)
def test_what_resampling_cannot_serve_is_refused(tiny, change, options, words):
    with pytest.raises(hop.UserError, match=words):
        config_lib.build(with_strategy(tiny(**change), "resampling", **options))


def test_terms_that_weigh_all_points_together_refuse_uneven_ones(tiny):
    config = tiny(train__sampler="by_residual")
    config_lib.build(config)
    slow = with_strategy(config, "homotopy_loss", slow=1.0)
    with pytest.raises(hop.UserError, match="lie unevenly.*use config.train.sampler=stratified"):
        config_lib.build(slow)
