/**
 * What stands in an empty panel: how to fill it, for the framework of the run.
 */

import { el } from "./dom.js";

const REPORT = {
  torch: ["tenfold.progress(step, steps, loss=loss.item())", "in the training loop of every rank"],
  jax: ["tenfold.progress(step, steps, loss=loss)", "in the training loop of every process"],
  tensorflow: ["tenfold.progress(step, steps, loss=float(loss))", "in the training loop, or in a Keras callback"],
  none: ["tenfold.progress(done, total, loss=loss)", "in the loop of the program"],
};

const WRITE = {
  torch: "SummaryWriter(tenfold.task().tensorboard)",
  tensorflow: "tf.keras.callbacks.TensorBoard(tenfold.task().tensorboard)",
  jax: "SummaryWriter(tenfold.task().tensorboard)",
  none: "SummaryWriter(tenfold.task().tensorboard)",
};

/** Two lines for the panel of this name. `missing` is a command that installs what it needs. */
export function hint(name, framework, missing) {
  const known = REPORT[framework] ? framework : "none";
  const [call, where] = REPORT[known];
  switch (name) {
    case "progress":
      return [
        line("No task has reported progress or drawn a progress bar yet."),
        line("Call ", code(call), ` ${where}.`),
      ];
    case "ranks":
      return [
        line("No rank reports its steps now."),
        line("Each rank that calls ", code(call), " or draws a progress bar appears here."),
      ];
    case "curves":
      return [
        missing
          ? line("Event files are there, but cannot be read. Run: ", code(missing))
          : line("Figures of ", code(call), " appear here as curves."),
        line("So do event files of ", code(WRITE[known]), "."),
      ];
    default:
      return [
        line("No use has been measured yet. It is measured once a second while tasks run."),
        line("It needs Linux, and is kept in ", code("tasks/TASK/usage.jsonl"), " of the run."),
      ];
  }
}

function line(...children) {
  return el("p", {}, ...children);
}

function code(text) {
  return el("code", {}, text);
}
