"""Running with denormal numbers taken as 0, as LLVM text: the processor's mode, set and put back.

Numbers below 1.2e-38 (2.2e-308 in double precision) keep fewer digits, and take most processors a
hundred times as long. The mode belongs to a thread, so whoever runs a program sets it, and so does
every chunk of work that another thread takes over.
"""

from __future__ import annotations

from chainrule.emit.region import FLUSHED

_X86_BITS = 0x8040  # results and operands: FTZ and DAZ in MXCSR
_ARM_BITS = 1 << 24  # both: FZ in FPCR


def mode_text(machine: str) -> str | None:
    """`i64 @flush()`, which sets the mode and returns the old one, and `void @restore(i64)`.

    Args:
        machine: as `platform.machine()` has it; None where this isn't known to be possible.
    """
    if machine in ("x86_64", "amd64"):
        return f"""\
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)

define internal i64 @flush() nounwind {{
  %place = alloca i32
  call void @llvm.x86.sse.stmxcsr(ptr %place)
  %old = load i32, ptr %place
  %new = or i32 %old, {_X86_BITS}
  store i32 %new, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  %kept = zext i32 %old to i64
  ret i64 %kept
}}

define internal void @restore(i64 %kept) nounwind {{
  %place = alloca i32
  %old = trunc i64 %kept to i32
  store i32 %old, ptr %place
  call void @llvm.x86.sse.ldmxcsr(ptr %place)
  ret void
}}"""
    if machine in ("aarch64", "arm64"):
        return f"""\
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)

define internal i64 @flush() nounwind {{
  %old = call i64 @llvm.aarch64.get.fpcr()
  %new = or i64 %old, {_ARM_BITS}
  call void @llvm.aarch64.set.fpcr(i64 %new)
  ret i64 %old
}}

define internal void @restore(i64 %kept) nounwind {{
  call void @llvm.aarch64.set.fpcr(i64 %kept)
  ret void
}}"""
    return None


def run_text(mode: str) -> str:
    """`@run_flushing`: a program's `run`, whose address is in the context, in that mode."""
    return f"""\
{mode}

define i32 @run_flushing(ptr %arguments, ptr %context) nounwind {{
  %at = getelementptr ptr, ptr %context, i64 {FLUSHED}
  %run = load ptr, ptr %at
  %mode = call i64 @flush()
  %code = call i32 %run(ptr %arguments, ptr %context)
  call void @restore(i64 %mode)
  ret i32 %code
}}
"""


def parallel_text(mode: str) -> str:
    """`@parallel_flushing`: the pool's `parallel`, every chunk in that mode on its thread."""
    return f"""\
{mode}

define internal void @chunk_flushing(ptr %both, i64 %chunk) nounwind {{
  %function = load ptr, ptr %both
  %at = getelementptr ptr, ptr %both, i64 1
  %data = load ptr, ptr %at
  %mode = call i64 @flush()
  call void %function(ptr %data, i64 %chunk)
  call void @restore(i64 %mode)
  ret void
}}

define void @parallel_flushing(ptr %function, ptr %data, i64 %chunks) nounwind {{
  %both = alloca [2 x ptr]
  store ptr %function, ptr %both
  %at = getelementptr ptr, ptr %both, i64 1
  store ptr %data, ptr %at
  call void @parallel(ptr @chunk_flushing, ptr %both, i64 %chunks)
  ret void
}}
"""
