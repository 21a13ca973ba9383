// The page itself: one state, changed by buttons, keys and the address, and everything drawn from it.

const MOST_CHOICES = 6000; // nodes that a list offers

class Page {
  constructor() {
    this.data = JSON.parse(document.getElementById("data").textContent);
    this.model = new Model(this.data, typeof sweep === "function" ? sweep : null);
    this.derivatives = new Derivatives(this.model);
    this.panels = new Panels(this.model, this.derivatives);
    this.at = 0;
    this.chosen = []; // the nodes clicked last, at most two
    this.hovered = null;
    this.timer = null;
    const views = Array.from(document.querySelectorAll("template.view"), (template) => ({
      key: template.dataset.key,
      title: template.dataset.title,
      parent: template.dataset.parent ?? "",
      svg: document.importNode(template.content, true).querySelector("svg"),
    }));
    this.drawing = new Drawing(
      document.getElementById("canvas"), this.model, views,
      (n) => this.choose(n), (key) => this.open(key),
    );
    this.drawing.onHover = (n) => this.hover(n);
    this.panelElements();
    document.getElementById("output").append(nameOf(this.panels.output));
    this.inputs = new Inputs(this.model, () => {
      this.update();
      this.save();
    });
    this.source = new Source(this.data, (n) => this.hover(n));
    this.buildChoices();
    this.bind();
    restore(this);
    this.drawing.camera.begin();
    this.crumbs();
    this.update();
    document.documentElement.dataset.ready = "true";
  }

  panelElements() {
    const ids = ["title", "step", "trace", "live", "position", "slider", "pair", "play", "wrt",
      "forward-count", "reverse-count", "crumbs", "canvas", "stale"];
    this.elements = Object.fromEntries(ids.map((id) => [id, document.getElementById(id)]));
    this.elements.slider.max = this.model.steps.length - 1;
  }

  // ---- choices -------------------------------------------------------------------------------------

  /** Which input forward mode goes along, and the two nodes of the derivative panel. */
  buildChoices() {
    const { wrt } = this.elements;
    if (this.model.editable) {
      this.data.moving.forEach((leaf) => {
        const node = this.model.nodes[this.data.inputs[leaf]];
        this.data.leaves[leaf].entries.slice(0, 64).forEach((_, entry) => {
          wrt.append(make("option", { value: `${leaf} ${entry}` }, entryName(node, entry)));
        });
      });
    }
    document.getElementById("wrt-choice").hidden = !this.panels.tells || !this.model.editable;
    document.querySelector(".trace").classList.toggle("is-untold", !this.panels.tells);
    this.of = document.getElementById("of");
    this.by = document.getElementById("by");
    const varying = this.model.nodes.map((_, n) => n).filter((n) => this.varies(n));
    this.offered = new Set();
    if (varying.length <= MOST_CHOICES) this.offerAll(varying);
    this.pair(this.data.outputs[0], this.data.inputs[0] ?? 0);
  }

  varies(n) {
    return this.model.nodes[n].kind !== "constant" && this.model.nodes[n].dtype[0] === "f";
  }

  offerAll(nodes) {
    for (const select of [this.of, this.by]) {
      select.append(...nodes.map((n) => make("option", { value: n }, plain(this.model.nodes[n].name))));
    }
    this.offered = new Set(nodes);
  }

  /** A node among those that can be chosen; of very many only those that once were. */
  offer(n) {
    if (this.offered.has(n)) return;
    const later = [...this.offered].filter((m) => m > n);
    this.offered.add(n);
    for (const select of [this.of, this.by]) {
      const next = later.length === 0 ? null : select.querySelector(`[value="${Math.min(...later)}"]`);
      select.insertBefore(make("option", { value: n }, plain(this.model.nodes[n].name)), next);
    }
  }

  /** The two nodes of the derivative panel. */
  pair(of, by) {
    for (const n of [of, by]) if (this.varies(n)) this.offer(n);
    this.of.value = of;
    this.by.value = by;
  }

  /** A click on a node: the last two clicked ones are compared. */
  choose(n) {
    if (this.varies(n)) {
      this.chosen = [...this.chosen.filter((m) => m !== n), n].slice(-2);
      if (this.chosen.length === 2) {
        const [by, of] = [...this.chosen].sort((a, b) => a - b);
        this.pair(of, by);
        this.say(`Comparing ${plain(this.model.nodes[of].name)} with ${plain(this.model.nodes[by].name)}.`);
      }
    }
    this.hovered = n;
    this.update();
    this.save();
  }

