// The drawing: what is known after a step, which gate is at work, moving and magnifying.

class Drawing {
  /** `views` is [{key, title, svg element, parent key}], the first one shown first. */
  constructor(canvas, model, views, onSelect, onOpen) {
    this.canvas = canvas;
    this.model = model;
    this.views = new Map(views.map((view) => [view.key, view]));
    this.onSelect = onSelect;
    this.onOpen = onOpen;
    for (const view of views) this.prepare(view);
    this.show(views[0].key);
    this.listen();
  }

  /** Finds a view's nodes, boxes and edges, and makes the nodes buttons. */
  prepare(view) {
    view.nodes = new Map();
    view.edges = new Map();
    view.boxes = new Map();
    view.exits = new Map();
    const box = view.svg.viewBox.baseVal;
    view.full = { x: box.x, y: box.y, width: box.width, height: box.height };
    view.window = { ...view.full };
    const byEnds = new Map(
      this.model.edges.map((edge, k) => [`${edge.source} ${edge.target} ${edge.slot}`, k]),
    );
    for (const group of view.svg.querySelectorAll("[data-node]")) {
      const n = Number(group.dataset.node);
      view.nodes.set(n, group);
      button(group, "-1");
      slots(group);
    }
    for (const group of view.svg.querySelectorAll("[data-box]")) {
      button(group, "0");
      for (const n of (group.dataset.members ?? "").split(" ").filter(Boolean)) {
        view.boxes.set(Number(n), group);
      }
    }
    for (const group of view.svg.querySelectorAll(".edge")) {
      group.setAttribute("aria-hidden", "true"); // nodes, panels and table say all of it
      group.removeAttribute("role");
      group.querySelector("title")?.remove();
      slots(group);
      const { source, target, slot, output } = group.dataset;
      const k = byEnds.get(`${source} ${target} ${slot}`);
      if (k !== undefined) view.edges.set(k, group);
      if (output !== undefined) view.exits.set(Number(output), group);
    }
    // What stands in the body of a loop has no steps of its own: it's there from the beginning.
    for (const group of view.svg.querySelectorAll(".inner")) group.classList.add("is-known");
    const first = view.nodes.values().next().value;
    if (first) first.setAttribute("tabindex", "0");
  }

  get view() {
    return this.views.get(this.current);
  }

  show(key) {
    this.current = key;
    this.canvas.replaceChildren(this.view.svg);
    this.look();
  }

