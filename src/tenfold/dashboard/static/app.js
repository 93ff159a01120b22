/**
 * Start of the page: which run and which view is shown (`#/CLUSTER/RUN/VIEW`), the keys, and when
 * views draw. What is known lives in `store.js`, what a view shows in its own module.
 */

import { get, runPath } from "./api.js";
import { el, fill } from "./dom.js";
import { header, nextTheme, showKeys } from "./header.js";
import { addEvents, forget, listen, setConnection, setMap, store } from "./store.js";
import { follow, leave, wantMap } from "./stream.js";
import { VIEWS, viewOf } from "./views.js";

/** Views are made when they are first looked at. @type {Record<string, import("./views.js").View>} */
const made = {};
const main = document.getElementById("main");
const top = header(VIEWS);
const pending = new Set();
let active = null;

/** `#/CLUSTER/RUN/VIEW?…`, taken apart. */
function parse(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [cluster = "", run = "", view = ""] = path.split("/").map(decoded);
  return {
    cluster,
    run,
    view: viewOf(view).name,
    query: new URLSearchParams(query),
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function routeChanged() {
  const route = parse(location.hash);
  if (!route.cluster || !route.run) return chooseRun();
  const other = route.cluster !== store.route.cluster || route.run !== store.route.run;
  store.route = route;
  if (other) startRun();
  open(route);
  top.update(new Set(["route"]));
}

function startRun() {
  forget();
  active?.hide();
  active = null;
  for (const name of Object.keys(made)) {
    made[name].drop?.();
    delete made[name];
  }
  follow(catchUp);
}

/** What the stream does not tell from the beginning. It is asked for each time that begins. */
async function catchUp() {
  const { cluster, run } = store.route;
  const same = () => cluster === store.route.cluster && run === store.route.run;
  const wantsMap = viewOf(store.route.view).map;
  const [map, story] = await Promise.allSettled([
    wantsMap ? get(runPath(`/map?aspect=${store.aspect || 1.6}`)) : null,
    get(runPath("/events?start=0")),
  ]);
  if (!same()) return;
  if (map.value) setMap(map.value);
  if (story.value) addEvents(story.value.events);
}

function open(route) {
  const view = (made[route.view] ??= viewOf(route.view).make());
  if (active !== view) {
    active?.hide();
    active = view;
    fill(main, view.element);
    main.dataset.view = route.view;
    explain(viewOf(route.view));
    main.scrollTop = 0;
  }
  if (viewOf(route.view).map) wantMap();
  view.show(route.query);
  view.update(new Set(["head", "health", "tasks", "map", "events", "connection"]));
}

/** A line about the view, and where more is written. */
function explain({ about, docs }) {
  const link = el("a", { href: `docs/${docs}`, target: "_blank", rel: "noopener" }, "Documentation");
  fill(document.getElementById("about"), el("p", {}, about, " ", link));
}

/** Without a run in the address: the newest one, or word that there is none yet. */
async function chooseRun() {
  try {
    const { runs: found } = await get("api/runs");
    const best = found.find((run) => run.alive) || found[0];
    if (best)
      return location.replace(
        `#/${encodeURIComponent(best.cluster)}/${encodeURIComponent(best.run)}/${VIEWS[0].name}`,
      );
    leave();
    setConnection("live");
    store.route = parse("");
    fill(
      main,
      el("p", { class: "empty" }, "There are no runs yet. Start one: ", el("code", {}, "tenfold up")),
    );
  } catch (error) {
    if (error.status !== 401) setConnection("reconnecting");
  }
  setTimeout(() => parse(location.hash).run || chooseRun(), 2000);
}

/** News are drawn together, once a frame. */
listen((topic) => {
  if (!pending.size) requestAnimationFrame(draw);
  pending.add(topic);
});

function draw() {
  const start = performance.now();
  const topics = new Set(pending);
  pending.clear();
  top.update(topics);
  active?.update(topics);
  const { timing } = store;
  timing.draw = performance.now() - start;
  timing.last = timing.apply + timing.draw;
  timing.worst = Math.max(timing.worst, timing.last);
  timing.apply = 0;
}

/** Ages and uptimes go on without news. */
setInterval(() => {
  if (document.hidden) return;
  top.update(new Set(["second"]));
  active?.update(new Set(["second"]));
}, 500);

const KEYS = { "?": showKeys, t: nextTheme, "/": () => active?.search?.()?.focus() };

addEventListener("keydown", (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.closest("input[type=search],select,textarea")
  )
    return;
  const number = Number(event.key);
  if (number >= 1 && number <= VIEWS.length) top.go(VIEWS[number - 1].name);
  else if (KEYS[event.key]) KEYS[event.key]();
  else if (!active?.key?.(event.key)) return;
  event.preventDefault();
});

addEventListener("hashchange", routeChanged);
window.tenfold = store;
routeChanged();
