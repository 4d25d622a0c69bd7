"""TIR kernels, one operator a file; each builder returns a `Kernel` over flat buffers.

Tensors are time-major: (sample, channel), channel fastest. Arithmetic of int8 kernels is what an
integer reading of the QDQ graph gives: exact int32 sums, one float32 multiplication, round half to
even, add the zero point, saturate.
"""

from ecgexp.deploy.kernels.kernel import Isa, Kernel, QParams

__all__ = ["Isa", "Kernel", "QParams"]
