"""Functions of one float32 tensor."""

from __future__ import annotations

from typing import Any, Literal, get_args

from ecgexp.deploy.kernels.ir import Parameter, T, f32, prim_func, store
from ecgexp.deploy.kernels.kernel import Isa, Kernel, check_isa
from ecgexp.errors import BuildError

Op = Literal[
    "relu",
    "clip",
    "sigmoid",
    "hard_sigmoid",
    "silu",
    "hard_swish",
    "tanh",
    "leaky_relu",
    "elu",
    "gelu",
    "exp",
    "sqrt",
]


def build(*, isa: Isa, n: int, op: Op, alpha: float = 0.0, beta: float = 0.0) -> Kernel:
    """Build out = op(data) over n elements.

    Args:
        isa: Instruction set to write for.
        n: Elements.
        op: The function.
        alpha: `clip`: lower end; `hard_sigmoid`: slope; `leaky_relu`: slope below zero;
            `elu`: scale below zero.
        beta: `clip`: upper end; `hard_sigmoid`: offset.

    Raises:
        BuildError: `op` is unknown.
    """
    check_isa(isa)
    if op not in get_args(Op):
        raise BuildError(f"unary operator {op!r} is not one of {', '.join(get_args(Op))}")

    def body(data: Any, out: Any) -> None:
        with T.serial(n) as i:
            store(out, i, apply(op, data[i], alpha, beta))

    name = f"{op}_float32_n{n}"
    parameters = [Parameter("data", n, "float32"), Parameter("out", n, "float32")]
    return Kernel(name, prim_func(name, parameters, body), (), 0, in_place=True)


def apply(op: Op, x: Any, alpha: float, beta: float) -> Any:
    """Return the expression op(x)."""
    zero, one = f32(0.0), f32(1.0)
    sigmoid = one / (one + _libm("expf", zero - x))
    functions = {
        "relu": lambda: T.max(x, zero),
        "clip": lambda: T.min(T.max(x, f32(alpha)), f32(beta)),
        "sigmoid": lambda: sigmoid,
        "hard_sigmoid": lambda: _unit(x * f32(alpha) + f32(beta)),
        "silu": lambda: x * sigmoid,
        "hard_swish": lambda: x * _unit(x * f32(1.0 / 6.0) + f32(0.5)),
        "tanh": lambda: _libm("tanhf", x),
        "leaky_relu": lambda: T.Select(x >= zero, x, x * f32(alpha)),
        "elu": lambda: T.Select(x >= zero, x, f32(alpha) * (_libm("expf", x) - one)),
        "gelu": lambda: x * f32(0.5) * (one + _libm("erff", x * f32(0.5**0.5))),
        "exp": lambda: _libm("expf", x),
        "sqrt": lambda: _libm("sqrtf", x),
    }
    return functions[op]()


def _unit(value: Any) -> Any:
    return T.min(T.max(value, f32(0.0)), f32(1.0))


def _libm(function: str, value: Any) -> Any:
    return T.call_pure_extern("float32", function, value)
