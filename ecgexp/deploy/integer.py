"""Rewrite an imported network into calls of integer kernels, and of float32 ones where it is float.

Every result of the network becomes a value (see `value`) that is computed as late as possible.
A dequantize-operator-bias-activation-quantize run collapses into one integer kernel; a scalar
function between two quantizations into one table of 256 entries. A float network takes the same
walk and ends in float32 kernels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgexp.deploy.graph import Network, Op, Ref, element_count
from ecgexp.deploy.kernels import Isa, QParams
from ecgexp.deploy.kernels.weights import BYTES, Storage
from ecgexp.deploy.program import Buffer, Program, Step
from ecgexp.deploy.rewrite.deferred import Deferred
from ecgexp.deploy.rewrite.fuse import fuse_max_pools
from ecgexp.deploy.rewrite.materialise import Materialiser
from ecgexp.deploy.rewrite.pointwise import Softmax
from ecgexp.deploy.rewrite.rules import RULES
from ecgexp.deploy.rewrite.value import Padded, Real, Table
from ecgexp.deploy.rewrite.walk import Value, Walk
from ecgexp.errors import BuildError


def rewrite(
    network: Network,
    *,
    isa: Isa,
    allow_float_ops: int,
    storage: Storage = BYTES,
) -> Program:
    """Choose a kernel for every operator of a network.

    Args:
        network: The imported network.
        isa: Instruction set of the kernels.
        allow_float_ops: How many operators of an int8 network may run in float32, apart from a
            final softmax and the borders.
        storage: How weights may lie in flash.

    Raises:
        BuildError: An operator has no kernel, or too many of them would run in float32.
    """
    materialiser = Materialiser(isa=isa, storage=storage)
    buffer = materialiser.output(element_count(network.input_shape), "float32")
    order = np.arange(buffer.elements).reshape(network.input_shape)
    walk = Walk(network=network, materialiser=materialiser, input=buffer)
    values: dict[str, Any] = {network.input_name: Real(buffer=buffer, order=order)}
    for op in network.ops:
        rule = RULES.get(op.kind)
        if rule is None:
            raise op.fail(f"it has no kernel; supported: {', '.join(sorted(RULES))}")
        operands = [values[o.name] if isinstance(o, Ref) else o for o in op.inputs]
        values[op.name] = rule(walk, op, *operands)
    program = _finish(walk, values[network.output.name])
    if len(program.float_ops) > allow_float_ops:
        raise BuildError(
            f"{len(program.float_ops)} operators of the int8 network would run in float32: "
            f"{', '.join(program.float_ops)}; quantize them too, or set "
            f"deploy.allow_float_ops={len(program.float_ops)} (now {allow_float_ops})"
        )
    return program


def _finish(walk: Walk, value: Value) -> Program:
    """Bring the output into memory in class order and drop what it does not need."""
    last = walk.network.ops[-1] if walk.network.ops else None
    if last is None:
        raise BuildError("the network has no operator")
    is_probability = isinstance(value, Deferred) and isinstance(value, Softmax)
    output, qparams = _output(walk, last, value)
    builder = walk.materialiser.program
    steps = fuse_max_pools(builder.needed(output), output, builder)
    reads = {buffer.index for step in steps for buffer in step.inputs}
    source, input_qparams = walk.input, None
    if walk.border is not None and walk.input.index not in reads:
        source, input_qparams = walk.border, walk.border_qparams
    elif walk.border is not None and walk.border.index in reads:
        raise last.fail("the network's input is read both quantized and as float32")
    if not steps or output.index == source.index:
        raise BuildError("the network computes nothing on the device")
    quantized = any(op.kind == "quantize" for op in walk.network.ops)
    return Program(
        input=source,
        output=output,
        steps=steps,
        input_qparams=input_qparams,
        output_qparams=qparams,
        output_is_probability=is_probability or _ends_in_softmax(steps),
        float_ops=_float_ops(steps) if quantized else (),
        quantized=quantized,
    )


def _output(walk: Walk, op: Op, value: Value) -> tuple[Buffer, QParams | None]:
    held = walk.unpadded(op, walk.settled(value))
    qparams: QParams | None = None
    if isinstance(held, Table) and held.codes is not None:
        held = walk.materialiser.table(op, held)
        qparams = held.qparams
    elif isinstance(held, Table | Padded):
        raise op.fail("the network ends in a function of quantized numbers; quantize its output")
    else:
        held = walk.materialiser.real(op, held)
    natural = np.arange(held.order.size).reshape(held.shape)
    return walk.materialiser.arrange(op, held, natural), qparams


_BORDER = ("dequantize_", "quantize_", "softmax_")


def _is_border(step: Step) -> bool:
    return step.kernel.name.startswith(_BORDER)


def _ends_in_softmax(steps: tuple[Step, ...]) -> bool:
    tail = [step.kernel.name for step in steps[-2:]]
    return any(name.startswith("softmax_") for name in tail)


def _float_ops(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Name the steps that compute with float32 numbers, a final softmax apart."""
    floating = [
        step
        for step in steps
        if "float32" in {buffer.dtype for buffer in (*step.inputs, step.output)}
    ]
    named = [f"{step.origin} ({step.kernel.name})" for step in floating if not _is_border(step)]
    if len(floating) > 0 and not _ends_in_softmax(steps):
        named += [s.origin for s in floating if s.kernel.name.startswith("softmax_")]
    return tuple(named)
