// The graph and its numbers: what Python sent, or what this page computed from edited inputs.

const TYPED = {
  f8: Float64Array, f4: Float32Array, i8: Float64Array, u8: Float64Array, i4: Int32Array,
  u4: Uint32Array, i2: Int16Array, u2: Uint16Array, i1: Int8Array, u1: Uint8Array, b1: Uint8Array,
};

/** An array that Python sent as what the arithmetic takes: a number, a boolean or a typed array. */
function received({ shape, kind, entries }) {
  if (shape.length > 0) return TYPED[kind].from(entries, Number);
  return kind === "b1" ? Boolean(entries[0]) : Number(entries[0]);
}

/** The bytes that Python packed as text. */
function unpacked(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

const MOST_SENT = 64; // entries of an array up to which Python sends them; of others the range

/** Arrays that Python sent one behind the other, of the shapes that the page knows them to have. */
class Packed {
  constructor({ there, entries, ranges, texts }, shapeOf, count) {
    const bytes = new DataView(unpacked(entries).buffer);
    this.entries = Float64Array.from({ length: bytes.byteLength / 8 }, (_, i) => bytes.getFloat64(8 * i, true));
    this.bits = unpacked(there);
    this.ranges = ranges;
    this.texts = texts; // of complex numbers
    this.shapeOf = shapeOf;
    this.ends = new Int32Array(count);
    let end = 0;
    for (let k = 0; k < count; k++) {
      const size = this.has(k) ? sizeOf({ shape: shapeOf(k) }) : 0;
      if (size <= MOST_SENT) end += size;
      this.ends[k] = end;
    }
    if (end !== this.entries.length) throw new Error("The page's numbers don't fit its graph.");
  }

  has(k) {
    return (this.bits[k >> 3] & (128 >> (k & 7))) !== 0;
  }

  at(k) {
    const texts = this.texts[k];
    if (texts !== undefined) return { shape: this.shapeOf(k), entries: texts };
    if (!this.has(k)) return null;
    const entries = Array.from(this.entries.subarray(k === 0 ? 0 : this.ends[k - 1], this.ends[k]));
    return { shape: this.shapeOf(k), entries, range: this.ranges[k] };
  }
}

/** Arrays of one shape added up; null for none, or where only the ranges of several are known. */
function added(parts) {
  if (parts.length < 2) return parts[0] ?? null;
  if (parts.some((part) => part.entries.length !== sizeOf(part))) return null;
  const entries = parts[0].entries.map((_, i) => parts.reduce((sum, part) => sum + part.entries[i], 0));
  return { shape: parts[0].shape, entries };
}

class Model {
  /** `sweep` is the printed arithmetic, or null where there is none. */
  constructor(data, sweep) {
    this.data = data;
    this.nodes = data.nodes.map(([name, gate, ...reads]) => ({ ...data.gates[gate], name, reads }));
    this.edges = this.nodes.flatMap((node, target) => node.reads.map((source, slot) => (
      { ...node.slots[slot], source, target, slot }
    )));
    this.sweep = sweep;
    this.into = this.nodes.map(() => []);
    this.outOf = this.nodes.map(() => []);
    this.edges.forEach((edge, k) => {
      this.into[edge.target].push(k);
      this.outOf[edge.source].push(k);
    });
    this.reaching = this.flowing();
    this.steps = this.listSteps();
    this.failure = "";
    this.seed = data.shown?.along === undefined ? null : [data.shown.along, 0];
    if (data.shown !== undefined) this.sent = this.unpack(data.shown);
    if (sweep !== null) {
      this.leaves = data.leaves.map(received);
      this.captured = data.captured.map(received);
      this.held = data.held.map(received);
      this.seed = data.moving.length > 0 ? [data.moving[0], 0] : null;
      this.compute();
    }
  }

  /** Python's own numbers. */
  unpack(shown) {
    const [nodes, edges] = [this.nodes.length, this.edges.length];
    const own = (n) => this.nodes[n].shape;
    return {
      value: new Packed(shown.value, own, nodes),
      gradient: new Packed(shown.gradient, own, nodes),
      tangent: new Packed(shown.tangent, own, nodes),
      contribution: new Packed(shown.contribution, (k) => own(this.edges[k].source), edges),
      local: new Packed(shown.local, (k) => this.localShape(this.edges[k]), edges),
    };
  }

  /** Whether inputs can be edited here. */
  get editable() {
    return this.sweep !== null;
  }

  /** Whether an input isn't what Python sent. */
  get edited() {
    return this.data.leaves.some((leaf, k) => {
      const [now, sent] = [this.leaves[k], received(leaf)];
      return typeof sent === "object" ? sent.some((x, i) => !Object.is(x, now[i])) : !Object.is(sent, now);
    });
  }

  /** Whether a gradient flows through each node: it leads from a floating-point leaf to an output. */
  flowing() {
    const varies = this.nodes.map((node) => node.kind === "input" || node.kind === "captured");
    this.nodes.forEach((node, n) => {
      if (node.dtype[0] !== "f") varies[n] = false;
      else varies[n] = varies[n] || this.into[n].some((k) => varies[this.edges[k].source]);
    });
    const needed = this.nodes.map(() => false);
    for (const n of this.data.outputs) needed[n] = true;
    for (let n = this.nodes.length - 1; n >= 0; n--) {
      needed[n] = needed[n] || this.outOf[n].some((k) => needed[this.edges[k].target]);
    }
    return varies.map((v, n) => v && needed[n]);
  }

  /** Whether something flows back along an edge. */
  carries(k) {
    const edge = this.edges[k];
    return edge.moving && this.reaching[edge.source] && this.reaching[edge.target];
  }

  /** One step per value forward, one for the output's own gradient, one per gate backward. */
  listSteps() {
    const gates = this.nodes.map((_, n) => n).filter((n) => this.nodes[n].kind === "operation");
    const back = gates.filter((n) => this.reaching[n]).reverse();
    const seed = back.length > 0 ? [{ phase: "seed", node: this.data.outputs[0] }] : [];
    return [
      { phase: "start", node: -1 },
      ...gates.map((node) => ({ phase: "forward", node })),
      ...seed,
      ...back.map((node) => ({ phase: "backward", node })),
    ];
  }

  // ---- numbers -------------------------------------------------------------------------------------

  compute() {
    this.failure = "";
    this.results = null;
    this.results = this.run(this.seed);
  }

  /** All results, with the tangent 1 in one entry of one leaf. */
  run(seed) {
    const seeds = this.data.moving.map((k) => {
      const { shape, kind } = this.data.leaves[k];
      if (shape.length === 0) return seed[0] === k ? 1 : 0;
      const tangent = new TYPED[kind](this.leaves[k].length);
      if (seed[0] === k) tangent[seed[1]] = 1;
      return tangent;
    });
    try {
      return this.sweep(...this.leaves, ...this.captured, ...seeds, ...this.held);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.failure = error.message;
      return null;
    }
  }

  array(what, number, shape) {
    if (!this.editable) return this.sent[what].at(number);
    const place = this.data.places[what][number];
    if (place === undefined || this.results === null) return null;
    const result = this.results[place];
    return { shape, entries: typeof result === "object" ? Array.from(result) : [result] };
  }

  value(n) {
    const node = this.nodes[n];
    if (node.kind === "constant") {
      return { ...node.value, entries: node.value.entries.map(Number) };
    }
    return this.array("value", n, node.shape);
  }

  gradient(n) {
    return this.array("gradient", n, this.nodes[n].shape);
  }

  tangent(n) {
    return this.array("tangent", n, this.nodes[n].shape);
  }

  contribution(k) {
    const found = this.array("contribution", k, this.nodes[this.edges[k].source].shape);
    return found;
  }

  /** What flows back along several edges of one source, added up; null where it isn't known. */
  together(edges) {
    return added(edges.map((k) => this.contribution(k)).filter((part) => part !== null));
  }

  /** ∂target/∂source: entry by entry, or a Jacobian as rows of the target. */
  local(k) {
    const edge = this.edges[k];
    const target = this.nodes[edge.target];
    if (edge.constant !== undefined) {
      return { shape: target.shape, entries: new Array(sizeOf(target)).fill(edge.constant) };
    }
    const found = this.array("local", k, this.localShape(edge));
    return found === null ? null : { ...found, entries: found.entries.map(Number) }; // true is 1
  }

  /** Entry by entry the target's own shape, else that of a Jacobian. */
  localShape({ how, source, target }) {
    const { shape } = this.nodes[target];
    return how === "entries" ? shape : [...shape, ...this.nodes[source].shape];
  }

  // ---- how far a step has come ---------------------------------------------------------------------

  /** What is known after a step: values, contributions, and how many came to each node. */
  progress(at) {
    if (this.reached?.at !== at) this.reached = { at, ...this.walked(at) };
    return this.reached;
  }

  walked(at) {
    const known = this.nodes.map((node) => node.kind !== "operation");
    const sent = this.edges.map(() => false);
    let seeded = false;
    for (const { phase, node } of this.steps.slice(0, at + 1)) {
      if (phase === "forward") known[node] = true;
      if (phase === "seed") seeded = true;
      if (phase === "backward") {
        for (const k of this.into[node]) sent[k] = this.carries(k);
      }
    }
    return { known, sent, seeded };
  }

  /** The gradient that has come to a node so far: a sum, and how much of it is there. */
  arrived(n, { sent, seeded }) {
    const edges = this.outOf[n].filter((k) => this.carries(k));
    const there = edges.filter((k) => sent[k]);
    const own = this.data.outputs.includes(n) && this.reaching[n];
    const parts = there.map((k) => this.contribution(k)).filter((part) => part !== null);
    if (own && seeded) {
      parts.unshift({ shape: this.nodes[n].shape, entries: this.ones(n) });
    }
    const sum = () => added(parts);
    const whole = there.length === edges.length && (!own || seeded);
    return { sum: whole ? this.gradient(n) ?? sum() : sum(), parts, there, of: edges.length, whole };
  }

  ones(n) {
    return new Array(sizeOf(this.nodes[n])).fill(1);
  }

  // ---- counting ------------------------------------------------------------------------------------

  /** All multiplications there are, counted once. */
  get allCounts() {
    this.counted ??= this.counts(this.steps.length - 1);
    return this.counted;
  }

  /** Multiplications of forward mode, one sweep per number that can vary, and of reverse mode. */
  counts(at) {
    const { known, sent } = this.progress(at);
    let reverse = 0;
    this.edges.forEach((edge, k) => {
      if (sent[k]) reverse += edge.cost;
    });
    let forward = 0;
    let sweeps = 0;
    for (const leaf of this.data.inputs) {
      const node = this.nodes[leaf];
      if (node.dtype[0] !== "f") continue;
      const size = sizeOf(node);
      sweeps += size;
      forward += size * this.pushed(leaf, known);
    }
    return { forward, reverse, sweeps };
  }

  /** Multiplications of one sweep along an input, over what is known already. */
  pushed(leaf, known) {
    const moves = this.nodes.map(() => false);
    moves[leaf] = true;
    let total = 0;
    this.nodes.forEach((_, n) => {
      if (!known[n] || !this.reaching[n]) return;
      for (const k of this.into[n]) {
        if (moves[this.edges[k].source] && this.carries(k)) {
          moves[n] = true;
          total += this.edges[k].cost;
        }
      }
    });
    return total;
  }
}
