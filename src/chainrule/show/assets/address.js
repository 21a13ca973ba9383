// The state as a part of the address, so that a link brings it back.

/** The state as the part of the address behind #. */
function stateOf(page) {
  const parts = new URLSearchParams();
  if (page.at > 0) parts.set("step", page.at);
  if (page.model.editable) {
    page.data.leaves.forEach((leaf, k) => {
      const now = page.model.leaves[k];
      const entries = typeof now === "object" ? Array.from(now) : [now];
      const before = received(leaf);
      const old = typeof before === "object" ? Array.from(before) : [before];
      entries.forEach((x, i) => {
        if (!Object.is(x, old[i])) parts.append("x", `${k}.${i}:${exact(x)}`);
      });
    });
    const [first] = page.data.moving;
    if (page.model.seed !== null && (page.model.seed[0] !== first || page.model.seed[1] !== 0)) {
      parts.set("along", page.model.seed.join("."));
    }
  }
  if (page.chosen.length > 0) parts.set("nodes", page.chosen.join("."));
  if (page.drawing.current !== page.drawing.views.keys().next().value) parts.set("view", page.drawing.current);
  const { theme } = document.documentElement.dataset;
  if (theme) parts.set("theme", theme);
  return parts.toString();
}

/** Takes the state from the address; what is wrong in it is left out. */
function restore(page) {
  const parts = new URLSearchParams(window.location.hash.slice(1));
  if (page.model.editable) {
    page.model.leaves = page.data.leaves.map(received);
    for (const text of parts.getAll("x")) {
      const [, leaf, entry, value] = /^(\d+)\.(\d+):(.*)$/.exec(text) ?? [];
      const sent = page.data.leaves[leaf];
      const now = sent === undefined ? null : parsed(value, sent.kind);
      if (now !== null && Number(entry) < sent.entries.length) page.inputs.set(Number(leaf), Number(entry), now);
    }
    const [leaf, entry] = (parts.get("along") ?? "").split(".").map(Number);
    if (page.data.moving.includes(leaf) && entry >= 0 && entry < page.data.leaves[leaf].entries.length) {
      page.model.seed = [leaf, entry];
      page.elements.wrt.value = `${leaf} ${entry}`;
    }
    page.model.compute();
    page.inputs.fields();
  }
  const step = Number(parts.get("step") ?? 0);
  page.at = Number.isInteger(step) ? Math.min(Math.max(step, 0), page.model.steps.length - 1) : 0;
  page.chosen = (parts.get("nodes") ?? "").split(".").filter(Boolean).map(Number)
    .filter((n) => page.model.nodes[n] !== undefined).slice(-2);
  if (page.chosen.length === 2) {
    const [by, of] = [...page.chosen].sort((a, b) => a - b);
    page.pair(of, by);
  }
  const view = parts.get("view");
  if (view !== null && page.drawing.views.has(view)) page.drawing.show(view);
  const theme = parts.get("theme");
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
}
