"""TIR PrimFuncs to an object file of plain C functions, through TVM's LLVM."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import tvm
import tvm_ffi
from tvm import s_tir, tirx

from ecgexp.errors import BuildError

# Kernels unroll by hand where it pays: full unrolling spills and bloats flash.
_CORE_OPTIONS = ["-unroll-threshold-aggressive:uint=0", "-unroll-threshold-default:uint=0"]
# A low-overhead loop takes lr, one of the eight registers that a dot product can accumulate into;
# the copies that follow cost more than the loop saves.
_MVE_OPTIONS = [*_CORE_OPTIONS, "-disable-arm-loloops:bool=true"]
# TVM claims this alignment, in bits, for a buffer's first element. A model's input is the caller's
# array, which has the alignment of its element and no more.
_ALIGNMENT = {"vector-width": 8}
_TRIPLES = {
    "cortex-m4": "thumbv7em-none-eabi",
    "cortex-m7": "thumbv7em-none-eabi",
    "cortex-m33": "thumbv8m.main-none-eabi",
    "cortex-m55": "thumbv8.1m.main-none-eabi",
    "cortex-m85": "thumbv8.1m.main-none-eabi",
}


class LoweringTarget(Protocol):
    """The part of a target that the compiler needs."""

    @property
    def cpu(self) -> str:
        """LLVM name of the core, for example `cortex-m55`."""

    @property
    def isa(self) -> str:
        """`mve`, `dsp` or `generic`."""


def llvm_target(target: LoweringTarget) -> Any:
    """Return TVM's description of a target.

    Raises:
        BuildError: No code generator options are known for the target.
    """
    if target.cpu in _TRIPLES:
        return tvm.target.Target(
            {
                "kind": "llvm",
                "mtriple": _TRIPLES[target.cpu],
                "mcpu": target.cpu,
                "mfloat-abi": "hard",
                **_ALIGNMENT,
                "cl-opt": _MVE_OPTIONS if target.isa == "mve" else _CORE_OPTIONS,
            }
        )
    machine = platform.machine()
    if target.isa == "generic" and machine in ("x86_64", "aarch64"):
        return tvm.target.Target(
            {"kind": "llvm", "mtriple": f"{machine}-unknown-linux-gnu", **_ALIGNMENT}
        )
    raise BuildError(
        f"no code generator for cpu {target.cpu!r} with isa {target.isa!r} on {machine}: "
        f"supported are {', '.join(_TRIPLES)}, and the host with generic"
    )


def lower_module(funcs: Mapping[str, Any], target: LoweringTarget) -> Any:
    """Lower PrimFuncs to plain C functions and generate code.

    Args:
        funcs: Symbol to PrimFunc over flat, static buffers.
        target: What to compile for.

    Returns:
        TVM's LLVM module; each buffer parameter is a pointer to its element type.
    """
    llvm = llvm_target(target)
    module = tvm.IRModule(
        {name: func.with_attr("global_symbol", name) for name, func in funcs.items()}
    )
    with tvm.transform.PassContext(opt_level=3):
        lowered = _lowering(llvm)(module)
        plain = {
            var.name_hint: _with_pointer_parameters(func, var.name_hint, llvm)
            for var, func in lowered.functions.items()
        }
        return tvm.get_global_func("target.build.llvm")(tvm.IRModule(plain), llvm)


def write_object(funcs: Mapping[str, Any], target: LoweringTarget, path: Path) -> Path:
    """Compile PrimFuncs into one relocatable object.

    Args:
        funcs: Symbol to PrimFunc over flat, static buffers.
        target: What to compile for.
        path: Object file to write, ending in `.o`.

    Returns:
        `path`.
    """
    lower_module(funcs, target).write_to_file(str(path), "o")
    return path


def lower_functions(funcs: Mapping[str, Any], target: LoweringTarget, folder: Path) -> bytes:
    """Compile PrimFuncs and return the object file's bytes; `folder` holds it for a moment."""
    path = write_object(funcs, target, folder / "kernels.tmp.o")
    content = path.read_bytes()
    path.unlink()
    return content


def lower_to_loops(funcs: Mapping[str, Any]) -> dict[str, Any]:
    """Lower PrimFuncs to loops over flat buffers, for a code generator of our own.

    Args:
        funcs: Symbol to PrimFunc over flat, static buffers, written for isa `generic`.

    Returns:
        Symbol to lowered PrimFunc.
    """
    portable = tvm.target.Target({"kind": "c"})
    module = tvm.IRModule(
        {name: func.with_attr("global_symbol", name) for name, func in funcs.items()}
    )
    with tvm.transform.PassContext(opt_level=3):
        lowered = _lowering(portable)(module)
    return {var.name_hint: func for var, func in lowered.functions.items()}


def _lowering(llvm: Any) -> Any:
    """Return the s_tir lowering without MakePackedAPI, whose argument checks need TVM's runtime.

    HoistIfThenElse is left out too: a third of the time, for LLVM makes the same code without it.
    """
    s_tir_pass, tirx_pass = s_tir.transform, tirx.transform
    return tvm.ir.transform.Sequential(
        [
            tirx_pass.BindTarget(llvm),
            s_tir_pass.CanonicalizeLoop(),
            s_tir_pass.LowerInitBlock(),
            s_tir_pass.PlanAndUpdateBufferAllocationLocation(),
            s_tir_pass.ConvertBlocksToOpaque(),
            s_tir_pass.LowerMatchBuffer(),
            s_tir_pass.StmtSimplify(),
            s_tir_pass.AnnotateIrregularLoop(),
            s_tir_pass.LowerOpaqueBlock(),
            tirx_pass.FlattenBuffer(),
            tirx_pass.NarrowDataType(32),
            s_tir_pass.LoopPartition(),
            tirx_pass.VectorizeLoop(True),
            tirx_pass.StorageRewrite(),
            tirx_pass.UnrollLoop(),
            s_tir_pass.RenormalizeSplitPattern(),
            s_tir_pass.StmtSimplify(),
            tirx_pass.RemoveNoOp(),
            s_tir_pass.RewriteUnsafeSelect(),
            tirx_pass.CommonSubexprElim(),
            tirx_pass.AnnotateEntryFunc(),
            tirx_pass.LowerIntrin(),
        ]
    )


def _with_pointer_parameters(func: Any, name: str, llvm: Any) -> Any:
    """Replace each buffer parameter, which the code generators cannot print, by a pointer."""
    pointers = [
        (p, tirx.Var(p.name, tvm.ir.PointerType(tvm.ir.PrimType(str(p.ty.dtype)))))
        for p in func.params
    ]

    def to_pointer(call: Any) -> Any:
        for parameter, pointer in pointers:
            if len(call.args) > 0 and call.args[0].same_as(parameter):
                return pointer
        return call

    body = tvm_ffi.structural_map(func.body, (tvm.ir.Call, to_pointer))
    plain = tirx.PrimFunc([pointer for _, pointer in pointers], body)
    return plain.with_attrs({"global_symbol": name, "target": llvm, "tirx.noalias": True})
