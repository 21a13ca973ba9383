// Loss and accuracy over the epochs.

import { draw, find, make, readable, say } from "./dom.js";

const HEIGHT = 118;
const LEFT = 42;
const BOTTOM = 20;

class Chart {
  constructor(place, name, title, top) {
    Object.assign(this, { name, title, top });
    this.train = make("span");
    this.held = make("span");
    this.svg = draw("svg", { role: "img" });
    place.classList.add("chart");
    place.append(
      make(
        "div",
        { class: "head" },
        make("b", {}, title),
        make("span", {}, make("i"), this.train),
        make("span", { class: "held" }, make("i"), this.held),
      ),
      this.svg,
    );
    this.place = place;
  }

  show(scene, curves) {
    const known = curves[this.name];
    this.place.hidden = this.top === 1 && !scene.classes;
    if (this.place.hidden) return;
    const held = curves[`val_${this.name}`];
    const form = (value) => (this.top === 1 && typeof value === "number" ? percent(value) : readable(value));
    say(this.train, `training ${form(known.at(-1))}`);
    say(this.held, `validation ${form(held.at(-1))}`);
    const label = `${this.title} by epoch: ${this.train.textContent}, ${this.held.textContent}`;
    this.svg.setAttribute("aria-label", label);
    this.draw(curves.epoch, known, held);
  }

  draw(epochs, known, held) {
    const width = this.svg.clientWidth || 400;
    const first = epochs[0] ?? 0;
    const last = Math.max(epochs.at(-1) ?? 1, first + 1);
    const numbers = [...known, ...held].filter((value) => typeof value === "number");
    const top = this.top ?? niceTop(Math.max(0, ...numbers));
    const bottom = this.top === 1 ? Math.min(0.5, Math.floor(4 * Math.min(...numbers)) / 4) : 0;
    const x = (epoch) => LEFT + ((epoch - first) / (last - first)) * (width - LEFT - 6);
    const y = (value) => 8 + (1 - (value - bottom) / (top - bottom)) * (HEIGHT - BOTTOM - 8);
    const parts = [];
    for (const value of [bottom, (bottom + top) / 2, top]) {
      const at = y(value);
      const text = this.top === 1 ? percent(value) : readable(value);
      parts.push(draw("line", { class: "grid", x1: LEFT, x2: width - 6, y1: at, y2: at }));
      parts.push(draw("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, text));
    }
    if (epochs.length) {
      parts.push(draw("text", { x: LEFT, y: HEIGHT - 4 }, `epoch ${first}`));
      parts.push(draw("text", { x: width - 6, y: HEIGHT - 4, "text-anchor": "end" }, String(last)));
    }
    parts.push(draw("path", { class: "held", d: path(epochs, held, x, y) }));
    parts.push(draw("path", { class: "train", d: path(epochs, known, x, y) }));
    parts.push(...strange(epochs, held, x), ...strange(epochs, known, x));
    this.svg.replaceChildren(...parts);
  }
}

const percent = (value) => `${Number((100 * value).toFixed(1))} %`;

// A path through the numbers; it breaks off where there is none.
function path(epochs, values, x, y) {
  let text = "";
  let on = false;
  values.forEach((value, i) => {
    if (typeof value !== "number") {
      on = false;
      return;
    }
    text += `${on ? "L" : "M"}${x(epochs[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    on = true;
  });
  return text;
}

// A cross with its name where a number isn't finite.
function strange(epochs, values, x) {
  const at = values.flatMap((value, i) => (typeof value === "string" ? [i] : []));
  return at.map((i) => {
    const [h, v] = [x(epochs[i]), values[i] === "Infinity" ? 14 : HEIGHT - BOTTOM - 8];
    const cross = `M${h - 4} ${v - 4}l8 8m0 -8l-8 8`;
    const [place, anchor] = h < LEFT + 60 ? [h + 8, "start"] : [h - 8, "end"];
    const name = draw("text", { x: place, y: v + 4, "text-anchor": anchor }, readable(values[i]));
    return draw("g", { class: "strange" }, draw("path", { d: cross }), name);
  });
}

function niceTop(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 1.0001 || step === 10);
}

let charts = [];

export function buildCurves() {
  charts = [
    new Chart(find("loss"), "loss", "Loss", undefined),
    new Chart(find("accuracy"), "accuracy", "Accuracy", 1),
  ];
}

export function showCurves(scene, curves) {
  for (const chart of charts) chart.show(scene, curves);
}
