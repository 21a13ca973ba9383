"""Floor 3: the operations. Importing a family enters its names into the table."""

from chainrule.ops import (
    arithmetic,
    arrange,
    choice,
    compare,
    complex,
    einsum,
    extremum,
    indexing,
    matrix,
    order,
    query,
    reduce,
    rounding,
    scan,
    sort,
    transcendental,
)

FAMILIES = (
    arithmetic,
    arrange,
    choice,
    compare,
    complex,
    einsum,
    extremum,
    indexing,
    matrix,
    order,
    query,
    reduce,
    rounding,
    scan,
    sort,
    transcendental,
)
