// Orders to the server, and what it tells.

import { find, say } from "./dom.js";

const LOST =
  "The connection to the server is lost; trying again. If it was ended, start it again with “chainrule play”.";
const GONE =
  "The server of this page has ended, and another one is there now: open the address that it has printed. This page no longer changes.";

let sending = false;
let waiting = {};
let refused = () => {};

async function post(path, data) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(data),
    });
  } catch {
    refused({ problem: "The server can’t be reached, so nothing was changed." });
    return;
  }
  refused(answer.ok ? null : await answer.json());
}

export const order = (name) => post("order", name);

// One request at a time: while it is under way, later values replace earlier ones.
export async function change(values) {
  Object.assign(waiting, values);
  if (sending) return;
  sending = true;
  while (Object.keys(waiting).length) {
    const now = waiting;
    waiting = {};
    await post("change", now);
  }
  sending = false;
}

export const unsent = (name) => sending || name in waiting;

// Whether a server answers that knows nothing of this page: each has a secret address of its own.
async function gone() {
  try {
    return (await fetch(".")).status === 404;
  } catch {
    return false;
  }
}

export function listen(events, whenRefused) {
  refused = whenRefused;
  const stream = new EventSource("events");
  stream.onopen = () => {
    find("lost").hidden = true;
  };
  stream.onerror = async () => {
    say(find("lost"), LOST);
    find("lost").hidden = false;
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    if (await gone()) say(find("lost"), GONE);
    else setTimeout(() => listen(events, whenRefused), 2000);
  };
  for (const [name, then] of Object.entries(events)) {
    stream.addEventListener(name, (event) => then(JSON.parse(event.data)));
  }
}
