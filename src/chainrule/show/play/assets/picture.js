// The picture: what the network decides everywhere on the plane, and the points it learns from.

import { classColour, classTints, groundColour, mark, numberColour, numberTint, quietColour } from "./colour.js";
import { bytes, find, make, readable, say } from "./dom.js";

const canvas = make("canvas", { role: "img" });
const small = document.createElement("canvas");
const across = make("div", { class: "axis along" }, make("span"), make("span"), make("span"));
const up = make("div", { class: "axis up" }, make("span"), make("span"), make("span"));

export function buildPicture() {
  find("plane").append(up, canvas, make("span"), across);
}

export function newScene(scene) {
  for (const [axis, i] of [[across, 0], [up, 1]]) {
    const [low, high] = scene.shown[i];
    say(axis.children[0], readable(low));
    say(axis.children[1], scene.axes[i]);
    say(axis.children[2], readable(high));
    axis.children[1].title = scene.axes[i];
  }
  legend(scene);
}

function legend(scene) {
  const how = scene.classes ? "hollow" : "squares";
  say(find("held-name"), `show the points held out (${how})`);
  const place = find("legend");
  place.replaceChildren();
  if (!scene.classes) {
    const scale = make("canvas", { class: "scale", width: 120, height: 1 });
    const pen = scale.getContext("2d");
    for (let x = 0; x < 120; x++) {
      pen.fillStyle = `rgb(${numberTint(x / 59.5 - 1).join(" ")})`;
      pen.fillRect(x, 0, 1, 1);
    }
    const ends = scene.target ? ["−2 σ", "+2 σ"] : ["−1", "1"];
    place.append(make("span", {}, scene.target ?? "label"), make("span", {}, ends[0], scale, ends[1]));
    return;
  }
  if (scene.target) place.append(make("span", {}, `${scene.target}:`));
  scene.classes.forEach((name, label) => {
    const sign = make("canvas", { width: 28, height: 28 });
    const pen = sign.getContext("2d");
    pen.fillStyle = classColour(label);
    pen.strokeStyle = groundColour();
    mark(pen, label, 14, 14, 10);
    place.append(make("span", {}, sign, name));
  });
}

// A square of bytes as an image: of decisions, or of numbers from -1 to 1.
function painted(target, data, size, classes) {
  target.width = target.height = size;
  const pen = target.getContext("2d");
  const image = pen.createImageData(size, size);
  const count = size * size;
  const tint = classes && classTints(classes);
  for (let i = 0; i < count; i++) {
    // A class of 255, or else a byte of 0, says that the number wasn't finite: grey.
    const strange = data[i] === (classes ? 255 : 0);
    const colour = strange
      ? [128, 128, 128]
      : classes ? tint(data[i], data[count + i] / 255) : numberTint((data[i] - 128) / 127);
    image.data.set([...colour, 255], 4 * i);
  }
  pen.putImageData(image, 0, 0);
  return target;
}

export function paintTile(target, layer, unit, size) {
  painted(target, layer.subarray(unit * size * size, (unit + 1) * size * size), size, 0);
}

export function showPicture(scene, frame, chosen, withHeld) {
  const side = Math.round(canvas.clientWidth * devicePixelRatio) || 600;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const pen = canvas.getContext("2d");
  if (chosen) {
    paintTile(small, bytes(frame.tiles[chosen.layer]), chosen.unit, scene.tile);
  } else {
    painted(small, bytes(frame.map), scene.map, scene.classes ? scene.classes.length : 0);
  }
  pen.imageSmoothingEnabled = true;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, side, side);
  if (withHeld) points(pen, scene, scene.validation, side, true);
  points(pen, scene, scene.train, side, false);
  describe(scene, frame, chosen);
}

function points(pen, scene, part, side, held) {
  const [left, bottom] = scene.low;
  const [right, top] = scene.high;
  const size = Math.max(3, side / 80);
  part.x.forEach((x, i) => {
    const h = ((x - left) / (right - left)) * side;
    const v = ((top - part.y[i]) / (top - bottom)) * side;
    const label = part.label[i];
    const colour = scene.classes ? classColour(label) : numberColour(label);
    pen.fillStyle = held && scene.classes ? groundColour() : colour;
    // A number near 0 has nearly the colour of the ground, so all numbers have an outline.
    pen.strokeStyle = scene.classes ? (held ? colour : groundColour()) : quietColour();
    pen.lineWidth = size / (held ? 2 : 4);
    mark(pen, scene.classes ? label : held ? 2 : 0, h, v, size * (held ? 0.8 : 1));
  });
}

function describe(scene, frame, chosen) {
  const what = chosen ? "What the chosen unit gives" : "What it has learned";
  say(find("picture-title"), what);
  const text = `${what}, epoch ${frame.epoch}: ${scene.title}, ${scene.axes[0]} across, ${scene.axes[1]} up`;
  if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
}
