/**
 * The Logs view: which lines are asked for, when, and whether it follows. Lines are held by
 * `logstore.js`, shown by `loglist.js`, tasks are chosen in `logtasks.js`.
 */

import { el, say, set } from "./dom.js";
import { clock, plural } from "./format.js";
import { LogLines } from "./logstore.js";
import { logList } from "./loglist.js";
import { logTasks } from "./logtasks.js";
import { over, store } from "./store.js";

const FOLLOW_MS = 1000;
const TYPING_MS = 300;
const ENOUGH = 200;
const BEFORE_FAILURE_S = 2;

/** @returns {import("./views.js").View} */
export function logs() {
  const view = new LogsView();
  return {
    element: view.element,
    show: (query) => view.show(query),
    hide: () => view.hide(),
    update: (topics) => view.update(topics),
    search: () => view.text,
    key: (key) => key === "f" && (view.follow(), true),
  };
}

class LogsView {
  constructor() {
    this.held = new LogLines();
    this.following = true;
    this.asking = null;
    this.stop = new AbortController();
    const again = () => this.restart(null);
    this.tasks = logTasks(() => this.shown && again());
    this.list = logList({ scrolled: (where) => this.scrolled(where) });
    this.text = el("input", {
      type: "search",
      placeholder: "Filter lines",
      "aria-label": "Filter lines",
      on: { input: () => this.typed() },
    });
    this.regex = el("input", {
      type: "checkbox",
      on: { change: () => this.text.value && again() },
    });
    this.level = choice(
      "Level",
      [
        ["", "any level"],
        ["warning", "warnings and errors"],
        ["error", "errors"],
      ],
      again,
    );
    this.stream = choice(
      "Stream",
      [
        ["", "both streams"],
        ["stdout", "stdout"],
        ["stderr", "stderr"],
      ],
      again,
    );
    this.failure = el(
      "button",
      { type: "button", hidden: true, on: { click: () => this.toFailure() } },
      "First failure",
    );
    this.followButton = el(
      "button",
      {
        type: "button",
        class: "follow",
        "aria-pressed": "true",
        on: { click: () => this.follow() },
      },
      "Follow",
    );
    this.words = el("p", { class: "note", role: "status" });
    this.element = el(
      "section",
      { class: "logs-view", "aria-label": "Logs" },
      this.tasks.element,
      el(
        "div",
        { class: "logs-right" },
        el(
          "div",
          { class: "tools-row" },
          this.text,
          el("label", { class: "check" }, this.regex, "regex"),
          this.level,
          this.stream,
          this.failure,
          this.followButton,
        ),
        this.words,
        this.list.element,
        this.list.open,
      ),
    );
  }

  show(query) {
    this.shown = true;
    const task = query.get("task");
    const at = Number(query.get("at")) || null;
    this.tasks.draw();
    if (task !== null && `${task}@${at}` !== this.asked) {
      this.asked = `${task}@${at}`;
      this.shown = false;
      this.tasks.choose(task ? [task] : []);
      this.shown = true;
      this.restart(at);
    } else if (!this.held.pages.length) this.restart(null);
    else this.list.draw();
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tick(), FOLLOW_MS);
  }

  hide() {
    this.shown = false;
    clearInterval(this.timer);
  }

  update(topics) {
    if (topics.has("tasks")) this.tasks.draw();
    if (topics.has("head")) this.failure.hidden = !store.head?.first_failure;
  }

  filter() {
    return {
      tasks: this.tasks.wanted(),
      text: this.text.value,
      regex: this.regex.checked,
      level: this.level.value,
      stream: this.stream.value,
    };
  }

  typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.restart(null), TYPING_MS);
  }

  /** Begin again: at the end, or at a time. */
  async restart(at) {
    this.stop.abort();
    this.stop = new AbortController();
    this.asking = null;
    this.held.clear();
    this.showOpen();
    this.setFollowing(!at);
    this.list.show([], { pattern: this.regex.checked ? null : pattern(this.text.value) });
    if (!at) return this.load("back", null);
    await this.load("on", at);
    this.list.toTop();
    await this.load("back", null, 1);
    this.say();
  }

  /**
   * Ask for pages until there is enough to see. A filter may need many: what came is shown at once,
   * and how far it got is told.
   */
  async load(direction, at, enough = ENOUGH) {
    if (this.asking) return;
    const { signal } = this.stop;
    const filter = this.filter();
    const own = (this.asking = {});
    let came = 0;
    try {
      do {
        const got = await this.held.ask(filter, direction, at, signal);
        came += got.came;
        this.showOpen();
        this.showLines(direction, got);
        this.say(this.more(direction) && came < enough ? "searching…" : "");
      } while (this.more(direction) && came < enough);
    } catch (error) {
      if (!signal.aborted) this.say(error.message, true);
    } finally {
      if (this.asking === own) this.asking = null;
    }
  }

  more(direction) {
    return direction === "back" ? this.held.older : this.held.newer;
  }

  showLines(direction, { came, dropped }) {
    const back = direction === "back";
    if (!came && !dropped) return;
    this.list.show(
      this.held.lines,
      this.following ? { end: true } : { shift: back ? came : -dropped },
    );
  }

  /** Bars and other unfinished lines, while it follows the end. */
  showOpen() {
    const { open, openMore, newer } = this.held;
    const shown = this.following && !newer && !over();
    this.list.showOpen(shown ? open : [], shown ? openMore : 0);
  }

  say(words = "", bad = false) {
    const { lines, older } = this.held;
    set(this.words, "data-tone", bad ? "bad" : null);
    if (bad) return say(this.words, words);
    const filtered = this.text.value || this.level.value || this.stream.value;
    if (!lines.length)
      return say(this.words, words || (filtered ? "No lines match." : "No output yet."));
    const span = `${clock(lines[0].time, 0)} – ${clock(lines.at(-1).time, 0)}`;
    say(
      this.words,
      `${plural(lines.length, "line")}, ${span}${older ? ", older lines above" : ""}${words ? `; ${words}` : ""}`,
    );
  }

  tick() {
    if (!this.following || document.hidden || !this.held.pages.length || this.selecting()) return;
    if (over() && !this.held.newer && this.ended) return;
    this.ended = over();
    this.load("on", null);
  }

  /** While lines are being selected they stay where they are. */
  selecting() {
    const selection = getSelection();
    return !selection.isCollapsed && this.list.element.contains(selection.anchorNode);
  }

  scrolled({ top, bottom, byHand }) {
    if (byHand) this.setFollowing(bottom && !this.held.newer);
    if (byHand && top && this.held.older && this.held.lines.length) this.load("back", null);
    if (byHand && bottom && !this.following && this.held.newer) this.load("on", null);
  }

  setFollowing(on) {
    this.following = on;
    set(this.followButton, "aria-pressed", on);
    say(this.followButton, on ? "Following" : "Follow");
    this.showOpen();
  }

  /** Back to the end, and on with it. */
  follow() {
    if (this.held.newer) return this.restart(null);
    this.setFollowing(true);
    getSelection().removeAllRanges();
    this.list.toEnd();
    return this.tick();
  }

  toFailure() {
    const first = store.head?.first_failure;
    if (first) this.restart(first.time - BEFORE_FAILURE_S);
  }
}

function choice(name, options, changed) {
  return el(
    "select",
    { "aria-label": name, on: { change: changed } },
    options.map(([value, words]) => el("option", { value }, words)),
  );
}

/**
 * What to set off in the lines, of a plain text. Where a regular expression matches is said by the
 * server: the browser's own engine can take for ever.
 */
function pattern(text) {
  return text ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "gi") : null;
}
