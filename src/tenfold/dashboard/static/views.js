/**
 * The page's views, in the order of their tabs and of the keys 1, 2, …: the only place that lists
 * them. A view is added here and in its own module.
 */

import { events } from "./events.js";
import { logs } from "./logs.js";
import { map } from "./map.js";
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
 * @type {{name: string, title: string, make: () => View}[]}
 */
export const VIEWS = [
  { name: "map", title: "Map", make: map },
  { name: "tasks", title: "Tasks", make: tasks },
  { name: "logs", title: "Logs", make: logs },
  { name: "training", title: "Training", make: training },
  { name: "placement", title: "Placement", make: placement },
  { name: "events", title: "Events", make: events },
  { name: "runs", title: "Runs", make: runs },
];

/** The view of this name; the first one, if there is none. */
export function viewOf(name) {
  return VIEWS.find((view) => view.name === name) || VIEWS[0];
}
