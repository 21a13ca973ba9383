// The drawing: what is known after a step, and which gate is at work.

class Drawing {
  /** `views` is [{key, title, svg element, parent key}], the first one shown first. */
  constructor(canvas, model, views, onSelect, onOpen) {
    this.canvas = canvas;
    this.model = model;
    this.views = new Map(views.map((view) => [view.key, view]));
    this.onSelect = onSelect;
    this.onOpen = onOpen;
    this.camera = new Camera(canvas);
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
    view.results = new Map(); // of operations with several: one group stands for all of them
    for (const group of view.svg.querySelectorAll("[data-node]")) {
      const n = Number(group.dataset.node);
      view.nodes.set(n, group);
      for (const result of numbersIn(group.dataset.results)) view.results.set(result, group);
      button(group, "-1");
      slots(group);
    }
    for (const group of view.svg.querySelectorAll("[data-box]")) {
      button(group, "0");
      for (const n of numbersIn(group.dataset.members)) view.boxes.set(n, group);
    }
    for (const group of view.svg.querySelectorAll(".edge")) {
      group.setAttribute("aria-hidden", "true"); // nodes, panels and table say all of it
      group.removeAttribute("role");
      group.querySelector("title")?.remove();
      slots(group);
      const { target, slot, output } = group.dataset;
      const k = slot === undefined ? undefined : this.model.into[target]?.[slot];
      if (k !== undefined) {
        view.edges.set(k, group);
        group.parts = group.dataset.edges === undefined ? [k] : numbersIn(group.dataset.edges);
      }
      if (output !== undefined) view.exits.set(Number(output), group);
    }
    // What stands in the body of a loop has no steps of its own: it's there from the beginning.
    for (const group of view.svg.querySelectorAll(".inner")) {
      group.classList.add("is-known", "has-gradient");
      for (const text of group.querySelectorAll("text")) {
        if (leads(text)) text.classList.add("of-gradient");
      }
    }
    const first = view.nodes.values().next().value;
    if (first) first.setAttribute("tabindex", "0");
  }

  get view() {
    return this.views.get(this.current);
  }

  show(key) {
    this.current = key;
    this.canvas.replaceChildren(this.view.svg);
    this.camera.at(this.view.svg, key === "");
  }

  listen() {
    const target = (event) => event.target.closest("[data-node], [data-box]");
    const act = (group) => {
      if (group.dataset.box !== undefined) this.onOpen(group.dataset.box);
      else this.onSelect(Number(group.dataset.node));
    };
    this.canvas.addEventListener("click", (event) => {
      const group = target(event);
      if (group !== null && !this.camera.dragged) act(group);
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

  /** Brings a node into sight, or the box that it is in. */
  reveal(n) {
    const rect = (this.view.nodes.get(n) ?? this.view.results.get(n) ?? this.view.boxes.get(n))?.querySelector("rect");
    if (!rect) return;
    const at = (name) => Number(rect.getAttribute(name));
    this.camera.reveal(at("x") + at("width") / 2, at("y") + at("height") / 2);
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
      const all = group.dataset.results === undefined ? [n] : numbersIn(group.dataset.results);
      group.classList.toggle("is-active", all.includes(active));
      group.classList.toggle("is-chosen", all.some((result) => chosen.includes(result)));
      this.write(group, state.known[n] ? model.value(n) : null, come(Number(group.dataset.sums ?? n)));
      group.setAttribute("aria-label", describe(model, n, state.known[n], come(n)));
      const title = group.querySelector("title");
      if (title !== null) title.textContent = group.getAttribute("aria-label");
    }
    for (const group of new Set(view.boxes.values())) group.classList.remove("is-active");
    view.boxes.get(active)?.classList.add("is-active");
    for (const [k, group] of view.edges) {
      const { source } = model.edges[k];
      const sent = group.parts.filter((part) => state.sent[part]);
      const at = group.parts.filter((part) => model.edges[part].target === active);
      group.classList.toggle("is-forward", at.length > 0 && phase === "forward");
      group.classList.toggle("is-backward", at.some((part) => state.sent[part]) && phase === "backward");
      this.write(group, state.known[source] ? model.value(source) : null, model.together(sent));
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
      else if (array.entries.length <= 64 && array.entries.length === sizeOf(array)) group.dataset[name] = array.entries.map(exact).join(" ");
    }
  }
}

/** The numbers in an attribute, such as "2 5-9": 2 and 5 to 9. */
function numbersIn(text = "") {
  return text.split(" ").filter(Boolean).flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
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
  for (const text of group.querySelectorAll("text")) {
    if (leads(text)) text.classList.add("of-gradient");
  }
  const height = (parts) => parts.reduce((sum, part) => sum + top_(part), 0) / parts.length;
  for (const bracket of group.querySelectorAll(".bracket")) {
    const y = Number(/^M\S+ (\S+)/.exec(bracket.getAttribute("d"))[1]);
    const above = group.values.length > 0 ? Math.abs(height(group.values) - y) : Infinity;
    const below = group.gradients.length > 0 ? Math.abs(height(group.gradients) - y) : Infinity;
    bracket.classList.add(above <= below ? "of-value" : "of-gradient");
  }
}

/** Whether it's the Σ before gradients that have been added up, not that of a sum's gate. */
function leads(text) {
  return text.textContent.startsWith("Σ ")
    || (text.textContent === "Σ" && text.getAttribute("text-anchor") !== "middle");
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
    put(places[0], array.shape.length === 0 ? short(array.entries[0], 4) : rangeOf(array), hasOdd(array));
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
  const parts = [`${plain(node.name)}: ${kind ?? model.data.words[n]}`];
  if (node.shape.length > 0) parts.push(shapeText(node.shape));
  if (known && model.value(n) !== null) parts.push(`value ${brief(model.value(n))}`);
  if (gradient !== null) parts.push(`gradient ${brief(gradient)}`);
  return parts.join(", ");
}
