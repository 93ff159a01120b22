/**
 * Asking the server. All addresses are relative to the page, so that it works below any prefix.
 */

import { setConnection, store } from "./store.js";
import { credentials } from "./token.js";

/** The server said no; `message` is for people, `status` is HTTP's. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The address of what belongs to the run that is shown. */
export function runPath(rest = "") {
  const { cluster, run } = store.route;
  return `api/runs/${encodeURIComponent(cluster)}/${encodeURIComponent(run)}${rest}`;
}

/** GET JSON. Throws `Refused` for an answer that is not one, TypeError when nobody answers. */
export function get(path, signal) {
  return ask(path, { signal });
}

/** POST JSON and get JSON. */
export function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body), signal });
}

/** Have the browser itself save what is at `path`, however large: it shows a pass, not the token. */
export async function save(path, name) {
  const there = new URL(path, document.baseURI).pathname;
  const own = new URL(".", document.baseURI).pathname; // what a proxy has put before it
  const plain = decodeURIComponent(`/${there.slice(own.length)}`);
  const { pass } = await get(`api/pass?path=${encodeURIComponent(plain)}`);
  const link = document.createElement("a");
  link.href = `${path}?pass=${pass}`;
  link.download = name;
  link.click();
}

async function ask(path, how) {
  const headers = { ...how.headers, ...(await credentials()) };
  const answer = await fetch(path, { cache: "no-store", ...how, headers });
  if (answer.status === 401) setConnection("refused");
  if (!answer.ok) throw new Refused(answer.status, await words(answer));
  return answer.json();
}

async function words(answer) {
  const text = await answer.text();
  try {
    const said = JSON.parse(text);
    return said.message || said.error || said.detail || text;
  } catch {
    return text && text.length < 300 && !text.startsWith("<") ? text : `HTTP ${answer.status}`;
  }
}

/**
 * Ask again and again while a view is shown: at once, then `seconds` after each answer.
 * `f` gets an AbortSignal. What `f` throws goes to `failed`. Gives a function that stops it.
 */
export function every(seconds, f, failed = () => {}) {
  const stop = new AbortController();
  let timer = 0;
  const turn = async () => {
    try {
      await f(stop.signal);
    } catch (error) {
      if (!stop.signal.aborted) failed(error);
    }
    if (!stop.signal.aborted) timer = setTimeout(turn, seconds * 1000);
  };
  turn();
  return () => {
    stop.abort();
    clearTimeout(timer);
  };
}
