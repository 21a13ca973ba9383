"""Ready networks from the literature, each a short function that puts layers together."""

from chainrule.models.alexnet import alexnet
from chainrule.models.inception import inception_v1
from chainrule.models.lenet import lenet
from chainrule.models.perceptron import mlp
from chainrule.models.residual import resnet18, resnet50
from chainrule.models.sequence import lstm
from chainrule.models.turing import neural_turing_machine
from chainrule.models.vgg import vgg16

__all__ = [
    "alexnet",
    "inception_v1",
    "lenet",
    "lstm",
    "mlp",
    "neural_turing_machine",
    "resnet18",
    "resnet50",
    "vgg16",
]
