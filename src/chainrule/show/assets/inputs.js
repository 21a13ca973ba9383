// The inputs: fields to edit them, and why that can't be where it can't.

class Inputs {
  /** `onEdit` is called when a number has changed and everything is computed anew. */
  constructor(model, onEdit) {
    this.model = model;
    this.data = model.data;
    this.onEdit = onEdit;
    this.build();
  }

  build() {
    const place = document.getElementById("inputs");
    if (!this.model.editable) {
      place.append(make("p", { class: "notice" }, `The inputs can't be edited here. ${this.data.cannotEdit}`));
    }
    this.data.inputs.forEach((n, leaf) => {
      const node = this.model.nodes[n];
      const array = this.model.editable
        ? { shape: node.shape, entries: this.data.leaves[leaf].entries.map(Number) }
        : this.model.value(n);
      if (!this.model.editable || array.entries.length > 64) {
        place.append(make("div", { class: "field whole" }, nameOf(node.name), " = ", shown(array, "value")));
        return;
      }
      if (node.shape.length === 0) {
        place.append(make("label", { class: "field" }, nameOf(node.name), " = ", this.field(leaf, 0, node)));
        return;
      }
      const legend = [nameOf(node.name), make("span", { class: "shape" }, shapeText(node.shape))];
      const columns = node.shape[node.shape.length - 1];
      const grid = make("div", { class: "grid" });
      array.entries.forEach((_, entry) => grid.append(this.field(leaf, entry, node)));
      grid.style.setProperty("--columns", columns);
      grid.classList.toggle("is-wide", columns > 4);
      place.append(make("fieldset", { class: "field" }, make("legend", {}, legend), grid));
    });
    document.getElementById("reset").hidden = !this.model.editable;
  }

  field(leaf, entry, node) {
    const whole = "iu".includes(node.dtype[0]);
    const value = this.data.leaves[leaf].entries[entry];
    const field = make("input", {
      type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false",
      "data-leaf": leaf, "data-entry": entry, size: 8, "aria-label": entryName(node, entry),
    });
    rest(field, Number(value), node.dtype);
    field.addEventListener("focus", () => {
      if (field.getAttribute("aria-invalid") !== "true") field.value = field.dataset.exact;
    });
    field.addEventListener("blur", () => {
      if (field.getAttribute("aria-invalid") !== "true") rest(field, this.now(leaf, entry), node.dtype);
    });
    field.addEventListener("input", () => {
      const now = parsed(field.value, node.dtype);
      const wrong = now === null;
      field.setAttribute("aria-invalid", String(wrong));
      if (!wrong) field.dataset.exact = field.value;
      field.title = wrong ? (whole ? "a whole number is needed" : "a number is needed, such as 2.5 or -1e3") : "";
      if (!wrong) this.edit(leaf, entry, now);
    });
    return field;
  }

  edit(leaf, entry, value) {
    this.set(leaf, entry, value);
    this.model.compute();
    this.onEdit();
  }

  set(leaf, entry, value) {
    const { leaves } = this.model;
    if (typeof leaves[leaf] === "object") leaves[leaf][entry] = Number(value);
    else leaves[leaf] = value;
  }

  /** What an entry of a leaf is now. */
  now(leaf, entry) {
    const values = this.model.leaves[leaf];
    return typeof values === "object" ? values[entry] : values;
  }

  reset() {
    this.model.leaves = this.data.leaves.map(received);
    this.fields();
    this.model.compute();
    this.onEdit();
  }

  /** The fields show what the model has. */
  fields() {
    for (const field of document.querySelectorAll("input[data-leaf]")) {
      const { leaf, entry } = field.dataset;
      rest(field, this.now(leaf, entry), this.model.nodes[this.data.inputs[leaf]].dtype);
      field.setAttribute("aria-invalid", "false");
    }
  }
}

/** A field that isn't written in: a number of many digits stands in it rounded. */
function rest(field, value, kind) {
  const text = kind === "b1" ? exact(Boolean(value)) : exact(value);
  field.dataset.exact = text;
  field.title = text;
  field.value = text.length > 8 && Number.isFinite(value) ? exact(Number(value.toPrecision(4))) : text;
}

/** What was typed as a number of a type; null if it isn't one. */
function parsed(text, kind) {
  const plain = text.trim().replace(/−/g, "-").replace(",", ".");
  if (kind === "b1") return { true: true, false: false, 1: true, 0: false }[plain] ?? null;
  const special = { inf: Infinity, "-inf": -Infinity, nan: NaN, "∞": Infinity, "-∞": -Infinity };
  const known = special[plain.toLowerCase()];
  const value = known ?? (plain === "" ? NaN : Number(plain));
  if (Number.isNaN(value) && known === undefined && plain !== "NaN") return null;
  if (kind[0] === "i" || kind[0] === "u") return Number.isSafeInteger(value) && (kind[0] === "i" || value >= 0) ? value : null;
  return kind === "f4" ? Math.fround(value) : value;
}
