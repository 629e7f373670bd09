"""The schema of a config: frozen dataclasses, and how plain values become one.

A ConfigDict is only the command line's skin over them, made by `experiment`. Values that follow
from others are derived after overrides.
"""

import dataclasses
import importlib
import itertools
import json
import pkgutil
import typing
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import jax

from hop import ambient
from hop.errors import UserError, check_choice, check_range, suggestion
from hop.homotopy.path import Path
from hop.problem import Lam
from hop.sharding import Layout
from hop.tracking import TRACKERS

Options = Mapping[str, Any]

KINDS = {  # the groups of a config that are a name and options, and where the names are found
    "problem": "hop.problems",
    "network": "hop.networks",
    "strategy": "hop.strategies",
    "solver": "hop.solvers",
}
_SAMPLERS = "hop.samplers"
_RETIRED = {"config.train.save_every"}  # fields of older versions, which stored configs may hold
# Fields that say where and how a run is made: they change its results by rounding at most, so a
# workdir can move to another machine and go on there.
_WHERE = {
    "mesh": (),
    "data": ("data_dir", "resident_mib"),
    "train": ("accumulate", "save_seconds", "track"),
    "labels": ("file",),
}
_PRODUCTS = {"float32": "highest", "bfloat16": "BF16_BF16_F32"}  # JAX's names of precisions


