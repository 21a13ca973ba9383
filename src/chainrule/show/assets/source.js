// The user's source, whose lines light up with their nodes.

const MOST_PRINTED = 80; // lines of text that this package wrote, on paper

class Source {
  constructor(data, onHover) {
    this.data = data;
    this.onHover = onHover;
    this.build();
  }

  build() {
    const place = document.getElementById("source");
    this.lines = this.data.sources.map((block) => {
      const long = block.made && block.lines.length > MOST_PRINTED;
      const list = make("ol", { class: long ? "code is-long" : "code", start: block.first });
      const lines = block.lines.map((text, i) => {
        const line = make("li", { value: block.first + i }, make("code", {}, text === "" ? " " : text));
        list.append(line);
        return line;
      });
      place.append(make("h3", {}, block.title), list);
      return lines;
    });
    document.getElementById("source-card").hidden = this.lines.length === 0;
    this.data.spots.forEach((_, spot) => {
      const line = this.lineOf(this.data.lines.lastIndexOf(spot));
      line.classList.add("has-node");
      line.addEventListener("mouseenter", () => this.onHover(this.data.lines.lastIndexOf(spot)));
      line.addEventListener("mouseleave", () => this.onHover(null));
    });
  }

  /** The line that a node stands in; null where there is none. */
  lineOf(n) {
    const spot = n === null || n < 0 ? null : this.data.lines[n];
    if (spot === null) return null;
    const [block, line] = this.data.spots[spot];
    return this.lines[block][line];
  }

  /** Marks the line of the gate at work, and of the node that is pointed at. */
  highlight(active, hovered) {
    for (const block of this.lines) for (const line of block) line.classList.remove("is-active", "is-hovered");
    const line = this.lineOf(active);
    line?.classList.add("is-active");
    this.lineOf(hovered)?.classList.add("is-hovered");
    const box = document.getElementById("source");
    if (line !== null && box.scrollHeight > box.clientHeight) {
      box.scrollTop = line.offsetTop - box.clientHeight / 2;
    }
  }
}
