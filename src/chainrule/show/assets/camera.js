// What part of a drawing is seen: moving, magnifying, and following the gate at work.

const LEGIBLE = 0.62; // pixels per unit of the drawing, below which its numbers are hard to read
const CLOSE = 0.85; // what it is brought to then
const LARGEST = 1.7; // a small drawing isn't blown up
const GLIDE = 220; // milliseconds

class Camera {
  constructor(canvas) {
    this.canvas = canvas;
    this.dragged = false;
    this.seen = new WeakMap(); // of each drawing: all of it, what is seen, whether the reader chose that
    // Kept, as to ask for it in every step would lay out the whole page every time.
    this.box = canvas.getBoundingClientRect();
    new ResizeObserver(() => {
      this.box = canvas.getBoundingClientRect();
    }).observe(canvas);
    this.listen();
  }

  /** Looks at a drawing as it was looked at last; the page's first one is `outermost`. */
  at(svg, outermost) {
    this.svg = svg;
    this.outermost = outermost;
    if (!this.seen.has(svg)) {
      const { x, y, width, height } = svg.viewBox.baseVal;
      const full = { x, y, width, height };
      this.seen.set(svg, { full, window: { ...full }, chosen: false });
    }
    this.look();
  }

  get state() {
    return this.seen.get(this.svg);
  }

  listen() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, y: event.clientY, window: { ...this.state.window } };
      this.dragged = false;
    });
    window.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const dx = event.clientX - from.x;
      const dy = event.clientY - from.y;
      if (!this.dragged && Math.hypot(dx, dy) < 5) return;
      this.dragged = true;
      const scale = this.scale();
      this.move({ ...this.state.window, x: from.window.x - dx / scale, y: from.window.y - dy / scale }, true);
      this.look();
    });
    window.addEventListener("pointerup", () => {
      from = null;
    });
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.magnify(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.point(event));
    }, { passive: false });
    // On paper all of it is seen, whatever was looked at.
    matchMedia("print").addEventListener("change", () => this.look());
  }

  /** Pixels per unit of the drawing. */
  scale({ width, height } = this.state.window) {
    return Math.min(this.box.width / width, this.box.height / height);
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const { x, y, width, height } = this.state.window;
    return {
      x: x + ((event.clientX - box.left) / box.width) * width,
      y: y + ((event.clientY - box.top) / box.height) * height,
    };
  }

  move(to, chosen) {
    this.state.window = to;
    this.state.chosen ||= chosen;
  }

  magnify(by, around) {
    const { window: seen, full } = this.state;
    const centre = around ?? { x: seen.x + seen.width / 2, y: seen.y + seen.height / 2 };
    const factor = Math.min(Math.max(by, (seen.width / full.width) * 0.5), seen.width / 40);
    this.move({
      x: centre.x - (centre.x - seen.x) / factor,
      y: centre.y - (centre.y - seen.y) / factor,
      width: seen.width / factor,
      height: seen.height / factor,
    }, true);
    this.look();
  }

  /** All of it, in the middle. */
  get whole() {
    const { full } = this.state;
    const by = Math.max(1, this.scale(full) / LARGEST);
    return {
      x: full.x - (full.width * (by - 1)) / 2,
      y: full.y - (full.height * (by - 1)) / 2,
      width: full.width * by,
      height: full.height * by,
    };
  }

  /** All of it, because the reader asked for that. */
  fit() {
    this.move(this.whole, true);
    this.look();
  }

  /** The page's first drawing is seen whole; what a box opens into, and on a small screen any
      large drawing, begins legible, with the part that is furthest to the left. */
  begin() {
    this.state.chosen = false;
    this.move(this.whole, false);
    const small = this.box.width < 600;
    const least = small ? CLOSE : this.outermost ? 0 : 0.4;
    if (this.scale() < least) {
      const at = (rect, name) => Number(rect.getAttribute(name));
      const [first] = [...this.svg.querySelectorAll(".node > rect")].sort((a, b) => at(a, "x") - at(b, "x"));
      const middle = first === undefined ? 0 : at(first, "y") + at(first, "height") / 2;
      this.move(this.around(-Infinity, middle, small ? CLOSE : LEGIBLE), false);
    }
    this.look();
  }

  /** What is seen around a place at so many pixels per unit, without looking beyond the edges. */
  around(x, y, scale) {
    const { full } = this.state;
    const width = this.box.width / scale;
    const height = this.box.height / scale;
    const within = (middle, size, first, room) => (size >= room
      ? first + (room - size) / 2
      : Math.min(Math.max(middle - size / 2, first), first + room - size));
    return {
      x: within(x, width, full.x, full.width), y: within(y, height, full.y, full.height), width, height,
    };
  }

  /** Moves so that a place is seen, and comes closer if its numbers couldn't be read; a reader who
      chose to look at all of it goes on doing so. */
  reveal(x, y) {
    const { window: seen, full, chosen } = this.state;
    const scale = this.scale();
    const all = seen.width >= full.width && seen.height >= full.height;
    const margin = 0.12;
    const inside =
      x > seen.x + seen.width * margin && x < seen.x + seen.width * (1 - margin) &&
      y > seen.y + seen.height * margin && y < seen.y + seen.height * (1 - margin);
    if (all ? chosen || scale >= LEGIBLE : inside) return;
    this.move(this.around(x, y, all ? CLOSE : scale), false);
    this.glide();
  }

  /** Back to where it began, unless the reader looks elsewhere by choice. */
  home() {
    if (!this.state.chosen) this.begin();
  }

  /** Shows what is looked at. */
  look() {
    cancelAnimationFrame(this.gliding);
    const paper = matchMedia("print").matches;
    this.frame(paper ? this.state.full : this.state.window);
  }

  frame({ x, y, width, height }) {
    this.svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  }

  /** The same, by and by, for those who don't mind movement. */
  glide() {
    const calm = matchMedia("(prefers-reduced-motion: reduce), print").matches;
    if (calm) {
      this.look();
      return;
    }
    const { x, y, width, height } = this.svg.viewBox.baseVal;
    const [from, to, started] = [{ x, y, width, height }, this.state.window, performance.now()];
    const part = (now) => {
      const t = Math.min(Math.max(0, (now - started) / GLIDE), 1);
      const between = (name) => from[name] + (to[name] - from[name]) * t * (2 - t);
      this.frame({ x: between("x"), y: between("y"), width: between("width"), height: between("height") });
      if (t < 1) this.gliding = requestAnimationFrame(part);
    };
    cancelAnimationFrame(this.gliding);
    this.gliding = requestAnimationFrame(part);
  }
}