@dataclasses.dataclass(frozen=True)
class PathConfig:
    """The places (s, ε) visited in order.

    Attributes:
      s: weights of the start; one value is used for every ε.
      eps: the values of ε, falling. Left empty, ε(s) = max(s, eps_target).
      eps_target: the target for an empty `eps`; s = eps_target is then visited too, since the path
        has a kink there.
      adaptive: halve a step that fails and double one that succeeds.
      prediction: an adaptive step is rejected untrained if L_H of the predicted network, on
        held-out points, exceeds this.
      tolerance: it is rejected after training if L_H still exceeds this.
    """

    s: tuple[float, ...] = (0.0,)
    eps: tuple[float, ...] = ()
    eps_target: float = 0.0
    adaptive: bool = False
    prediction: float = 1.0
    tolerance: float = 1.0

    def __post_init__(self):
        for name in ("prediction", "tolerance"):
            if not getattr(self, name) > 0:
                raise UserError(f"config.path.{name}={getattr(self, name)!r} must be positive")

    def build(self) -> Path:
        s, eps = self.s, self.eps
        if not s:
            raise UserError("config.path.s is empty; give at least one value, 0 for the target")
        if not eps:
            if not self.eps_target > 0:
                raise UserError(
                    "config.path.eps is empty and config.path.eps_target is not positive; set one "
                    "of them"
                )
            if s[0] > self.eps_target > s[-1]:
                s = tuple(sorted({*s, self.eps_target}, reverse=True))
            eps = tuple(max(value, self.eps_target) for value in s)
        elif len(s) == 1:
            s = s * len(eps)
        if len(s) != len(eps):
            raise UserError(
                f"config.path.s has {len(s)} values and config.path.eps {len(eps)}; "
                "give as many, or one s for all"
            )
        places = tuple(map(Lam, s, eps))
        for old, new in itertools.pairwise(places):
            if old == new:
                raise UserError(
                    f"config.path visits (s={old.s:g}, eps={old.eps:g}) twice in a row; remove one"
                )
        return Path(places, self.adaptive)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a stage is trained.

    Attributes:
      steps: the limit per stage.
      functions: input functions per step, drawn without replacement within an epoch; ignored
        without an input function.
      points: collocation points per step, shared by the functions.
      tests: the number of test functions along each axis: the residual is then taken in its weak
        form (`hop.homotopy.terms.weak`), at points of its own. () takes it at every point.
      accumulate: gradient accumulation: a step's micro-batches, one after the other, which is the
        same step in less memory. They are parts of its points; or of its functions, where the loss
        weighs a function's points together (`strategy.slow`, `strategy.pin`). What they share is
        evaluated for each: a branch, or a trunk, and the soft conditions.
      sampler: "stratified", "uniform" or "grid"; on an interval also "adaptive", denser where the
        last stage's network is steep; or "by_residual" (`hop.samplers`).
      patience: early stopping: windows of `dispatch` steps without a fall of the loss that end a
        stage; a solver that anneals then does so (`hop.training.records.Criterion`).
      min_fall: the relative fall of the loss that counts.
      goal: a loss low enough to end a stage.
      precision: "float32" or "float64", of parameters and arithmetic. TPUs emulate float64, slowly.
      compute: "float32"; or "bfloat16", which rounds the factors of a step's matrix products, for
        the speed of tensor cores and TPUs: their sums, and all else, stay float32. CPUs ignore it.
      dispatch: steps per call of the compiled program, and the window of the stage-end criterion.
      save_seconds: a rolling checkpoint is saved at the end of the first window that is so long
        after the last checkpoint; 0 for every window. It changes no result.
      validation: functions whose error against the reference is measured at each stage's end.
      track: "wandb" or "mlflow" hears the losses and errors too (`hop.tracking`).
    """

    steps: int = 2000
    functions: int = 100
    points: int = 128
    tests: tuple[int, ...] = ()
    accumulate: int = 1
    sampler: str = "stratified"
    patience: int = 10
    min_fall: float = 0.02
    goal: float = 0.0
    precision: str = "float32"
    compute: str = "float32"
    dispatch: int = 50
    save_seconds: float = 30.0
    validation: int = 100
    track: str = ""

    def __post_init__(self):
        counts = (
            "steps",
            "functions",
            "points",
            "accumulate",
            "patience",
            "dispatch",
            "validation",
        )
        check_range("config.train", "be at least 1", **{k: getattr(self, k) for k in counts})
        check_range("config.train", "lie in [0, 1)", min_fall=self.min_fall)
        check_range("config.train", "not be negative", goal=self.goal)
        check_range("config.train", "not be negative", save_seconds=self.save_seconds)
        check_choice("config.train.sampler", self.sampler, modules(_SAMPLERS))
        check_choice("config.train.precision", self.precision, ("float32", "float64"))
        check_choice("config.train.compute", self.compute, _PRODUCTS)
        check_choice("config.train.track", self.track, ("", *TRACKERS))
        if self.compute != "float32" and self.precision != "float32":
            raise UserError(
                f"config.train.compute={self.compute!r} and config.train.precision="
                f"{self.precision!r} contradict each other; leave one of them at 'float32'"
            )

    def points_from(self) -> Any:
        """The sampler that the config names."""
        return _exported(_SAMPLERS, self.sampler)()


@dataclasses.dataclass(frozen=True)
class AnsatzConfig:
    """How a network stands in a problem (`hop.ansatz.Ansatz`).

    Attributes:
      harmonics: of every periodic coordinate that the network sees in its place.
      eps: (low, high) makes ε an input of the network, one operator for many ε: a stage at `eps` of
        the path is then trained on every ε from there up to `high`. `low` only scales: take the
        path's last. () for one ε a stage.
      windows: how many of equal length the time is cut into. The network learns one, and is applied
        window after window (`hop.windows`), where the problem says that it can start anew.
    """

    harmonics: int = 4
    eps: tuple[float, ...] = ()
    windows: int = 1

    def __post_init__(self):
        check_range("config.ansatz", "be at least 1", harmonics=self.harmonics)
        check_range("config.ansatz", "be at least 1", windows=self.windows)


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """The device mesh: functions × points × model; −1 takes the devices that the others leave.

    Attributes:
      function: the input functions of a step are split over it; where there are none, the points
        are split over these devices too.
      point: the collocation points are.
      model: parameters and the solver's state are, for networks too wide for one device.
    """

    function: int = -1
    point: int = 1
    model: int = 1

    def layout(self, functions: bool = True) -> Layout:
        """The mesh of this job's devices, for a problem with or without input functions.

        Raises:
          UserError: as in `hop.sharding.Layout.create`.
        """
        function, point = self.function, self.point
        if not functions:
            function, point = 1, -1 if -1 in (function, point) else function * point
        return Layout.create(function, point, model=self.model)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where input functions come from.

    Attributes:
      fresh: every step draws new functions from their law, instead of some of the dataset's
        training split.
      modes: every step takes the K modes √λ_j e_j of the law of the one input, in place of draws.
        For a network that is linear in its input (`network.linear`) the loss is then its mean over
        the law. `train.functions` is K or more; those beyond K are zero.
      samples: the inputs that take functions of one's own, {"u0": "mine"}, by the name that
        `hop data import` gave them. Training adds to it what they are, "mine@3f29c07d51ab".
      data_dir: the datasets' folder; empty for TensorFlow Datasets' own (~/tensorflow_datasets).
      resident_mib: training functions up to this size stay on every device; of larger sets, each
        device is fed its share of a dispatch from its own host.
    """

    fresh: bool = False
    modes: bool = False
    samples: Options = dataclasses.field(default_factory=dict)
    data_dir: str = ""
    resident_mib: int = 512

    def __post_init__(self):
        for name, value in self.samples.items():
            if not isinstance(value, str):
                raise UserError(f"config.data.samples.{name}={value!r} must be the name of samples")
        given = {name: value for name, value in self.samples.items() if value}
        object.__setattr__(self, "samples", given)


