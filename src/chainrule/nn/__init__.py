"""Networks: layers, losses, metrics, models. Names are loaded on first use."""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from chainrule.base.registry import announce

announce("initializer", "chainrule.nn.initializers")
announce("regularizer", "chainrule.nn.regularizers")
announce("constraint", "chainrule.nn.constraints")
announce("activation", "chainrule.nn.activations")
announce("loss", "chainrule.nn.losses")
announce("metric", "chainrule.nn.metrics")

# Public name → the module that defines it.
_HOMES = {
    "chainrule.base.registry": "get register serialize deserialize",
    "chainrule.nn.dtype": "set_dtype",
    "chainrule.nn.layer": "Layer",
    "chainrule.nn.spec": "InputSpec",
    "chainrule.nn.symbolic": "Input",
    "chainrule.nn.dense": "Dense",
    "chainrule.nn.maxout": "Maxout",
    "chainrule.nn.embedding": "Embedding",
    "chainrule.nn.masking": "Masking",
    "chainrule.nn.shaping": "Flatten Identity Permute RepeatVector Reshape",
    "chainrule.nn.activation_layers": "Activation ELU LeakyReLU ReLU Softmax",
    "chainrule.nn.noise": (
        "Dropout GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D StochasticDepth"
    ),
    "chainrule.nn.merging": "Add Average Concatenate Dot Maximum Minimum Multiply Subtract",
    "chainrule.nn.merged": "add average concatenate dot maximum minimum multiply subtract",
    "chainrule.nn.resizing": ("Cropping2D UpSampling2D ZeroPadding1D ZeroPadding2D ZeroPadding3D"),
    "chainrule.nn.batch_normalization": "BatchNormalization",
    "chainrule.nn.normalization": (
        "GroupNormalization LayerNormalization LocalResponseNormalization RMSNormalization"
    ),
    "chainrule.nn.cell": "GRUCell LSTMCell SimpleRNNCell",
    "chainrule.nn.recurrent": "RNN",
    "chainrule.nn.recurrent_layers": "GRU LSTM SimpleRNN",
    "chainrule.nn.wrapping": "Bidirectional TimeDistributed",
    "chainrule.nn.attention": "Attention MultiHeadAttention",
    "chainrule.nn.convolution": "Conv1D Conv2D Conv3D",
    "chainrule.nn.convolution_transpose": "Conv1DTranspose Conv2DTranspose Conv3DTranspose",
    "chainrule.nn.separable": "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D",
    "chainrule.nn.pooling": (
        "AveragePooling1D AveragePooling2D AveragePooling3D MaxPooling1D MaxPooling2D MaxPooling3D"
    ),
    "chainrule.nn.global_pooling": (
        "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D"
    ),
    "chainrule.nn.loss": "Loss",
    "chainrule.nn.losses": (
        "BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalHinge "
        "CosineSimilarity Hinge Huber KLDivergence LogCosh MeanAbsoluteError "
        "MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError MulticlassHinge "
        "NegativeLogLikelihood Poisson SparseCategoricalCrossentropy SquaredError SquaredHinge"
    ),
    "chainrule.nn.metric": "Metric",
    "chainrule.nn.regularizers": "ElasticNet L1 L1L2 L2 OrthogonalRegularizer",
    "chainrule.train.model": "Model",
    "chainrule.train.sequential": "Sequential",
    "chainrule.train.saving": "load",
}
_LATER = {name: module for module, names in _HOMES.items() for name in names.split()}
# Modules that are public as they are, such as cr.nn.initializers.HeNormal.
_ROOMS = ("activations", "constraints", "initializers", "losses", "metrics", "regularizers")

announce("layer", *_HOMES)

__all__ = sorted([*_LATER, *_ROOMS])  # noqa: PLE0605 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(_missing(name))


# What Keras has and this hasn't, and what does the same.
_INSTEAD = {
    "InputLayer": "begin with cr.nn.Input(shape)",
    "Lambda": "NumPy functions and operators work on the values between layers as they are",
    "Normalization": "scale the data by its mean and spread before training",
    "Rescaling": "multiply: x / 255 works on what cr.nn.Input gives",
    "clone_model": "cr.nn.deserialize(cr.nn.serialize(model))",
}


def _missing(name: str) -> str:
    text = f"module 'chainrule.nn' has no attribute {name!r}"
    if name in _INSTEAD:
        return f"{text}; {_INSTEAD[name]}"
    near = difflib.get_close_matches(name, __all__, n=1)
    return f"{text}; did you mean {near[0]!r}?" if near else text


def __dir__() -> list[str]:
    return list(__all__)
