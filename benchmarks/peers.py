"""How JAX and PyTorch are driven: whole functions compiled, arrays their own, and waited for."""

from __future__ import annotations

from typing import Any

from benchmarks.effort import QUICK, THREADS


def in_jax(function, *arguments, double=True, donate=()):
    """`run` calls the jitted function with these arguments; JAX returns before the work is done."""
    jax = jax_with(double)
    arrays = jax.tree.map(jax.numpy.asarray, arguments)
    compiled = jax.jit(function, donate_argnums=donate)
    return lambda: jax.block_until_ready(compiled(*arrays))


def jax_with(double: bool) -> Any:
    """JAX, with float64 or (faster for float32 work) without."""
    import jax

    jax.config.update("jax_enable_x64", double)
    return jax


def torch_ready() -> Any:
    import torch

    torch.set_num_threads(THREADS)
    return torch


def torch_compile(function):
    """PyTorch's compiler; its first graph takes ten seconds or more."""
    if QUICK:
        raise ImportError("left out by --quick")
    torch = torch_ready()
    torch._dynamo.reset()
    return torch.compile(function, dynamic=False, fullgraph=True)


def numpy_of(tensors):
    """PyTorch's results as NumPy arrays."""
    return tuple(tensor.detach().numpy() for tensor in tensors)
