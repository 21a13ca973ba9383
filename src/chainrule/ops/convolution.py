"""Convolutions as networks use them: any number of axes, channels last, nothing turned round."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.ir.types import type_of
from chainrule.ops.convolution_rules import correlation, turned
from chainrule.ops.window import Pairs, Sizes, padding_of, per_axis, stretched
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply


def convolution(
    x: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    input_dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """The windows of an input times a kernel, along one, two or more axes.

    Args:
        x: the input, (batch, *lengths, channels).
        kernel: (*size, channels / groups, filters).
        strides: how far the window moves: one number, or one for each axis.
        padding: "valid" (none), "same" (ceil(length / stride) places; where the zeros are odd in
            number, one more behind than before), "causal" (one axis only: all zeros before the
            first entry), one number, or (before, after) for each axis; less than 0 cuts off.
        dilation: how far apart the entries of the window lie.
        input_dilation: how far apart the entries of the input are pulled, zeros between them.
        groups: channels and filters fall into so many groups that don't see each other; as many
            groups as channels give a depthwise convolution.

    Returns:
        (batch, *places, filters), in the type to which NumPy promotes input and kernel.

    Raises:
        ShapeError: the kernel doesn't go with the input, or is longer than the padded input.

    Derivative:
        Linear in the input and in the kernel.

    Source:
        V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning (2016).

    Example:
        >>> x = np.arange(5.0).reshape(1, 5, 1)
        >>> convolution(x, np.array([1.0, 0.0, -1.0]).reshape(3, 1, 1))[0, :, 0]
        array([-2., -2., -2.])
        >>> convolution(x, np.ones((3, 1, 1)), strides=2, padding="same")[0, :, 0]
        array([1., 6., 7.])
    """
    x, kernel = TABLE["operand"](x), TABLE["operand"](kernel)
    rank = _rank("convolution", x, kernel)
    size = tuple(np.shape(kernel)[:-2])
    strides = per_axis(strides, rank, "strides")
    dilation = per_axis(dilation, rank, "dilation")
    apart = per_axis(input_dilation, rank, "input_dilation")
    lengths = tuple(map(stretched, np.shape(x)[1:-1], apart))
    pairs = padding_of(padding, lengths, size, strides, dilation, "convolution")
    _check_channels(x, kernel, groups)
    _check_room(x, kernel, lengths, size, pairs, dilation)
    return apply(
        correlation,
        x,
        kernel,
        strides=strides,
        padding=pairs,
        dilation=dilation,
        input_dilation=apart,
        groups=groups,
    )


def transposed_convolution(
    x: Any,
    kernel: Any,
    *,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation: Any = 1,
) -> Any:
    """The transpose of a convolution in its input: it goes from the result's shape to the input's.

    Args:
        x: the input, (batch, *lengths, channels).
        kernel: (*size, filters, channels): that of the convolution whose transpose this is.
        strides: how far apart the entries of the input are pulled.
        padding: that of the convolution: "valid" gives (length − 1)·stride + max(size, stride)
            places, "same" length·stride.
        output_padding: places at the far end beyond (length − 1)·stride + size ("valid"), or
            (length − 1)·stride + size − 2·(size // 2) ("same"); less than the stride.
        dilation: how far apart the entries of the window lie.

    Returns:
        (batch, *places, filters).

    Raises:
        ShapeError: the kernel doesn't go with the input.

    Derivative:
        Linear in the input and in the kernel.

    Source:
        V. Dumoulin, F. Visin: A guide to convolution arithmetic for deep learning (2016), ch. 4.

    Example:
        >>> x = np.array([1.0, 10.0]).reshape(1, 2, 1)
        >>> transposed_convolution(x, np.ones((3, 1, 1)), strides=2)[0, :, 0]
        array([ 1.,  1., 11., 10., 10.])
    """
    x, kernel = TABLE["operand"](x), TABLE["operand"](kernel)
    rank = _rank("transposed_convolution", x, kernel)
    size = tuple(np.shape(kernel)[:-2])
    strides = per_axis(strides, rank, "strides")
    dilation = per_axis(dilation, rank, "dilation")
    if not isinstance(padding, str) or padding.lower() not in ("valid", "same"):
        raise ArgumentError(
            f"transposed_convolution: padding must be 'valid' or 'same', not {padding!r}",
            fix="for any other padding use convolution with input_dilation=",
        )
    further = (None,) * rank
    if output_padding is not None:
        single = np.ndim(output_padding) == 0
        further = (output_padding,) * rank if single else tuple(output_padding)
    pairs = tuple(
        _transposed_padding(stretched(k, d), s, padding.lower(), more)
        for k, s, d, more in zip(size, strides, dilation, further, strict=True)
    )
    return convolution(x, turned(kernel), padding=pairs, dilation=dilation, input_dilation=strides)


def _transposed_padding(size: int, stride: int, padding: str, more: int | None) -> tuple[int, int]:
    """Zeros around the dilated input, before and behind."""
    if padding == "valid":
        return size - 1, size - 1 + (max(size, stride) - size if more is None else more)
    total = stride + size - 2 if more is None else size + size % 2 - 2 + more
    before = min(-(-total // 2), size - 1)
    return before, total - before


def _rank(name: str, x: Any, kernel: Any) -> int:
    rank = np.ndim(x) - 2
    if rank < 1 or np.ndim(kernel) != rank + 2:
        raise ShapeError(
            f"{name}: the kernel doesn't have the axes that go with the input",
            {"input": type_of(x), "kernel": type_of(kernel)},
            fix="the input is (batch, *lengths, channels), the kernel (*size, channels, filters),\n"
            "with as many sizes as lengths; one channel still is an axis: x[..., None]",
        )
    return rank


def _check_channels(x: Any, kernel: Any, groups: int) -> None:
    channels, (per_group, filters) = np.shape(x)[-1], np.shape(kernel)[-2:]
    facts = {"input": type_of(x), "kernel": type_of(kernel), "groups": groups}
    if type(groups) is not int or groups < 1 or channels % groups or filters % groups:
        raise ShapeError(
            "convolution: channels and filters don't divide into groups",
            facts,
            fix=f"choose groups that divide {channels} channels and {filters} filters",
        )
    if per_group != channels // groups:
        given = f"{channels} channels" + (f" in {groups} groups" if groups > 1 else "")
        fix = f"the kernel's second to last axis must be {channels // groups}"
        if np.ndim(x) > 2 and np.shape(x)[1] == per_group * groups:
            fix += ";\nor are the input's channels in front? np.moveaxis(x, 1, -1) puts them last"
        raise ShapeError(
            f"convolution: the kernel is for {per_group * groups} channels, the input has {given}",
            facts,
            fix=fix,
        )


def _check_room(
    x: Any, kernel: Any, lengths: Sizes, size: Sizes, pairs: Pairs, dilation: Sizes
) -> None:
    for n, k, (low, high), d in zip(lengths, size, pairs, dilation, strict=True):
        if k < 1 or n + low + high < stretched(k, d):
            raise ShapeError(
                "convolution: the kernel is longer than the padded input"
                if k
                else "convolution: the kernel is empty",
                {
                    "input": type_of(x),
                    "kernel": type_of(kernel),
                    "padding": pairs,
                    "dilation": dilation,
                },
                fix="use a smaller kernel, padding='same', or fewer poolings before it",
            )
