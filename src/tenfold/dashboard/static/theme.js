/**
 * Dark or light: what the system says, or what was chosen here and is remembered. Gives the canvas
 * its colours, which are those of the style sheet.
 */

import { stateOf } from "./states.js";

const CHOICES = ["auto", "light", "dark"];
const KEY = "tenfold-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();
let colours = new Map();

apply(remembered());
system.addEventListener("change", repaint);

function remembered() {
  try {
    const said = localStorage.getItem(KEY);
    return CHOICES.includes(said) ? said : "auto";
  } catch {
    return "auto";
  }
}

function apply(choice) {
  if (choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  repaint();
}

function repaint() {
  colours = new Map();
  for (const f of listeners) f();
}

/** auto, light or dark. */
export function choice() {
  return document.documentElement.dataset.theme || "auto";
}

/** Choose the next of auto, light, dark; remembered where the browser remembers. */
export function next() {
  const chosen = CHOICES[(CHOICES.indexOf(choice()) + 1) % CHOICES.length];
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // a browser that keeps nothing: the choice holds until the page is left
  }
  apply(chosen);
  return chosen;
}

/** Be told when colours change; gives a function that ends it. */
export function onTheme(f) {
  listeners.add(f);
  return () => listeners.delete(f);
}

const probe = document.createElement("span");
probe.hidden = true;

/** The colour that the style sheet's `--name` stands for now, as a canvas takes it. */
export function colour(name) {
  let found = colours.get(name);
  if (!found) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(--${name})`;
    found = getComputedStyle(probe).color;
    colours.set(name, found);
  }
  return found;
}

/** The colour of a task's state. */
export function stateColour(state) {
  return colour(stateOf(state).colour);
}
