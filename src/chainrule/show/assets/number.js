// Numbers and arrays as people read them, and small builders of page elements.

/** A number in a few significant digits; what isn't finite is named. */
function short(x, digits = 5) {
  if (typeof x === "string") return x; // a complex number, as Python wrote it
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

/** Whether something in an array is NaN or infinite, in what Python didn't send too. */
function hasOdd(array) {
  return array.entries.some(isOdd) || (array.range ?? []).some((x) => !Number.isFinite(Number(x)));
}

/** A count with its thousands apart; one that no browser holds exactly in powers of ten. */
function counted(n) {
  return n <= Number.MAX_SAFE_INTEGER ? n.toLocaleString("en") : `about ${short(n, 5)}`;
}

/** "2 × 3", or "" for a number. */
function shapeText(shape) {
  return shape.length === 1 ? `length ${shape[0]}` : shape.join(" × ");
}

/** How many entries an array has, those that weren't sent included. */
function sizeOf({ shape }) {
  return shape.reduce((a, b) => a * b, 1);
}

/** An array in one short line for the ear, as the drawing's own titles have it. */
function brief(array) {
  const { shape, entries } = array;
  if (shape.length === 0) return short(entries[0], 4);
  const name = `${shapeText(shape)} array`;
  if (entries.length <= 8 && entries.length === sizeOf(array)) {
    return `${name} ${entries.map((x) => short(x, 4)).join(", ")}`;
  }
  return `${name}, ${rangeOf(array)}`;
}

/** From the least entry to the greatest; Python sends it where it doesn't send all entries. */
function rangeOf(array) {
  const { entries, range } = array;
  if (typeof entries[0] === "string") return "complex numbers";
  if (hasOdd(array)) return range ? "some not finite" : `${entries.filter(isOdd).length} not finite`;
  const [least, most] = range ?? entries.reduce(
    ([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity],
  );
  if (least > most) return "empty";
  const [low, high] = [short(least, 3), short(most, 3)];
  if (low !== high) return `${low} … ${high}`;
  return least === most ? `all ${low}` : `all about ${low}`;
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

/** A variable's name; a long one may be broken behind its parts. */
function nameOf(text) {
  const [base, index] = indexed(text);
  const parts = base.split(/(?<=[/_.])/).flatMap((part, i) => [i > 0 ? make("wbr") : null, part]);
  return make("var", {}, parts, index === "" ? null : make("sub", {}, index));
}

/** A variable's name where only text can stand, as in a list of choices: x₁, λ, w_in. */
function plain(text) {
  const [base, index] = indexed(text);
  if (index === "") return base;
  if (!/^\d+$/.test(index)) return `${base}_${index}`;
  return base + [...index].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]).join("");
}

/** A number or an array of at most so many columns, every digit in its title; NaN and infinities
    are marked. */
function shown(array, kind = "", digits = 5, most = 5) {
  if (array === null || array === undefined) return make("span", { class: "unknown" }, "not shown");
  const { shape, entries } = array;
  if (shape.length === 0) return number(entries[0], kind, digits);
  const columns = shape[shape.length - 1];
  const rows = columns === 0 ? 0 : entries.length / columns;
  const whole = shape.reduce((a, b) => a * b, 1);
  if (shape.length > 2 || columns > most || rows > 8 || whole !== entries.length) {
    const odd = hasOdd(array);
    return make("span", { class: `array ${kind}` },
      make("span", { class: odd ? "range odd" : "range" }, odd ? `⚠ ${rangeOf(array)}` : rangeOf(array)),
      make("span", { class: "shape" }, shapeText(shape)));
  }
  const table = make("table", { class: `matrix ${kind}` });
  for (let r = 0; r < rows; r++) {
    const row = make("tr");
    for (let c = 0; c < columns; c++) row.append(make("td", {}, number(entries[r * columns + c], "", Math.min(digits, 4))));
    table.append(row);
  }
  return table;
}

/** A negative number in brackets, behind a sign. */
function signed(x, kind, digits = 5) {
  const negative = x < 0 || Object.is(x, -0);
  return negative ? ["(", number(x, kind, digits), ")"] : [number(x, kind, digits)];
}

function number(x, kind, digits = 5) {
  const odd = isOdd(x) ? " odd" : "";
  return make("span", { class: `number ${kind}${odd}`, title: exact(x) }, short(x, digits));
}

const MATHML = new Set(
  `math mrow mi mn mo mfrac msup msub msubsup msqrt mroot mfenced mtext mspace mstyle mtable mtr mtd
  mover munder munderover mpadded mphantom semantics`.split(/\s+/),
);
const MATHML_ATTRIBUTES = new Set(
  ["mathvariant", "stretchy", "displaystyle", "display", "fence", "form", "lspace"],
);

const PLACE = "\ue000"; // before the place of a name

/** MathML text as elements: only those of mathematics, none of their links or scripts. `named`
    makes the element of a name from its place. */
function mathematics(text, named) {
  const parsed = new DOMParser().parseFromString(text, "application/xml").documentElement;
  return rebuilt(parsed, named);
}

function rebuilt(node, named) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.nodeValue);
  if (node.nodeType !== Node.ELEMENT_NODE || !MATHML.has(node.localName)) {
    return document.createTextNode(node.textContent);
  }
  if (node.localName === "mi" && node.textContent.startsWith(PLACE)) {
    return named(node.textContent.slice(PLACE.length));
  }
  const element = document.createElementNS("http://www.w3.org/1998/Math/MathML", node.localName);
  for (const { name, value } of node.attributes) {
    if (MATHML_ATTRIBUTES.has(name)) element.setAttribute(name, value);
  }
  element.append(...Array.from(node.childNodes, (child) => rebuilt(child, named)));
  if (/^m[on]$/.test(element.localName)) element.textContent = minus(element.textContent);
  if (element.textContent === "\u2062" && node.previousSibling?.localName !== "mn") {
    element.textContent = "·"; // x·z, but 2q
  }
  return element;
}

function breaks(words) {
  return /\s/.test(words.textContent);
}

/** A formula of words, which breaks between them; MathML alone never does. */
function breaking(math) {
  const only = math.children.length === 1 && math.firstElementChild.localName === "mrow";
  const row = only ? math.firstElementChild : math;
  const words = [...math.querySelectorAll("mtext")].filter(breaks);
  if (words.length === 0 || words.some((part) => part.parentNode !== row)) return [math];
  const parts = [];
  for (const child of [...row.childNodes]) {
    const spoken = typeof parts.at(-1) === "string";
    if ((child.localName === "mtext" && breaks(child)) || (spoken && child.textContent === ",")) {
      parts.push(child.textContent.replace(/\u00a0/g, " "));
    } else {
      if (spoken || parts.length === 0) parts.push(math.cloneNode(false));
      parts.at(-1).append(child);
    }
  }
  return parts;
}

/** An entry's index: [1, 0] for the third of a matrix of two columns. */
function indexOf(node, entry) {
  if (node.shape.length === 0) return "";
  const index = [];
  let rest = entry;
  for (const n of [...node.shape].reverse()) {
    index.unshift(rest % n);
    rest = Math.floor(rest / n);
  }
  return `[${index.join(", ")}]`;
}

/** An entry's name as text: W[1, 0], λ. */
function entryName(node, entry) {
  return plain(node.name) + indexOf(node, entry);
}