  hover(n) {
    if (this.hovered === n) return;
    this.hovered = n;
    this.source.highlight(this.model.steps[this.at].node, this.hovered);
    for (const row of this.elements.trace.rows) {
      row.classList.toggle("is-hovered", Number(row.dataset.row) === n);
    }
    for (const [m, group] of this.drawing.view.nodes) group.classList.toggle("is-hovered", m === n);
  }

  open(key) {
    if (!this.drawing.views.has(key)) {
      this.say("This box isn't drawn in the page; the table below has its values.");
      return;
    }
    this.drawing.show(key);
    this.drawing.camera.begin();
    this.crumbs();
    this.shownAt = null; // the gate at work comes into sight here too
    this.update();
    this.save();
  }

  /** The way back out of an opened box. */
  crumbs() {
    const { crumbs } = this.elements;
    const way = [];
    for (let key = this.drawing.current; ; key = this.drawing.views.get(key).parent) {
      way.unshift(this.drawing.views.get(key));
      if (key === "") break;
    }
    // Beside a drawing: all of it unfolded, the bodies of loops that are one node in it, other turns.
    const { current } = this.drawing;
    const beside = current === "" ? /^(whole|in \d+)$/ : / turn \d+$/;
    const others = [...this.drawing.views.values()].filter(({ key, parent }) => parent === current && beside.test(key));
    crumbs.replaceChildren(...way.concat(others).map((view) => {
      const here = view.key === this.drawing.current;
      const button = make("button", { type: "button", disabled: here, "aria-current": here ? "page" : null }, view.title);
      button.addEventListener("click", () => this.open(view.key));
      return button;
    }));
    crumbs.hidden = this.drawing.views.size < 2;
  }

  // ---- steps ---------------------------------------------------------------------------------------

  go(at) {
    const next = Math.min(Math.max(at, 0), this.model.steps.length - 1);
    if (next === this.at) return;
    this.at = next;
    this.update();
    this.say(`${this.panels.title(next)}. ${this.panels.spoken(next)}`);
    this.save();
  }

  play() {
    if (this.timer !== null) {
      this.pause();
      return;
    }
    if (this.at === this.model.steps.length - 1) this.go(0);
    this.timer = setInterval(() => {
      if (this.at === this.model.steps.length - 1) this.pause();
      else this.go(this.at + 1);
    }, 1300);
    this.update();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.update();
  }

