"""Models as files: the configuration of the layers as data, the weights as safetensors."""

from __future__ import annotations

import os
from typing import Any

from chainrule.base.errors import ArgumentError, ModelFileError
from chainrule.base.registry import deserialize, serialize
from chainrule.nn.layer import Layer
from chainrule.nn.pure import ensure_built
from chainrule.train.container import read_container, tree_arrays, tree_from, write_container

_WEIGHTS, _OPTIMIZER = "weights/", "optimizer"


def save(model: Any, path: str | os.PathLike[str], include_optimizer: bool = True) -> None:
    """Write a model to one file; see `Model.save`."""
    meaning, arrays = contents(model, include_optimizer)
    write_container(path, "model", meaning, arrays)


def contents(model: Any, include_optimizer: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """All that a model is, as plain data and arrays by name."""
    model.build_if_known()
    if not model.has_values:
        raise ArgumentError(
            "the model has no weights yet",
            fix="train it, or give it first values: model.build(input_shape, seed=0)",
        )
    arrays = {
        f"{_WEIGHTS}{path}": weight.kept() for path, weight in model.weights_by_path().items()
    }
    meaning: dict[str, Any] = {"model": serialize(model), "built_for": _rows_out(model.built_for)}
    if model.compiled is not None and include_optimizer:
        meaning["compiled"] = model.compiled.config()
        if model.optimizer_state is not None:
            arrays.update(tree_arrays(_OPTIMIZER, model.optimizer_state))
    return meaning, arrays


def load(path: str | os.PathLike[str]) -> Any:
    """Read a model that `model.save` wrote. Nothing in a file is ever run as code.

    Args:
        path: the file.

    Returns:
        The model with its weights; compiled, with the state of its optimiser, if it was when saved.

    Raises:
        StorageError: the file can't be read.
        ModelFileError: it isn't a whole model file, or names what isn't known here; layers of your
            own are known once their class, entered with `@cr.nn.register("layer")`, is imported.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.nn.Sequential([cr.nn.Input((3,)), cr.nn.Dense(2)])
        >>> model.build(seed=0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = os.path.join(folder, "small.safetensors")
        ...     model.save(file)
        ...     again = cr.nn.load(file)
        >>> x = np.ones((1, 3), np.float32)
        >>> bool(np.all(again.predict(x) == model.predict(x)))
        True
    """
    meaning, arrays = read_container(path, "model")
    return model_from(meaning, arrays, os.path.basename(path))


def model_from(meaning: dict[str, Any], arrays: dict[str, Any], file: str) -> Any:
    """The model that `contents` described.

    Raises:
        ModelFileError: the description or the arrays don't fit together.
    """
    try:
        model = deserialize(meaning.get("model"), "layer")
        if not isinstance(model, Layer) or not hasattr(model, "optimizer_state"):
            raise ArgumentError("the file describes a layer, not a model")
        ensure_built(model, _shapes(meaning.get("built_for")))
        put_weights(model, arrays, file)
        if meaning.get("compiled") is not None:
            model.compile(**{str(k): v for k, v in dict(meaning["compiled"]).items()})
            put_optimizer(model, arrays, file)
    except ModelFileError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise _refused(file, error) from error
    except (RecursionError, MemoryError, ArithmeticError) as error:
        raise _refused(file, error) from error
    return model


def _refused(file: str, error: BaseException) -> ModelFileError:
    return ModelFileError(
        f"{file} doesn't describe a model that can be made here",
        {"reason": f"{type(error).__name__}: {error}".split("\n")[0][:200]},
        "import the module that defines your own layers before loading, or save the model anew",
    )


def put_weights(model: Any, arrays: dict[str, Any], file: str) -> None:
    """Give a built model the weights of a file.

    Raises:
        ModelFileError: other weights than the model's, or other shapes.
    """
    weights = model.weights_by_path()
    given = {n.removeprefix(_WEIGHTS) for n in arrays if n.startswith(_WEIGHTS)}
    if given != set(weights):
        missing, strange = sorted(set(weights) - given), sorted(given - set(weights))
        raise ModelFileError(
            f"{file} holds other weights than its model has",
            {
                "missing": ", ".join(missing[:5]) or "none",
                "unknown": ", ".join(strange[:5]) or "none",
            },
            "was the class of a layer changed since? Load with the code that saved it",
        )
    for path, weight in weights.items():
        value = arrays[f"{_WEIGHTS}{path}"]
        if value.shape != weight.shape or value.dtype != weight.dtype:
            raise ModelFileError(
                f"a weight of {file} doesn't fit its model",
                {
                    "weight": path,
                    "in the file": f"{value.dtype}{list(value.shape)}",
                    "expected": f"{weight.dtype}{list(weight.shape)}",
                },
            )
    for path, weight in weights.items():
        weight.keep(arrays[f"{_WEIGHTS}{path}"])


def put_optimizer(model: Any, arrays: dict[str, Any], file: str) -> None:
    """Give a compiled model the state of its optimiser, if the file has one."""
    if any(name.startswith(_OPTIMIZER) for name in arrays):
        like = model.compiled.optimizer.init(model.variables["parameters"])
        model.optimizer_state = tree_from(_OPTIMIZER, like, arrays, file)


def _rows_out(shapes: Any) -> Any:
    """Shapes without their batch, as JSON knows them."""
    if isinstance(shapes, dict):
        return {name: _rows_out(shape) for name, shape in shapes.items()}
    if isinstance(shapes, list):
        return [_rows_out(shape) for shape in shapes]
    return {"shape": list(shapes[1:])}


def _shapes(data: Any) -> Any:
    if isinstance(data, list):
        return [_shapes(entry) for entry in data]
    if isinstance(data, dict) and set(data) == {"shape"}:
        return tuple(int(n) for n in data["shape"])
    if isinstance(data, dict):
        return {name: _shapes(entry) for name, entry in data.items()}
    raise ArgumentError("the shapes that the model was built for are missing")
