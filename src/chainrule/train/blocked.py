"""Per-sample SGD of a dense first layer in blocks: the same algorithm, far less memory traffic.

One step of SGD on one sample reads and writes the whole kernel W of the first layer. Over a block
of K samples W can stay as it was: sample r sees what the samples q before it in the block would
have done to its pre-activation,

    z_r = x_r·W − Σ_{q<r} ⟨x_r, x_q⟩ e_q,    e_q = rate · ∂loss_q/∂z_q,

and one product of rank K, W −= Σ x_r e_rᵀ, brings W up to date. All products with W then are
products of matrices. The other parameters are updated sample by sample as ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.trees import map_tree
from chainrule.nn.dense import Dense
from chainrule.nn.scope import Scope
from chainrule.nn.shaping import Flatten, Reshape
from chainrule.ops.draw_keys import fold_in
from chainrule.optim.descent import SGD
from chainrule.optim.optimizer import as_type
from chainrule.train.epoch import Carry, Data, Plan, is_finite
from chainrule.train.meters import Meters
from chainrule.train.objective import Batch, Objective
from chainrule.transform.control import while_loop
from chainrule.transform.gradient import value_and_grad

BLOCK = 32
# Kernels below this stay in the nearest cache, where reading and writing them costs little.
_PAYS_FROM_BYTES = 1 << 16


class First(NamedTuple):
    """The dense layer that a model begins with.

    Fields: prefix, the layers before it, which only reshape; layer; path, of its kernel.
    """

    prefix: tuple[Any, ...]
    layer: Dense
    path: str


def first_layer(
    model: Any, objective: Objective, optimizer: Any, plan: Plan, wanted: bool | None
) -> First | None:
    """The layer to train in blocks, or None where it isn't exact, doesn't pay or isn't wanted."""
    if wanted is False or plan.size != 1 or plan.whole or not _is_plain(optimizer):
        return None
    prefix = []
    for layer in layers_of(model):
        if isinstance(layer, (Flatten, Reshape)):
            prefix.append(layer)
            continue
        if type(layer) is not Dense:
            return None
        paths = {id(w): path for path, w in objective.weights.items()}
        kernel = next(w for w in layer.own_weights if w.name == "kernel")
        path = paths[id(kernel)]
        exact = (
            path in model.trainable_paths()
            and path not in objective.penalties
            and path not in objective.constraints
            and len(layer.built_for) == 2
        )
        pays = int(np.prod(kernel.shape)) * kernel.dtype.itemsize >= _PAYS_FROM_BYTES
        return First(tuple(prefix), layer, path) if exact and (pays or wanted) else None
    return None


def layers_of(model: Any) -> list[Any]:
    """The layers of a chain one after the other, chains within it opened; none for other models."""
    found: list[Any] = []
    for layer in getattr(model, "layers", ()):
        inner = layers_of(layer)
        found += inner if inner else [layer]
    return found


def _is_plain(optimizer: Any) -> bool:
    """Whether an update is parameter − rate · gradient and nothing else."""
    return type(optimizer) is SGD and not (
        optimizer.momentum
        or optimizer.weight_decay
        or optimizer.use_ema
        or optimizer.gradient_accumulation_steps
        or optimizer.clipnorm
        or optimizer.clipvalue
        or optimizer.global_clipnorm
    )


def blocked_training(
    objective: Objective, optimizer: Any, meters: Meters, first_part: First
) -> Callable[..., tuple[Carry, Any, Any]]:
    """The program of some steps, as `epoch.training` describes it."""
    path = first_part.path

    def loss_from(
        rest: Any, z: Any, kernel: Any, state: Any, batch: Batch, key: Any
    ) -> tuple[Any, Any]:
        # The kernel stands among the parameters only because the model asks for all of them.
        given = {id(first_part.layer): z}
        return objective({**rest, path: kernel}, state, batch, key, given=given)

    slope = value_and_grad(loss_from, argnums=(0, 1), has_aux=True)

    def one_step(
        carry: Carry, kernel: Any, z: Any, batch: Batch, key: Any, rate: Any
    ) -> tuple[Carry, Any, Any]:
        (loss, outcome), (gradients, slope_z) = slope(
            carry.parameters, z, kernel, carry.state, batch, key
        )
        if rate is None:
            rate = optimizer.rate_at(carry.optimizer["step"])
        parameters, slots = optimizer.update(gradients, carry.optimizer, carry.parameters, rate)
        after = Carry(
            objective.constrained(parameters),
            outcome.state,
            slots,
            meters.update(carry.meters, loss, outcome, batch, 1),
        )
        return after, as_type(rate, slope_z) * slope_z[0], loss

    def block(
        carry: Carry, data: Data, rows: Any, step: Any, end: Any, key: Any, rate: Any
    ) -> tuple[Carry, Any, Any]:
        rest = dict(carry.parameters)
        kernel = rest.pop(path)
        x = _prefixed(first_part, map_tree(lambda a: a[rows], data.x))
        places = np.arange(BLOCK)
        near = x @ x.T

        def going_on(now: Any) -> Any:
            _, _, r, fine = now
            return np.logical_and(step + r < end, fine)

        def body(now: Any) -> Any:
            # Rows of `ahead` before r hold what their samples pushed, from r on what the layer
            # would give to those samples now: one sweep over it serves both.
            carry, ahead, r, _ = now
            batch = Batch(*map_tree(lambda a: a[rows[r]][None], (*data, None)))
            carry, push, loss = one_step(
                carry, kernel, ahead[r][None], batch, fold_in(key, step + r), rate
            )
            later = np.where(places > r, -near[r], 0)
            share = np.where(places == r, 1, later)
            kept = (places != r).astype(share.dtype)
            ahead = kept[:, None] * ahead + share[:, None] * push
            # The square of a row says of all its entries whether they're finite.
            fine = np.isfinite(loss + near[r, r]) & is_finite(batch.y, batch.weights)
            return carry, ahead, r + 1, fine

        start = (carry._replace(parameters=rest), x @ kernel, 0, np.True_)
        carry, ahead, done, fine = while_loop(going_on, body, start)
        pushed = np.where((places < done)[:, None], ahead, 0)
        moved = {**carry.parameters, path: kernel - x.T @ pushed}
        return carry._replace(parameters=moved), done, fine

    def steps(
        carry: Carry,
        data: Data,
        order: Any,
        count: Any,
        first: Any,
        start: Any,
        stop: Any,
        key: Any,
        rate: Any,
    ) -> tuple[Carry, Any, Any]:
        def going_on(now: Any) -> Any:
            _, step, fine = now
            return np.logical_and(step < stop, fine)

        def body(now: Any) -> Any:
            carry, step, _ = now
            # Blocks begin at the same steps however an epoch is cut into calls.
            end = np.minimum((step // BLOCK + 1) * BLOCK, stop)
            # Rows from `end` on aren't looked at: what is wrong with them is told when they're met.
            places = np.minimum(step + np.arange(BLOCK), end - 1) - first
            carry, done, fine = block(carry, data, order[places], step, end, key, rate)
            return carry, step + done, fine

        return while_loop(going_on, body, (carry, start, np.True_))

    return steps


def _prefixed(first_part: First, x: Any) -> Any:
    """The inputs of the dense layer, in its type."""
    x = x.astype(first_part.layer.dtype)
    with Scope({}):
        for layer in first_part.prefix:
            x = layer(x)
    return x
