/**
 * The health of the run in one sentence, what to do, and the evidence of a hang or a failure.
 */

import { alarm } from "./alarm.js";
import { get, runPath } from "./api.js";
import { el, fill, keyed, say, set } from "./dom.js";
import { firstFailure } from "./events.js";
import { clock, date, plain } from "./format.js";
import { viewLink } from "./header.js";
import { stateOf } from "./states.js";
import { store } from "./store.js";

const WORDS = { bad: "Attention", care: "Attention", good: "Healthy", plain: "" };

/**
 * The panel. An alarm stands above every view; here is what to do about it, and the evidence.
 * `update` takes problems that only the page sees, as `{kind, words}`.
 */
export function health() {
  const word = el("p", { class: "health-word" });
  const line = el("p", { class: "health-line" });
  const next = el("div", { class: "health-next" });
  const troubles = el("ul", { class: "troubles" });
  const evidence = el("div", { class: "evidence", hidden: true });
  const element = el(
    "section",
    { class: "health", "aria-label": "Health" },
    el("div", { class: "health-head" }, word, line),
    next,
    troubles,
    evidence,
  );
  let told = "";
  let asked = "";

  function update(more = []) {
    const found = alarm();
    const { health: known } = store;
    const tone = found ? "bad" : known?.tone || toneOf(store.head);
    set(element, "data-tone", tone);
    say(word, found ? "What helps" : WORDS[tone] || store.head?.state || "");
    say(line, found ? "" : plain(known?.headline || "Reading the run…"));
    line.hidden = Boolean(found);
    commands(next, known);
    list(troubles, known, found, more);
    proof(found);
  }

  function proof(found) {
    const { head } = store;
    const key = JSON.stringify([found?.kind, head?.hang?.time, head?.first_failure]);
    if (key === told) return;
    told = key;
    evidence.hidden = !found || !(head.first_failure || found.kind === "hang");
    if (head?.first_failure && found?.kind !== "hang") fill(evidence, firstFailure(head.first_failure));
    else if (found?.kind === "hang") hang(head.hang);
    else fill(evidence);
  }

  /** The report is written together with the news of it; it is asked for again if it is late. */
  async function hang(said, tries = 5) {
    const own = (asked = `${said.time}`);
    fill(evidence, el("p", { class: "note" }, "Reading the report…"));
    try {
      const { hang: report } = await get(runPath("/hang"));
      if (own !== asked || alarm()?.kind !== "hang") return;
      if (report && (report.time ?? 0) >= (said.time ?? 0) - 5) fill(evidence, hangReport(report));
      else if (tries) setTimeout(() => own === asked && hang(said, tries - 1), 1000);
      else fill(evidence, el("p", { class: "note" }, "There is no report of stacks."));
    } catch (error) {
      fill(evidence, el("p", { class: "note" }, error.message));
    }
  }

  return { element, update };
}

function toneOf(head) {
  if (!head) return "plain";
  return stateOf(head.state).bad ? "bad" : "plain";
}

/** Commands to type, each with a button that copies it. */
function commands(parent, known) {
  const wanted = known && known.tone !== "good" ? known.next : [];
  keyed(
    parent,
    wanted,
    (command) => command,
    (command) => {
      const button = el("button", { type: "button", class: "copy", title: "Copy", "aria-label": `Copy ${command}` }, "Copy");
      button.addEventListener("click", async () => {
        await navigator.clipboard?.writeText(command);
        say(button, "Copied");
        setTimeout(() => say(button, "Copy"), 1500);
      });
      return el("div", { class: "command" }, el("code", {}, command), button);
    },
    () => {},
  );
  parent.hidden = !wanted.length;
}

/** What else is wrong, and what was: everything that the first line does not say. */
function list(parent, known, found, more) {
  const others = more.map((one) => ({ now: true, hint: null, ...one }));
  const rest = [...(known?.troubles || []), ...others].filter(
    ({ words, kind }) => !known?.headline.includes(words) && !(found?.kind === "hang" && kind === "hang"),
  );
  keyed(
    parent,
    rest,
    ({ kind, words }) => `${kind} ${words}`,
    (one) => el("li", { data: { now: String(one.now) } }, el("b", {}, one.now ? one.kind : `was ${one.kind}`), ` ${plain(one.words)}`, one.hint && el("span", { class: "note" }, ` ${plain(one.hint)}`)),
    () => {},
  );
  parent.hidden = !rest.length;
}

/** A report of a hang: the suspects, and the stacks, of which the suspect's come first and open. */
function hangReport(report) {
  const suspects = report.suspects.length
    ? report.suspects
    : report.task
      ? [{ task: report.task, because: "" }]
      : [];
  const culprit = suspects[0]?.task;
  const first = (group) => (group.tasks.includes(culprit) ? 0 : 1);
  const groups = [...report.groups].sort((a, b) => first(a) - first(b));
  return [
    el("h2", {}, "Report of the hang", el("span", { class: "note" }, ` ${date(report.time)}, ${clock(report.time, 0)}`)),
    suspects.length > 0 &&
      el(
        "ul",
        { class: "suspects" },
        suspects.map(({ task, because }, index) =>
          el(
            "li",
            {},
            index ? "also " : "probably ",
            el("a", { class: "culprit", href: viewLink("map", `?task=${encodeURIComponent(task)}`) }, task),
            ` ${plain(because)}`,
          ),
        ),
      ),
    groups.map((group, index) =>
      el(
        "details",
        { class: "stack", open: index < 2 },
        el("summary", {}, plain(group.head)),
        el("pre", { tabindex: 0 }, group.lines.map((text) => plain(text).replace(/^ {4}/, "")).join("\n")),
      ),
    ),
    report.lines.length > 0 &&
      el(
        "details",
        { class: "stack" },
        el("summary", {}, `Last lines of ${report.task}`),
        el("pre", { tabindex: 0 }, report.lines.map(plain).join("\n")),
      ),
    el("p", { class: "note path" }, report.path),
  ];
}
