/**
 * The Training view: all curves of the run, of event files and of the figures that tasks report.
 */

import { every, get, runPath } from "./api.js";
import { curves } from "./curves.js";
import { el, fill, say } from "./dom.js";
import { hint } from "./hints.js";
import { store } from "./store.js";

const REFRESH_S = 5;

/** @returns {import("./views.js").View} */
export function training() {
  const links = el("p", { class: "links" });
  const note = el("p", { class: "note", role: "status" }, "Reading…");
  const shown = curves();
  const nothing = el("div", { class: "card-empty", hidden: true });
  const element = el(
    "section",
    { class: "page", "aria-label": "Training" },
    el("div", { class: "tools-row" }, links, shown.tools, note),
    nothing,
    shown.element,
  );
  let stop = null;

  function show() {
    stop ??= every(REFRESH_S, refresh, (error) => say(note, error.message));
  }

  async function refresh(signal) {
    if (document.hidden) return;
    const said = await get(runPath("/training"), signal);
    const count = shown.show(said);
    fill(
      links,
      service("TensorBoard", said.services?.tensorboard),
      service("Jupyter", said.services?.jupyter),
    );
    say(note, words(said));
    nothing.hidden = count > 0;
    if (!count) fill(nothing, hint("curves", store.head?.framework, said.missing));
  }

  function hide() {
    stop?.();
    stop = null;
  }

  return { element, show, hide, drop: shown.drop, update() {} };
}

function words({ missing, damaged }) {
  const bad = Object.entries(damaged || {}).map(([path, what]) => `damaged: ${path} ${what}`);
  if (missing) return `Event files need another package. Run: ${missing}`;
  return bad.join("; ");
}

function service(name, url) {
  return (
    /^https?:\/\//.test(url || "") &&
    el("a", { href: url, target: "_blank", rel: "noopener" }, name)
  );
}
