// The panels beside the drawing: what this step does, in words and numbers.

/** ∂a/∂b as a fraction, or ∂a/∂b[0]. */
function fraction(above, below, sign = "∂", index = "") {
  const part = (name, ...rest) => {
    const row = document.createElementNS("http://www.w3.org/1998/Math/MathML", "mrow");
    row.append(mathElement("mi", sign), mathName(name), ...rest);
    row.firstElementChild.setAttribute("mathvariant", "normal"); // an upright d
    return row;
  };
  const math = document.createElementNS("http://www.w3.org/1998/Math/MathML", "math");
  const frac = document.createElementNS("http://www.w3.org/1998/Math/MathML", "mfrac");
  frac.append(part(above), index === "" ? part(below) : part(below, mathElement("mtext", index)));
  math.append(frac);
  return math;
}

function mathElement(tag, text) {
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", tag);
  element.textContent = text;
  return element;
}

/** A name in a formula, or a number that stands in its place. */
function mathName(text) {
  if (/^-?\d+(\.\d+)?$/.test(text)) return mathElement("mn", minus(text));
  const [base, index] = indexed(text);
  if (index === "") return mathElement("mi", base);
  const sub = document.createElementNS("http://www.w3.org/1998/Math/MathML", "msub");
  sub.append(mathElement("mi", base), mathElement("mn", index));
  return sub;
}

/** A number with its meaning underneath. */
function tile(content, meaning, kind = "") {
  return make("div", { class: `tile ${kind}` },
    make("div", { class: "tile-number" }, content),
    make("div", { class: "tile-meaning" }, [meaning].flat(Infinity)));
}

/** A tile with the sign before it, which never part where a line breaks. */
function term(sign, content, meaning, kind = "") {
  const before = sign === "" ? null : make("div", { class: "sign" }, sign);
  return make("div", { class: "term" }, before, tile(content, meaning, kind));
}

const PATTERNS = {
  distributes: "An adding gate distributes: what comes from above goes on to every operand.",
  subtracts: "A subtracting gate distributes: what comes from above goes on to both operands, to the second one with its sign turned.",
  switches: "A multiplying gate switches: each operand gets what comes from above times the other operand.",
  routes: "A choosing gate routes: all that comes from above goes to the operand that was taken, nothing to the others.",
  spreads: "A sum distributes: every entry gets what comes from above.",
  turns: "A product of matrices sends back what comes from above times the other matrix, turned over.",
};

const MOST_ROWS = 120;

class Panels {
  constructor(model, derivatives) {
    this.model = model;
    this.derivatives = derivatives;
    this.at = 0; // the step that is shown
  }

  get output() {
    return this.model.nodes[this.model.data.outputs[0]].name;
  }

  /** The title of a step and its one-sentence summary, for the eye and for the ear. */
  title(at) {
    const { phase, node } = this.model.steps[at];
    const name = node < 0 ? "" : plain(this.model.nodes[node].name);
    const last = at === this.model.steps.length - 1 && at > 0;
    return {
      start: "The inputs",
      forward: `Forward: compute ${name}`,
      seed: `Turn round at ${name}`,
      backward: `Backward through ${name}${last ? ": done" : ""}`,
    }[phase];
  }

  /** What a step did, in one spoken sentence. */
  spoken(at) {
    const { model } = this;
    const { phase, node } = model.steps[at];
    const say = (array) => (array === null ? "not shown" : brief(array));
    const called = (n) => plain(model.nodes[n].name);
    if (phase === "forward") return `${called(node)} is ${say(model.value(node))}.`;
    if (phase === "seed") return `The gradient of ${called(node)} by itself is 1.`;
    if (phase === "backward") {
      const parts = model.into[node].filter((k) => model.carries(k)).map((k) => {
        return `${called(model.edges[k].source)} gets ${say(model.contribution(k))}`;
      });
      return `${parts.join(", ")}.`;
    }
    return "Only the inputs are known.";
  }

  step(at) {
    const { phase, node } = this.model.steps[at];
    const parts = this[phase](node);
    if (this.model.failure !== "") {
      parts.unshift(make("p", { class: "failure", role: "alert" }, `With these inputs ${this.model.failure}.`));
    }
    return parts;
  }

