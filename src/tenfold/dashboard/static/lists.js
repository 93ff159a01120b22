// Lists in the panel beside the map: edges, failed tasks; each entry chooses a task.

import { el, keyed, pill, say, set, setPill } from "./dom.js";
import { plural } from "./format.js";
import { stateOf } from "./states.js";
import { edgeKey, store } from "./store.js";

const MOST_LISTED = 100;

/** A heading and what is below it. */
export function section(title, ...children) {
  const heading = el("h3", {}, title);
  return { heading, element: el("section", {}, heading, children) };
}

/** A number, its thousands set apart. */
export function count(value) {
  return value.toLocaleString("en-US");
}

/** The name of an end, as short as it is clear. */
export function short(end) {
  return end.replace("outside:", "");
}

/** A list of edges; each is a button that chooses the task it begins at. */
export function edgeList(title, to, words) {
  const list = el("ul", { class: "edges" });
  const none = el("p", { class: "note" });
  const more = el("p", { class: "note", hidden: true });
  const { element, heading } = section(title, none, list, more);
  const make = (edge) => {
    const task = edge.from.startsWith("outside:") ? edge.to : edge.from;
    const names = el(
      "span",
      {},
      short(edge.from),
      el("i", { class: "arrow" }, "–"),
      short(edge.to),
    );
    const button = el(
      "button",
      { type: "button", on: { click: () => to.select(task) } },
      names,
      el("span", { class: "number" }),
    );
    return el("li", { data: { from: edge.from, to: edge.to, mark: edge.mark } }, button);
  };
  const show = (edges, otherwise) => {
    say(heading, edges.length && title !== "Busiest" ? `${title} (${count(edges.length)})` : title);
    say(none, otherwise);
    none.hidden = edges.length > 0;
    more.hidden = edges.length <= MOST_LISTED;
    say(more, `and ${plural(edges.length - MOST_LISTED, "more edge")}`);
    keyed(list, edges.slice(0, MOST_LISTED), edgeKey, make, (row, edge) => {
      say(row.firstChild.lastChild, words(edge));
      set(row, "data-mark", edge.mark);
    });
  };
  return { element, show };
}

/** The tasks that failed, which among a thousand nobody would find; nothing while there are none. */
export function failedList(to) {
  const list = el("ul", { class: "edges" });
  const more = el("p", { class: "note", hidden: true });
  const { element, heading } = section("Failed", list, more);
  const make = (task) => {
    const choose = { type: "button", on: { click: () => to.select(task.task) } };
    return el("li", {}, el("button", choose, el("span", {}, task.task), pill(task.state)));
  };
  const update = () => {
    const first = store.head?.first_failure?.task;
    const bad = [...store.tasks.values()]
      .filter((task) => stateOf(task.state).bad)
      .sort((a, b) => Number(b.task === first) - Number(a.task === first));
    element.hidden = !bad.length;
    say(heading, `Failed (${count(bad.length)})`);
    more.hidden = bad.length <= MOST_LISTED;
    say(more, `and ${plural(bad.length - MOST_LISTED, "more task")}`);
    keyed(
      list,
      bad.slice(0, MOST_LISTED),
      (task) => task.task,
      make,
      (row, task) => {
        setPill(row.firstChild.lastChild, task.state);
        say(row.firstChild.firstChild, task.task === first ? `${task.task}, first` : task.task);
      },
    );
  };
  return { element, update };
}
