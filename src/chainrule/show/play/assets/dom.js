// Elements and their text. Texts from outside only ever become text nodes.

const SVG = "http://www.w3.org/2000/svg";

// Characters that turn the direction of the text around them, or show nothing, are made visible: a
// name from a table is to change no sentence that it stands in.
const TURNING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const upright = (text) => (typeof text === "string" ? text.replace(TURNING, "\ufffd") : text);

export const find = (id) => document.getElementById(id);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, upright(value));
  }
  element.append(...children.map(upright));
  return element;
}

export const make = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

export const draw = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

// Write only what is new, so that screen readers and selections are left in peace.
export function say(element, given) {
  const text = upright(given);
  if (element.textContent !== text) element.textContent = text;
}

// A number for people: few digits, a real minus; NaN and infinity by name.
export function readable(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "string") return value.replace("-Infinity", "−∞").replace("Infinity", "∞");
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-3 || size >= 1e5)
      ? value.toExponential(Math.min(digits - 1, 1))
      : String(Number(value.toPrecision(digits)));
  return text.replace(/-/g, "−");
}

export const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