  listen() {
    const target = (event) => event.target.closest("[data-node], [data-box]");
    const act = (group) => {
      if (group.dataset.box !== undefined) this.onOpen(group.dataset.box);
      else this.onSelect(Number(group.dataset.node));
    };
    this.canvas.addEventListener("click", (event) => {
      const group = target(event);
      if (group !== null && !this.dragged) act(group);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event, target, act));
    this.canvas.addEventListener("pointerover", (event) => {
      const group = target(event);
      if (group?.dataset.node !== undefined) this.onHover?.(Number(group.dataset.node));
    });
    this.canvas.addEventListener("pointerleave", () => this.onHover?.(null));
    this.canvas.addEventListener("focusin", (event) => {
      const group = target(event);
      if (group?.dataset.node !== undefined) this.onHover?.(Number(group.dataset.node));
    });
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.magnify(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.point(event));
    }, { passive: false });
    this.drag();
  }

  /** Enter opens; up and down go from node to node. Left and right belong to the steps. */
  key(event, target, act) {
    const group = target(event);
    if (group === null) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      event.stopPropagation();
      act(group);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const all = [...this.view.svg.querySelectorAll("[data-node], [data-box]")];
      const by = event.key === "ArrowDown" ? 1 : -1;
      this.focus(all[(all.indexOf(group) + by + all.length) % all.length]);
    }
  }

  focus(group) {
    for (const other of this.view.nodes.values()) other.setAttribute("tabindex", "-1");
    group.setAttribute("tabindex", "0");
    group.focus();
  }

  // ---- looking around ------------------------------------------------------------------------------

  drag() {
    let from = null;
    this.dragged = false;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, y: event.clientY, window: { ...this.view.window } };
      this.dragged = false;
    });
    window.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const dx = event.clientX - from.x;
      const dy = event.clientY - from.y;
      if (!this.dragged && Math.hypot(dx, dy) < 5) return;
      this.dragged = true;
      const scale = this.scale();
      this.view.window.x = from.window.x - dx / scale;
      this.view.window.y = from.window.y - dy / scale;
      this.look();
    });
    window.addEventListener("pointerup", () => {
      from = null;
    });
  }

  /** Pixels per unit of the drawing. */
  scale() {
    const { width, height } = this.canvas.getBoundingClientRect();
    return Math.min(width / this.view.window.width, height / this.view.window.height);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const { x, y, width, height } = this.view.window;
    return {
      x: x + ((event.clientX - box.left) / box.width) * width,
      y: y + ((event.clientY - box.top) / box.height) * height,
    };
  }

  magnify(by, around) {
    const { window: seen, full } = this.view;
    const centre = around ?? { x: seen.x + seen.width / 2, y: seen.y + seen.height / 2 };
    const factor = Math.min(Math.max(by, (seen.width / full.width) * 0.5), seen.width / 40);
    seen.x = centre.x - (centre.x - seen.x) / factor;
    seen.y = centre.y - (centre.y - seen.y) / factor;
    seen.width /= factor;
    seen.height /= factor;
    this.look();
  }

  /** All of it, in the middle. */
  fit() {
    const { full } = this.view;
    this.view.window = { ...full };
    const most = 1.7; // a small drawing isn't blown up
    const by = Math.max(1, this.scale() / most);
    this.view.window = {
      x: full.x - (full.width * (by - 1)) / 2,
      y: full.y - (full.height * (by - 1)) / 2,
      width: full.width * by,
      height: full.height * by,
    };
    this.look();
  }

  /** The page's first drawing is seen whole; what a box opens into, and on a small screen any
      large drawing, begins legible, with the part that is furthest to the left. */
  legible() {
    this.fit();
    const small = this.canvas.clientWidth < 600;
    const least = small ? 0.85 : this.current === "" ? 0 : 0.4;
    if (this.scale() >= least) return;
    const { full, window: seen, svg } = this.view;
    const factor = (small ? 0.85 : 0.62) / this.scale();
    seen.width /= factor;
    seen.height /= factor;
    const at = (rect, name) => Number(rect.getAttribute(name));
    const [first] = [...svg.querySelectorAll(".node > rect")].sort((a, b) => at(a, "x") - at(b, "x"));
    const middle = first === undefined ? full.y + full.height / 2 : at(first, "y") + at(first, "height") / 2;
    const room = Math.max(0, full.height - seen.height);
    seen.x = full.x;
    seen.y = room === 0 ? full.y + (full.height - seen.height) / 2
      : Math.min(Math.max(middle - seen.height / 2, full.y), full.y + room);
    this.look();
  }

  look() {
    const { x, y, width, height } = this.view.window;
    this.view.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  /** Moves the drawing so that a node is seen. */
  reveal(n) {
    const rect = this.elementOf(n)?.querySelector("rect");
    if (!rect) return;
    const { window: seen } = this.view;
    const at = (name) => Number(rect.getAttribute(name));
    const x = at("x") + at("width") / 2;
    const y = at("y") + at("height") / 2;
    const margin = 0.12;
    const inside =
      x > seen.x + seen.width * margin && x < seen.x + seen.width * (1 - margin) &&
      y > seen.y + seen.height * margin && y < seen.y + seen.height * (1 - margin);
    const all = seen.width >= this.view.full.width && seen.height >= this.view.full.height;
    if (inside || all) return;
    seen.x = x - seen.width / 2;
    seen.y = y - seen.height / 2;
    this.look();
  }

  elementOf(n) {
    return this.view.nodes.get(n) ?? this.view.boxes.get(n);
  }

  // ---- what is known -------------------------------------------------------------------------------

  /** Values above the edges, gradients below, the gate at work and what it reads marked. */
  update(at, chosen) {
    const { model, view } = this;
    const { phase, node: active } = model.steps[at];
    const state = model.progress(at);
    const back = phase === "seed" || phase === "backward";
    const come = (n) => (back && model.reaching[n] ? model.arrived(n, state).sum : null);
    for (const [n, group] of view.nodes) {
      group.classList.toggle("is-active", n === active);
      group.classList.toggle("is-chosen", chosen.includes(n));
      this.write(group, state.known[n] ? model.value(n) : null, come(n));
      group.setAttribute("aria-label", describe(model, n, state.known[n], come(n)));
      const title = group.querySelector("title");
      if (title !== null) title.textContent = group.getAttribute("aria-label");
    }
    for (const group of new Set(view.boxes.values())) group.classList.remove("is-active");
    view.boxes.get(active)?.classList.add("is-active");
    for (const [k, group] of view.edges) {
      const { source, target } = model.edges[k];
      const works = target === active;
      group.classList.toggle("is-forward", works && phase === "forward");
      group.classList.toggle("is-backward", works && phase === "backward" && state.sent[k]);
      this.write(group, state.known[source] ? model.value(source) : null, state.sent[k] ? model.contribution(k) : null);
    }
    for (const [n, group] of view.exits) {
      this.write(group, state.known[n] ? model.value(n) : null, come(n));
    }
  }

  /** Numbers of a group, as far as they are known; in full as attributes too. */
  write(group, value, gradient) {
    group.classList.toggle("is-known", value !== null);
    group.classList.toggle("has-gradient", gradient !== null);
    fill(group.values, value);
    fill(group.gradients, gradient);
    for (const [name, array] of [["value", value], ["gradient", gradient]]) {
      if (array === null) delete group.dataset[name];
      else if (array.entries.length <= 64) group.dataset[name] = array.entries.map(exact).join(" ");
    }
  }
}

