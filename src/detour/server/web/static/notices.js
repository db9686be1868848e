// Short words about what has just happened, told to the eye and the ear, that go by themselves.

import { h } from "./dom.js";

const SHOWN_MS = 7000;
const SHOWN_WITH_ACTION_MS = 14_000;

/**
 * Say something.
 * @param {string} text
 * @param {{label: string, href?: string, act?: () => void}} [action] what can be done about it
 */
export function notify(text, action) {
  const close = () => notice.remove();
  const act = () => {
    close();
    action.act?.();
  };
  const offered = action?.href
    ? h("a", { href: action.href, on: { click: close } }, action.label)
    : action && h("button", { type: "button", on: { click: act } }, action.label);
  const notice = h("div", {}, h("span", {}, text), offered, h("button", { type: "button", "aria-label": "Close", on: { click: close } }, "✕"));
  const place = document.getElementById("notices");
  while (place.children.length > 2) place.firstChild.remove();
  place.append(notice);
  leave(notice, action ? SHOWN_WITH_ACTION_MS : SHOWN_MS);
}

/** Take a notice away after a while, but not while somebody is at it. */
function leave(notice, milliseconds) {
  const look = () => (notice.matches(":hover, :focus-within") ? setTimeout(look, 1000) : notice.remove());
  setTimeout(look, milliseconds);
}
