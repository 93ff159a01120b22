/**
 * The one event stream of the page: opened for the run that is shown, opened again when it breaks.
 * Hands what it hears to the store, and keeps the store's word on the connection true.
 */

import { get, runPath } from "./api.js";
import * as news from "./store.js";

const SILENT_MS = 6000;
const LONGEST_WAIT_MS = 10_000;

let source = null;
let retry = 0;
let tries = 0;
let heard = 0;

setInterval(watch, 1000);

/** Follow the run of the route; `started` is called whenever the stream begins, also again. */
export function follow(started) {
  leave();
  tries = 0;
  news.setConnection("connecting");
  open(started);
}

/** Follow nothing. */
export function leave() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function open(started) {
  const own = (source = new EventSource(runPath("/stream")));
  own.restart = () => again(own, started);
  heard = performance.now();
  const on = (kind, apply) =>
    own.addEventListener(kind, (event) => {
      if (own === source) take(event, apply);
    });
  on("status", (status) => {
    tries = 0;
    news.setStatus(status);
    started();
  });
  on("tasks", news.changeTasks);
  on("map", news.changeMap);
  on("events", (said) => news.addEvents(said.events));
  on("beat", (said) => news.beat(said.time));
  own.onerror = () => {
    if (own === source) again(own, started);
  };
}

function take(event, apply) {
  const start = performance.now();
  heard = start;
  news.setConnection("live");
  apply(JSON.parse(event.data));
  news.store.timing.apply += performance.now() - start;
}

/** The browser would try again by itself, but not after an answer that was a refusal. */
function again(own, started) {
  own.close();
  if (own !== source) return;
  source = null;
  if (news.store.connection !== "refused") news.setConnection("reconnecting");
  const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries);
  tries += 1;
  if (tries > 1) findOut();
  retry = setTimeout(() => open(started), wait);
}

/** A stream cannot tell why it was refused: a plain request can. */
async function findOut() {
  try {
    await get(runPath());
  } catch (error) {
    if (error.status === 404) news.setConnection("gone");
  }
}

/** A beat comes each second: a long silence means a dead connection that nobody closed. */
function watch() {
  if (source && performance.now() - heard > SILENT_MS) source.restart();
}
