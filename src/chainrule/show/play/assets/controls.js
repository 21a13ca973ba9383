// The controls: each shows how the server stands, and sends what is set.

import { classColour, groundColour, mark, numberColour } from "./colour.js";
import { change, unsent } from "./connection.js";
import { find, make, readable, say } from "./dom.js";

const ENDLESS = "as fast as possible";
const scale = (low, high) => {
  const values = [];
  for (let power = low; power < high; power++) {
    for (const step of [1, 1.5, 2, 3, 5, 7]) values.push(Number(`${step}e${power}`));
  }
  return [...values, Number(`1e${high}`)];
};
const even = (high, step) =>
  Array.from({ length: Math.round(high / step) + 1 }, (_, i) => Number((i * step).toFixed(4)));

const TITLES = {
  leaky_relu: "leaky ReLU", relu: "ReLU", elu: "ELU", sgd: "SGD", adam: "Adam", rmsprop: "RMSprop",
  momentum: "SGD with momentum", glorot_uniform: "Glorot uniform", he_normal: "He normal",
  lecun_normal: "LeCun normal", small_normal: "normal, σ = 0.01", large_normal: "normal, σ = 2",
};

const shows = {}; // name of a control → what shows a value

function field(control, title, input, output) {
  input.id = `set-${control}`;
  const name = make("span", { class: "name" }, make("span", {}, title));
  if (output) name.append(output);
  // Named outright, for the number that is shown could carry the label as well.
  return make("label", { class: "field", for: input.id }, name, input);
}

// A slider over given values. Those that act at once are sent while they are moved; the others,
// after which the training is compiled anew, when they are let go.
function slider(name, title, values, { text = readable, when = "input" } = {}) {
  const output = make("output");
  const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1 });
  const nearest = (value) => {
    const far = values.map((one) => Math.abs(one - value));
    return far.indexOf(Math.min(...far));
  };
  const tell = (value) => {
    say(output, text(value));
    input.setAttribute("aria-valuetext", text(value));
  };
  let held = false;
  input.addEventListener("input", () => {
    held = when === "change";
    tell(values[input.valueAsNumber]);
  });
  input.addEventListener(when, () => {
    held = false;
    change({ [name]: values[input.valueAsNumber] });
  });
  shows[name] = (value) => {
    if (held) return;
    input.value = nearest(value);
    tell(value);
  };
  return field(name, title, input, output);
}

function menu(name, title, values, text = (value) => TITLES[value] ?? value) {
  const input = make("select", {}, ...values.map((value, i) => make("option", { value: i }, text(value))));
  input.addEventListener("change", () => change({ [name]: values[input.selectedIndex] }));
  const same = (value) => values.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
  shows[name] = (value) => {
    input.selectedIndex = same(value);
  };
  return field(name, title, input);
}

export function buildControls(offered) {
  find("settings").append(
    slider("learning_rate", "Learning rate", scale(-5, 1)),
    menu("optimizer", "Optimiser", offered.optimizer),
    menu("batch_size", "Batch", [1, 2, 5, 10, 20, 32, 50, 100, 0], (size) => (size ? `${size} rows` : "all rows")),
    menu("activation", "Activation", offered.activation),
    menu("initializer", "First weights", offered.initializer),
    slider("dropout", "Dropout", even(0.9, 0.05), { when: "change" }),
    slider("l1", "L1 penalty", [0, ...scale(-5, 0)], { when: "change" }),
    slider("l2", "L2 penalty", [0, ...scale(-5, 0)], { when: "change" }),
  );
  find("pace").append(
    slider("speed", "Epochs per second", [1, 2, 5, 10, 15, 30, 60, 120, 0], {
      text: (n) => (n ? String(n) : ENDLESS),
    }),
  );
  buildSets(offered);
  const place = find("data-settings");
  const noise = slider("noise", "Noise", even(0.5, 0.01));
  noise.classList.add("points-only");
  place.append(noise, features(offered), axes(offered), seed());
}

function buildSets(offered) {
  const buttons = offered.data.map(({ name, title, points }) => {
    const own = name === "table";
    const canvas = make("canvas", { width: 88, height: 88 });
    const button = make("button", { type: "button", class: own ? "own" : "" }, ...(own ? [] : [canvas]), title);
    button.addEventListener("click", () => change({ data: name }));
    const whole = offered.data.length && !Number.isInteger(points[0]?.[2] ?? 0);
    button.sketch = () => {
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, 88, 88);
      pen.strokeStyle = groundColour();
      pen.lineWidth = 1;
      for (const [x, y, label] of points) {
        pen.fillStyle = whole ? numberColour(label) : classColour(label);
        mark(pen, whole ? 0 : label, 44 + 40 * x, 44 - 40 * y, 4.2);
      }
    };
    button.sketch();
    return [name, button];
  });
  find("sets").replaceChildren(...buttons.map(([, button]) => button));
  shows.data = (value) => {
    for (const [name, button] of buttons) button.setAttribute("aria-pressed", String(name === value));
    for (const one of document.querySelectorAll(".points-only")) one.hidden = value === "table";
    for (const one of document.querySelectorAll(".table-only")) one.hidden = value !== "table";
  };
  find("sets").sketch = () => buttons.forEach(([, button]) => button.sketch());
}

function features(offered) {
  const boxes = offered.features.map((name) => {
    const input = make("input", { type: "checkbox", value: name });
    input.addEventListener("change", () => {
      const chosen = boxes.filter((box) => box.input.checked).map((box) => box.name);
      change({ features: chosen });
    });
    return { name, input, label: make("label", { class: "tick" }, input, name) };
  });
  shows.features = (value) => {
    for (const { name, input } of boxes) input.checked = value.includes(name);
  };
  return make("fieldset", { class: "points-only" }, make("legend", {}, "Inputs"), ...boxes.map((b) => b.label));
}

function axes(offered) {
  const pairs = [null];
  offered.columns.slice(0, 12).forEach((a, i) => {
    for (const b of offered.columns.slice(i + 1, 12)) pairs.push([a, b]);
  });
  const text = (pair) => (pair ? `${pair[0]} and ${pair[1]}` : "widest spread");
  const whole = menu("axes", "Axes of the picture", pairs, text);
  whole.classList.add("table-only");
  return whole;
}

function seed() {
  const input = make("input", { type: "number", min: 0, max: 2147483647, step: 1 });
  input.addEventListener("change", () => change({ seed: Number(input.value) }));
  const other = make("button", { type: "button" }, "Another");
  other.addEventListener("click", () => change({ seed: (Number(input.value) || 0) + 1 }));
  shows.seed = (value) => {
    // What is being typed is left alone.
    if (document.activeElement !== input) input.value = value;
  };
  const whole = make("div", { class: "field" });
  const name = make("label", { class: "name", for: "seed" }, "Seed of points and weights");
  input.id = "seed";
  whole.append(name, make("div", { class: "seed" }, input, other));
  return whole;
}

export function showControls(controls) {
  for (const [name, value] of Object.entries(controls)) {
    if (name in shows && !unsent(name)) shows[name](value);
  }
}

export function redrawSets() {
  find("sets").sketch?.();
}
