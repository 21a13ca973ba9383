"""The cheapest set of values from which others follow: a minimum cut."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

INFINITE = 1 << 60


class Network:
    """Nodes joined by edges that let so much through."""

    def __init__(self, nodes: int) -> None:
        self.leaving: list[list[int]] = [[] for _ in range(nodes)]
        self.target: list[int] = []
        self.room: list[int] = []

    def edge(self, start: int, end: int, room: int) -> None:
        """Join two nodes; its other half, against the direction, has the next number."""
        for here, there, size in ((start, end, room), (end, start, 0)):
            self.leaving[here].append(len(self.target))
            self.target.append(there)
            self.room.append(size)

    def fill(self, source: int, sink: int) -> None:
        """Let as much flow as can, along shortest paths first.

        Source: Dinic, "Algorithm for solution of a problem of maximum flow in a network with power
            estimation", 1970.
        """
        while True:
            level = self._levels(source)
            if sink not in level:
                return
            tried = [0] * len(self.leaving)
            while self._path(source, sink, level, tried):
                pass

    def _levels(self, source: int) -> dict[int, int]:
        level = {source: 0}
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for edge in self.leaving[node]:
                end = self.target[edge]
                if self.room[edge] and end not in level:
                    level[end] = level[node] + 1
                    queue.append(end)
        return level

    def _path(self, source: int, sink: int, level: Mapping[int, int], tried: list[int]) -> bool:
        """Send flow along one path, if there is one left."""
        path: list[int] = []
        node = source
        while node != sink:
            edges = self.leaving[node]
            while tried[node] < len(edges):
                edge = edges[tried[node]]
                if self.room[edge] and level.get(self.target[edge]) == level[node] + 1:
                    break
                tried[node] += 1
            if tried[node] < len(edges):
                path.append(edges[tried[node]])
                node = self.target[path[-1]]
            elif path:
                node = self.target[path.pop() ^ 1]
                tried[node] += 1
            else:
                return False
        flow = min(self.room[edge] for edge in path)
        for edge in path:
            self.room[edge] -= flow
            self.room[edge ^ 1] += flow
        return True

    def before(self, sink: int) -> set[int]:
        """The nodes from which something could still flow to the sink."""
        found = {sink}
        queue = deque([sink])
        while queue:
            for edge in self.leaving[queue.popleft()]:
                start = self.target[edge]
                if self.room[edge ^ 1] and start not in found:
                    found.add(start)
                    queue.append(start)
        return found
