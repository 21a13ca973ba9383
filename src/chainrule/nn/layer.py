"""`Layer`: what every layer and every model is."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import as_data, from_data, get, register, serialize, snake_case
from chainrule.base.trees import map_tree
from chainrule.nn import pure
from chainrule.nn.activity import activity_penalty
from chainrule.nn.derived import DERIVED, refuse_arguments, refuse_name
from chainrule.nn.dtype import float_dtype
from chainrule.nn.mask import with_masks
from chainrule.nn.parts import WEIGHTS, Parts
from chainrule.nn.pure import Variables
from chainrule.nn.scope import Scope, current, read, within, write
from chainrule.nn.spec import check_inputs, chosen_options, shapes_of
from chainrule.nn.symbolic import call_symbolically, is_symbolic
from chainrule.nn.weight import Weight
from chainrule.tracing.origin import announces

_EAGER_SEEDS = itertools.count()
_MADE = "_made"  # the attribute that says that `build` was called


@register("layer")
class Layer(Parts):
    """A part of a network: weights, and a function that uses them.

    A layer of your own makes its weights in `build`, with `add_weight`, and computes in `call`,
    in plain NumPy; `self.kernel` is an array there. Layers kept in attributes, lists, tuples or
    dicts are parts of it. Assigning to a weight that isn't trainable keeps a new state.

    Args:
        activity_regularizer: a penalty on the output, divided by the rows of the batch and added to
            the loss.
        trainable: whether the optimiser changes the weights of this layer and of its parts.
        dtype: "float32" or "float64"; the default of `set_dtype` if not given.
        autocast: whether inputs are turned into that dtype first.
        name: its part of the path of its weights; "dense", "dense_1" … if not given.
        input_shape: of one input, for the first layer of a `Sequential`; `cr.nn.Input` in front of
            it says the same.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> class Scale(cr.nn.Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(name="factor", shape=(1,), initializer="ones")
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> layer = Scale()
        >>> variables = layer.init(seed=0, input_shape=(3,))
        >>> y, state = layer.apply(variables, np.ones((2, 3)))
        >>> y.shape
        (2, 3)
    """

    input_spec: Any = None
    _derived: ClassVar[Mapping[str, Callable[[Any], Any]]] = DERIVED
    supports_masking = False  # whether `compute_mask` says what is masked in the output

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "build" in vars(cls):
            cls.build = _noted(cls.build)  # type: ignore[method-assign]

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        input_shape: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_arguments(type(self), unknown)
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(
                "the name of a layer is a text without '/'", {"name": repr(name)}, "rename it"
            )
        self.__dict__[WEIGHTS] = {}
        self._changed()
        self.own_weights: list[Weight] = []
        self.name = name or snake_case(type(self).__name__)
        self.named = name is not None
        self.trainable = trainable
        self.dtype = float_dtype(dtype)
        self.autocast = autocast
        self.activity_regularizer = get("regularizer", activity_regularizer)
        self.first_shape = input_shape
        self.built = False
        self.built_for: Any = None  # the shapes it was built for

    # --- what a layer of one's own defines -----------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights. Overridden by layers that have some.

        Args:
            input_shape: the shape of the input, its first entry the size of the batch; a tree of
                shapes if the inputs are a tree.
        """

    def make_weights(self, shapes: Any) -> None:
        """What the first call does about weights."""
        self.build(shapes)

    def call(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output. Overridden by every layer.

        It may also take `training` and `mask`: arguments that it doesn't name aren't passed.
        """
        raise ArgumentError(
            f"{type(self).__name__} doesn't say what it computes",
            fix="define call(self, inputs) in the class",
        )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the output, where `supports_masking` is true; the input's, unless overridden.

        Args:
            inputs: the first argument of the call.
            previous_mask: its mask, (batch, steps), false where an entry doesn't count; None if all
                count; a list for a list of inputs.
        """
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one, as plain data.

        A class of one's own extends the dict with its own arguments; those that its `__init__`
        takes and keeps in attributes of the same names are found without being written out.
        """
        config: dict[str, Any] = {}
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if name == "input_shape":  # a Sequential keeps it
                continue
            if not hasattr(self, name):
                raise ArgumentError(
                    f"{type(self).__name__} doesn't keep its argument {name!r}",
                    fix=f"keep it as self.{name}, or override get_config",
                )
            config[name] = as_data(getattr(self, name))
        return config | self.base_config()

    def base_config(self) -> dict[str, Any]:
        """The arguments that every layer takes, as plain data."""
        config: dict[str, Any] = {"trainable": self.trainable, "dtype": self.dtype.name}
        if self.named:
            config["name"] = self.name
        if not self.autocast:
            config["autocast"] = False
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """A layer with these arguments."""
        return cls(**{name: from_data(value) for name, value in config.items()})

    # --- what build and call may use -----------------------------------------------------------

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Any:
        """Make a weight; keep it in an attribute, which then reads as its array.

        Args:
            shape: of the array.
            initializer: a name, an object or a function of (shape, dtype, seed); Glorot's
                uniform one if not given.
            dtype: the layer's if not given.
            trainable: False for state such as a moving average.
            regularizer: a penalty added to the loss.
            constraint: applied after each update.
            name: the last part of its path.
        """
        weight = Weight(
            name or f"weight_{len(self.own_weights)}",
            tuple(int(n) for n in ((shape,) if isinstance(shape, int) else shape)),
            self.dtype if dtype is None else np.dtype(dtype),
            get("initializer", initializer or "glorot_uniform"),
            get("regularizer", regularizer),
            get("constraint", constraint),
            trainable,
        )
        if any(other.name == weight.name for other in self.own_weights):
            raise ArgumentError(
                f"{self.name} has two weights of one name", {"name": weight.name}, "rename one"
            )
        self.own_weights.append(weight)
        return weight

    def add_loss(self, loss: Any) -> None:
        """Add a number to the loss of the call that is going on."""
        scope = current()
        if scope is not None:
            scope.losses.append(loss)

    def random_key(self) -> Any:
        """A key for this draw alone, uint64[2], for `cr.random`.

        Raises:
            ArgumentError: the call was given no seed.
        """
        return (current() or Scope({})).draw(type(self).__name__)

    def rows(self) -> Any:
        """1 for each row of the batch that counts and 0 for padding; None if all count."""
        scope = current()
        return None if scope is None else scope.rows

    def is_frozen(self) -> bool:
        """Whether this layer, or one that it is part of in this call, is set to trainable=False."""
        scope = current()
        return not self.trainable or (scope is not None and scope.frozen > 0)

    def __setattr__(self, name: str, value: Any) -> None:
        weights = self.__dict__.get(WEIGHTS)
        if weights is None:
            raise ArgumentError(
                f"{type(self).__name__} sets attributes before it is a layer",
                fix="call super().__init__() first in its __init__",
            )
        if isinstance(value, Weight):
            self.__dict__.pop(name, None)
            weights[name] = value
            self._changed()
        elif name in weights:
            write(weights[name], value)
        else:
            object.__setattr__(self, name, value)
            if name not in self._passing and current() is None:
                self._changed()

    def __getattr__(self, name: str) -> Any:
        weights = self.__dict__.get(WEIGHTS, {})
        if name in weights:
            return read(weights[name])
        if name in self._derived:
            return self._derived[name](self)
        raise refuse_name(self, name)

    # --- calling -------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if is_symbolic((inputs, options)):
            return call_symbolically(self, inputs, options)
        scope = current()
        if scope is not None:
            return self._computed(inputs, options, scope)
        with Scope({}, training=bool(options.get("training"))) as alone:
            alone.root = self
            output = self._computed(inputs, options, alone)
        for weight, value in alone.updates.items():
            weight.keep(value)
        return output

    def _computed(self, inputs: tuple[Any, ...], options: dict[str, Any], scope: Scope) -> Any:
        masks = scope.masks.of(inputs)
        if self.autocast:
            given, inputs = inputs, map_tree(self._cast, inputs)
            scope.masks.cast(given, inputs)
        shapes = shapes_of(inputs)
        options = with_masks(type(self).call, options, masks)
        with within(self, scope):
            check_inputs(self.input_spec, self.name, shapes)
            if not self.built:
                self._build(shapes, scope)
            output = self.call(*inputs, **chosen_options(type(self).call, options, scope.training))
            scope.masks.passed_on(self, inputs, [options.get("mask"), *masks], output)
        if self.activity_regularizer is not None:
            self.add_loss(activity_penalty(self.activity_regularizer, output, scope.rows))
        if scope.watch is None:
            return output
        seen = scope.watch(self, output)
        if seen is None:
            return output
        scope.masks.cast(output, seen)
        return seen

    def _cast(self, x: Any) -> Any:
        if not hasattr(x, "dtype"):
            return np.asarray(x, self.dtype)
        return x if x.dtype == self.dtype or x.dtype.kind == "c" else x.astype(self.dtype)

    def _build(self, shapes: Any, scope: Scope) -> None:
        if _MADE not in self.__dict__:  # a layer's own `build` may have called that of its parts
            self.make_weights(shapes)
        self.built = True
        self.built_for = shapes
        if scope.make is None:
            for weight in self.own_weights:
                path = f"{self.name}/{weight.name}"
                weight.value = weight.first_value(path, next(_EAGER_SEEDS))

    # --- as a pure function --------------------------------------------------------------------

    def init(self, seed: int = 0, input_shape: Any = None) -> Variables:
        """First values for all weights, as data of their own; the layer keeps none of them.

        Args:
            seed: decides the values; each weight's depend on the seed and its path alone.
            input_shape: the shape of one input, without the batch, or a tree of shapes. Not
                needed once the layer is built.

        Returns:
            {"parameters": {path: array}, "state": {path: array}}; state is what training doesn't
            change by its gradient: moving averages and frozen weights.

        Raises:
            ArgumentError: the shape is needed and was not given.
            ShapeError: the layers don't fit it, or each other.
        """
        return pure.init(self, seed, input_shape)

    def apply(
        self, variables: Variables, *inputs: Any, training: bool = False, seed: Any = None
    ) -> tuple[Any, dict[str, Any]]:
        """The output with these values for the weights: a pure function.

        Args:
            variables: as `init` returns them; plain or traced.
            inputs: arrays with the batch as their first axis.
            training: what Dropout, BatchNormalization and the like are told.
            seed: a number or a key of `cr.random`, needed where layers draw random numbers.

        Returns:
            The output, and the state after the call.

        Raises:
            ArgumentError: values are missing or too many, or a seed is needed.

        Example:
            >>> import numpy as np
            >>> import chainrule as cr
            >>> layer = cr.nn.Dense(1)
            >>> variables = layer.init(seed=0, input_shape=(2,))
            >>> def loss(parameters, x):
            ...     y, _ = layer.apply(variables | {"parameters": parameters}, x)
            ...     return np.sum(y**2)
            >>> slopes = cr.grad(loss)(variables["parameters"], np.ones((4, 2), np.float32))
            >>> sorted(slopes)
            ['bias', 'kernel']
        """
        done = pure.forward(self, variables, inputs, training=training, seed=seed)
        return done.output, done.state

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for an input of this shape, its batch (or None) included.

        Example:
            >>> import chainrule as cr
            >>> cr.nn.Dense(5).compute_output_shape((None, 3))
            (None, 5)
        """
        return pure.output_shape(self, input_shape)


def _noted(build: Any) -> Any:
    """A class's `build` that leaves word that it has made the weights."""

    @functools.wraps(build)
    def noted(self: Any, *args: Any, **options: Any) -> Any:
        result = build(self, *args, **options)
        self.__dict__[_MADE] = True
        return result

    return noted


def _who(frame: Any) -> tuple[str, str]:
    """What the layer of a call is called by the layer that it's part of, and its class."""
    layer, outer = frame.f_locals["self"], frame.f_back
    while outer is not None and outer.f_code is not frame.f_code:
        outer = outer.f_back
    parts = () if outer is None else outer.f_locals["self"].walk()
    names = (path for path, part in parts if part is layer and path)
    return next(names, layer.name), type(layer).__name__


announces(Layer._computed, _who)
