/**
 * The lines that the Logs view holds: pages as the server gave them, at most some thousand lines in
 * all. Pages that are far from where one reads are dropped whole, so that their cursors stay true.
 */

import { post, runPath } from "./api.js";

const MOST_LINES = 5000;
const PAGE_LINES = 500;

/**
 * @typedef {{time: number, task: string, stream: string, text: string, id: number}} LogLine
 * @typedef {{lines: LogLine[], start: any, end: any}} Page
 * @typedef {{tasks: string[], text: string, regex: boolean, level: string, stream: string}} Filter
 */

export class LogLines {
  constructor() {
    this.nextId = 0;
    this.clear();
  }

  clear() {
    /** @type {Page[]} */
    this.pages = [];
    /** @type {LogLine[]} */
    this.lines = [];
    /** Whether there is more before the first line that is held. */
    this.older = true;
    /** What lines show that are not finished: bars. @type {LogLine[]} */
    this.open = [];
    /** In how many more streams there are such lines. */
    this.openMore = 0;
    /** Whether there was more after the last line at the last look. */
    this.newer = true;
  }

  /**
   * Ask for one page. The lines that came are held; gives how many there were.
   *
   * @param {Filter} filter
   * @param {"back"|"on"} direction
   * @param {number|null} at where to begin when nothing is held yet: a time, or the newest lines
   * @param {AbortSignal} signal
   * @returns {Promise<{came: number, dropped: number}>} `dropped`: lines let go at the other end
   */
  async ask(filter, direction, at, signal) {
    const first = !this.pages.length;
    const cursor = first
      ? null
      : direction === "back"
        ? this.pages[0].start
        : this.pages.at(-1).end;
    const body = { ...filter, cursor, direction, lines: PAGE_LINES, at: first ? at : null };
    const page = await post(runPath("/logs"), body, signal);
    signal.throwIfAborted();
    for (const line of page.lines) line.id = this.nextId++;
    if (direction === "on" || first) {
      this.open = page.open || [];
      this.openMore = page.open_more || 0;
    }
    if (direction === "back") this.older = page.more;
    else this.newer = page.more;
    if (first && direction === "back") this.newer = false;
    this.hold(page, direction);
    const dropped = this.drop(direction);
    this.lines = this.pages.flatMap((one) => one.lines);
    return { came: page.lines.length, dropped };
  }

  hold(page, direction) {
    const held = { lines: page.lines, start: page.start, end: page.end };
    const near = direction === "back" ? this.pages[0] : this.pages.at(-1);
    if (!near) this.pages.push(held);
    else if (near.lines.length + held.lines.length <= PAGE_LINES) join(near, held, direction);
    else if (direction === "back") this.pages.unshift(held);
    else this.pages.push(held);
  }

  drop(direction) {
    let count = this.pages.reduce((sum, page) => sum + page.lines.length, 0);
    let dropped = 0;
    while (count > MOST_LINES && this.pages.length > 1) {
      const page = direction === "back" ? this.pages.pop() : this.pages.shift();
      if (direction === "back") this.newer = true;
      else this.older = true;
      count -= page.lines.length;
      dropped += page.lines.length;
    }
    return dropped;
  }
}

/** Small pages are joined: following for a day must not leave a page a second. */
function join(near, held, direction) {
  if (direction === "back") {
    near.lines = [...held.lines, ...near.lines];
    near.start = held.start;
  } else {
    near.lines = [...near.lines, ...held.lines];
    near.end = held.end;
  }
}
