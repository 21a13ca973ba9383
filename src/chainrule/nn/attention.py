"""Attention: values taken together, weighted by how well their keys go with a query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import get, register
from chainrule.nn.activations import softmax
from chainrule.nn.arguments import fraction, one_of, whole_number
from chainrule.nn.noise import Random


def seen(mask: Any, scores: Any, causal: bool) -> Any:
    """The scores, with the least possible number where a query must not look."""
    if causal:
        steps, places = scores.shape[-2:]
        before = np.tri(steps, places, dtype=bool)
        mask = before if mask is None else mask & before
    if mask is None:
        return scores
    return np.where(mask, scores, float(np.finfo(scores.dtype).min))


def truths(mask: Any) -> Any:
    """A mask as truth values."""
    mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
    return mask.astype(bool)


class _Attention(Random):
    """A layer that is called on a query, a value and, if they differ, a key."""

    def __init__(self, dropout: float, seed: int | None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.dropout = fraction("dropout", dropout)

    def weighted(self, scores: Any, value: Any, training: bool) -> tuple[Any, Any]:
        """softmax(scores) @ value, and the weights."""
        weights = softmax(scores)
        if training and self.dropout:
            weights = self.kept(weights, self.dropout, weights.shape)
        return weights @ value, weights


@register("layer")
class Attention(_Attention):
    """softmax(score(query, key)) @ value, without products of its own.

    It is called on a list [query, value] or [query, value, key].

    Args:
        use_scale: whether a learnt number multiplies the scores.
        score_mode: "dot", score = query · key; or "concat", score = Σ tanh(query + key) times a
            learnt number.
        dropout: the share of the weights that is dropped while training.
        seed: a number mixed into the seed of the call.

    Shapes: query (batch, T, d), value (batch, S, dv), key (batch, S, d) → (batch, T, dv). A call
    also takes `mask`, a list [query mask (batch, T), value mask (batch, S)], either may be None:
    values masked out have no weight, queries masked out give 0; `use_causal_mask`: a query sees
    values up to its own place; `return_attention_scores`: return the weights (batch, T, S) too.

    Source: Luong, Pham and Manning, Effective approaches to attention-based neural machine
        translation, 2015; "concat": Bahdanau, Cho and Bengio, 2015.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Attention().compute_output_shape([(None, 4, 8), (None, 6, 8)])
        (None, 4, 8)
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dropout, seed, **options)
        self.use_scale = bool(use_scale)
        self.score_mode = one_of("score_mode", score_mode, ("dot", "concat"))

    def build(self, input_shape: Any) -> None:
        shapes = input_shape if isinstance(input_shape, list) else [input_shape]
        if len(shapes) not in (2, 3) or any(len(shape) != 3 for shape in shapes):
            raise ShapeError(
                f"the layer {self.name!r} is called on [query, value] or [query, value, key]",
                {"given": [list(shape) for shape in shapes]},
                "each has the shape (batch, steps, features)",
            )
        _check(self.name, shapes)
        if self.use_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight(
                name="concat_score_weight", shape=(), initializer="ones"
            )

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) > 2 else value
        query_mask, value_mask, *_ = (None, None) if mask is None else mask
        allowed = None if value_mask is None else truths(value_mask)[:, None, :]
        scores = seen(allowed, self._scores(query, key), use_causal_mask)
        output, weights = self.weighted(scores, value, training)
        if query_mask is not None:
            output = np.where(truths(query_mask)[:, :, None], output, 0.0)
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None if previous_mask is None else previous_mask[0]

    def _scores(self, query: Any, key: Any) -> Any:
        if self.score_mode == "dot":
            scores = query @ np.swapaxes(key, -1, -2)
            return scores * self.scale if self.use_scale else scores
        both = query[:, :, None, :] + key[:, None, :, :]
        both = both * self.scale if self.use_scale else both
        return self.concat_score_weight * np.sum(np.tanh(both), axis=-1)