/** Makes a group of the drawing a button. */
function button(group, order) {
  group.setAttribute("role", "button");
  group.setAttribute("tabindex", order);
}

/** Finds where a group's numbers stand, in reading order, and whose the brackets are. */
function slots(group) {
  for (const mark of group.querySelectorAll(".wrong-text:not(.value):not(.gradient)")) mark.remove();
  group.values = placed(group.querySelectorAll(".value"));
  group.gradients = placed(group.querySelectorAll(".gradient"));
  if (group.values.length === 0 && group.dataset.node !== undefined) {
    const quiet = [...group.querySelectorAll(".quiet")];
    const count = group.querySelectorAll(".bracket").length > 0 ? entriesOf(group) : 0;
    group.values = count > 0 && quiet.length > count ? placed(quiet.slice(-count)) : [];
  }
  for (const part of [...group.values, ...group.gradients]) part.classList.remove("wrong-text");
  for (const part of group.values) part.classList.add("of-value");
  for (const part of group.gradients) (part.closest("text") ?? part).classList.add("of-gradient");
  const height = (parts) => parts.reduce((sum, part) => sum + top_(part), 0) / parts.length;
  for (const bracket of group.querySelectorAll(".bracket")) {
    const y = Number(/^M\S+ (\S+)/.exec(bracket.getAttribute("d"))[1]);
    const above = group.values.length > 0 ? Math.abs(height(group.values) - y) : Infinity;
    const below = group.gradients.length > 0 ? Math.abs(height(group.gradients) - y) : Infinity;
    bracket.classList.add(above <= below ? "of-value" : "of-gradient");
  }
}

function entriesOf(group) {
  return (group.dataset.shape ?? "").split(" ").filter(Boolean).map(Number).reduce((a, b) => a * b, 1);
}

function top_(part) {
  return Number((part.closest("text") ?? part).getAttribute("y"));
}

/** Texts in reading order: row by row, each from left to right. */
function placed(parts) {
  const left = (part) => Number((part.closest("text") ?? part).getAttribute("x"));
  return [...parts].sort((a, b) => top_(a) - top_(b) || left(a) - left(b));
}

/** Puts an array's entries into their places, or its summary into the only one. */
function fill(places, array) {
  if (array === null) return;
  if (places.length === array.entries.length) {
    places.forEach((place, i) => put(place, short(array.entries[i], places.length > 1 ? 3 : 4), isOdd(array.entries[i])));
  } else if (places.length === 1) {
    put(places[0], brief(array), hasOdd(array));
  }
}

function put(place, text, odd) {
  place.textContent = odd ? `⚠ ${text}` : text;
  place.classList.toggle("odd", odd);
}

/** A node in words, for those who don't see it. */
function describe(model, n, known, gradient) {
  const node = model.nodes[n];
  const kind = { input: "input", captured: "captured array", constant: "constant" }[node.kind];
  const parts = [`${node.name}: ${kind ?? node.words}`];
  if (node.shape.length > 0) parts.push(shapeText(node.shape));
  if (known && model.value(n) !== null) parts.push(`value ${brief(model.value(n))}`);
  if (gradient !== null) parts.push(`gradient ${brief(gradient)}`);
  return parts.join(", ");
}
