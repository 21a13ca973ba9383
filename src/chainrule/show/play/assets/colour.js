// Colours of classes and of numbers, for light and dark ground.

const dark = matchMedia("(prefers-color-scheme: dark)");

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// The variables of colours.css, read once per theme.
let known = {};
function named(name) {
  known[name] ??= getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return known[name];
}

export function onTheme(then) {
  dark.addEventListener("change", () => {
    known = {};
    then();
  });
}

export const classColour = (label) => named(`series-${label % 8}`);
export const groundColour = () => named("ground");
export const quietColour = () => named("faint");

const mix = (a, b, share) => a.map((value, i) => Math.round(value + (b[i] - value) * share));

// The colour of a class that is so sure, from 0 to 1.
export function classTints(count) {
  const ground = rgb(groundColour());
  const colours = Array.from({ length: count }, (_, label) => rgb(classColour(label)));
  return (label, sure) => mix(ground, colours[label], 0.08 + 0.44 * sure);
}

// Numbers from -1 (the second colour) to 1 (the first).
export function numberTint(value, most = 0.75) {
  const full = rgb(classColour(value >= 0 ? 0 : 1));
  return mix(rgb(groundColour()), full, Math.min(1, Math.abs(value)) * most);
}

export const numberColour = (value) => `rgb(${numberTint(value, 1).join(" ")})`;

// A mark of its own for each class, so that colour is never needed to tell them apart.
export function mark(pen, label, x, y, size) {
  const path = new Path2D();
  const corners = (points) => {
    points.forEach(([a, b], i) => (i ? path.lineTo : path.moveTo).call(path, x + a * size, y + b * size));
    path.closePath();
  };
  switch (label % 8) {
    case 1: corners([[0, -1.15], [1.1, 0.85], [-1.1, 0.85]]); break;
    case 2: corners([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]); break;
    case 3: corners([[0, -1.3], [1.1, 0], [0, 1.3], [-1.1, 0]]); break;
    case 4: corners([[0, 1.15], [1.1, -0.85], [-1.1, -0.85]]); break;
    case 5: corners([[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4],
      [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]]); break;
    case 6: corners([[-1.2, -0.6], [1.2, -0.6], [1.2, 0.6], [-1.2, 0.6]]); break;
    case 7: corners([[-0.6, -1.2], [0.6, -1.2], [0.6, 1.2], [-0.6, 1.2]]); break;
    default: path.arc(x, y, size, 0, 2 * Math.PI);
  }
  pen.fill(path);
  pen.stroke(path);
}
