/**
 * Building the page's elements. Everything a task or a run wrote goes through `el` as a text node:
 * no other module sets markup, so nothing that was logged can run.
 */

/**
 * An element with attributes, handlers and children.
 *
 * `class`, `text` and `on` (`{click: f}`) are special, `data` becomes data-attributes, null and
 * false leave an attribute out, everything else is an attribute.
 *
 * @param {string} tag
 * @param {Record<string, any>} [given]
 * @param {...(Node|string|number|null|undefined|false|any[])} children
 * @returns {HTMLElement}
 */
export function el(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "text") made.textContent = value;
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "on")
      for (const [event, f] of Object.entries(value)) made.addEventListener(event, f);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  add(made, children);
  return made;
}

/** Append children: nodes, text, nested lists; nothing for null, undefined and false. */
export function add(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) add(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (child !== null && child !== undefined && child !== false) parent.append(String(child));
  }
}

/** Put children in the place of what was there. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  add(parent, children);
  return parent;
}

/** Set a text only where it changed: an unchanged node costs no layout. */
export function say(node, text) {
  const words = String(text ?? "");
  if (node.textContent !== words) node.textContent = words;
}

/** Set an attribute only where it changed; null takes it away. */
export function set(node, name, value) {
  if (value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/** A state as a word with its mark. */
export function pill(state) {
  return el("span", { class: "state", data: { state: state || "unknown" } }, state || "unknown");
}

/** Make an existing pill show another state. */
export function setPill(node, state) {
  const word = state || "unknown";
  say(node, word);
  if (node.dataset.state !== word) node.dataset.state = word;
}

/**
 * Keep a list of children in step with items: drop what is gone, reuse by key, make what is new. What
 * stays is not moved, so that a selection in it holds.
 */
export function keyed(parent, items, keyOf, make, update) {
  const known = (parent.keyedRows ??= new Map());
  const wanted = new Map();
  for (const item of items) wanted.set(keyOf(item), item);
  for (const [key, row] of known) {
    if (wanted.has(key)) continue;
    row.remove();
    known.delete(key);
  }
  let at = parent.firstElementChild;
  for (const [key, item] of wanted) {
    let row = known.get(key);
    if (!row) known.set(key, (row = make(item)));
    update(row, item);
    if (row === at) at = at.nextElementSibling;
    else parent.insertBefore(row, at);
  }
}
