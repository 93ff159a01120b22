/**
 * Where each line of a log stands: one below the other, all of one height, or, where there is little
 * room, as high as the line needs when it wraps. The font has one width, so that this is arithmetic.
 */

import { clock, plain } from "./format.js";

export const ROW_PX = 20;
/** The most characters of a line that are shown. */
export const LONGEST = 4000;
const WRAPS_BELOW_PX = 640;
const SIDES_PX = 27;

export class LogRows {
  constructor(lines, element) {
    this.width = element.clientWidth;
    this.wraps = this.width > 0 && this.width < WRAPS_BELOW_PX;
    this.count = lines.length;
    this.tops = this.wraps ? stacked(lines, columnsOf(element)) : null;
  }

  /** Whether this still holds for the width of the element. */
  fits(element) {
    return this.width === element.clientWidth;
  }

  get height() {
    return this.top(this.count);
  }

  /** Pixels above a line. */
  top(index) {
    const at = Math.max(0, Math.min(index, this.count));
    return this.tops ? this.tops[at] : at * ROW_PX;
  }

  /** The line at a height. */
  at(pixels) {
    if (!this.tops) return Math.floor(pixels / ROW_PX);
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.tops[middle] <= pixels) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

function stacked(lines, columns) {
  const tops = new Float64Array(lines.length + 1);
  lines.forEach((line, index) => {
    const head = clock(line.time, 0).length + line.task.length + 2;
    const cells = head + widthOf(plain(line.text).slice(0, LONGEST));
    tops[index + 1] = tops[index] + ROW_PX * Math.max(1, Math.ceil(cells / columns));
  });
  return tops;
}

/** Characters of a text, wide ones twice; a tab is eight at most. */
function widthOf(text) {
  let width = text.length;
  for (const found of text.matchAll(/[\t\u1100-\uffdc]/g)) width += found[0] === "\t" ? 7 : 1;
  return width;
}

function columnsOf(element) {
  const pen = document.createElement("canvas").getContext("2d");
  const { fontSize, fontFamily } = getComputedStyle(element);
  pen.font = `${fontSize} ${fontFamily}`;
  const each = pen.measureText("0".repeat(100)).width / 100;
  return Math.max(10, Math.floor((element.clientWidth - SIDES_PX) / each));
}