  start() {
    const names = this.model.data.inputs.map((n) => nameOf(this.model.nodes[n].name));
    return [
      make("p", {}, "Known so far: ", ...listed(names), ". Step on to compute one gate after the ",
        "other, up to the result ", nameOf(this.output),
        "; then back again, to see how much each value matters to it."),
    ];
  }

  // ---- forward -------------------------------------------------------------------------------------

  forward(n) {
    const node = this.model.nodes[n];
    const parts = [make("div", { class: "formula" }, this.equation(node))];
    const tiles = [];
    for (const source of new Set(this.model.into[n].map((k) => this.model.edges[k].source))) {
      const { kind, name } = this.model.nodes[source];
      if (kind === "constant") continue;
      tiles.push(term(tiles.length > 0 ? "," : "", shown(this.model.value(source), "value"), nameOf(name)));
    }
    tiles.push(term(tiles.length > 0 ? "→" : "", shown(this.model.value(n), "value"), nameOf(node.name), "result"));
    parts.push(make("div", { class: "tiles" }, tiles));
    parts.push(...this.tangentOf(n));
    return parts;
  }

  equation(node) {
    return make("span", {}, nameOf(node.name), " = ", this.right(node));
  }

  /** Forward mode at the same gate: how fast the value moves with the chosen input. */
  tangentOf(n) {
    const { model } = this;
    const tangent = model.tangent(n);
    if (tangent === null || model.seed === null) return [];
    const wrt = this.wrt();
    const single = model.nodes[n].shape.length === 0;
    const terms = model.into[n].filter((k) => model.edges[k].moving && model.tangent(model.edges[k].source));
    const sum = [];
    for (const k of terms) {
      const local = model.local(k);
      if (!single || local === null || model.nodes[model.edges[k].source].shape.length > 0) return [
        make("p", { class: "aside" }, "Forward mode: ", fraction(model.nodes[n].name, ...wrt), " = ",
          shown(tangent, "tangent")),
      ];
      const [factor] = local.entries;
      const first = sum.length === 0;
      if (!first) sum.push(" + ");
      sum.push(...(first ? [number(factor, "local")] : signed(factor, "local")), " · ",
        ...signed(model.tangent(model.edges[k].source).entries[0], "tangent"));
    }
    return [make("p", { class: "aside" }, "Forward mode, in the same step: ",
      fraction(model.nodes[n].name, ...wrt), " = ", ...sum, terms.length > 0 ? " = " : "",
      shown(tangent, "tangent"))];
  }

  /** What forward mode goes along, as ∂/∂… has it: a name, and an entry's index. */
  wrt() {
    const [leaf, entry] = this.model.seed;
    const node = this.model.nodes[this.model.data.inputs[leaf]];
    return [node.name, "∂", indexOf(node, entry)];
  }

  /** The same outside of a formula. */
  wrtName() {
    const [name, , index] = this.wrt();
    return [nameOf(name), index];
  }

  // ---- backward ------------------------------------------------------------------------------------

  seed(n) {
    const name = this.model.nodes[n].name;
    const parts = [
      make("div", { class: "tiles" },
        tile(shown({ shape: this.model.nodes[n].shape, entries: this.model.ones(n) }, "gradient"),
          fraction(name, name), "result")),
      make("p", {}, "Everything is computed. Now backward: the result changes by 1 when it changes ",
        "by 1. Each gate multiplies what comes from above by its own local derivative and hands ",
        "the product down."),
    ];
    if (this.model.data.outputs.length > 1 || this.model.nodes[n].shape.length > 0) {
      parts.push(make("p", { class: "aside" }, "There are several numbers in the result: these are gradients of their sum."));
    }
    return parts;
  }

  backward(n) {
    const { model } = this;
    const node = model.nodes[n];
    const parts = [make("div", { class: "formula" }, this.equation(node))];
    for (const k of model.into[n]) {
      if (!model.carries(k)) continue;
      parts.push(this.product(n, k));
    }
    const carrying = model.into[n].filter((k) => model.carries(k)).length;
    const pattern = PATTERNS[node.pattern];
    const needsTwo = ["distributes", "subtracts", "switches"].includes(node.pattern);
    if (pattern && (carrying > 1 || !needsTwo)) parts.push(make("p", { class: "pattern" }, pattern));
    return [...parts, ...this.meetings(n)];
  }

