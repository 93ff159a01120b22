/**
 * The token of this dashboard, which every question has to show. It comes once, in the address that
 * `tenfold` prints, and is kept by this tab alone: a cookie would go to every port of this machine.
 * A tab that has none asks the page's other tabs.
 */

const KEY = "tenfold-token";
const ASK_MS = 300;

let token = fromAddress() ?? sessionStorage.getItem(KEY);
const others = new BroadcastChannel("tenfold-token");

others.addEventListener("message", ({ data }) => {
  if (data === "who?" && token) others.postMessage({ token });
});

function fromAddress() {
  const query = new URLSearchParams(location.search);
  const found = query.get("token");
  if (found === null) return null;
  query.delete("token");
  const rest = query.size ? `?${query}` : "";
  history.replaceState(history.state, "", `${location.pathname}${rest}${location.hash}`);
  sessionStorage.setItem(KEY, found);
  return found;
}

/** The header that shows who asks. */
export async function credentials() {
  if (!token) token = await fromOthers();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function fromOthers() {
  return new Promise((resolve) => {
    const done = (found) => {
      clearTimeout(timer);
      others.removeEventListener("message", heard);
      if (found) sessionStorage.setItem(KEY, found);
      resolve(found);
    };
    const heard = ({ data }) => typeof data?.token === "string" && done(data.token);
    const timer = setTimeout(() => done(null), ASK_MS);
    others.addEventListener("message", heard);
    others.postMessage("who?");
  });
}
