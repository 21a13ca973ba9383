"""Floor 3: the operations. Importing a family enters its names into the table."""

from chainrule.ops import arithmetic, arrange, compare, indexing, query, reduce, transcendental

FAMILIES = (arithmetic, arrange, compare, indexing, query, reduce, transcendental)
