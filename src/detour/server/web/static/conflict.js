// Shown when two people changed a scenario at the same time: both changes, and ways to resolve the conflict.

import { h } from "./dom.js";
import { changeList } from "./history.js";
import { rebased } from "./overrides.js";
import { moment } from "./times.js";

const FIELDS = ["description", "owner", "expires"];

/**
 * Return the notice of a conflict.
 * @param {Object} how
 * @param {Object} how.base the content that both changed
 * @param {Object} how.mine the content of the form
 * @param {Object} how.theirs the version on the server
 * @param {Object} how.theirContent its content, in the form of `base` and `mine`
 * @param {(content: Object) => void} how.take continues with a content, based on theirs
 * @param {() => void} how.discard continues with theirs
 */
export function conflict({ base, mine, theirs, theirContent, take, discard }) {
  const who = theirs.changed_by || "Another user";
  const isRemoved = theirs.state === "removed";
  const merged = together(base, mine, theirContent);
  return h(
    "section.notice.warn.conflict",
    { "aria-label": "Changed by another user" },
    h(
      "div.stack.tight",
      {},
      h(
        "p",
        {},
        h("strong", {}, isRemoved ? `${who} removed this scenario ` : `${who} saved version ${theirs.version} `),
        moment(theirs.changed),
        ", while you were editing.",
      ),
      !isRemoved && h("div.both", {}, side(`What ${who} changed`, base, theirContent), side("What you changed", base, mine)),
      h("p.hint", {}, isRemoved ? "Copy what you need; its versions stay readable." : "Both stay available: the history shows each version."),
      h(
        "div.actions",
        {},
        !isRemoved && h("button.button.small", { type: "button", on: { click: () => take(merged) } }, "Apply my changes to it"),
        h("button.button.small.plain", { type: "button", on: { click: discard } }, isRemoved ? "Discard my changes" : `Keep only ${who}'s`),
      ),
    ),
  );
}

function side(title, before, after) {
  return h("div", {}, h("h3", {}, title), changeList(before, after));
}

function together(base, mine, theirs) {
  const merged = { overrides: rebased(base.overrides, mine.overrides, theirs.overrides) };
  for (const field of FIELDS) merged[field] = mine[field] === base[field] ? theirs[field] : mine[field];
  return merged;
}
