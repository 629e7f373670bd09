"""The step by DeepXDE on PyTorch, as its own demos write it (in the environment of the rivals).

* by default `PDEOperatorCartesianProd`, which differentiates function by function ("aligned"), or
  `PDE` where there are no input functions;
* --zcs: with zero coordinate shift (Leng et al., arXiv 2311.00860), `deepxde.zcs`;
* --forward: `deepxde.config.set_default_autodiff("forward")`.

A step is the body of DeepXDE's own training loop, without its tests and callbacks.
"""

import argparse
import math
import os
from typing import Any

os.environ["DDE_BACKEND"] = "pytorch"

import deepxde as dde
import numpy as np
import torch
from worker import CHANNELS, EPS, HARMONICS, Case, Steps, serve, waves_of


class Table(dde.data.function_spaces.FunctionSpace):
    """Functions given by their values at equal distances."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def random(self, size: int) -> np.ndarray:
        return self.values[:size]

    def eval_one(self, feature: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.interp(x, np.linspace(0, 1, len(feature)), feature)

    def eval_batch(self, features: np.ndarray, xs: np.ndarray) -> np.ndarray:
        return np.stack([self.eval_one(f, xs[:, 0]) for f in features]).astype(np.float32)


def on_circle(points: Any, harmonics: int = HARMONICS) -> Any:
    """(x, t) as cos 2πmx, sin 2πmx and t."""
    angle = 2 * math.pi * points[:, :1] * torch.arange(1, harmonics + 1)
    return torch.cat([torch.cos(angle), torch.sin(angle), points[:, 1:]], dim=1)


class NonlinearDeepONet(dde.nn.NN):
    """u = u₀ + t·D(features, u₀, t), u₀ the trigonometric interpolant of the sensor values."""

    def __init__(self, case: Case):
        super().__init__()
        networks = (case.branch, case.trunk, case.decoder)
        made = [dde.nn.FNN(widths, "tanh", "Glorot normal") for widths in networks]
        self.branch, self.trunk, self.decoder = made
        self.waves = torch.as_tensor(waves_of(case.sensors))

    def forward(self, inputs: Any) -> Any:
        values, points = inputs
        b = self.branch(values).unflatten(1, (CHANNELS, -1))
        p = self.trunk(on_circle(points)).unflatten(1, (CHANNELS, -1))
        features = torch.einsum("ncp,qcp->nqc", b, p)
        waves = on_circle(points, self.waves.shape[1] // 2)[:, :-1]
        a, t = (values @ self.waves) @ waves.T, points[:, 1].expand(len(values), -1)
        seen = torch.cat([features, a[..., None], t[..., None]], dim=2)
        return a + t * self.decoder(seen.flatten(0, 1)).view_as(a)


def prepare(case: Case, args: argparse.Namespace) -> Steps:
    at = {"eps": EPS}
    if not case.inference:
        return (training(case, args, at) if case.functions else of_one_function(case, at))[1]
    (model, _), request = training(case, args, at), case.request()

    def steps(count: int) -> None:
        for _ in range(count):
            model.predict(request)

    return steps


def of_one_function(case: Case, at: dict[str, float], rate: float = 1e-3) -> tuple[Any, Steps]:
    """The model, and what takes its steps by Adam, at the ε that `at` holds just then."""
    front = case.equation == "front"
    cube = dde.geometry.Hypercube([-1] * case.dim, [1] * case.dim)

    def pde(x: Any, u: Any) -> Any:
        curved = sum(dde.grad.hessian(u, x, i=k, j=k) for k in range(case.dim))
        rest = -u / case.dim if case.equation == "helmholtz" else u**3 - u
        return rest - at["eps"] ** 2 * curved

    def lift(x: Any, u: Any) -> Any:
        if front:
            return 2 * x - 1 + x * (1 - x) * u
        return (1 - x**2).prod(dim=1, keepdim=True) * u

    domain = dde.geometry.Interval(0, 1) if front else cube
    data = dde.data.PDE(domain, pde, [], num_domain=case.points)
    net = dde.nn.FNN(case.perceptron, "tanh", "Glorot normal")
    if case.equation != "helmholtz":
        net.apply_output_transform(lift)
    model = dde.Model(data, net)
    model.compile("adam", lr=rate, verbose=0)
    return model, stepper(model, data)


def stepper(model: Any, data: Any) -> Steps:
    state = model.train_state

    def steps(count: int) -> None:
        for _ in range(count):
            state.set_data_train(*data.train_next_batch())
            model._train_step(state.X_train, state.y_train, state.train_aux_vars)
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works behind the host

    return steps


def training(
    case: Case, args: argparse.Namespace, at: dict[str, float], rate: float = 1e-3
) -> tuple[Any, Steps]:
    """The model, and what takes its steps by Adam, at the ε that `at` holds just then."""
    if args.forward:
        dde.config.set_default_autodiff("forward")
    first = (1, 0) if case.dim == 2 else (1,)
    second = (2, 0) if case.dim == 2 else (2,)
    source: Any = 0.0

    def derivatives(x: Any, u: Any) -> tuple[Any, Any, Any, Any]:
        """u, u_x, u_xx, u_t."""
        if args.zcs:
            of = dde.zcs.LazyGrad(x, u)
            u_t = of.compute((0, 1)) if case.dim == 2 else None
            return u, of.compute(first), of.compute(second), u_t
        value = u[0] if args.forward else u
        u_x, u_xx = dde.grad.jacobian(u, x, i=0, j=0), dde.grad.hessian(u, x, i=0, j=0)
        u_t = dde.grad.jacobian(u, x, i=0, j=1) if case.dim == 2 else None
        if args.forward:  # each is a pair, values first
            u_x, u_xx, u_t = (d if d is None else d[0] for d in (u_x, u_xx, u_t))
        return value, u_x, u_xx, u_t

    def pde(x: Any, u: Any, _: Any) -> Any:
        value, u_x, u_xx, u_t = derivatives(x, u)
        steady = value * u_x - at["eps"] * u_xx
        return steady + u_t if case.dim == 2 else steady - source

    interval = dde.geometry.Interval(0, 1)
    if case.equation == "time":
        domain = dde.geometry.GeometryXTime(interval, dde.geometry.TimeDomain(0, 1))
        walls = dde.icbc.DirichletBC(domain, lambda x: 0, lambda _, on: on)
        initial = dde.icbc.IC(domain, lambda _, aux: aux, lambda _, on: on)
        # The residual is taken on the 40 points of the boundary too: `points` in all.
        asked, edge, start, weights = [walls, initial], 20, 20, None
        if case.periodic:
            asked, edge, start, weights = [initial], 0, 100, [1, 100]
        if case.nonlinear:
            asked, edge, start = [], 0, 0
        problem = dde.data.TimePDE(
            domain, pde, asked, case.points - edge - start, num_boundary=edge, num_initial=start
        )
    else:
        problem, weights = dde.data.PDE(interval, pde, [], num_domain=case.points), None
    values = case.values()
    product = dde.zcs.PDEOperatorCartesianProd if args.zcs else dde.data.PDEOperatorCartesianProd
    data = product(
        problem,
        Table(values),
        np.linspace(0, 1, case.sensors)[:, None],
        len(values),
        function_variables=[0],
        num_test=1,
        batch_size=min(case.functions, len(values)),
    )
    points = torch.as_tensor(problem.train_x[:, 0])
    source = (math.pi / 2) * torch.sin(2 * math.pi * points)
    if not (args.zcs or args.forward):
        source = source[:, None]
    if case.nonlinear:
        net = NonlinearDeepONet(case)
    else:
        net = dde.nn.DeepONetCartesianProd(case.branch, case.trunk, "tanh", "Glorot normal")
    if case.equation == "steady":

        def lift(inputs: Any, u: Any) -> Any:
            x = inputs[1][:, 0]
            return x * (1 - x) * u

        net.apply_output_transform(lift)
    if case.periodic:
        net.apply_feature_transform(on_circle)
    model = (dde.zcs.Model if args.zcs else dde.Model)(data, net)
    model.compile("adam", lr=rate, loss_weights=weights, verbose=0)
    return model, stepper(model, data)


if __name__ == "__main__":
    serve(prepare, "zcs", "forward")
