/**
 * What the page knows, in one place, and the rules by which news change it. Draws nothing and asks
 * nothing: `stream.js` and `app.js` hand in what the server said, views read and are told what changed.
 */

import { byTask } from "./format.js";
import { stateOf } from "./states.js";

/**
 * @typedef {{task: string, job: string, index: number|null, state: string, address: string|null,
 *   host: string|null, pid: number|null, restarts: number, exit_code: number|null,
 *   signal: string|null, url: string|null, urls: Record<string, string>, started: number|null,
 *   ready: number|null, ended: number|null, cpu: number|null, memory: number|null,
 *   progress: Progress|null}} Task
 * @typedef {{done: number, total: number, unit: string, rate: number|null,
 *   figures: Record<string, any>, time: number}} Progress
 * @typedef {{from: string, to: string, bytes: number|null, bytes_to: number|null,
 *   bytes_from: number|null, rate_bytes_s: number|null, rate_to: number|null,
 *   rate_from: number|null, connections: number, planned: boolean,
 *   mark: "as planned"|"silent"|"not planned"|"cut", last_byte: number|null}} Edge
 * @typedef {{from: string, to: string, bytes: number|null, rate_bytes_s: number|null,
 *   edges: number, silent: number, cut: number, connections: number, planned: boolean}} Group
 * @typedef {{width: number, height: number, radius: number,
 *   groups: {job: string, x: number, y: number, w: number, h: number, columns: number}[],
 *   nodes: Record<string, [number, number]>}} Layout
 * @typedef {{time: number, kind: string, text: string, tone: string, task?: string,
 *   [more: string]: any}} Event
 * @typedef {{cluster: string, run: string, view: string, query: URLSearchParams}} Route
 */

export const store = {
  /** @type {Route} */
  route: { cluster: "", run: "", view: "", query: new URLSearchParams() },
  /** Top level fields of GET RUN. @type {Record<string, any>|null} */
  head: null,
  /** The verdict of `why`: what `views/health.py` calls Health. @type {Record<string, any>|null} */
  health: null,
  /** In the order of the plan. @type {Map<string, Task>} */
  tasks: new Map(),
  /** @type {{edges: Map<string, Edge>, groups: Group[], layout: Layout|null, seconds: number,
   *   time: number, damaged: Record<string, string>}} */
  map: emptyMap(),
  /** @type {Event[]} */
  events: [],
  /** "connecting", "live", "reconnecting", "refused" or "gone". */
  connection: "connecting",
  /** Seconds that the server's clock is ahead of ours. */
  ahead: 0,
  /**
   * What news cost, in milliseconds of script, for tests and the curious: `apply` since they were
   * drawn, `draw` then, `last` both together, `worst` the most so far.
   */
  timing: { apply: 0, draw: 0, last: 0, worst: 0 },
};

function emptyMap() {
  return { edges: new Map(), groups: [], layout: null, seconds: 0, time: 0, damaged: {} };
}

const listeners = new Set();

/** Be told of every change: `f(topic)`, topic one of head, health, tasks, map, events, connection. */
export function listen(f) {
  listeners.add(f);
}

function changed(topic) {
  for (const f of listeners) f(topic);
}

/** Forget everything about a run: another one is shown. */
export function forget() {
  store.head = null;
  store.health = null;
  store.tasks = new Map();
  store.map = emptyMap();
  store.events = [];
  seenEvents.clear();
}

/** The server's time, now. */
export function now() {
  return Date.now() / 1000 + store.ahead;
}

/** How old the newest word of the supervisor is; null when nobody is expected to say more. */
export function age() {
  const head = store.head;
  return head?.alive && head.seen ? Math.max(0, now() - head.seen) : null;
}

/** Whether the run has ended. */
export function over() {
  return stateOf(store.head?.state).terminal;
}

export function setConnection(connection) {
  if (store.connection === connection) return;
  store.connection = connection;
  changed("connection");
}

/** A beat: the server lives, and this is its time. */
export function beat(time) {
  if (Number.isFinite(time)) store.ahead = time - Date.now() / 1000;
}

/** A new verdict on the run. */
export function setHealth(health) {
  store.health = health;
  changed("health");
}

