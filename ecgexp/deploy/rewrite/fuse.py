"""Join max poolings with the operators in front of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ecgexp.deploy.program import Buffer, ProgramBuilder, Step


def fuse_max_pools(
    steps: Sequence[Step], output: Buffer, builder: ProgramBuilder
) -> tuple[Step, ...]:
    """Let operators pool their own sums where nothing else reads what lies between.

    Args:
        steps: Kernel calls in order.
        output: The network's output, which is read outside.
        builder: Names the new kernels.
    """
    readers = Counter(buffer.index for step in steps for buffer in step.inputs)
    readers[output.index] += 1
    fused: list[Step] = []
    for step in steps:
        joined = None
        place = next(
            (i for i, s in enumerate(fused) if step.inputs and s.output == step.inputs[0]), None
        )
        if place is not None and readers[fused[place].output.index] == 1:
            joined = _joined(fused[place], step, builder)
        if joined is None or place is None:
            fused.append(step)
        else:
            fused[place] = joined
    return tuple(fused)


def _joined(before: Step, pool: Step, builder: ProgramBuilder) -> Step | None:
    if before.kernel.pooled is None or pool.kernel.maximum is None:
        return None
    kernel = before.kernel.pooled(pool.kernel.maximum)
    if kernel is None:
        return None
    return Step(
        symbol=builder.symbol(kernel),
        kernel=kernel,
        inputs=before.inputs,
        output=pool.output,
        origin=f"{before.origin} + {pool.origin}",
    )
