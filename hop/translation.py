"""A traced JAX program as an ONNX graph.

An ONNX operator is written for each primitive of the jaxpr; programs within it are written in line,
and what depends on constants alone is computed here. Sizes may be symbols, as "points": such a size
is read from the input that has it. A broadcast is not written where it is made, since the operators
of ONNX broadcast as NumPy does: a value is kept with size 1 along the broadcast axes (its `stored`
shape) and is expanded only for an operator that needs it whole.
"""

import dataclasses
import string
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from hop.errors import UserError

OPSET = 18  # reductions take their axes as inputs; runtimes since the end of 2022 know it
IR = 8  # the file format of that time

_CALLED = {"scan": "a loop", "while": "a loop", "cond": "a branch", "fft": "a Fourier transform"}
_ONE = {  # primitives of one argument, and of two, that ONNX has
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "asin": "Asin", "asinh": "Asinh",
    "atan": "Atan", "atanh": "Atanh", "ceil": "Ceil", "copy": "Identity", "copy_p": "Identity",
    "cos": "Cos", "cosh": "Cosh", "erf": "Erf", "exp": "Exp", "floor": "Floor", "log": "Log",
    "logistic": "Sigmoid", "neg": "Neg", "not": "Not", "sign": "Sign", "sin": "Sin",
    "sinh": "Sinh", "sqrt": "Sqrt", "stop_gradient": "Identity", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip
_TWO = {
    "add": "Add", "add_any": "Add", "and": "And", "div": "Div", "eq": "Equal",
    "ge": "GreaterOrEqual", "gt": "Greater", "le": "LessOrEqual", "lt": "Less", "max": "Max",
    "min": "Min", "mul": "Mul", "or": "Or", "pow": "Pow", "sub": "Sub",
}  # fmt: skip
_REDUCE = {"max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd", "sum": "ReduceSum"}
_REDUCE = {f"reduce_{name}": operator for name, operator in _REDUCE.items()}
_END = np.iinfo(np.int64).max
_NUMBER = (int, np.integer)  # and no symbol

Shape = tuple[Any, ...]  # of numbers and symbols


@dataclasses.dataclass(frozen=True)
class Value:
    """An array of the program.

    Attributes:
      shape: its shape in JAX.
      stored: its shape in the graph, with 1 along the axes of a broadcast that is yet to be made.
      dtype: its type.
      name: its name in the graph; "" until a constant gets one.
      array: a constant's array, of the stored shape.
    """

    shape: Shape
    stored: Shape
    dtype: np.dtype
    name: str = ""
    array: np.ndarray | None = None


def translate(program: ClosedJaxpr, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """The `onnx.ModelProto` of a program, with names for its inputs and outputs.

    Raises:
      UserError: a primitive that is not among those written here.
    """
    import onnx

    graph = _Graph(onnx)
    values = []
    for name, var in zip(inputs, program.jaxpr.invars, strict=True):
        aval: Any = var.aval
        values.append(Value(aval.shape, aval.shape, np.dtype(aval.dtype), name))
        for axis, size in enumerate(aval.shape):
            if not isinstance(size, _NUMBER):
                graph.sizes.setdefault(str(size), (name, axis))
    found = graph.run(program.jaxpr, program.consts, values)
    for name, value in zip(outputs, found, strict=True):
        graph.node("Identity", [graph.whole(value)], output=name)

    def info(name: str, var: Any) -> Any:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(var.aval.dtype))
        shape: list[Any] = [n if isinstance(n, _NUMBER) else str(n) for n in var.aval.shape]
        return onnx.helper.make_tensor_value_info(name, kind, shape)

    made = onnx.helper.make_graph(
        graph.nodes,
        "operator",
        [info(name, var) for name, var in zip(inputs, program.jaxpr.invars, strict=True)],
        [info(name, var) for name, var in zip(outputs, program.jaxpr.outvars, strict=True)],
        graph.constants,
    )
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", OPSET)])
    model.ir_version, model.producer_name = IR, "hop"
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants as they are written."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.sizes: dict[str, tuple[str, int]] = {}  # the input and axis that have a symbol's size
        self._kept: dict[Any, str] = {}  # names of constants and sizes, by what they hold

    def run(self, jaxpr: Jaxpr, consts: Sequence[Any], inputs: Sequence[Value]) -> list[Value]:
        """Writes a program; its outputs."""
        env: dict[Any, Value] = dict(zip(jaxpr.invars, inputs, strict=True))
        env |= zip(jaxpr.constvars, map(_constant, consts), strict=True)

        def read(var: Any) -> Value:
            return _constant(var.val) if isinstance(var, Literal) else env[var]

        for eqn in jaxpr.eqns:
            made = self._equation(eqn, [read(var) for var in eqn.invars])
            env |= zip(eqn.outvars, made, strict=True)
        return [read(var) for var in jaxpr.outvars]

    def _equation(self, eqn: Any, args: list[Value]) -> list[Value]:
        name, params = eqn.primitive.name, eqn.params
        if isinstance(inner := params.get("jaxpr", params.get("call_jaxpr")), ClosedJaxpr):
            if name in (
                "jit",
                "pjit",
                "closed_call",
                "custom_jvp_call",
                "custom_vjp_call",
                "remat",
            ):
                return self.run(inner.jaxpr, inner.consts, args)
        elif name in ("remat", "checkpoint") and isinstance(inner, Jaxpr):
            return self.run(inner, (), args)
        lazy = name in (
            "broadcast_in_dim",
            "reshape",
            "squeeze",
            "expand_dims",
            "transpose",
            "iota",
        )
        if args and not lazy and all(v.array is not None and _fixed(v) for v in args):
            return self._computed(eqn, args)
        rule: Callable[..., Any] | None = getattr(self, f"_{name}", None)
        shape, dtype = eqn.outvars[0].aval.shape, np.dtype(eqn.outvars[0].aval.dtype)
        if name in _ONE:
            made = self.node(_ONE[name], [self.named(args[0])])
            return [Value(shape, args[0].stored, dtype, made)]
        if name in _TWO:
            return [self._elementwise(_TWO[name], args, shape, dtype)]
        if name in _REDUCE:
            return [self._reduced(_REDUCE[name], args[0], params["axes"], shape)]
        if rule is None:
            raise UserError(
                f"the program has {_CALLED.get(name, 'a step')} (primitive {name!r}), which is "
                "not translated to ONNX; end --output in .stablehlo for a program that runs with "
                "jax"
            )
        made = rule(args, shape, dtype, **params)
        return made if isinstance(made, list) else [made]

    def _computed(self, eqn: Any, args: list[Value]) -> list[Value]:
        """What depends on constants alone."""
        whole = [np.broadcast_to(v.array, v.shape) for v in args]  # type: ignore[arg-type]
        with jax.ensure_compile_time_eval():
            made = eqn.primitive.bind(*map(jax.numpy.asarray, whole), **eqn.params)
        return [_constant(each) for each in (made if eqn.primitive.multiple_results else [made])]

    # The graph's own words.

    def node(
        self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any
    ) -> str:
        """Writes an operator of one output, and names that. The same is not written twice."""
        key = operator, *inputs, *sorted((k, str(v)) for k, v in attributes.items())
        if not output and key in self._kept:
            return self._kept[key]
        self._kept[key] = output = output or f"{operator.lower()}.{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, array: Any) -> str:
        """The name of a constant; equal ones share it."""
        array = np.ascontiguousarray(array)
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._kept:
            self._kept[key] = f"constant.{len(self.constants)}"
            tensor = self.onnx.numpy_helper.from_array(array, self._kept[key])
            self.constants.append(tensor)
        return self._kept[key]

    def integers(self, *numbers: Any) -> str:
        return self.constant(np.array(numbers, np.int64).reshape(-1))

    def named(self, value: Value) -> str:
        """The name of a value as it is stored."""
        return value.name if value.array is None else self.constant(value.array)

    def whole(self, value: Value) -> str:
        """The name of a value of its full shape."""
        if value.stored == value.shape:
            return self.named(value)
        if value.array is not None and all(isinstance(n, _NUMBER) for n in value.shape):
            return self.constant(np.broadcast_to(value.array, value.shape))
        # Of an axis that is there already, Expand is told 1.
        pairs = zip(value.shape, value.stored, strict=True)
        target = self.shape(tuple(1 if full == have else full for full, have in pairs))
        return self.node("Expand", [self.named(value), target])

    def shape(self, sizes: Shape) -> str:
        """The name of a shape, as an array."""
        if all(isinstance(n, _NUMBER) for n in sizes):
            return self.integers(*sizes)
        parts = [self.integers(n) if isinstance(n, _NUMBER) else self._size(n) for n in sizes]
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=0)

    def _size(self, symbol: Any) -> str:
        """The name of a symbol's size."""
        key = str(symbol)
        if key not in self.sizes:
            raise UserError(
                f"the program makes an array of size {key}, which is not translated to ONNX; "
                "end --output in .stablehlo for a program that runs with jax"
            )
        if key not in self._kept:
            name, axis = self.sizes[key]
            shape = self.node("Shape", [name])
            self._kept[key] = self.node("Gather", [shape, self.integers(axis)])
        return self._kept[key]

    def _reshaped(self, value: Value, stored: Shape, shape: Shape) -> Value:
        """A value in another stored shape of as many numbers."""
        if value.array is not None:
            return dataclasses.replace(
                value, shape=shape, stored=stored, array=value.array.reshape(stored)
            )
        if stored == value.stored:
            return dataclasses.replace(value, shape=shape)
        symbols = [n for n in stored if not isinstance(n, _NUMBER)]
        if len(symbols) == 1:  # the one that is left
            target = self.integers(*(n if isinstance(n, _NUMBER) else -1 for n in stored))
        else:
            target = self.shape(stored)
        made = self.node("Reshape", [self.named(value), target])
        return Value(shape, stored, value.dtype, made)

    # Primitives, by their names.

    def _elementwise(
        self, operator: str, args: Sequence[Value], shape: Shape, dtype: np.dtype
    ) -> Value:
        made = self.node(operator, [self.named(v) for v in args])
        return Value(shape, _joined([v.stored for v in args], shape), dtype, made)

    def _reduced(self, operator: str, value: Value, axes: Any, shape: Shape) -> Value:
        # A broadcast axis is as good as its one number, but for sums and products.
        repeats = operator in ("ReduceSum", "ReduceProd")
        here = any(value.stored[i] != value.shape[i] for i in axes) and repeats
        name, stored = (
            (self.whole(value), value.shape) if here else (self.named(value), value.stored)
        )
        made = self.node(operator, [name, self.integers(*axes)], keepdims=0)
        left = tuple(n for i, n in enumerate(stored) if i not in axes)
        return Value(shape, left, value.dtype, made)

    def _broadcast_in_dim(
        self,
        args: list[Value],
        shape: Shape,
        dtype: np.dtype,
        /,
        broadcast_dimensions: Any,
        **_: Any,
    ) -> Value:
        value = args[0]
        stored = [1] * len(shape)
        for axis, at in enumerate(broadcast_dimensions):
            stored[at] = value.stored[axis]
        return self._reshaped(value, tuple(stored), shape)

    def _reshape(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        value = args[0]
        if value.stored != value.shape:
            if (stored := _without_ones(value, shape)) is not None:
                return self._reshaped(value, stored, shape)
            value = self._as_whole(value)
        return self._reshaped(value, shape, shape)

    _expand_dims = _reshape

    def _as_whole(self, value: Value) -> Value:
        if value.array is not None and all(isinstance(n, _NUMBER) for n in value.shape):
            array = np.broadcast_to(value.array, value.shape)
            return dataclasses.replace(value, stored=value.shape, array=array)
        return Value(value.shape, value.shape, value.dtype, self.whole(value))

    def _squeeze(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, dimensions: Any, **_: Any
    ) -> Value:
        kept = [n for i, n in enumerate(args[0].stored) if i not in dimensions]
        return self._reshaped(args[0], tuple(kept), shape)

    def _transpose(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, permutation: Any, **_: Any
    ) -> Value:
        value, order = args[0], [int(i) for i in permutation]
        stored = tuple(value.stored[i] for i in order)
        if value.array is not None:
            return Value(shape, stored, dtype, array=value.array.transpose(order))
        long = [i for i in order if value.stored[i] != 1]
        if long == sorted(long):  # nothing moves
            return self._reshaped(value, stored, shape)
        return Value(shape, stored, dtype, self.node("Transpose", [value.name], perm=order))

    def _integer_pow(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, y: int, **_: Any
    ) -> Value:
        value = args[0]
        if y == 2:
            return self._elementwise("Mul", [value, value], shape, dtype)
        return self._elementwise("Pow", [value, _constant(np.array(y, dtype))], shape, dtype)

    def _square(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        return self._elementwise("Mul", [args[0], args[0]], shape, dtype)

    def _rsqrt(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        root = self.node("Sqrt", [self.named(args[0])])
        return Value(shape, args[0].stored, dtype, self.node("Reciprocal", [root]))

    def _expm1(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        """2 e^(x/2) sinh(x/2), since e^x − 1 rounds."""
        half = self._elementwise("Mul", [args[0], _constant(np.array(0.5, dtype))], shape, dtype)
        grown = self.node("Exp", [self.named(half)])
        odd = self.node("Sinh", [self.named(half)])
        made = self.node("Mul", [self.node("Mul", [grown, odd]), self.constant(np.array(2, dtype))])
        return Value(shape, args[0].stored, dtype, made)

    def _log1p(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        """2 artanh(x/(2 + x)), since 1 + x rounds."""
        two, name = self.constant(np.array(2, dtype)), self.named(args[0])
        share = self.node("Div", [name, self.node("Add", [name, two])])
        made = self.node("Mul", [self.node("Atanh", [share]), two])
        return Value(shape, args[0].stored, dtype, made)

    def _select_n(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        which, no, yes = args
        return self._elementwise("Where", [which, yes, no], shape, dtype)

    def _clamp(self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any) -> Value:
        low, value, high = args
        return self._elementwise(
            "Min", [self._elementwise("Max", [low, value], shape, dtype), high], shape, dtype
        )

    def _convert_element_type(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, **_: Any
    ) -> Value:
        if dtype == args[0].dtype:
            return args[0]
        to = self.onnx.helper.np_dtype_to_tensor_dtype(dtype)
        made = self.node("Cast", [self.named(args[0])], to=to)
        return Value(shape, args[0].stored, dtype, made)

    def _concatenate(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, dimension: int, **_: Any
    ) -> Value:
        """Broadcasts stay unmade along the axes where all parts have them."""
        stored = [
            1 if i != dimension and all(v.stored[i] == 1 for v in args) else n
            for i, n in enumerate(shape)
        ]
        parts = []
        for value in args:
            full = tuple(value.shape[i] if i == dimension else n for i, n in enumerate(stored))
            parts.append(self.whole(dataclasses.replace(value, shape=full)))
        return Value(shape, tuple(stored), dtype, self.node("Concat", parts, axis=dimension))

    def _stack(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, axis: int, **_: Any
    ) -> Value:
        parts = []
        for value in args:
            stored, full = ([*s[:axis], 1, *s[axis:]] for s in (value.stored, value.shape))
            parts.append(self._reshaped(value, tuple(stored), tuple(full)))
        return self._concatenate(parts, shape, dtype, axis)

    def _slice(
        self,
        args: list[Value],
        shape: Shape,
        dtype: np.dtype,
        /,
        start_indices: Any,
        limit_indices: Any,
        strides: Any,
        **_: Any,
    ) -> Value:
        value, steps = args[0], strides or (1,) * len(shape)
        cut = []
        for axis, (start, stop, step) in enumerate(
            zip(start_indices, limit_indices, steps, strict=True)
        ):
            size = value.shape[axis]
            if (start, stop, step) != (0, size, 1):
                cut.append((axis, start, _END if stop == size else stop, step))
        stored = list(value.stored)
        for axis, *_rest in cut:
            if value.stored[axis] == value.shape[axis]:
                stored[axis] = shape[axis]
        cut = [one for one in cut if value.stored[one[0]] == value.shape[one[0]]]
        if not cut:
            return dataclasses.replace(value, shape=shape)
        axes, starts, stops, by = zip(*cut, strict=True)
        if not all(isinstance(n, _NUMBER) for n in (*starts, *stops)):
            raise UserError(
                f"the program takes a part of an array from {starts} to {stops}, which is not "
                "translated to ONNX; end --output in .stablehlo for a program that runs with jax"
            )
        words = [self.integers(*n) for n in (starts, stops, axes, by)]
        made = self.node("Slice", [self.named(value), *words])
        return Value(shape, tuple(stored), dtype, made)

    def _split(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, sizes: Any, axis: int, **_: Any
    ) -> list[Value]:
        value, found, start = args[0], [], 0
        for size in sizes:
            part = tuple(size if i == axis else n for i, n in enumerate(value.shape))
            begins = [start if i == axis else 0 for i in range(len(part))]
            ends = [start + size if i == axis else n for i, n in enumerate(value.shape)]
            found.append(self._slice([value], part, dtype, begins, ends, None))
            start += size
        return found

    def _rev(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, dimensions: Any, **_: Any
    ) -> Value:
        value, count = args[0], len(dimensions)
        words = ([-1] * count, [-_END] * count, dimensions, [-1] * count)
        made = self.node("Slice", [self.named(value), *(self.integers(*n) for n in words)])
        return Value(shape, value.stored, dtype, made)

    def _iota(self, args: Any, shape: Shape, dtype: np.dtype, /, dimension: int, **_: Any) -> Value:
        """0, 1, … along one axis."""
        size, stored = shape[dimension], [1] * len(shape)
        stored[dimension] = size
        if isinstance(size, _NUMBER):
            counted = Value((size,), (size,), dtype, array=np.arange(size, dtype=dtype))
        else:
            ends = (self.constant(np.array(n)) for n in (0, 1))
            number = self.node("Reshape", [self._size(size), self.integers()])
            start, step = ends
            made = self.node("Range", [start, number, step])
            counted = Value((size,), (size,), np.dtype(np.int64), made)
            counted = self._convert_element_type([counted], (size,), dtype)
        return self._reshaped(counted, tuple(stored), shape)

    def _dim_as_value(self, args: Any, shape: Shape, dtype: np.dtype, /, dim: Any) -> Value:
        """A size as a number."""
        number = self.node("Reshape", [self._size(dim), self.integers()])
        return self._convert_element_type([Value((), (), np.dtype(np.int64), number)], (), dtype)

    def _gather(
        self,
        args: list[Value],
        shape: Shape,
        dtype: np.dtype,
        /,
        dimension_numbers: Any,
        slice_sizes: Any,
        **_: Any,
    ) -> Value:
        """Entries of one axis, at constant places."""
        value, at = args
        where = dimension_numbers
        axes = tuple(map(int, where.start_index_map))
        full = all(n == value.shape[i] or i in axes for i, n in enumerate(slice_sizes))
        if at.array is not None and len(at.shape) == 1 and full:  # one block of the array
            starts = dict(zip(axes, at.array.tolist(), strict=True))
            begins = [starts.get(i, 0) for i in range(len(value.shape))]
            ends = [n if i not in axes else begins[i] + n for i, n in enumerate(slice_sizes)]
            block = self._slice([value], tuple(slice_sizes), dtype, begins, ends, None)
            return self._squeeze([block], shape, dtype, where.collapsed_slice_dims)
        order = [i for i in range(len(shape)) if i not in where.offset_dims]
        usual = (
            at.array is not None
            and len(axes) == 1
            and axes == tuple(map(int, where.collapsed_slice_dims))
            and not where.operand_batching_dims
            and full
            and order == list(range(axes[0], axes[0] + len(order)))
        )
        if not usual:
            raise UserError(
                "the program has a 'gather' of places that it computes, which is not translated "
                "to ONNX; end --output in .stablehlo for a program that runs with jax"
            )
        (axis,), places = axes, np.broadcast_to(at.array, at.shape)[..., 0]  # type: ignore
        if value.stored[axis] != value.shape[axis]:
            value = self._as_whole(value)
        made = self.node("Gather", [self.named(value), self.constant(places)], axis=axis)
        stored = (*value.stored[:axis], *places.shape, *value.stored[axis + 1 :])
        return Value(shape, stored, dtype, made)

    def _dot_general(
        self, args: list[Value], shape: Shape, dtype: np.dtype, /, dimension_numbers: Any, **_: Any
    ) -> Value:
        """A product of matrices where it is one, else a sum over indices."""
        (left, right), batch = dimension_numbers
        a, b = args
        last = len(a.shape) - 1
        if not batch[0] and len(b.shape) == 2 and (tuple(left), tuple(right)) == ((last,), (0,)):
            # Of a broadcast over the other axes, the product is one too.
            ours = dataclasses.replace(a, shape=(*a.stored[:-1], a.shape[-1]))
            made = self.node("MatMul", [self.whole(ours), self.whole(b)])
            stored = (*a.stored[:-1], shape[-1])
            return Value(shape, stored, dtype, made)
        letters = iter(string.ascii_lowercase)
        first = [next(letters) for _ in a.shape]
        second = [next(letters) for _ in b.shape]
        for pairs in (zip(left, right, strict=True), zip(*batch, strict=True)):
            for i, j in pairs:
                second[j] = first[i]
        kept = [first[i] for i in batch[0]]
        kept += [c for i, c in enumerate(first) if i not in (*batch[0], *left)]
        kept += [c for j, c in enumerate(second) if j not in (*batch[1], *right)]
        equation = f"{''.join(first)},{''.join(second)}->{''.join(kept)}"
        made = self.node("Einsum", [self.whole(a), self.whole(b)], equation=equation)
        return Value(shape, shape, dtype, made)


def _constant(value: Any) -> Value:
    array = np.asarray(value)
    return Value(array.shape, array.shape, array.dtype, array=array)


def _fixed(value: Value) -> bool:
    return all(isinstance(n, _NUMBER) for n in value.shape)


def _joined(shapes: Sequence[Shape], shape: Shape) -> Shape:
    """The stored shape of an elementwise result, of the rank of `shape`."""
    padded = [(1,) * (len(shape) - len(s)) + s for s in shapes]
    found = []
    for axis in range(len(shape)):
        sizes = [s[axis] for s in padded if s[axis] != 1]
        found.append(sizes[0] if sizes else 1)
    return tuple(found)


def _without_ones(value: Value, shape: Shape) -> Shape | None:
    """The stored shape after a reshape that only adds or drops axes of size 1; else None."""
    pairs = [(n, have) for n, have in zip(value.shape, value.stored, strict=True) if n != 1]
    if [n for n, _ in pairs] != [n for n in shape if n != 1]:
        return None
    rest = iter(pairs)
    return tuple(1 if n == 1 else next(rest)[1] for n in shape)
