"""What convolutions and poolings say about what doesn't fit, word for word."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.convolution import convolution, transposed_convolution
from chainrule.ops.pooling import average_pool, max_pool

X = np.zeros((2, 8, 8, 3))
K = np.zeros((3, 3, 3, 4))

CASES = {
    "channels": (
        lambda x: convolution(x, np.zeros((3, 3, 4, 5))),
        cr.ShapeError,
        """convolution: the kernel is for 4 channels, the input has 3 channels
  input:  f64[2, 8, 8, 3]
  kernel: f64[3, 3, 4, 5]
  groups: 1
  where:  {place}
  fix:    the kernel's second to last axis must be 3""",
    ),
    "channels in front": (
        lambda x: convolution(np.moveaxis(x, -1, 1), K),
        cr.ShapeError,
        """convolution: the kernel is for 3 channels, the input has 8 channels
  input:  f64[2, 3, 8, 8]
  kernel: f64[3, 3, 3, 4]
  groups: 1
  where:  {place}
  fix:    the kernel's second to last axis must be 8;
          or are the input's channels in front? np.moveaxis(x, 1, -1) puts them last""",
    ),
    "groups": (
        lambda x: convolution(x, K, groups=2),
        cr.ShapeError,
        """convolution: channels and filters don't divide into groups
  input:  f64[2, 8, 8, 3]
  kernel: f64[3, 3, 3, 4]
  groups: 2
  where:  {place}
  fix:    choose groups that divide 3 channels and 4 filters""",
    ),
    "too long a kernel": (
        lambda x: convolution(x[:, :2], K),
        cr.ShapeError,
        """convolution: the kernel is longer than the padded input
  input:    f64[2, 2, 8, 3]
  kernel:   f64[3, 3, 3, 4]
  padding:  ((0, 0), (0, 0))
  dilation: (1, 1)
  where:    {place}
  fix:      use a smaller kernel, padding='same', or fewer poolings before it""",
    ),
    "axes": (
        lambda x: convolution(x[0], K),
        cr.ShapeError,
        """convolution: the kernel doesn't have the axes that go with the input
  input:  f64[8, 8, 3]
  kernel: f64[3, 3, 3, 4]
  where:  {place}
  fix:    the input is (batch, *lengths, channels), the kernel (*size, channels, filters),
          with as many sizes as lengths; one channel still is an axis: x[..., None]""",
    ),
    "a word": (
        lambda x: convolution(x, K, padding="full"),
        cr.ArgumentError,
        """convolution: no such padding: 'full'
  where: {place}
  fix:   padding is 'valid', 'same', or (before, after) for each axis: ((1, 1), (1, 1))""",
    ),
    "pairs": (
        lambda x: convolution(x, K, padding=(1, 2, 3)),
        cr.ArgumentError,
        """convolution: padding must be a word, a whole number, or (before, after) for each axis
  given: (1, 2, 3)
  axes:  2
  where: {place}
  fix:   write padding='same', padding=1, or padding=((1, 1), (1, 1))""",
    ),
    "strides": (
        lambda x: convolution(x, K, strides=0),
        cr.ShapeError,
        """strides must hold 2 positive numbers, one for each axis the window moves along
  given: 0
  where: {place}
  fix:   write strides=1, or strides=(1, 1)""",
    ),
    "a stride that isn't whole": (
        lambda x: convolution(x, K, strides=1.5),
        cr.DtypeError,
        """strides must be a whole number, or one for each axis
  given: 1.5
  where: {place}
  fix:   write strides=2, or strides=(2, 2)""",
    ),
    "truth values": (
        lambda x: convolution(x > 0, K > 0) * x[:, :6, :6, :1],
        cr.DtypeError,
        """convolution: truth values can't be added up
  input:  bool[2, 8, 8, 3]
  kernel: bool[3, 3, 3, 4]
  where:  {place}
  fix:    convert one of the two with .astype(float)""",
    ),
    "transposed": (
        lambda x: transposed_convolution(x, K.swapaxes(2, 3), padding="causal"),
        cr.ArgumentError,
        """transposed_convolution: padding must be 'valid' or 'same', not 'causal'
  where: {place}
  fix:   for any other padding use convolution with input_dilation=""",
    ),
    "too long a window": (
        lambda x: max_pool(x, 9),
        cr.ShapeError,
        """max_pool: the window is longer than the padded input
  input:    f64[2, 8, 8, 3]
  size:     (9, 9)
  padding:  ((0, 0), (0, 0))
  dilation: (1, 1)
  where:    {place}
  fix:      use a smaller window, padding='same', or fewer poolings before it""",
    ),
    "nothing but padding": (
        lambda x: average_pool(x, 2, padding=2),
        cr.ShapeError,
        """average_pool: padding must be less than the window, and not below 0
  input:    f64[2, 8, 8, 3]
  size:     (2, 2)
  padding:  ((2, 2), (2, 2))
  dilation: (1, 1)
  where:    {place}
  fix:      cut off with a slice, x[:, 1:]; pad with any number by np.pad""",
    ),
    "no axis": (
        lambda x: max_pool(x[0, 0], 2),
        cr.ShapeError,
        """max_pool: the input has no axis for a window to move along
  input: f64[8, 3]
  where: {place}
  fix:   the input is (batch, *lengths, channels); one channel still is an axis""",
    ),
}


@pytest.mark.parametrize(("f", "kind", "text"), CASES.values(), ids=CASES)
def test_message(f, kind, text):
    for run in (cr.grad(lambda x: np.sum(f(x))), cr.jit(lambda x: f(x))):
        with pytest.raises(kind) as caught:
            run(X)
        place = f"test_window_messages.py:{f.__code__.co_firstlineno} in <lambda>"
        assert str(caught.value) == text.format(place=place)
        assert type(caught.value) is kind
