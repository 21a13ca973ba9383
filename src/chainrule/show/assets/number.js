// Numbers and arrays as people read them, and small builders of page elements.

/** A number in a few significant digits; what isn't finite is named. */
function short(x, digits = 5) {
  if (typeof x === "boolean") return x ? "true" : "false";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 1e7) return minus(String(x));
  const text = size >= 1e7 || size < 1e-4 ? x.toExponential(digits - 2) : x.toPrecision(digits);
  const [mantissa, power] = text.split("e");
  const plain = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return minus(power ? `${plain}e${power.replace("+", "")}` : plain);
}

/** A true minus sign. */
function minus(text) {
  return text.replace(/-/g, "−");
}

/** Every digit of a number, for titles and fields. */
function exact(x) {
  return typeof x === "boolean" ? String(x) : Object.is(x, -0) ? "-0" : String(x);
}

function isOdd(x) {
  return typeof x === "number" && !Number.isFinite(x);
}

/** Whether something in an array is NaN or infinite. */
function hasOdd(array) {
  return array.entries.some(isOdd);
}

/** "2 × 3", or "" for a number. */
function shapeText(shape) {
  return shape.length === 1 ? `${shape[0]} numbers` : shape.join(" × ");
}

/** An array in one short line, for the drawing and for the ear. */
function brief(array) {
  const { shape, entries } = array;
  if (shape.length === 0) return short(entries[0], 4);
  if (shape.length === 1 && shape[0] <= 3) {
    return `[${entries.map((x) => short(x, 3)).join(", ")}]`;
  }
  return `${shape.join(" × ")}  ${rangeOf(array)}`;
}

/** From the least entry to the greatest; Python sends it where it doesn't send all entries. */
function rangeOf(array) {
  if (hasOdd(array)) return "with NaN or ∞";
  const [least, most] = array.range ?? array.entries.reduce(
    ([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity],
  );
  if (least > most) return "empty";
  return least === most ? short(least, 3) : `${short(least, 3)} … ${short(most, 3)}`;
}

// ---- elements --------------------------------------------------------------------------------------

/** An element with attributes and children; text is always text, never markup. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const GREEK = Object.fromEntries(
  `alpha α beta β gamma γ delta δ epsilon ε zeta ζ eta η theta θ kappa κ lambda λ mu μ nu ν xi ξ
  pi π rho ρ sigma σ tau τ phi φ chi χ psi ψ omega ω`.split(/\s+/).flatMap((word, i, all) =>
    i % 2 === 0 ? [[word, all[i + 1]]] : [],
  ),
);

// The words of Python's own, after which a name ends with an underscore.
const KEYWORDS = new Set(
  `False None True and as assert async await break class continue def del elif else except finally
  for from global if import in is lambda nonlocal not or pass raise return try while with
  yield`.split(/\s+/).map((word) => `${word}_`),
);

/** A name and its index, as the drawing has it: l_2, x1, w_in, theta_1, lambda_. */
function indexed(name) {
  const text = KEYWORDS.has(name) ? name.slice(0, -1) : name;
  const parts = /^(.+)_(\d+)$/.exec(text) ?? /^([A-Za-z]{1,2})_([^_]+)$/.exec(text)
    ?? /^([A-Za-z])(\d+)$/.exec(text) ?? [text, text, ""];
  return [Object.hasOwn(GREEK, parts[1]) ? GREEK[parts[1]] : parts[1], parts[2]];
}

/** A variable's name. */
function nameOf(text) {
  const [base, index] = indexed(text);
  return make("var", {}, base, index === "" ? null : make("sub", {}, index));
}

/** A number or an array, every digit in its title; NaN and infinities are marked. */
function shown(array, kind = "", digits = 5) {
  if (array === null || array === undefined) return make("span", { class: "unknown" }, "not shown");
  const { shape, entries } = array;
  if (shape.length === 0) return number(entries[0], kind, digits);
  const columns = shape[shape.length - 1];
  const rows = columns === 0 ? 0 : entries.length / columns;
  const whole = shape.reduce((a, b) => a * b, 1);
  if (shape.length > 2 || columns > 8 || rows > 8 || whole !== entries.length) {
    return make("span", { class: `array ${kind}` }, brief(array));
  }
  const table = make("table", { class: `matrix ${kind}` });
  for (let r = 0; r < rows; r++) {
    const row = make("tr");
    for (let c = 0; c < columns; c++) row.append(make("td", {}, number(entries[r * columns + c], "", Math.min(digits, 4))));
    table.append(row);
  }
  return table;
}

function number(x, kind, digits = 5) {
  const odd = isOdd(x) ? " odd" : "";
  return make("span", { class: `number ${kind}${odd}`, title: exact(x) }, short(x, digits));
}

const MATHML = new Set(
  `math mrow mi mn mo mfrac msup msub msubsup msqrt mroot mfenced mtext mspace mstyle mtable mtr mtd
  mover munder munderover mpadded mphantom semantics`.split(/\s+/),
);
const MATHML_ATTRIBUTES = new Set(["mathvariant", "stretchy", "displaystyle", "display", "fence"]);

/** MathML text as elements: only those of mathematics, none of their links or scripts. */
function mathematics(text) {
  const parsed = new DOMParser().parseFromString(text, "application/xml").documentElement;
  return rebuilt(parsed);
}

function rebuilt(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.nodeValue);
  if (node.nodeType !== Node.ELEMENT_NODE || !MATHML.has(node.localName)) {
    return document.createTextNode(node.textContent);
  }
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", node.localName);
  for (const { name, value } of node.attributes) {
    if (MATHML_ATTRIBUTES.has(name)) element.setAttribute(name, value);
  }
  element.append(...Array.from(node.childNodes, rebuilt));
  if (element.localName === "mo" && element.textContent === "-") element.textContent = "−";
  if (element.textContent === "\u2062" && node.previousSibling?.localName !== "mn") {
    element.textContent = "·"; // x·z, but 2q
  }
  return element;
}

/** A formula of words, which breaks between them; MathML alone never does. */
function breaking(math) {
  const only = math.children.length === 1 && math.firstElementChild.localName === "mrow";
  const row = only ? math.firstElementChild : math;
  const words = [...math.querySelectorAll("mtext")];
  if (words.length === 0 || words.some((part) => part.parentNode !== row)) return [math];
  const parts = [];
  for (const child of [...row.childNodes]) {
    const spoken = typeof parts.at(-1) === "string";
    if (child.localName === "mtext" || (spoken && child.textContent === ",")) {
      parts.push(child.textContent.replace(/\u00a0/g, " "));
    } else {
      if (spoken || parts.length === 0) parts.push(math.cloneNode(false));
      parts.at(-1).append(child);
    }
  }
  return parts;
}

/** An entry's name: W[1, 0] for the third of a matrix of two columns. */
function entryName(node, entry) {
  if (node.shape.length === 0) return node.name;
  const index = [];
  let rest = entry;
  for (const n of [...node.shape].reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `${node.name}[${index.join(", ")}]`;
}