  /** upstream × local = downstream, for one operand. */
  product(n, k) {
    const { model } = this;
    const node = model.nodes[n];
    const edge = model.edges[k];
    const source = model.nodes[edge.source];
    const upstream = model.gradient(n);
    const local = model.local(k);
    const words = breaking(mathematics(edge.formula, this.named(node)));
    const whole = edge.how === "entries" || local?.shape.length <= 2;
    const rule = [fraction(node.name, source.name), whole ? [" = ", words] : ""];
    const numbers = whole ? shown(local, "local", 4) : make("span", { class: "rule" }, words);
    const product = node.shape.length === 0 || edge.how === "entries" ? "×" : "·";
    return make("div", { class: "tiles product" },
      term("", shown(upstream, "gradient", 4), ["upstream ", fraction(this.output, node.name)]),
      term(product, numbers, ["local ", ...rule]),
      term("=", shown(model.contribution(k), "gradient", 4), ["down to ", nameOf(source.name)], "result"));
  }

  /** Where a value was used several times, what has come together so far. */
  meetings(n) {
    const { model } = this;
    const state = model.progress(this.at);
    const parts = [];
    for (const source of new Set(model.into[n].map((k) => model.edges[k].source))) {
      const { sum, parts: came, of, whole } = model.arrived(source, state);
      if (of < 2 || sum === null) continue;
      const name = nameOf(model.nodes[source].name);
      const single = model.nodes[source].shape.length === 0;
      const terms = single && came.length > 1
        ? [...came.flatMap(({ entries: [x] }, i) => i === 0 ? [number(x, "gradient")]
          : [" + ", ...signed(x, "gradient")]), " = "] : [];
      parts.push(make("p", { class: "meeting" }, name,
        ` is used ${of === 2 ? "twice" : `${of} times`}, and gradients add up where paths meet: `, ...terms,
        shown(sum, "gradient"), whole ? "." : make("span", { class: "aside" }, ` (${came.length} of ${of} so far)`)));
    }
    return parts;
  }

  // ---- the table -----------------------------------------------------------------------------------

  /** One row per value: forward mode and reverse mode side by side. */
  trace(at, hovered) {
    const { model } = this;
    const state = model.progress(at);
    const active = model.steps[at].node;
    return this.rows(active).map((n) => {
      const node = model.nodes[n];
      const small = (array, kind) => shown(array, kind, 5, 4);
      const value = state.known[n] ? small(model.value(n), "value") : "";
      const tangent = state.known[n] && model.tangent(n) !== null ? small(model.tangent(n), "tangent") : "";
      const gradient = model.reaching[n] ? model.arrived(n, state) : null;
      const bar = gradient === null || gradient.sum === null ? "" : [
        small(gradient.sum, "gradient"),
        gradient.whole ? "" : make("span", { class: "aside" }, ` ${gradient.parts.length} of ${gradient.of}`),
      ];
      return make("tr", {
        "data-row": n, tabindex: "-1",
        class: [n === active ? "is-active" : "", n === hovered ? "is-hovered" : ""].join(" ").trim(),
      },
        make("th", { scope: "row" }, nameOf(node.name)),
        make("td", { class: "rule" }, node.kind === "operation" ? breaking(this.right(node)) : describeKind(node)),
        make("td", {}, value), make("td", {}, tangent), make("td", {}, bar));
    });
  }

  /** Whether there is anything to put into the column of forward mode. */
  get tells() {
    return this.model.seed !== null;
  }

  /** All values, or of very many those around the gate at work. */
  rows(active) {
    const all = this.model.nodes.map((_, n) => n).filter((n) => this.model.nodes[n].kind !== "constant");
    if (all.length <= MOST_ROWS) return all;
    const at = Math.max(0, all.indexOf(active));
    const first = Math.min(Math.max(0, at - MOST_ROWS / 2), all.length - MOST_ROWS);
    return all.slice(first, first + MOST_ROWS);
  }

