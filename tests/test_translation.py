"""Programs in ONNX give what they give in JAX, for any number of points."""

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from jax import export, lax

import hop
from hop.translation import translate

M = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)

PROGRAMS = {
    "of one argument": lambda x, y: jnp.sin(x) + jnp.cos(x) * jnp.tanh(x) - jnp.exp(-x),
    "inverse": lambda x, y: jnp.arcsinh(x) + jnp.sqrt(x**2 + 1) + lax.rsqrt(1 + x * x) + 1 / x**3,
    "near zero": lambda x, y: 1e3 * (jnp.expm1(1e-3 * x) + jnp.log1p(1e-3 * y)),
    "of small and large": lambda x, y: jnp.expm1(8 * x) + jnp.log1p(jnp.exp(8 * y)),
    "of two": lambda x, y: jnp.minimum(x, y) - jnp.maximum(x, 0.3) + jnp.arctan(y) ** 2,
    "a choice": lambda x, y: jnp.where(x > y, x, 2 * y) + jnp.where(x[:, :1] <= 0, 1.0, y),
    "a range": lambda x, y: jnp.clip(x, -0.2, 0.4) + jax.nn.sigmoid(y) + jax.nn.swish(x),
    "a power": lambda x, y: jnp.abs(x) ** 0.7 + x**2 + x**3,
    "a product": lambda x, y: x @ M,
    "a product of two": lambda x, y: jnp.einsum("qi,qj->qij", x, y),
    "a product, transposed": lambda x, y: jnp.einsum("qi,pi->pq", x, y),
    "of a broadcast": lambda x, y: jnp.broadcast_to(x[:1], x.shape) @ M,
    "sums": lambda x, y: jnp.sum(x, axis=1) + jnp.sum(y, axis=0)[0] + jnp.mean(x, axis=1),
    "a sum of a broadcast": lambda x, y: jnp.sum(jnp.broadcast_to(x[:, None], (*x.shape, 3)), 1),
    "the largest": lambda x, y: jnp.max(x, axis=1) - jnp.min(y, axis=1) + jnp.prod(y, axis=1),
    "softmax": lambda x, y: jax.nn.softmax(4 * x, axis=1),
    "joined": lambda x, y: jnp.concatenate([x, y[:, :1], jnp.zeros((1, 3)) + 0 * x], axis=1),
    "joined along points": lambda x, y: jnp.concatenate([x, y, jnp.ones((2, 3))], axis=0),
    "stacked": lambda x, y: jnp.stack([x, jnp.broadcast_to(y[:1], y.shape)], axis=1),
    "parts": lambda x, y: x[:, 1:] * y[:, ::2] + x[:, 0:1],
    "split": lambda x, y: jnp.split(x, [1], axis=1)[1] + y[:, :2],
    "backwards": lambda x, y: x[:, ::-1] - y,
    "chosen": lambda x, y: jnp.take(x, np.array([2, 0, 0]), axis=1) + y,
    "transposed": lambda x, y: x.T[None] + 0 * y.T,
    "reshaped": lambda x, y: (x[:, :, None] + M.T[:3, :3][None]).reshape(-1, 9),
    "counted": lambda x, y: x * jnp.arange(3.0) + jnp.arange(3)[None] * y,
    "counted points": lambda x, y: (
        x + lax.broadcasted_iota(np.float32, x.shape, 0) + jnp.mean(y, 0)
    ),
    "constants": lambda x, y: x + jnp.zeros((3, 3)).at[1].set(2.0)[1],
    "derivatives": lambda x, y: jax.jvp(lambda z: jnp.tanh(z) * z[:, :1] ** 2, (x,), (y,))[1],
    "mapped": lambda x, y: jax.vmap(lambda z: jax.vmap(lambda w: jnp.sin(z @ w))(y))(x),
    "a broadcast alone": lambda x, y: jnp.broadcast_to(x[:, :1], x.shape),
    "a constant alone": lambda x, y: jnp.ones_like(x),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_are_those_of_jax(name):
    program, rng = PROGRAMS[name], np.random.default_rng(1)
    (points,) = export.symbolic_shape("points")
    shape = jax.ShapeDtypeStruct((points, 3), np.float32)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        model = translate(jax.make_jaxpr(program)(shape, shape), ["x", "y"], ["u"])
        session = onnxruntime.InferenceSession(model.SerializeToString())
        for count in (5, 1):
            x, y = rng.uniform(-1, 1, size=(2, count, 3)).astype(np.float32)
            (u,) = session.run(None, {"x": x, "y": y})
            np.testing.assert_allclose(u, program(x, y), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("'sort'", lambda x: jnp.sort(x)),
        (
            "'gather' of places that it computes",
            lambda x: jnp.take(x, jnp.sum(x, axis=0).astype(int), axis=1),
        ),
        (r"size 2\*points", lambda x: jnp.ones((2 * x.shape[0], 3))),
        ("'while'", lambda x: lax.while_loop(lambda z: z[0, 0] < 1, lambda z: z + 1, x)),
    ],
)
def test_what_is_not_translated_is_named(name, program):
    shape = jax.ShapeDtypeStruct((export.symbolic_shape("points")[0], 3), np.float32)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        traced = jax.make_jaxpr(program)(shape)
    with pytest.raises(hop.UserError, match=f"{name}.* to ONNX; end --output in .stablehlo"):
        translate(traced, ["x"], ["u"])
