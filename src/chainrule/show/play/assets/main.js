// The page: it shows what the server tells, and sends orders. All computing is done there.

import { onTheme } from "./colour.js";
import { change, listen, order } from "./connection.js";
import { buildControls, redrawSets, showControls } from "./controls.js";
import { buildCurves, showCurves } from "./curves.js";
import { find, make, readable, say } from "./dom.js";
import { showHistograms } from "./histograms.js";
import { buildNetwork, drawNetwork } from "./network.js";
import { buildPicture, newScene, showPicture } from "./picture.js";

let scene = null;
let state = null;
let frame = null;
let chosen = null; // the unit that is pointed at
let waiting = false;

function redraw() {
  waiting = false;
  // Between a new scene and its first frame there is nothing to show.
  if (!scene || !frame || !state || scene.number !== frame.scene) return;
  if (chosen && !(chosen.unit < (frame.layers[chosen.layer - 1]?.biases.length ?? scene.inputs.length))) {
    chosen = null;
  }
  drawNetwork(scene, frame, state.controls.hidden, resize);
  showPicture(scene, frame, chosen, find("held").checked);
  showCurves(scene, frame.curves);
  showHistograms(scene, frame);
}

function soon() {
  if (!waiting) requestAnimationFrame(redraw);
  waiting = true;
}

const whole = (count) => count.toLocaleString("en");

// --- what the server tells ------------------------------------------------------------------

function onScene(told) {
  if (!scene) buildControls(told.offered);
  scene = told;
  newScene(scene);
  find("notes").replaceChildren(
    make("li", {}, `${whole(scene.train.rows)} rows to learn from, ${whole(scene.validation.rows)} held out`),
    ...scene.notes.map((note) => make("li", {}, note)),
  );
  soon();
}

function onState(told) {
  state = told;
  say(find("run"), state.running ? "Pause" : "Start");
  find("run").setAttribute("aria-pressed", String(state.running));
  say(find("epoch"), whole(state.epoch));
  say(find("speed"), state.running && state.speed ? readable(state.speed) : "–");
  say(find("note"), state.busy ? `${state.busy} …` : state.note);
  warn(find("fault"), state.fault);
  const depth = state.controls.hidden.length;
  say(find("depth"), depth === 1 ? "1 hidden layer" : `${depth} hidden layers`);
  find("fewer").disabled = depth === 0;
  find("more").disabled = scene !== null && depth >= scene.offered.layers;
  showControls(state.controls);
  soon();
}

function onFrame(told) {
  frame = told;
  soon();
}

function onRefused(fault) {
  warn(find("refused"), fault);
  if (state) showControls(state.controls);
}

function warn(place, fault) {
  place.hidden = !fault;
  if (!fault) return;
  const facts = Object.entries(fault.facts ?? {}).map(([name, text]) => `${name}: ${text}`);
  const lines = [fault.problem, facts.join(" · "), fault.fix && `What helps: ${fault.fix}`];
  say(place, lines.filter(Boolean).join("\n"));
}

// --- what the user does ---------------------------------------------------------------------

function resize(layer, by) {
  const hidden = [...state.controls.hidden];
  hidden[layer] = Math.min(scene.offered.units, Math.max(1, hidden[layer] + by));
  change({ hidden });
}

function deepen(by) {
  const { hidden } = state.controls;
  change({ hidden: by > 0 ? [...hidden, hidden.at(-1) ?? 4] : hidden.slice(0, -1) });
}

const toggle = () => order(state?.running ? "pause" : "start");

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inside = event.target.closest("input, select, textarea");
  if (event.key === " " && !event.target.closest("button, a, input, select")) {
    event.preventDefault();
    toggle();
  } else if (!inside && event.key.toLowerCase() === "s") {
    order("step");
  } else if (!inside && event.key.toLowerCase() === "r") {
    order("reset");
  }
}

find("alone").remove();
find("all").hidden = false;
buildPicture();
buildCurves();
buildNetwork((unit) => {
  chosen = unit;
  soon();
});
find("run").addEventListener("click", toggle);
find("step").addEventListener("click", () => order("step"));
find("reset").addEventListener("click", () => order("reset"));
find("fewer").addEventListener("click", () => deepen(-1));
find("more").addEventListener("click", () => deepen(1));
find("held").addEventListener("change", soon);
addEventListener("keydown", onKey);
addEventListener("resize", soon);
onTheme(() => {
  redrawSets();
  if (scene) newScene(scene);
  soon();
});
listen({ scene: onScene, state: onState, frame: onFrame }, onRefused);
