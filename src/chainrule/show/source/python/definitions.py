"""Functions that NumPy lacks, written out above the text that calls them."""

from __future__ import annotations

import re

_CALLED = re.compile(r"\b([A-Za-z_]\w*)\(")

# Each stands for itself or calls those before it.
_DEFINITIONS = {
    "uneven": '''
def uneven(*shape):
    """Positive numbers that don't cancel by accident, to see which entries reach which."""
    return np.random.default_rng(len(shape)).uniform(0.5, 1.0, shape)
''',
    "largest": '''
def largest(x, axis):
    """The largest entry along some axes, 0 where it isn't finite: what exp() is relieved of."""
    top = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, np.zeros((), top.dtype))
''',
    "sinc_derivative": '''
def sinc_derivative(x, order):
    """A derivative of sin(πx)/(πx): by the product rule far out, by its series near 0."""
    x = np.asarray(x)
    u = np.pi * x
    far = np.where(np.abs(u) > 2.0 + order, x, 1.0 + order)
    v = np.pi * far
    value = np.sin(v) / v
    for k in range(1, order + 1):
        value = (np.pi ** (k - 1) * np.sin(v + k * np.pi / 2) - k * value) / far
    near = np.zeros_like(u)
    first = (order + 1) // 2
    for m in range(first + 30 + 2 * order, first - 1, -1):
        factorial = 1
        for k in range(2, 2 * m - order + 1):
            factorial *= k
        near = near + (-1) ** m / ((2 * m + 1) * factorial) * u ** (2 * m - order)
    return np.where(np.abs(u) <= 2.0 + order, np.pi**order * near, value).astype(u.dtype)[()]
''',
    "mean_of_runs": '''
def mean_of_runs(t, starts):
    """Every entry replaced by the mean of its run; a run begins wherever `starts` says."""
    if np.all(starts) or not np.size(t):
        return np.array(t)
    flat = np.broadcast_to(t, starts.shape).reshape(-1)
    first = np.flatnonzero(starts)
    lengths = np.diff(np.append(first, flat.size))
    means = np.add.reduceat(flat, first) / lengths.astype(flat.real.dtype)
    return np.repeat(means, lengths).reshape(starts.shape)
''',
    "strided": '''
def strided(x, start, shape, steps):
    """The entries of an array from `start` on, so many steps apart along each axis."""
    memory = np.reshape(x, (-1,))[start:]
    return np.lib.stride_tricks.as_strided(memory, shape, [s * memory.itemsize for s in steps])
''',
    "cofactor": '''
def cofactor(a):
    """det(a)·inv(a).T; of matrices that are nearly singular, from their singular values."""
    if not np.isfinite(a).all():
        return np.full_like(a, np.nan)
    try:
        inverse = np.linalg.inv(a)
        size = np.linalg.norm(a, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
        found = np.linalg.det(a)[..., None, None] * np.swapaxes(inverse, -1, -2)
        if np.all(size < 1e4) and np.isfinite(found).all():
            return found
    except np.linalg.LinAlgError:
        pass  # exactly singular: the way below divides by nothing
    u, s, vh = np.linalg.svd(a)
    one = np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate([one, s[..., :-1]], axis=-1), axis=-1)
    behind = np.cumprod(np.concatenate([one, s[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    phase = np.linalg.det(u) * np.linalg.det(vh)
    others = (before * behind * phase[..., None])[..., None, :]
    return (np.conj(u) * others) @ np.conj(vh)
''',
    "windows": '''
def windows(x, axes, window, strides, dilation=None):
    """What windows along some axes hold: their places there, their entries on axes at the end."""
    x, dilation = np.asarray(x), dilation or (1,) * len(axes)
    shape, steps = list(x.shape), list(x.strides)
    for axis, size, stride, apart in zip(axes, window, strides, dilation):
        shape[axis] = max(0, (x.shape[axis] - (size - 1) * apart - 1) // stride + 1)
        steps[axis] *= stride
    inside = [x.strides[axis] * apart for axis, apart in zip(axes, dilation)]
    return np.lib.stride_tricks.as_strided(x, (*shape, *window), (*steps, *inside))
''',
    "add_windows": '''
def add_windows(g, axes, window, strides, lengths, dilation=None):
    """The transpose of `windows`: every entry is the sum of what the windows hold there."""
    shape, dilation = list(g.shape[: g.ndim - len(axes)]), dilation or (1,) * len(axes)
    for axis, length in zip(axes, lengths):
        shape[axis] = length
    total = np.zeros(shape, g.dtype)
    for spot in np.ndindex(*window):
        where = [slice(None)] * len(shape)
        for axis, i, stride, apart in zip(axes, spot, strides, dilation):
            first = i * apart
            where[axis] = slice(first, first + max(0, g.shape[axis] * stride - stride + 1), stride)
        total[tuple(where)] += g[(..., *spot)]
    return total
''',
    "padded": '''
def padded(x, padding, input_dilation):
    """Zeros between and around the entries of an array; negative padding cuts off."""
    shape = [max(0, (n - 1) * a + 1) for n, a in zip(x.shape[1:-1], input_dilation)]
    out = np.zeros((x.shape[0], *shape, x.shape[-1]), x.dtype)
    out[(slice(None), *(slice(None, None, a) for a in input_dilation))] = x
    around = [(max(0, low), max(0, high)) for low, high in padding]
    out = np.pad(out, [(0, 0), *around, (0, 0)])
    cut = [
        slice(max(0, -low), max(max(0, -low), n - max(0, -high)))
        for n, (low, high) in zip(out.shape[1:-1], padding)
    ]
    return out[(slice(None), *cut)]
''',
    "patches": '''
def patches(x, window, strides, padding, dilation, input_dilation, groups):
    """Per group of channels a matrix: a row for each place of the window, with what it holds."""
    rank = len(window)
    x = padded(x, padding, input_dilation or (1,) * rank)
    taken = windows(x, tuple(range(1, rank + 1)), window, strides, dilation)
    taken = np.moveaxis(taken, rank + 1, -1)
    places = taken.shape[: rank + 1]
    rows, spots = np.prod(places, dtype=int), np.prod(window, dtype=int)
    each = x.shape[-1] // groups
    taken = taken.reshape(rows, spots, groups, each)
    return np.moveaxis(taken, 2, 0).reshape(groups, rows, spots * each), places
''',
    "convolution": '''
def convolution(x, kernel, strides, padding, dilation=None, input_dilation=None, groups=1):
    """x (batch, *places, channels) with a kernel (*window, channels / groups, filters)."""
    kind = np.result_type(x, kernel)
    x, kernel = np.asarray(x, kind), np.asarray(kernel, kind)
    window, filters = kernel.shape[:-2], kernel.shape[-1]
    rows, places = patches(x, window, strides, padding, dilation, input_dilation, groups)
    matrices = kernel.reshape(rows.shape[-1], groups, filters // groups)
    found = np.moveaxis(rows @ np.moveaxis(matrices, 1, 0), 0, 1)
    return found.reshape(*places, filters)
''',
    "convolution_kernel": '''
def convolution_kernel(
    x, g, window, strides, padding, dilation=None, input_dilation=None, groups=1
):
    """The transpose of `convolution` in its kernel."""
    kind = np.result_type(x, g)
    x, g = np.asarray(x, kind), np.asarray(g, kind)
    rows, _ = patches(x, window, strides, padding, dilation, input_dilation, groups)
    each = g.shape[-1] // groups
    columns = np.moveaxis(g.reshape(rows.shape[1], groups, each), 1, 0)
    found = np.moveaxis(np.swapaxes(rows, 1, 2) @ columns, 0, 1)
    return found.reshape(*window, x.shape[-1] // groups, g.shape[-1])
''',
    "random_key": '''
def random_key(seed):
    """The key of a seed: two words of 64 bits."""
    seed = np.asarray(seed)
    return np.stack([seed.astype(np.uint64), np.zeros(seed.shape, np.uint64)], axis=-1)
''',
    "random_bits": '''
def random_bits(key, start, region, shape, dtype):
    """Words of the stream that belongs to each key."""
    key, start = np.asarray(key), np.asarray(start)
    lead = np.broadcast_shapes(key.shape[:-1], start.shape)
    keys, starts = np.broadcast_to(key, (*lead, 2)), np.broadcast_to(start, lead)
    count, parts = int(np.prod(shape)), 8 // np.dtype(dtype).itemsize
    result = np.empty((*lead, count), dtype)
    for index in np.ndindex(lead):
        counter = int(starts[index]) + (region << 192)
        words = np.random.Philox(key=keys[index], counter=counter).random_raw(-(-count // parts))
        result[index] = words.astype("<u8").view(np.dtype(dtype).newbyteorder("<"))[:count]
    return result.reshape((*lead, *shape))[()]
''',
    "within_two": '''
def within_two(g, shape, dtype):
    """Normal numbers, in the order in which they're drawn, without those beyond two sigma."""
    missing = int(np.prod(shape))
    parts = [np.empty(0, dtype)]
    while missing:
        drawn = g.standard_normal(missing, dtype)
        parts.append(drawn[np.abs(drawn) <= 2])
        missing -= parts[-1].size
    return np.concatenate(parts).reshape(shape)[()]
''',
    "drawn": '''
def drawn(key, draw, shape, dtype):
    """What NumPy's generator of each key draws."""
    key = np.asarray(key)
    result = np.empty((*key.shape[:-1], *shape), dtype)
    for index in np.ndindex(key.shape[:-1]):
        result[index] = draw(np.random.Generator(np.random.Philox(key=key[index])))
    return result[()]
''',
}

NAMES = frozenset(_DEFINITIONS)


def definitions(text: str) -> list[str]:
    """The functions that a text calls, and those which they call, in an order that works."""
    needed: set[str] = set()
    left = [text]
    while left:
        called = set(_CALLED.findall(left.pop())) & NAMES - needed
        needed |= called
        left += [_DEFINITIONS[name] for name in called]
    return [text.strip("\n") for name, text in _DEFINITIONS.items() if name in needed]
