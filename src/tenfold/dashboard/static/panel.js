/**
 * What stands beside the map: the cluster in figures with its silent and unplanned edges, or the
 * task that was chosen: its state, what it uses, its connections and the last lines it wrote.
 */

import { every, get, runPath } from "./api.js";
import { el, fill, keyed, pill, say, set, setPill } from "./dom.js";
import {
  bytes,
  clock,
  cores,
  duration,
  exitWords,
  label,
  plain,
  plural,
  rate,
  since,
  speed,
} from "./format.js";
import { viewLink } from "./header.js";
import { count, edgeList, failedList, section, short } from "./lists.js";
import { stateOf } from "./states.js";
import { busiest, edgeKey, edgesOf, now, over, store } from "./store.js";
import { drawSpark, spark } from "./spark.js";

const REFRESH_S = 2;
const BUSIEST = 6;
const PEERS = 200;

/** @param {{select: (task: string|null) => void, close: () => void}} to */
export function panel(to) {
  const overview = makeOverview(to);
  const detail = makeDetail(to);
  const element = el(
    "aside",
    { class: "panel", "aria-label": "Details" },
    overview.element,
    detail.element,
  );
  let task = null;
  let stop = null;

  function select(name) {
    task = name;
    stop?.();
    stop = null;
    overview.element.hidden = Boolean(name);
    detail.element.hidden = !name;
    element.scrollTop = 0;
    if (name) bringIntoSight(element);
    if (!name) return overview.update();
    detail.start(name);
    stop = every(REFRESH_S, async (signal) => {
      if (!document.hidden) detail.tell(await get(runPath(`/tasks/${label(name)}`), signal));
    });
  }

  return {
    element,
    select,
    hide: () => stop?.(),
    update: () => (task ? detail.update() : overview.update()),
    tick: () => task && detail.tick(),
  };
}

/** On a phone the panel is below the map: have its beginning seen, and some of the map. */
function bringIntoSight(element) {
  const main = element.closest("main");
  const hidden =
    element.getBoundingClientRect().top -
    main.getBoundingClientRect().top -
    main.clientHeight * 0.6;
  if (hidden > 0) main.scrollBy(0, hidden);
}

function makeOverview(to) {
  const flow = el("strong");
  const flowWords = el("span");
  const total = el("strong");
  const live = el("strong");
  const lists = {
    cut: edgeList("Cut: sent data is not acknowledged", to, (edge) => quiet(edge)),
    silent: edgeList("Planned, but silent", to, (edge) => quiet(edge)),
    unplanned: edgeList("Not planned, or outside", to, carried),
    busy: edgeList("Busiest", to, carried),
  };
  const failed = failedList(to);
  const damaged = el("p", { class: "note warn", hidden: true });
  const element = el(
    "div",
    { class: "overview" },
    el(
      "div",
      { class: "figures" },
      el("div", {}, flow, flowWords),
      el("div", {}, total, el("span", {}, "in total")),
      el("div", {}, live, el("span", {}, "planned edges used")),
    ),
    damaged,
    failed.element,
    lists.cut.element,
    lists.silent.element,
    lists.unplanned.element,
    lists.busy.element,
  );

  function update() {
    const found = survey(store.map.edges.values());
    failed.update();
    say(flow, rate(found.flow));
    say(flowWords, over() ? "on average" : "now");
    say(total, bytes(found.bytes));
    say(
      live,
      found.planned
        ? `${count(found.planned - found.silent.length)} / ${count(found.planned)}`
        : "none",
    );
    lists.cut.element.hidden = !found.cut.length;
    lists.cut.show(found.cut, "");
    lists.silent.show(
      found.silent,
      found.planned ? "All planned edges have been used." : "No edges are planned.",
    );
    lists.unplanned.show(found.unplanned.sort(busiest), "No unplanned traffic.");
    lists.busy.show(found.busy, "No traffic yet.");
    const bad = Object.entries(store.map.damaged);
    damaged.hidden = !bad.length;
    say(damaged, bad.map(([path, what]) => `damaged: ${path} ${what}`).join("; "));
  }

  return { element, update };
}

/** The edges in figures, in one pass: there may be twenty thousand, every second. */
function survey(edges) {
  const found = { flow: 0, bytes: 0, planned: 0, cut: [], silent: [], unplanned: [], busy: [] };
  for (const edge of edges) {
    found.flow += edge.rate_bytes_s || 0;
    found.bytes += edge.bytes || 0;
    if (edge.planned) found.planned += 1;
    if (edge.mark === "cut") found.cut.push(edge);
    else if (edge.mark === "silent") found.silent.push(edge);
    else if (edge.mark === "not planned") found.unplanned.push(edge);
    if (edge.bytes && (found.busy.length < BUSIEST || busiest(edge, found.busy.at(-1)) < 0)) {
      found.busy.push(edge);
      found.busy.sort(busiest);
      found.busy.length = Math.min(found.busy.length, BUSIEST);
    }
  }
  return found;
}

/** What flows now; once the run is over, what did. */
function carried(edge) {
  return (!over() && rate(edge.rate_bytes_s)) || bytes(edge.bytes) || "unknown";
}

function quiet(edge) {
  if (!edge.last_byte) return "no traffic yet";
  return `idle for ${duration(Math.max(0, now() - edge.last_byte))}`;
}

const FACTS = ["address", "host", "pid", "up", "restarts", "exit", "speed"];

