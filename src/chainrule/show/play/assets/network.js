// The network: a circle per unit that shows what the unit gives over the plane, a line per weight.

import { bytes, draw, find, make, readable, say } from "./dom.js";
import { paintTile } from "./picture.js";

const TOP = 84; // room for the number of units and its buttons
const PITCH = 46;
const LETTER = 7; // the width of a letter of a name, about

let built = "";
let units = []; // per layer the canvases, inputs first
let lines = []; // per layer, per row of weights, per column: the line
let sizes = []; // per hidden layer: what shows its number of units
let names = [];
let latest = null;
let pick = () => {};

export function buildNetwork(whenPicked) {
  pick = whenPicked;
  new ResizeObserver(() => {
    built = "";
    if (latest) drawNetwork(...latest);
  }).observe(find("diagram"));
}

export function drawNetwork(scene, frame, hidden, resize) {
  latest = [scene, frame, hidden, resize];
  const key = JSON.stringify([scene.inputs, scene.classes, frame.layers.map((layer) => layer.units)]);
  if (key !== built) {
    build(scene, frame, resize);
    built = key;
  }
  frame.layers.forEach((layer, at) => {
    layer.weights.forEach((row, i) => row.forEach((weight, j) => dress(lines[at][i][j], weight)));
  });
  units.forEach((column, at) => {
    const data = bytes(frame.tiles[at]);
    column.forEach((canvas, unit) => paintTile(canvas, data, unit, scene.tile));
  });
}

// Thickness and strength of a line say how large a weight is, colour and dashes its sign.
function dress(line, weight) {
  if (typeof weight !== "number") {
    line.setAttribute("class", "strange");
    return;
  }
  const size = Math.tanh(Math.abs(weight) / 1.5);
  line.setAttribute("class", weight < 0 ? "minus" : "plus");
  line.setAttribute("stroke-width", (0.5 + 5 * size).toFixed(2));
  line.setAttribute("opacity", (0.3 + 0.65 * size).toFixed(2));
}

function build(scene, frame, resize) {
  const place = find("diagram");
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  const counts = [scene.inputs.length, ...frame.layers.map((layer) => layer.units)];
  const shown = [frame.layers[0].weights.length, ...frame.layers.map((l) => l.biases.length)];
  const outputs = scene.classes ?? [scene.target ?? "output"];
  const room = (texts) => 30 + Math.min(80, LETTER * Math.max(...texts.map((text) => text.length)));
  const left = Math.max(34, room(scene.inputs.slice(0, shown[0])));
  const right = Math.max(34, room(outputs));
  const width = Math.max(place.clientWidth, left + right + 66 * (counts.length - 1));
  const height = TOP + PITCH * Math.max(...shown) + 26;
  const x = (layer) => left + (layer * (width - left - right)) / (counts.length - 1);
  const tallest = Math.max(...shown);
  const y = (layer, unit) => TOP + PITCH * (unit + 0.5 + (tallest - shown[layer]) / 2);

  names = counts.map((_, layer) => (unit) => {
    if (layer === 0) return scene.inputs[unit];
    if (layer < counts.length - 1) return `unit ${unit + 1} of layer ${layer}`;
    return scene.classes ? `output ${scene.classes[unit]}` : "the output";
  });
  const svg = draw("svg", { width, height, "aria-hidden": "true" });
  lines = frame.layers.map((layer, at) =>
    layer.weights.map((row, i) =>
      row.map((_, j) => {
        const ends = { x1: x(at), y1: y(at, i), x2: x(at + 1), y2: y(at + 1, j) };
        const line = draw("line", ends);
        const wide = draw("line", {
          ...ends,
          stroke: "transparent",
          "stroke-width": 9,
          onpointerenter: () => tellWeight(at, i, j),
          onpointerleave: () => say(find("detail"), ""),
        });
        svg.append(line, wide);
        return line;
      }),
    ),
  );
  const sheet = make("div", { class: "sheet" }, svg);
  sheet.style.width = `${width}px`;
  sheet.style.height = `${height}px`;
  const at = (element, left, top) => {
    element.style.left = `${left}px`;
    if (top !== null) element.style.top = `${top}px`;
    sheet.append(element);
    return element;
  };
  units = shown.map((count, layer) =>
    Array.from({ length: count }, (_, unit) => {
      const canvas = make("canvas");
      const leave = () => {
        pick(null);
        say(find("detail"), "");
      };
      const enter = () => {
        pick({ layer, unit });
        tellUnit(layer, unit);
      };
      const button = make(
        "button",
        {
          class: "unit",
          type: "button",
          id: `unit-${layer}-${unit}`,
          "aria-label": names[layer](unit),
          onpointerenter: enter,
          onfocus: enter,
          onpointerleave: leave,
          onblur: leave,
        },
        canvas,
      );
      at(button, x(layer), y(layer, unit));
      return canvas;
    }),
  );
  const label = (layer, unit, text, side) => {
    const element = make("div", { class: `label ${side}`, title: text }, text);
    element.style.width = `${(side === "in" ? left : right) - 27}px`;
    at(element, side === "in" ? 0 : x(layer) + 27, y(layer, unit));
  };
  for (let unit = 0; unit < shown[0]; unit++) label(0, unit, scene.inputs[unit], "in");
  const last = counts.length - 1;
  for (let unit = 0; unit < shown[last]; unit++) {
    label(last, unit, outputs[unit], "out");
  }
  counts.forEach((count, layer) => {
    if (count > shown[layer]) {
      const below = y(layer, shown[layer] - 1) + 32;
      at(make("div", { class: "rest" }, `and ${count - shown[layer]} more`), x(layer), below);
    }
  });
  sizes = [];
  at(make("div", { class: "size" }, "inputs"), x(0), null);
  at(make("div", { class: "size" }, scene.classes ? "outputs" : "output"), x(last), null);
  for (let layer = 1; layer < last; layer++) {
    const fewer = { type: "button", id: `fewer-${layer}`, "aria-label": `Fewer units in layer ${layer}` };
    const more = { type: "button", id: `more-${layer}`, "aria-label": `More units in layer ${layer}` };
    const box = make(
      "div",
      { class: "size" },
      `${counts[layer]} unit${counts[layer] === 1 ? "" : "s"}`,
      make(
        "div",
        {},
        make("button", { ...fewer, onclick: () => resize(layer - 1, -1) }, "−"),
        make("button", { ...more, onclick: () => resize(layer - 1, 1) }, "+"),
      ),
    );
    sizes.push(at(box, x(layer), null));
  }
  place.replaceChildren(sheet);
  if (focused) document.getElementById(focused)?.focus();
}

function tellWeight(layer, i, j) {
  const weight = latest[1].layers[layer].weights[i][j];
  say(find("detail"), `weight from ${names[layer](i)} to ${names[layer + 1](j)}: ${readable(weight)}`);
}

function tellUnit(layer, unit) {
  if (layer === 0) {
    say(find("detail"), `input ${names[0](unit)}`);
    return;
  }
  const { weights, biases } = latest[1].layers[layer - 1];
  const given = weights.map((row, i) => `${names[layer - 1](i)} ${readable(row[unit])}`);
  say(
    find("detail"),
    `${names[layer](unit)}: bias ${readable(biases[unit])}; weights: ${given.join(", ")}`,
  );
}
