/**
 * The one event stream of the page: opened for the run that is shown, opened again when it breaks.
 * Hands what it hears to the store, and keeps the store's word on the connection true.
 */

import { get, runPath } from "./api.js";
import { EventStream } from "./eventstream.js";
import * as news from "./store.js";

const SILENT_MS = 6000;
const LONGEST_WAIT_MS = 10_000;

/** Whether the stream has the map in it, which is most of its work. */
let withMap = false;
let source = null;
let retry = 0;
let tries = 0;
let heard = 0;

setInterval(watch, 1000);

/** Follow the run of the route; `started` is called whenever the stream begins, also again. */
export function follow(started) {
  leave();
  withMap = false;
  tries = 0;
  news.setConnection("connecting");
  open(started);
}

/** Have the map in the stream from now on; gives whether it is new. */
export function wantMap() {
  if (withMap) return false;
  withMap = true;
  source?.anew();
  return true;
}

/** Follow nothing. */
export function leave() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function open(started) {
  const apply = {
    status: (status) => {
      tries = 0;
      news.setStatus(status);
      started();
    },
    health: news.setHealth,
    tasks: news.changeTasks,
    map: news.changeMap,
    events: (said) => news.addEvents(said.events),
    beat: (said) => news.beat(said.time),
  };
  const own = (source = new EventStream(
    runPath(`/stream?map=${withMap ? "yes" : "no"}`),
    (kind, data) => own === source && apply[kind] && take(data, apply[kind]),
    () => again(own, started),
  ));
  own.restart = () => again(own, started);
  own.anew = () => {
    own.close();
    if (own === source) open(started);
  };
  heard = performance.now();
}

function take(data, apply) {
  const start = performance.now();
  heard = start;
  news.setConnection("live");
  apply(JSON.parse(data));
  news.store.timing.apply += performance.now() - start;
}

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
