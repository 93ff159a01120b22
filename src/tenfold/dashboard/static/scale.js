/**
 * The arithmetic of charts: ranges, ticks, smoothing. Pure.
 */

/**
 * The range of x and y of some lines, and where a value lies in it; null if nothing can be shown.
 *
 * @param {import("./chart.js").Line[]} lines
 * @param {[number, number]|null} range of x
 * @param {import("./chart.js").Look} look
 */
export function scaleOf(lines, range, look) {
  const shows = (value) =>
    value !== null && value !== undefined && Number.isFinite(value) && (!look.log || value > 0);
  let [begin, end, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const { x, y, drawn } of lines) {
    for (let at = 0; at < x.length; at += 1) {
      if (range && (x[at] < range[0] || x[at] > range[1])) continue;
      begin = Math.min(begin, x[at]);
      end = Math.max(end, x[at]);
      for (const value of [y[at], drawn[at]]) {
        if (!shows(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
  }
  if (low > high) return null;
  if (range) [begin, end] = range;
  if (look.zero) low = Math.min(0, low);
  [low, high] = widened(low, high, look);
  const logs = [Math.log(low), Math.log(high)];
  const part = look.log
    ? (value) => (Math.log(value) - logs[0]) / (logs[1] - logs[0])
    : (value) => (value - low) / (high - low);
  return { begin, end, low, high, part, shows };
}

function widened(low, high, look) {
  if (look.log) return low === high ? [low / 2, high * 2] : [low / 1.05, high * 1.05];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [look.zero && low === 0 ? 0 : low - room, high + room];
}

/** Round numbers from `low` to `high`, about `count` of them. */
export function ticks(low, high, count, log) {
  if (log && high / low > 30) return decades(low, high, count);
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1)
    if (!log || at > 0) found.push(Number((at * step).toPrecision(12)));
  return found;
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** Seconds from `low` to `high` that people count in, about `count` of them. */
export function moments(low, high, count) {
  const rough = (high - low) / count;
  if (rough < 0.5) return ticks(low, high, count, false);
  const step = SECONDS.find((one) => one >= rough) ?? 86_400 * Math.ceil(rough / 86_400);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(at * step);
  return found;
}

/** Seconds in a word: `0`, `30 s`, `5 min`, `1 h 30`, `2 d`. */
export function shortTime(seconds) {
  if (seconds < 60) return seconds ? `${Number(seconds.toPrecision(3))} s` : "0";
  const [day, hour, minute] = [86_400, 3600, 60].map((one) => Math.floor(seconds / one));
  if (seconds < 3600) return seconds % 60 ? `${minute}:${String(seconds % 60).padStart(2, "0")} min` : `${minute} min`;
  if (seconds < 172_800) return minute % 60 ? `${hour} h ${minute % 60}` : `${hour} h`;
  return `${day} d${hour % 24 ? ` ${hour % 24} h` : ""}`;
}

function decades(low, high, count) {
  const [first, last] = [Math.ceil(Math.log10(low)), Math.floor(Math.log10(high))];
  const step = Math.max(1, Math.ceil((last - first + 1) / count));
  const found = [];
  for (let power = first; power <= last; power += step) found.push(10 ** power);
  return found;
}

/**
 * An exponential mean of what came before, without its bias to zero at the beginning. Gaps stay.
 *
 * @param {(number|null)[]} values @param {number} weight 0 (as they are) to 1
 */
export function smoothed(values, weight) {
  if (!(weight > 0)) return values;
  let [mean, total] = [0, 0];
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    mean = weight * mean + (1 - weight) * value;
    total = weight * total + (1 - weight);
    return mean / total;
  });
}

/** The middle of some numbers; null of none. */
export function median(numbers) {
  if (!numbers.length) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
