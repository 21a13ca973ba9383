// Partial and total derivatives between two nodes: products of local ones along paths, added up.

const MOST_ENTRIES = 4096; // of a Jacobian in between
const MOST_PATHS = 10;
const LONGEST_PATH = 14; // edges of a path that is written out

/** A matrix as rows of numbers: one per entry of the target, columns of the source. */
function zeros(rows, columns) {
  return Array.from({ length: rows }, () => new Array(columns).fill(0));
}

function identity(n) {
  return zeros(n, n).map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
}

function times(a, b) {
  return a.map((row) => b[0].map((_, j) => row.reduce((s, x, k) => s + x * b[k][j], 0)));
}

function plus(a, b) {
  return a.map((row, i) => row.map((x, j) => x + b[i][j]));
}

class Derivatives {
  constructor(model) {
    this.model = model;
  }

  /** The Jacobian of one operation by one operand, or null where it isn't known here. */
  edge(k) {
    const { edges, nodes } = this.model;
    const { source, target, how } = edges[k];
    const rows = sizeOf(nodes[target]);
    const columns = sizeOf(nodes[source]);
    const local = this.model.local(k);
    if (local === null || rows * columns > MOST_ENTRIES) return null;
    const matrix = zeros(rows, columns);
    const known = how === "entries" ? rows : rows * columns;
    if (local.entries.length !== known) return null;
    if (how !== "entries") {
      return matrix.map((row, i) => row.map((_, j) => local.entries[i * columns + j]));
    }
    const place = broadcast(nodes[source].shape, nodes[target].shape);
    local.entries.forEach((x, i) => {
      matrix[i][place(i)] += x;
    });
    return matrix;
  }

  /** ∂of/∂wrt: what `of` itself reads, everything else held fixed. */
  partial(of, wrt) {
    let total = zeros(sizeOf(this.model.nodes[of]), sizeOf(this.model.nodes[wrt]));
    for (const k of this.model.into[of]) {
      if (this.model.edges[k].source !== wrt) continue;
      const one = this.model.edges[k].moving ? this.edge(k) : total.map((row) => row.map(() => 0));
      if (one === null) return null;
      total = plus(total, one);
    }
    return total;
  }

  /** d(of)/d(wrt) along every path. */
  total(of, wrt) {
    const { nodes, into, edges } = this.model;
    const columns = sizeOf(nodes[wrt]);
    const known = new Map([[wrt, identity(columns)]]);
    for (let n = wrt + 1; n <= of; n++) {
      let sum = null;
      for (const k of into[n]) {
        const before = known.get(edges[k].source);
        if (before === undefined || !edges[k].moving || nodes[n].dtype[0] !== "f") continue;
        if (sizeOf(nodes[n]) * columns > MOST_ENTRIES) return null;
        const local = this.edge(k);
        if (local === null) return null;
        const part = times(local, before);
        sum = sum === null ? part : plus(sum, part);
      }
      if (sum !== null) known.set(n, sum);
    }
    return known.get(of) ?? zeros(sizeOf(nodes[of]), columns);
  }

  /** The paths from wrt to of as lists of edges; null where they are too many, or too long. */
  paths(of, wrt) {
    const { into, edges } = this.model;
    const leads = new Set([wrt]);
    for (let n = wrt + 1; n <= of; n++) {
      if (into[n].some((k) => edges[k].moving && leads.has(edges[k].source))) leads.add(n);
    }
    const found = [];
    let long = false;
    const walk = (n, rest) => {
      long ||= rest.length > LONGEST_PATH;
      if (long || found.length > MOST_PATHS) return;
      if (n === wrt) {
        found.push(rest);
        return;
      }
      for (const k of into[n]) {
        if (edges[k].moving && leads.has(edges[k].source)) walk(edges[k].source, [k, ...rest]);
      }
    };
    if (leads.has(of)) walk(of, []);
    return long || found.length > MOST_PATHS ? null : found;
  }
}

/** Entry of the target → entry of an operand that was broadcast to its shape. */
function broadcast(from, to) {
  const own = [...new Array(to.length - from.length).fill(1), ...from];
  return (entry) => {
    let rest = entry;
    let place = 0;
    let step = 1;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const i = rest % to[axis];
      rest = Math.floor(rest / to[axis]);
      if (own[axis] !== 1) place += i * step;
      step *= own[axis];
    }
    return place;
  };
}