@dataclasses.dataclass(frozen=True)
class LabelsConfig:
    """Solutions that are known (`hop.labels`).

    Attributes:
      file: an `.npz` file of them; empty for none, or those given in Python.
      weight: of their term in the loss.
      digest: of their content; training fills it in, and refuses others than it names.
    """

    file: str = ""
    weight: float = 1.0
    digest: str = ""

    def __post_init__(self):
        check_range("config.labels", "be positive", weight=self.weight)


@dataclasses.dataclass(frozen=True)
class Config:
    """One experiment. The groups that are `Options` are a name and that class's options."""

    problem: Options
    network: Options
    strategy: Options
    solver: Options
    path: PathConfig
    train: TrainConfig
    mesh: MeshConfig
    data: DataConfig
    ansatz: AnsatzConfig = AnsatzConfig()
    labels: LabelsConfig = LabelsConfig()
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.seed < 2**31:
            raise UserError(f"config.seed={self.seed} must lie in [0, 2^31)")

    def precision(self) -> AbstractContextManager:
        """The context in which arrays get the config's float type by default."""
        return ambient.numerics(self.train.precision)

    def products(self) -> AbstractContextManager:
        """The context in which the matrix products of a step round as the config says.

        XLA has no such products for vectors on CPUs, where they would save nothing either.
        """
        on_cpu = jax.default_backend() == "cpu"
        return jax.default_matmul_precision("highest" if on_cpu else _PRODUCTS[self.train.compute])


def experiment(
    *, network: str, problem: str = "", strategy: str = "homotopy_loss", solver: str = "first_order"
) -> Any:
    """A ConfigDict with every field of the schema at its default, for a config file to fill in.

    A group that is given the name "" is for an object of the caller's (`build`, `hop.train`).
    """
    from ml_collections import config_dict

    named = {"problem": problem, "network": network, "strategy": strategy, "solver": solver}
    fields = {kind: _options(kind, name) if name else {} for kind, name in named.items()}
    groups = {
        "ansatz": AnsatzConfig,
        "path": PathConfig,
        "train": TrainConfig,
        "mesh": MeshConfig,
        "data": DataConfig,
        "labels": LabelsConfig,
    }
    fields |= {name: dataclasses.asdict(group()) for name, group in groups.items()}
    return config_dict.ConfigDict(fields | {"seed": 0})


def parse(values: Mapping[str, Any]) -> Config:
    """A Config from plain nested values, every key and type checked.

    A field that has a default may be missing: the values of an older version lack what came later;
    and what they hold of fields that are no more is passed over.

    Raises:
      UserError: an unknown or missing key, or a value of the wrong type.
    """
    return _parse(Config, _renewed(values), "config")