/** The whole of GET RUN. */
export function setStatus(status) {
  const { tasks, ...head } = status;
  store.head = head;
  if (head.alive && head.seen && Number.isFinite(head.age_s)) beat(head.seen + head.age_s);
  store.tasks = new Map(tasks.map((task) => [task.task, task]));
  changed("head");
  changed("tasks");
}

/** What changed of GET RUN: `{head, tasks}`. */
export function changeTasks(news) {
  if (news.head) {
    store.head = { ...store.head, ...news.head };
    changed("head");
  }
  for (const task of news.tasks || []) store.tasks.set(task.task, task);
  if (news.tasks?.length) changed("tasks");
}

/** The whole of GET RUN/map. What the stream said since then is newer, and stays. */
export function setMap(map) {
  const late = map.time < store.map.time;
  for (const edge of map.edges) {
    const key = edgeKey(edge);
    if (!late || !store.map.edges.has(key)) store.map.edges.set(key, edge);
  }
  if (!late) Object.assign(store.map, { groups: map.groups, seconds: map.seconds, time: map.time });
  store.map.layout = map.layout;
  store.map.damaged = map.damaged || {};
  changed("map");
}

/** What changed of the map. */
export function changeMap(news) {
  const { edges } = store.map;
  for (const edge of news.edges || []) edges.set(edgeKey(edge), edge);
  if (news.groups) store.map.groups = mergeGroups(store.map.groups, news.groups);
  store.map.seconds = news.seconds ?? store.map.seconds;
  store.map.time = news.time ?? store.map.time;
  for (const { task, state } of news.tasks || []) {
    const known = store.tasks.get(task);
    if (known && known.state !== state) store.tasks.set(task, { ...known, state });
  }
  changed("map");
  if (news.tasks?.length) changed("tasks");
}

function mergeGroups(known, news) {
  const merged = new Map(known.map((group) => [edgeKey(group), group]));
  for (const group of news) merged.set(edgeKey(group), group);
  return [...merged.values()];
}

/** What an edge, or a group of edges, is known by. */
export function edgeKey(edge) {
  return `${edge.from}>${edge.to}`;
}

const seenEvents = new Set();

/** Events, from the file or the stream: each is kept once. */
export function addEvents(events) {
  let last = store.events.at(-1)?.time ?? -Infinity;
  let ordered = true;
  for (const event of events) {
    const key = JSON.stringify(event);
    if (seenEvents.has(key)) continue;
    seenEvents.add(key);
    ordered &&= event.time >= last;
    last = event.time;
    store.events.push(event);
  }
  if (!ordered) store.events.sort((a, b) => a.time - b.time);
  changed("events");
}

/** Jobs in the order of the plan, each with its tasks. @returns {Map<string, Task[]>} */
export function jobs() {
  const found = new Map();
  for (const task of store.tasks.values()) {
    if (!found.has(task.job)) found.set(task.job, []);
    found.get(task.job).push(task);
  }
  return found;
}

/** How many of these tasks are in each state. @returns {Record<string, number>} */
export function counts(tasks) {
  const found = {};
  for (const task of tasks) found[task.state] = (found[task.state] || 0) + 1;
  return found;
}

/** What was told of the cluster's progress: the chief's word, or else the first task's that told. */
export function mainProgress() {
  let best = null;
  for (const task of store.tasks.values()) {
    if (!task.progress || !Number.isFinite(task.progress.done)) continue;
    if (task.job === "chief" || task.job === "master") return task.progress;
    best ??= task.progress;
  }
  return best;
}

/** Every edge of a task, the busiest first. @returns {Edge[]} */
export function edgesOf(task) {
  const found = [];
  for (const edge of store.map.edges.values()) {
    if (edge.from === task || edge.to === task) found.push(edge);
  }
  return found.sort(busiest);
}

/** Order edges by rate, then by what they carried, then by name. */
export function busiest(a, b) {
  return (
    (b.rate_bytes_s || 0) - (a.rate_bytes_s || 0) ||
    (b.bytes || 0) - (a.bytes || 0) ||
    byTask(a.from, b.from) ||
    byTask(a.to, b.to)
  );
}
