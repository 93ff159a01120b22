/**
 * Server-sent events by `fetch`: an EventSource can send no header, and so cannot show the token.
 */

import { credentials } from "./token.js";

export class EventStream {
  /**
   * @param {string} path
   * @param {(kind: string, data: string) => void} hear
   * @param {(status: number|null) => void} broken the stream ended; HTTP's status if it was refused
   */
  constructor(path, hear, broken) {
    this.stop = new AbortController();
    this.read(path, hear)
      .catch(() => null)
      .then((status) => this.stop.signal.aborted || broken(status ?? null));
  }

  close() {
    this.stop.abort();
  }

  async read(path, hear) {
    const { signal } = this.stop;
    const headers = { Accept: "text/event-stream", ...(await credentials()) };
    const answer = await fetch(path, { cache: "no-store", headers, signal });
    if (!answer.ok) return answer.status;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let pieces = [];
    for (;;) {
      const { value, done } = await reader.read();
      if (done || signal.aborted) return null;
      pieces.push(value);
      if (!value.includes("\n")) continue;
      const events = pieces.join("").split("\n\n");
      pieces = [events.pop()];
      for (const event of events) if (!signal.aborted) tell(event, hear);
    }
  }
}

function tell(event, hear) {
  let kind = "message";
  const data = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event: ")) kind = line.slice(7);
    else if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (data.length) hear(kind, data.join("\n"));
}
