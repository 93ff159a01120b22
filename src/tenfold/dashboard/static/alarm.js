/**
 * A hang or a failure: in one place above every view, in the title and the icon of the tab.
 */

import { plain } from "./format.js";
import { stateOf } from "./states.js";
import { over, store } from "./store.js";

/**
 * What everybody has to see; null if all is well.
 *
 * @returns {{kind: "hang"|"failed"|"lost", word: string, words: string, task: string|null}|null}
 */
export function alarm() {
  const { head } = store;
  if (!head) return null;
  if (!head.alive && !head.ended && head.state) {
    const words = head.headline || `This run was lost: ${head.reason || "its supervisor is gone"}.`;
    return { kind: "lost", word: "lost", words, task: null };
  }
  if (stateOf(head.state).bad) {
    const words = head.headline || `Failed: ${head.reason || "unknown reason"}`;
    return { kind: "failed", word: "failed", words, task: head.first_failure?.task || null };
  }
  if (head.hang && !over()) {
    const words = `${head.cluster} hangs: ${head.hang.words}`;
    return { kind: "hang", word: "hangs", words, task: head.hang.task || null };
  }
  if (head.first_failure && !over()) {
    const { task, words } = head.first_failure;
    return { kind: "failed", word: "failing", words: `${task} ${words}`, task };
  }
  return null;
}

/** The tab: its title, and a red icon while there is an alarm. */
export function tab() {
  const { head, route } = store;
  const found = alarm();
  const state = found ? `⚠ ${found.word} · ` : "";
  const usual = head ? `${route.cluster} ${head.state || ""}` : route.cluster;
  document.title = plain(`${state}${usual} – tenfold`);
  const icon = document.querySelector("link[rel=icon]");
  const wanted = found ? "static/icon-bad.svg" : "static/icon.svg";
  if (icon && icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
}

/** The task that is to be marked wherever tasks are shown, and how. */
export function marked() {
  const found = alarm();
  return found?.task ? { task: found.task, kind: found.kind } : null;
}
