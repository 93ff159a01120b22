/**
 * What stands above every view: the run, its state and how fresh that is, the connection, one line
 * of progress or trouble, the tabs, and the list of keys.
 */

import { alarm, tab } from "./alarm.js";
import { add, el, fill, say, set, setPill, pill } from "./dom.js";
import { date, duration, progressWords, share } from "./format.js";
import { age, mainProgress, now, over, store } from "./store.js";
import { choice, next } from "./theme.js";

const STALE_S = 5;
const CONNECTION = {
  connecting: "connecting…",
  live: "live",
  reconnecting: "reconnecting…",
  refused: "access denied",
  gone: "run not found",
};

const parts = {};

/** Build the header and the tabs of `views`; gives `{update, go}`. */
export function header(views) {
  const bar = document.getElementById("header");
  parts.cluster = el("h1", { class: "cluster" });
  parts.run = el("span", { class: "run-id" });
  parts.state = pill("");
  parts.age = el("span", { class: "age" });
  parts.connection = el("span", { class: "connection", role: "status" });
  parts.theme = el("button", { class: "quiet", type: "button", on: { click: nextTheme } });
  const keys = el(
    "button",
    {
      class: "quiet",
      type: "button",
      title: "Keyboard shortcuts and remote access (?)",
      "aria-label": "Keyboard shortcuts and help",
      on: { click: showKeys },
    },
    "?",
  );
  parts.words = el("p", { class: "strip-words" });
  parts.done = el("div", { class: "strip-done" });
  parts.ways = el("p", { class: "strip-ways" });
  parts.strip = el("div", { class: "strip", role: "status" }, parts.done, parts.words, parts.ways);
  fill(
    bar,
    el(
      "div",
      { class: "bar" },
      logo(),
      el("div", { class: "who" }, parts.cluster, parts.run),
      el("div", { class: "how" }, parts.state, parts.age),
      el("div", { class: "tools" }, parts.connection, parts.theme, keys),
    ),
    parts.strip,
  );
  tabs(views);
  themeWords();
  return { update, go };
}

function logo() {
  return el(
    "a",
    { class: "logo", href: "#/", title: "Show the newest run" },
    el("img", { src: "static/icon.svg", alt: "tenfold", width: 22, height: 22 }),
  );
}

function tabs(views) {
  const bar = document.getElementById("tabs");
  parts.tabs = views.map(({ name, title }, index) =>
    el(
      "a",
      { class: "tab", data: { view: name } },
      title,
      el("kbd", { "aria-hidden": "true" }, index + 1),
    ),
  );
  fill(bar, parts.tabs);
}

/** The address of a view of the run that is shown. */
export function viewLink(view, query = "") {
  const { cluster, run } = store.route;
  return `#/${encodeURIComponent(cluster)}/${encodeURIComponent(run)}/${view}${query}`;
}

function go(view) {
  if (store.route.run) location.hash = viewLink(view);
}

function update(topics) {
  if (topics.has("route")) route();
  if (topics.has("head") || topics.has("route")) who();
  connection();
  freshness();
  strip();
  tab();
}

function route() {
  for (const tab of parts.tabs) {
    const { view } = tab.dataset;
    set(tab, "href", viewLink(view));
    const here = view === store.route.view;
    if (here && !tab.hasAttribute("aria-current"))
      tab.scrollIntoView?.({ block: "nearest", inline: "center" });
    set(tab, "aria-current", here ? "page" : null);
  }
}

function who() {
  const { cluster, run } = store.route;
  say(parts.cluster, cluster);
  say(parts.run, run);
  setPill(parts.state, store.head?.state);
}

function connection() {
  say(parts.connection, CONNECTION[store.connection]);
  set(parts.connection, "data-connection", store.connection);
}

function freshness() {
  const head = store.head;
  const old = age();
  let words = "";
  if (over() && head.ended) words = `ended ${duration(now() - head.ended)} ago`;
  else if (old !== null) words = `updated ${duration(old)} ago`;
  else if (head?.seen) words = `last updated ${date(head.seen)}`;
  say(parts.age, words);
  parts.age.classList.toggle("stale", old !== null && old > STALE_S);
}

