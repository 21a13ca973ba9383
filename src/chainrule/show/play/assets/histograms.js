// Per layer: how activations are spread, and how large the gradients are that come back.

import { draw, find, make, readable, say } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 52;

let cards = [];

function card() {
  const parts = {
    title: make("h3"),
    a: draw("path", { class: "a" }),
    g: draw("path", { class: "g" }),
    low: make("span"),
    middle: make("span"),
    high: make("span"),
    text: make("p"),
    small: make("span"),
    large: make("span"),
  };
  const frame = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" };
  parts.whole = make(
    "div",
    { class: "layer" },
    parts.title,
    draw("svg", frame, parts.a),
    make("div", { class: "ends" }, parts.low, parts.middle, parts.high),
    draw("svg", frame, parts.g),
    make("div", { class: "ends" }, parts.small, make("span", {}, "gradient"), parts.large),
    parts.text,
  );
  return parts;
}

function bars(counts) {
  const most = Math.max(1, ...counts);
  const wide = WIDTH / counts.length;
  return counts
    .map((count, i) => {
      const high = (count / most) * (HEIGHT - 2);
      return count ? `M${i * wide} ${HEIGHT}v${-high}h${wide - 1}v${high}z` : "";
    })
    .join("");
}

const power = (exponent) => `10${[...String(exponent)].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] ?? "⁻").join("")}`;

export function showHistograms(scene, frame) {
  const place = find("histograms");
  while (cards.length < frame.histograms.length) cards.push(card());
  if (place.children.length !== frame.histograms.length) {
    cards.length = frame.histograms.length;
    place.replaceChildren(...cards.map((one) => one.whole));
  }
  frame.histograms.forEach((layer, i) => {
    const one = cards[i];
    const last = i === frame.histograms.length - 1;
    say(one.title, last ? "output layer" : `layer ${i + 1}`);
    one.a.setAttribute("d", bars(layer.activations));
    one.g.setAttribute("d", bars(layer.gradients));
    say(one.low, readable(layer.low, 2));
    say(one.middle, "activation");
    say(one.high, readable(layer.high, 2));
    say(one.small, `≤ ${power(scene.powers[0])}`);
    say(one.large, `≥ ${power(scene.powers[1])}`);
    const dead = layer.zeros > 0 ? `, ${Math.round(100 * layer.zeros)} % exactly 0` : "";
    const strange = layer.strange > 0 ? `, ${Math.ceil(100 * layer.strange)} % not finite` : "";
    say(one.text, `typical gradient ${readable(layer.typical, 2)}${dead}${strange}`);
  });
}