@register("layer")
class MultiHeadAttention(_Attention):
    """Several attentions side by side, each with products of its own.

        head = softmax(Q @ Kᵀ / √key_dim) @ V    with Q = query @ W_Q + b_Q, K and V likewise
        output = heads, side by side, @ W_O + b_O

    It is called with a query and a value, and a key where that differs from the value; with the
    query alone it attends to itself.

    Args:
        num_heads: how many.
        key_dim: the size of Q and K of each head.
        value_dim: the size of V of each head; key_dim if not given.
        dropout: the share of the weights that is dropped while training.
        use_bias: whether biases are added.
        output_shape: the size of the output; the query's if not given.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after each update.
        seed: a number mixed into the seed of the call.

    Shapes: query (batch, T, features), value and key (batch, S, …) → (batch, T, features).
    Weights:
    query_kernel (features, heads, key_dim), query_bias (heads, key_dim), key_… and value_… so too,
    output_kernel (heads, value_dim, features), output_bias. A call also takes `query_mask`
    (batch, T), `value_mask` and `key_mask` (batch, S), `attention_mask` (batch, T, S) or with the
    heads (batch, heads, T, S), true where a query may look; `use_causal_mask`: up to its own place;
    `return_attention_scores`: return the weights (batch, heads, T, S) too.

    Source: Vaswani and others, Attention is all you need, 2017, section 3.2.

    Example:
        >>> import chainrule as cr
        >>> layer = cr.nn.MultiHeadAttention(num_heads=2, key_dim=4)
        >>> layer.compute_output_shape((None, 10, 16))
        (None, 10, 16)
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | None = None,
        *,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(dropout, seed, activity_regularizer=activity_regularizer, **options)
        self.num_heads = whole_number("num_heads", num_heads)
        self.key_dim = whole_number("key_dim", key_dim)
        self.value_dim = whole_number("value_dim", key_dim if value_dim is None else value_dim)
        self.use_bias = bool(use_bias)
        self.output_shape = (
            None if output_shape is None else whole_number("output_shape", output_shape)
        )
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.bias_initializer = get("initializer", bias_initializer)
        self.kernel_regularizer = get("regularizer", kernel_regularizer)
        self.bias_regularizer = get("regularizer", bias_regularizer)
        self.kernel_constraint = get("constraint", kernel_constraint)
        self.bias_constraint = get("constraint", bias_constraint)

    def __call__(self, query: Any, value: Any = None, key: Any = None, **options: Any) -> Any:
        if isinstance(query, (list, tuple)):
            query, value, key = (*query, None, None)[:3]
        value = query if value is None else value
        inputs = (query, value) if key is None else (query, value, key)
        return super().__call__(*inputs, **options)

    def build(self, input_shape: Any) -> None:
        if any(len(shape) != 3 for shape in input_shape):
            raise ShapeError(
                f"the layer {self.name!r} takes arrays of shape (batch, steps, features)",
                {"given": [list(shape) for shape in input_shape]},
                "reshape them (cr.nn.Reshape)",
            )
        query, value = input_shape[:2]
        key = input_shape[-1]
        _check(self.name, [query, value, key], same_features=False)
        heads, width = self.num_heads, self.output_shape or query[-1]
        for name, size, dim in (
            ("query", query[-1], self.key_dim),
            ("key", key[-1], self.key_dim),
            ("value", value[-1], self.value_dim),
        ):
            self._add(name, (size, heads, dim), (heads, dim))
        self._add("output", (heads, self.value_dim, width), (width,))

    def _add(self, name: str, shape: tuple[int, ...], bias_shape: tuple[int, ...]) -> None:
        kernel = self.add_weight(
            name=f"{name}_kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        setattr(self, f"{name}_kernel", kernel)
        if self.use_bias:
            bias = self.add_weight(
                name=f"{name}_bias",
                shape=bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            setattr(self, f"{name}_bias", bias)

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        q = self._heads(query, "query") * (1.0 / math.sqrt(self.key_dim))
        k = self._heads(value if key is None else key, "key")
        v = self._heads(value, "value")
        mask = self._allowed(query_mask, value_mask, key_mask, attention_mask)
        scores = seen(mask, q @ np.swapaxes(k, -1, -2), use_causal_mask)
        output, weights = self.weighted(scores, v, training)
        batch, steps = query.shape[:2]
        width = self.num_heads * self.value_dim
        flat = np.reshape(np.swapaxes(output, 1, 2), (batch, steps, width))
        kernel = self.output_kernel
        y = flat @ np.reshape(kernel, (width, kernel.shape[-1]))
        y = y + self.output_bias if self.use_bias else y
        return (y, weights) if return_attention_scores else y

    def _heads(self, x: Any, name: str) -> Any:
        """The product for query, key or value: (batch, heads, steps, size)."""
        kernel = getattr(self, f"{name}_kernel")
        z = x @ np.reshape(kernel, (kernel.shape[0], -1))
        if self.use_bias:
            z = z + np.reshape(getattr(self, f"{name}_bias"), -1)
        return np.swapaxes(np.reshape(z, (*x.shape[:2], *kernel.shape[1:])), 1, 2)

    def _allowed(self, query: Any, value: Any, key: Any, both: Any) -> Any:
        """All masks as one, (batch, heads or 1, T or 1, S or 1); None for none."""
        parts = []
        if query is not None:
            parts.append(truths(query)[:, None, :, None])
        parts += [truths(mask)[:, None, None, :] for mask in (value, key) if mask is not None]
        if both is not None:
            both = truths(both)
            parts.append(both[:, None] if both.ndim == 3 else both)
        mask = None
        for part in parts:
            mask = part if mask is None else mask & part
        return mask


def _check(name: str, shapes: Any, same_features: bool = True) -> None:
    """Hold the shapes of query, value and key against each other."""
    query, value, key = (*shapes, shapes[1])[:3]
    if value[1] != key[1] or (same_features and query[-1] != key[-1]):
        raise ShapeError(
            f"the inputs of the layer {name!r} don't go together",
            {"query": list(query), "value": list(value), "key": list(key)},
            "value and key need as many steps"
            + (", query and key as many features" if same_features else ""),
        )
    if len({shape[0] for shape in shapes}) > 1:
        raise ArgumentError(
            f"the inputs of the layer {name!r} need the same batch",
            {"query": list(query), "value": list(value), "key": list(key)},
        )
