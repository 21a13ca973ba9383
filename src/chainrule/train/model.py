"""`Model`: a layer that can be trained, evaluated, asked, summarised and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn import pure
from chainrule.nn.layer import Layer
from chainrule.train.compiled import Compiled, Programs
from chainrule.train.derived import MODEL_DERIVED, find_layer
from chainrule.train.evaluation import evaluate, predict
from chainrule.train.fitting import fit
from chainrule.train.graph import Graph
from chainrule.train.history import History
from chainrule.train.progress import numbers_text, progress_for
from chainrule.train.saving import save
from chainrule.train.summary import summary

# What Keras calls while it trains; here they would be left aside.
_OWN_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


@register("layer")
class Model(Layer):
    """A network: put together from inputs and outputs, or a class of your own with `call`.

    Args:
        inputs: what `cr.nn.Input` gave, or a list or dict of such; left out by a class of your own.
        outputs: what calling layers on them gave; one, or a list or dict.
        options: those of `Layer`.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = cr.nn.Input((2,))
        >>> trunk = cr.nn.Dense(8, activation="tanh")(x)
        >>> model = cr.nn.Model(x, [cr.nn.Dense(1)(trunk), cr.nn.Dense(3)(trunk)])
        >>> value, scores = model.predict(np.zeros((5, 2)))
        >>> value.shape, scores.shape
        ((5, 1), (5, 3))
    """

    supports_masking = True  # its layers hand masks on among each other
    _passing: ClassVar[frozenset[str]] = Layer._passing | {
        *("compiled", "optimizer_state", "stop_training", "history", "progress", "_programs")
    }

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.graph = None if inputs is None and outputs is None else Graph(inputs, outputs)
        self.compiled: Compiled | None = None
        self._programs = Programs()
        self.optimizer_state: Any = None
        self.stop_training = False
        self.history: History | None = None
        self.progress: Callable[[str], None] | None = None  # where a training under way prints

    _derived = MODEL_DERIVED

    # --- what it computes ----------------------------------------------------------------------

    def children(self) -> Iterator[tuple[str, Any]]:
        if self.graph is not None:
            yield from self.graph.layers()
        else:
            yield from super().children()

    def call(self, inputs: Any) -> Any:
        if self.graph is None:
            return super().call(inputs)
        return self.graph.compute(inputs)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None  # its outputs have the masks that its layers gave them

    def get_config(self) -> dict[str, Any]:
        if self.graph is None:
            return super().get_config()
        return {"graph": self.graph.config()} | self.base_config()

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        if "graph" not in config:
            return super().from_config(config)
        graph = Graph.from_config(config["graph"])
        rest = {name: value for name, value in config.items() if name != "graph"}
        return cls(graph.inputs, graph.outputs, **rest)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """One of its layers, by its name or by its place among `layers`.

        Raises:
            ArgumentError: there is none; the message suggests the nearest name.
        """
        found: Layer = find_layer(self, name, index)
        return found

    # --- values --------------------------------------------------------------------------------

    def build(self, input_shape: Any = None, seed: int = 0) -> None:
        """Make the weights and give them first values.

        Layers that have values already, such as those of a model trained before, keep them; if all
        have, all begin anew.

        Args:
            input_shape: the shape of one input without the batch, or a tree of shapes; a model put
                together from inputs knows it.
            seed: decides the values.
        """
        self.begin(input_shape, seed)

    def begin(self, input_shape: Any = None, seed: int = 0) -> None:
        """What `build` does, also for a class whose own `build` makes weights."""
        shape = self.known_input_shapes() if input_shape is None else input_shape
        anew = self.has_values
        weights = self.weights_by_path()
        there = set() if anew else {w for w in weights.values() if w.value is not None}
        first = pure.init(self, seed, shape)
        weights = self.weights_by_path()
        for values in first.values():
            for path, value in values.items():
                if weights[path] not in there:
                    weights[path].keep(value)

    def known_input_shapes(self) -> Any:
        """The shapes of the inputs without the batch, where the model itself knows them."""
        return None if self.graph is None else self.graph.input_shapes()

    def output_names(self) -> list[str] | None:
        """What the outputs are called, where the model itself knows it; [""] for an only one."""
        return None if self.graph is None else self.graph.output_names()

    def known_batch_size(self) -> int | None:
        """The rows of a batch, where an Input says them; stateful layers hold to it."""
        return None if self.graph is None else self.graph.sources[0].shape[0]

    def last_layers(self) -> list[Layer | None]:
        """The layer that each output comes out of, None where it's none; [] if that isn't known."""
        return [] if self.graph is None else self.graph.last_layers()

    def make_weights(self, shapes: Any) -> None:
        # The `build` of a class of one's own makes weights; this class's makes their values too.
        if type(self).build is not Model.build:
            self.build(shapes)

    def build_if_known(self) -> None:
        """Give first values to a model without any whose inputs have known shapes, by seed 0."""
        if not self.has_values and self.known_input_shapes() is not None:
            self.begin()

    @property
    def has_values(self) -> bool:
        """Whether all weights are made and have values."""
        return self.built and all(w.value is not None for w in self.weights_by_path().values())

    @property
    def variables(self) -> dict[str, dict[str, np.ndarray]]:
        """The values of all weights by path, as `init` gives them: live, so don't write to them."""
        return pure.sorted_apart(
            self, {path: weight.kept() for path, weight in self.weights_by_path().items()}
        )

    def keep(self, variables: Mapping[str, Mapping[str, Any]]) -> None:
        """Give all weights these values, as `init` or `apply` returned them."""
        weights = self.weights_by_path()
        for values in variables.values():
            for path, value in values.items():
                if path not in weights:
                    raise ArgumentError(f"{self.name!r} has no weight {path!r}")
                weights[path].keep(value)

    # --- training ------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        *,
        regularizer: Any = None,
        blocked: bool | None = None,
    ) -> None:
        """Choose how it is trained.

        Args:
            optimizer: a name or an object of `cr.optim`.
            loss: a name, an object or a function of (y_true, y_pred); a list or dict of them for
                several outputs.
            loss_weights: factors of the outputs' losses.
            metrics: names, objects or functions; a list, or one per output in a list or dict.
            weighted_metrics: the same, weighted by the samples' weights.
            regularizer: a penalty on every kernel that has none of its own: every trained
                weight of two or more axes.
            blocked: per-sample SGD of a dense first layer in blocks, the same algorithm up to
                rounding; None chooses it where it pays, False never.

        Raises:
            ArgumentError: an unknown name; the message suggests the nearest.
        """
        own = [name for name in _OWN_STEPS if hasattr(type(self), name)]
        if own:
            raise ArgumentError(
                f"{type(self).__name__} defines {own[0]}, which nothing here calls",
                {"trained by": "compile and fit, as one native program"},
                "put what it adds to the loss into call, with self.add_loss(…), and a loss of\n"
                "your own into compile(loss=…); or write the loop yourself: cr.value_and_grad of\n"
                "a function that calls model.apply, and optimizer.update",
            )
        self.compiled = Compiled(
            optimizer, loss, loss_weights, metrics, weighted_metrics, regularizer, blocked
        )
        self.optimizer_state = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Any = 32,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        *,
        seed: int = 0,
    ) -> History:
        """Train on data: epochs of compiled steps, many of them in one native call.

        Args:
            x: an array with a row per sample, also memory-mapped; a list or dict of them for
                several inputs; or an iterable of batches (x, y) or (x, y, sample_weight).
            y: labels: an array, or one per output; none for an iterable.
            batch_size: rows of a step; None for one step with all rows, as full-batch optimisers
                (GradientDescent, LBFGS) always take it.
            epochs: how often all rows are used.
            verbose: "auto" and 1: a bar on a terminal, a line per epoch elsewhere; 2: lines;
                0: nothing.
            callbacks: objects of `cr.train`, or functions of (epoch, logs).
            validation_split: the fraction at the end of the arrays that is held out.
            validation_data: (x, y) or (x, y, sample_weight), held out as well.
            shuffle: whether every epoch takes the rows in another order.
            class_weight: a dict from class to how much its samples count.
            sample_weight: how much each row counts.
            initial_epoch: the number of the first epoch.
            steps_per_epoch: the batches of an epoch, for an iterable that doesn't end.
            validation_batch_size: rows of a compiled call of the validation.
            validation_freq: after every how many epochs there is a validation.
            seed: decides the first weights of a model that has none, the order of the rows, and
                all chance in the layers. The same seed gives the same weights, bit for bit.

        Returns:
            A `History`. Ctrl-C ends the training, keeps the weights and returns as well.

        Raises:
            ArgumentError, ShapeError, DtypeError: data or labels that don't fit the model or loss.
            DomainError: NaN in the data; names row and column.
            DivergenceError: the loss left the finite numbers; names the layer.
        """
        return fit(
            self,
            x,
            y,
            batch_size,
            epochs,
            verbose,
            callbacks,
            validation_split,
            validation_data,
            shuffle,
            class_weight,
            sample_weight,
            initial_epoch,
            steps_per_epoch,
            validation_batch_size,
            validation_freq,
            seed,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        *,
        return_dict: bool = True,
    ) -> Any:
        """The loss and the metrics on data, without training.

        Args:
            x, y, sample_weight: as for `fit`.
            batch_size: rows of a compiled call; it changes nothing but memory and speed.
            verbose: 1 also prints the numbers.
            return_dict: False gives the numbers alone, as a list.

        Returns:
            {"loss": …, metric: …}.
        """
        found = evaluate(self, x, y, batch_size, sample_weight)
        if verbose not in (0, "auto"):
            progress_for(2, 1, None).say(numbers_text(found))
        return found if return_dict else list(found.values())

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The outputs for inputs.

        Args:
            x: an array with a row per sample; a list or dict of them for several inputs.
            batch_size: rows of a compiled call.
            verbose: taken as Keras takes it; nothing is printed.

        Returns:
            An array with a row per sample, or the tree of outputs.
        """
        return predict(self, x, batch_size)

    def kept_program(self, name: str, make: Callable[[], Any]) -> Any:
        """A compiled program of this model that needs no loss; made anew when a layer changes."""
        return self._programs.kept((name, self.makeup()), make)

    # --- showing and keeping -------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
    ) -> None:
        """Print its layers with their output shapes and numbers of weights.

        Args:
            line_length: columns of the table.
            print_fn: what to hand the text to, instead of printing it.
            expand_nested: whether layers within layers have lines of their own.
        """
        summary(self, line_length, print_fn, expand_nested)

    def save(self, path: Any, include_optimizer: bool = True) -> None:
        """Write the model to one file: its layers as data, its weights as safetensors.

        Args:
            path: the file, such as "digits.safetensors". It is replaced as a whole or not at all.
            include_optimizer: whether to keep what `compile` was given and the optimiser's state.

        Raises:
            StorageError: the file couldn't be written; what was there is as it was.
            ArgumentError: the model has no weights yet, or calls what can't be written as data.
        """
        save(self, path, include_optimizer)