  bind() {
    const click = (id, act) => document.getElementById(id).addEventListener("click", act);
    const stop = () => {
      if (this.timer !== null) this.pause();
    };
    const last = this.model.steps.length - 1;
    click("first", () => { stop(); this.go(0); });
    click("back", () => { stop(); this.go(this.at - 1); });
    click("play", () => this.play());
    click("next", () => { stop(); this.go(this.at + 1); });
    click("last", () => { stop(); this.go(last); });
    click("turn", () => { stop(); this.go(Math.max(0, this.model.steps.findIndex((s) => s.phase === "seed"))); });
    click("reset", () => this.inputs.reset());
    click("larger", () => this.drawing.camera.magnify(1.3));
    click("smaller", () => this.drawing.camera.magnify(1 / 1.3));
    click("fit", () => this.drawing.camera.fit());
    click("theme", () => this.theme());
    click("link", () => this.link());
    click("keys", () => document.getElementById("help").showModal());
    click("close", () => document.getElementById("help").close());
    this.elements.slider.addEventListener("input", () => { stop(); this.go(Number(this.elements.slider.value)); });
    this.elements.wrt.addEventListener("change", () => this.along(this.elements.wrt.value));
    for (const select of [this.of, this.by]) {
      select.addEventListener("change", () => {
        this.chosen = [Number(this.by.value), Number(this.of.value)];
        this.update();
        this.save();
      });
    }
    this.elements.trace.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row !== null) this.choose(Number(row.dataset.row));
    });
    this.elements.trace.addEventListener("mouseover", (event) => {
      const row = event.target.closest("tr");
      if (row !== null) this.hover(Number(row.dataset.row));
    });
    document.addEventListener("keydown", (event) => this.key(event, stop, last));
    window.addEventListener("hashchange", () => {
      if (window.location.hash !== this.written) {
        restore(this);
        this.update();
      }
    });
  }

  key(event, stop, last) {
    const busy = event.target.closest("input, select, textarea, dialog");
    if (busy !== null || event.ctrlKey || event.metaKey || event.altKey) return;
    const onButton = event.target.closest("button, summary, a") !== null;
    const acts = {
      ArrowRight: () => this.go(this.at + 1),
      ArrowLeft: () => this.go(this.at - 1),
      Home: () => this.go(0),
      End: () => this.go(last),
      "?": () => document.getElementById("help").showModal(),
    };
    if (event.key === " " && !onButton) {
      event.preventDefault();
      this.play();
    } else if (acts[event.key]) {
      event.preventDefault();
      stop();
      acts[event.key]();
    }
  }

  along(text) {
    this.model.seed = text.split(" ").map(Number);
    this.model.compute();
    this.update();
    this.save();
  }

  // ---- everything, drawn anew ----------------------------------------------------------------------

  update() {
    const { elements, model, panels, at } = this;
    panels.at = at;
    const { phase, node } = model.steps[at];
    const moved = at !== this.shownAt;
    this.shownAt = at;
    document.body.dataset.phase = phase;
    elements.title.textContent = panels.title(at);
    elements.step.replaceChildren(...panels.step(at));
    elements.trace.replaceChildren(...panels.trace(at, this.hovered));
    elements.position.textContent = `${at} of ${model.steps.length - 1}`;
    elements.slider.value = at;
    elements.slider.setAttribute("aria-valuetext", panels.title(at));
    elements.play.setAttribute("aria-pressed", String(this.timer !== null));
    elements.play.textContent = this.timer === null ? "Play" : "Pause";
    document.getElementById("first").disabled = at === 0;
    document.getElementById("back").disabled = at === 0;
    document.getElementById("next").disabled = at === model.steps.length - 1;
    document.getElementById("last").disabled = at === model.steps.length - 1;
    for (const name of document.querySelectorAll("[data-wrt]")) {
      name.replaceChildren(...(panels.tells ? panels.wrtName() : []));
    }
    const counts = panels.counts(at);
    elements["forward-count"].textContent = counts.forward;
    elements["reverse-count"].textContent = counts.reverse;
    this.compare(Number(this.of.value), Number(this.by.value));
    this.drawing.update(at, this.chosen);
    // Python computed what stands in the bodies of loops, for the inputs as they were.
    const stale = model.editable && model.edited && this.drawing.view.svg.querySelector(".inner") !== null;
    elements.canvas.classList.toggle("is-stale", stale);
    this.drawing.view.svg.setAttribute("aria-hidden", String(stale));
    elements.stale.hidden = !stale;
    if (moved && node >= 0) this.drawing.reveal(node);
    if (moved && node < 0) this.drawing.camera.home();
    this.follow();
    this.source.highlight(this.model.steps[this.at].node, this.hovered);
  }

  /** The derivative panel, which no step changes: only other nodes or other inputs do. */
  compare(of, by) {
    const now = [of, by, this.model.results];
    if (this.compared?.every((x, i) => x === now[i])) return;
    this.compared = now;
    this.elements.pair.replaceChildren(...this.panels.between(of, by));
  }

  /** The row of the trace at work comes into its own scrolling box, never moving the page. */
  follow() {
    const row = this.elements.trace.querySelector(".is-active");
    const box = document.getElementById("trace-box");
    if (row !== null && box.scrollHeight > box.clientHeight) {
      box.scrollTop = row.offsetTop - box.clientHeight / 2;
    }
  }

  say(text) {
    this.elements.live.textContent = text;
  }

  theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    this.save();
  }

  // ---- the address ---------------------------------------------------------------------------------

  save() {
    this.written = `#${stateOf(this)}`;
    // A page inside another one (a notebook's cell) has no address of its own.
    if (window.location.protocol !== "about:") {
      window.history.replaceState(null, "", this.written);
    }
  }

  async link() {
    this.save();
    const address = window.location.href;
    const field = document.getElementById("address");
    field.value = address;
    field.hidden = false;
    field.focus();
    field.select();
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(address).then(
        () => this.say("The link is copied."),
        () => this.say("The link is in the field."),
      );
    } else {
      this.say("The link is in the field.");
    }
  }
}

new Page();
