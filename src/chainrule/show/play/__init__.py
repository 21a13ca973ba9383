"""The playground: a small network that trains while one watches and changes it.

`chainrule play` opens it. A worker thread trains with `model.fit`, compiled as ever (session.py); a
server on loopback hands what it shows to a page (server.py, assets/). The names below are those
that the Python code of an exported network uses.
"""

from chainrule.show.play.data import dataset, features
from chainrule.show.play.table import table_rows

__all__ = ["dataset", "features", "table_rows"]
