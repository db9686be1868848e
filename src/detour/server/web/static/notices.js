// Short messages about what has just happened, shown and announced to screen readers; they disappear by themselves.

import { h } from "./dom.js";

const SHOWN_MS = 7000;
const SHOWN_WITH_ACTION_MS = 14_000;

/**
 * Show a message.
 * @param {string} text
 * @param {{label: string, href?: string, act?: () => void}} [action] a link or a button
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

/** Remove a notice after a while, but not while it is hovered or focused. */
function leave(notice, milliseconds) {
  const look = () => (notice.matches(":hover, :focus-within") ? setTimeout(look, 1000) : notice.remove());
  setTimeout(look, milliseconds);
}