def _renewed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of an older version, where the network and not the ansatz had the harmonics."""
    network = values.get("network") if isinstance(values, Mapping) else None
    if not isinstance(network, Mapping) or "harmonics" not in network:
        return values
    ansatz = {"harmonics": network["harmonics"]} if network["harmonics"] else {}
    network = {key: value for key, value in network.items() if key != "harmonics"}
    return {**values, "network": network, "ansatz": {**values.get("ansatz", {}), **ansatz}}


def to_json(config: Config) -> dict[str, Any]:
    """The config as plain nested values; `parse` reads them back."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def stored(values: Mapping[str, Any]) -> Config:
    """The config that lies beside a checkpoint, without the folders and files that it names.

    It may be a stranger's, or of another machine: what it names is neither read nor written.

    Raises:
      UserError: as in `parse`.
    """
    config = parse(values)
    data = dataclasses.replace(config.data, data_dir="")
    labels = dataclasses.replace(config.labels, file="")
    return dataclasses.replace(config, data=data, labels=labels)


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a workdir is held to: values, or defaults, of the fields that say what is trained."""
    found = to_json(parse(values))
    for group, names in _WHERE.items():
        for name in names or list(found[group]):
            del found[group][name]
    if not found["labels"]["digest"]:
        found["labels"] = "none"
    for kind in KINDS:
        if "name" not in found[kind]:
            continue  # an object of the caller's
        found[kind] = json.loads(json.dumps(_options(kind, found[kind]["name"]))) | found[kind]
    return found


def with_data_dir(config: Config, data_dir: str) -> Config:
    """The config with another folder of datasets, if one is given."""
    if not data_dir:
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, data_dir=data_dir))


def check_alike(one: Config, other: Config, message: str) -> None:
    """Refuses two configs that are not of one operator: problem, its samples, network, ansatz,
    precision.

    Args:
      one, other: the configs.
      message: what to say, with "{what}" for what differs and "{one}" and "{other}" for how.
    """
    for what, mine, theirs in (
        ("problem", one.problem, other.problem),
        ("set of samples", one.data.samples, other.data.samples),
        ("network", one.network, other.network),
        ("ansatz", one.ansatz, other.ansatz),
        ("precision", one.train.precision, other.train.precision),
    ):
        if mine != theirs:
            raise UserError(message.format(what=what, one=mine, other=theirs))


def find(kind: str, name: str) -> type:
    """The class that the module `name` of a kind's package exports.

    Raises:
      UserError: there is no such module. Names never reach outside the package.
    """
    check_choice(f"config.{kind}.name", name, modules(KINDS[kind]))
    return _exported(KINDS[kind], name)


def modules(package: str) -> list[str]:
    """The names that a package's classes are found by."""
    folder = importlib.import_module(package)
    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__))


def _exported(package: str, name: str) -> type:
    module = importlib.import_module(f"{package}.{name}")
    (exported,) = module.__all__
    return getattr(module, exported)


def options_for(kind: str, options: Options) -> dict[str, Any]:
    """The options that the named class knows, its defaults for the rest: after a change of name."""
    known = _options(kind, options["name"])
    return known | {key: value for key, value in options.items() if key in known}


def _options(kind: str, name: str) -> dict[str, Any]:
    return {"name": name} | dataclasses.asdict(find(kind, name)())


def make(kind: str, options: Options) -> Any:
    """The object that a group of a config names, with its options.

    Raises:
      UserError: no name, no such module, or options that it does not take.
    """
    if not isinstance(options.get("name"), str):
        own = f"give an object of your own in Python, hop.train(…, {kind}=…)"
        if kind == "problem":
            own = "your own with --problem=FILE.py (in Python problem=)"
        raise UserError(f"config.{kind}.name is missing; name a module of {KINDS[kind]}, or {own}")
    rest = {key: value for key, value in options.items() if key != "name"}
    return with_options(find(kind, options["name"]), kind, rest)


def with_options(cls: type, kind: str, options: Options) -> Any:
    """An object of a class of one's own, with the options of a group of the config.

    Raises:
      UserError: options that it does not take, or a class that is no dataclass.
    """
    if not dataclasses.is_dataclass(cls):
        raise UserError(f"{cls.__name__} is no dataclass; put @dataclasses.dataclass(frozen=True)")
    return _parse(cls, options, f"config.{kind}", partial=True)


def defaults(cls: type) -> dict[str, Any]:
    """The options of a class of one's own, at their defaults."""
    return dataclasses.asdict(with_options(cls, "problem", {}))


def _parse(cls: type, values: Mapping[str, Any], where: str, partial: bool = False) -> Any:
    if not isinstance(values, Mapping):
        raise UserError(f"{where} must be a group of fields, not {values!r}")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    values = {key: v for key, v in values.items() if f"{where}.{key}" not in _RETIRED}
    for key in values:
        if key not in names:
            raise UserError(f"{where}.{key} is not a field{suggestion(str(key), names)}")
    optional = {
        field.name
        for field in dataclasses.fields(cls)
        if (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
    }
    for name in names:
        if name not in values and name not in optional and not partial:
            raise UserError(f"{where}.{name} is missing; give it a value")
    return cls(**{k: _coerce(hints[k], v, f"{where}.{k}") for k, v in values.items()})


def _coerce(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _parse(hint, value, where)
    if hint is Options or (origin is not None and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise UserError(f"{where} must be a group of fields, not {value!r}")
        return {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    if origin is tuple:
        (item, _) = typing.get_args(hint)
        if not isinstance(value, tuple | list):
            raise UserError(f"{where}={value!r} must be a tuple of {item.__name__}")
        return tuple(_coerce(item, v, where) for v in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        raise UserError(f"{where}={value!r} must be of type {hint.__name__}")
    return value