/** One line that is always there: progress, a warning, or the alarm, which nobody can miss. */
function strip() {
  const [tone, words, part] = stripWords();
  set(parts.strip, "data-tone", tone);
  parts.strip.hidden = !tone && store.route.view === "overview"; // which has it in large
  say(parts.words, words);
  set(parts.words, "title", words || null);
  parts.done.style.transform = `scaleX(${part})`;
  ways(tone === "alarm" ? alarm() : null);
}

/** Where an alarm is explained: the overview has the evidence, the map the task. */
function ways(found) {
  const key = found ? `${found.task} ${store.route.view} ${store.route.run}` : "";
  if (parts.ways.key === key) return;
  parts.ways.key = key;
  const task = found?.task && encodeURIComponent(found.task);
  fill(
    parts.ways,
    found && store.route.view !== "overview" && el("a", { href: viewLink("overview") }, "Details"),
    task && el("a", { href: viewLink("map", `?task=${task}`) }, "Show on the map"),
    task && el("a", { href: viewLink("logs", `?task=${task}`) }, `Logs of ${found.task}`),
  );
}

function stripWords() {
  const head = store.head;
  if (store.connection === "refused") {
    return ["bad", "This page no longer has access. Run “tenfold open” for a new address.", 0];
  }
  if (store.connection === "gone") return ["bad", "This run does not exist. The Runs view lists all runs.", 0];
  if (store.connection === "reconnecting") {
    return [
      "warn",
      "The dashboard does not respond. The page shows the last known state. Retrying…",
      0,
    ];
  }
  if (!head) return ["", "", 0];
  const found = alarm();
  if (found) return ["alarm", found.words, 0];
  const old = age();
  if (old !== null && old > STALE_S) {
    return [
      "warn",
      `The supervisor has not updated this run for ${duration(old)}. The page may be out of date.`,
      0,
    ];
  }
  if (head.warning) {
    const verb = over() ? `${head.state}, but: ` : "";
    return ["warn", `${verb}${head.warning}`, 0];
  }
  if (head.reason) return ["", head.reason, 0];
  const said = mainProgress();
  if (said && !over()) return ["", progressWords(said, now()), share(said)];
  return ["", head.cell ? `${head.framework || "no framework"} on the ${head.cell} cell` : "", 0];
}

/** Dark, light, or what the system says. */
export function nextTheme() {
  next();
  themeWords();
}

function themeWords() {
  const now = choice();
  const mark = { auto: "◐", light: "○", dark: "●" }[now];
  say(parts.theme, mark);
  set(parts.theme, "aria-label", `Colours: ${now}`);
  set(parts.theme, "title", `Colours: ${now} (t)`);
}

const KEYS = [
  ["/", "filter this view"],
  ["Arrows, Tab", "move from task to task on the map"],
  ["Enter", "show the task"],
  ["Esc", "close the panel"],
  ["f", "follow the logs again"],
  ["t", "switch colours: system, light, dark"],
  ["?", "show this list"],
];

/** The keys, and the command that brings this page to another machine. */
export function showKeys() {
  const close = el(
    "button",
    { type: "button", autofocus: true, on: { click: () => box.close() } },
    "Close",
  );
  const box = el(
    "dialog",
    { class: "keys", "aria-label": "Keyboard shortcuts" },
    el("h2", {}, "Keyboard shortcuts"),
    el(
      "dl",
      {},
      [[`1 – ${parts.tabs.length}`, "switch views"], ...KEYS].map(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]),
    ),
  );
  const head = store.head;
  if (head?.tunnel) {
    add(box, [
      el("h2", {}, "From another machine"),
      el("p", {}, "Run this command there, then open the same address:"),
      el("pre", { tabindex: 0 }, head.tunnel),
    ]);
  }
  if (head?.directory)
    add(box, [el("h2", {}, "Run directory"), el("pre", { tabindex: 0 }, head.directory)]);
  add(box, [close]);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
}
