/**
 * The page's views, in the order of their tabs and of the keys 1, 2, …: the only place that lists
 * them. A view is added here and in its own module.
 */

import { events } from "./events.js";
import { logs } from "./logs.js";
import { map } from "./map.js";
import { overview } from "./overview.js";
import { placement } from "./placement.js";
import { runs } from "./runs.js";
import { tasks } from "./tasks.js";
import { training } from "./training.js";

/**
 * @typedef {{element: HTMLElement, show: (query: URLSearchParams) => void, hide: () => void,
 *   update: (topics: Set<string>) => void, search?: () => HTMLElement|null,
 *   key?: (key: string) => boolean, drop?: () => void}} View
 *   `search`: its filter box; `key`: whether it took a key; `drop`: it is never shown again
 */

/**
 * `name` is the view's part of the address; `make` builds the view when it is first looked at.
 * `about` is a sentence that explains it, `docs` its page of the documentation; `map`: it needs the
 * map in the stream.
 * @type {{name: string, title: string, make: () => View, about: string, docs: string,
 *   map?: boolean}[]}
 */
export const VIEWS = [
  { name: "overview", title: "Overview", make: overview, docs: "dashboard", about: "How the run is, how far it is, and what needs attention." },
  { name: "map", title: "Map", make: map, map: true, docs: "traffic", about: "Which tasks communicate: measured bytes on each connection, beside what was planned." },
  { name: "tasks", title: "Tasks", make: tasks, docs: "run-directory", about: "Every task with its state, place, use and speed. Select a name to read its logs." },
  { name: "logs", title: "Logs", make: logs, docs: "logs", about: "The output of all tasks, in the order of time." },
  { name: "training", title: "Training", make: training, docs: "dashboard", about: "Curves of event files and of the figures that tasks report. Drag to zoom, double-click to reset." },
  { name: "placement", title: "Placement", make: placement, docs: "tensorflow", about: "Which variables lie on which task, and whether the parameter servers are balanced." },
  { name: "events", title: "Events", make: events, docs: "why", about: "What happened, in order, and what failed first." },
  { name: "runs", title: "Runs", make: runs, docs: "dashboard", about: "All runs of this directory. Select two to compare them." },
];

/** The view of this name; the first one, if there is none. */
export function viewOf(name) {
  return VIEWS.find((view) => view.name === name) || VIEWS[0];
}