  /** The right-hand side of a node's equation. */
  right(node) {
    node.mathematics ??= mathematics(node.formula, this.named(node));
    return node.mathematics.cloneNode(true);
  }

  /** What the places in a node's formulas are called: "y" itself, "0", "1" … its operands. */
  named(node) {
    return (place) => mathName(place === "y" ? node.name : this.model.nodes[node.reads[place]].name);
  }

  counts(at) {
    const { forward, reverse, sweeps } = this.model.counts(at);
    const all = this.model.allCounts;
    const of = (now, whole) => (now === whole ? "" : `${counted(now)} of `) + counted(whole);
    return {
      forward: `${of(forward, all.forward)} multiplications in ${counted(sweeps)} sweep${sweeps === 1 ? "" : "s"}, one per number of the inputs`,
      reverse: `${of(reverse, all.reverse)} multiplications in 1 sweep for all inputs`,
    };
  }

  // ---- partial and total ---------------------------------------------------------------------------

  between(of, wrt) {
    const { model, derivatives } = this;
    const above = model.nodes[of].name;
    const below = model.nodes[wrt].name;
    if (of === wrt) return [make("p", {}, "A value by itself: choose two different ones.")];
    if (of < wrt) return [make("p", {}, nameOf(above), " is computed before ", nameOf(below), " and doesn't depend on it: both derivatives are 0.")];
    const partial = derivatives.partial(of, wrt);
    const total = derivatives.total(of, wrt);
    const parts = [make("div", { class: "tiles" },
      tile(this.matrix(partial, of, wrt, "local"), ["partial ", fraction(above, below), ", the other operands held fixed"]),
      tile(total === null ? this.swept(of, wrt) : this.matrix(total, of, wrt, "gradient"),
        ["total ", fraction(above, below, "d"), ", along all paths"], "result"))];
    const paths = derivatives.paths(of, wrt);
    if (paths === null) parts.push(make("p", { class: "aside" }, "The total is a sum over paths that are too many, or too long, to be written out."));
    else if (paths.length === 0) parts.push(make("p", {}, "No path leads from ", nameOf(below), " to ", nameOf(above), "."));
    else parts.push(make("ul", { class: "paths" }, paths.map((path) => this.path(path))));
    return parts;
  }

  /** A total derivative that is too large to be multiplied out: the result's is its gradient. */
  swept(of, wrt) {
    const { model } = this;
    const only = model.data.outputs.length === 1 && model.data.outputs[0] === of && model.nodes[of].shape.length === 0;
    const gradient = only ? model.gradient(wrt) : null;
    return gradient === null ? this.matrix(null) : shown(gradient, "gradient", 4, 8);
  }

  matrix(rows, of, wrt, kind) {
    if (rows === null) return make("span", { class: "unknown" }, "too large for this page");
    const shape = [...this.model.nodes[of].shape, ...this.model.nodes[wrt].shape];
    return shown({ shape, entries: rows.flat() }, kind, 4, 8);
  }

  path(edges) {
    const { model } = this;
    const names = [model.nodes[model.edges[edges[0]].source].name, ...edges.map((k) => model.nodes[model.edges[k].target].name)];
    const locals = edges.map((k) => model.local(k));
    const single = locals.every((l, i) => l !== null && l.entries.length === 1 && model.nodes[model.edges[edges[i]].source].shape.length === 0);
    const line = names.flatMap((name, i) => [i > 0 ? " → " : "", nameOf(name)]);
    if (!single) return make("li", {}, line);
    const factors = locals.flatMap(({ entries: [x] }, i) => i === 0 ? [number(x, "local")] : [" × ", ...signed(x, "local")]);
    const product = locals.reduce((p, l) => p * l.entries[0], 1);
    return make("li", {}, line, ": ", factors, edges.length > 1 ? [" = ", number(product, "gradient")] : "");
  }
}

function describeKind(node) {
  return make("span", { class: "aside" }, node.kind === "input" ? "input" : "from outside");
}

/** a, b and c. */
function listed(items) {
  return items.flatMap((item, i) => [i === 0 ? "" : i === items.length - 1 ? " and " : ", ", item]);
}
