"""chainrule: differentiate plain NumPy by every method, see it, train with it."""

from chainrule import ops as _ops
from chainrule.transform.batch import vmap
from chainrule.transform.forward import jvp, linearize
from chainrule.transform.gradient import grad, value_and_grad, vjp