function makeDetail(to) {
  const parts = {
    name: el("h2"),
    state: pill(""),
    facts: {},
    lines: el("ol", { class: "tail", tabindex: 0 }),
    cpu: el("strong"),
    memory: el("strong"),
    cpuLine: spark(),
    memoryLine: spark(),
    links: el("p", { class: "links" }),
    peers: el("tbody"),
    morePeers: el("p", { class: "note", hidden: true }),
  };
  const facts = el("dl", { class: "facts" });
  for (const name of FACTS)
    facts.append(el("div", {}, el("dt", {}, name), (parts.facts[name] = el("dd"))));
  const peers = section(
    "Connections",
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", {}, "with"),
            ["rate", "total", "open"].map((word) => el("th", { class: "number" }, word)),
          ),
        ),
        parts.peers,
      ),
    ),
    parts.morePeers,
  );
  const tail = section("Last lines", parts.lines);
  const close = el(
    "button",
    { class: "quiet", type: "button", "aria-label": "Close (Esc)", on: { click: to.close } },
    "×",
  );
  const element = el(
    "div",
    { class: "detail", hidden: true },
    el("div", { class: "detail-head" }, parts.name, parts.state, close),
    parts.links,
    facts,
    el(
      "div",
      { class: "uses" },
      el("div", {}, el("span", {}, "CPU, cores"), parts.cpu, parts.cpuLine),
      el("div", {}, el("span", {}, "memory"), parts.memory, parts.memoryLine),
    ),
    peers.element,
    tail.element,
  );
  let name = "";

  function start(task) {
    name = task;
    say(parts.name, task);
    fill(parts.lines);
    for (const line of [parts.cpuLine, parts.memoryLine]) drawSpark(line, [], []);
    update();
  }

  function update() {
    const task = store.tasks.get(name);
    if (!task) return;
    set(element, "data-task", name);
    set(element, "data-state", task.state);
    setPill(parts.state, task.state);
    say(parts.facts.address, task.address || "–");
    say(parts.facts.host, task.host || "–");
    say(parts.facts.pid, task.pid ?? "–");
    say(parts.facts.restarts, task.restarts || "none");
    say(parts.facts.exit, exitWords(task) === "" ? "–" : exitWords(task));
    say(parts.facts.speed, speed(task.progress) || "–");
    say(parts.cpu, cores(task.cpu) || "–");
    say(parts.memory, bytes(task.memory) || "–");
    links(task);
    connections(edgesOf(name));
    tick();
  }

  function links(task) {
    const wanted = [["all lines", viewLink("logs", `?task=${encodeURIComponent(name)}`)]];
    if (task.url && stateOf(task.state).usable) wanted.push(["open page", task.url]);
    for (const [word, url] of Object.entries(task.urls || {})) {
      if (url !== task.url) wanted.push([word, url]);
    }
    const key = JSON.stringify(wanted);
    if (parts.links.key === key) return;
    parts.links.key = key;
    fill(
      parts.links,
      wanted.map(
        ([word, url]) =>
          safe(url) &&
          el(
            "a",
            { href: url, rel: "noopener", target: url.startsWith("#") ? null : "_blank" },
            word,
          ),
      ),
    );
  }

  function connections(edges) {
    parts.morePeers.hidden = edges.length <= PEERS;
    say(parts.morePeers, `and ${plural(edges.length - PEERS, "more edge")}`);
    keyed(parts.peers, edges.slice(0, PEERS), edgeKey, makePeer, (row, edge) => {
      set(row, "data-mark", edge.mark);
      const still = edge.mark === "silent" || edge.mark === "cut";
      say(row.cells[1], still ? edge.mark : rate(edge.rate_bytes_s) || "unknown");
      say(row.cells[2], edge.bytes === null ? "unknown" : bytes(edge.bytes));
      say(row.cells[3], edge.connections ?? "");
    });
  }

  function makePeer(edge) {
    const peer = edge.from === name ? edge.to : edge.from;
    const inner = peer.startsWith("outside:")
      ? el("span", {}, short(peer))
      : el("button", { type: "button", class: "link", on: { click: () => to.select(peer) } }, peer);
    return el(
      "tr",
      {},
      el("td", {}, inner),
      ["", "", ""].map(() => el("td", { class: "number" })),
    );
  }

  function tell({ task, usage, lines }) {
    if (task?.task !== name) return;
    drawSpark(parts.cpuLine, usage.time, usage.cpu);
    drawSpark(parts.memoryLine, usage.time, usage.memory);
    const low = parts.lines.scrollHeight - parts.lines.scrollTop - parts.lines.clientHeight < 8;
    fill(
      parts.lines,
      lines.map((line) =>
        el(
          "li",
          { data: { stream: line.stream }, title: clock(line.time) },
          plain(line.text) || " ",
        ),
      ),
    );
    if (!lines.length) fill(parts.lines, el("li", { class: "note" }, "No output."));
    if (low) parts.lines.scrollTop = parts.lines.scrollHeight;
  }

  function tick() {
    const task = store.tasks.get(name);
    if (task) say(parts.facts.up, since(task, now(), store.head?.seen) || "–");
  }

  return { element, start, update, tell, tick };
}

/** Only pages may be linked to, whatever a file says. */
function safe(url) {
  return url.startsWith("#") || url.startsWith("http://") || url.startsWith("https://");
}
