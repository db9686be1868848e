// Two people changed a scenario at the same time: what each did, and a way on that loses neither.

import { h } from "./dom.js";
import { changeList } from "./history.js";
import { rebased } from "./overrides.js";
import { moment } from "./times.js";

const FIELDS = ["description", "owner", "expires"];

/**
 * Return the notice of a conflict.
 * @param {Object} how
 * @param {Object} how.base what both began with
 * @param {Object} how.mine what the form says
 * @param {Object} how.theirs the version that the server has
 * @param {Object} how.theirContent the same, as `base` and `mine` are
 * @param {(content: Object) => void} how.take goes on with a content, on top of theirs
 * @param {() => void} how.discard goes on with theirs alone
 */
export function conflict({ base, mine, theirs, theirContent, take, discard }) {
  const who = theirs.changed_by || "Somebody";
  const isRemoved = theirs.state === "removed";
  const merged = together(base, mine, theirContent);
  return h(
    "section.notice.warn.conflict",
    { "aria-label": "Changed by somebody else" },
    h(
      "div.stack.tight",
      {},
      h(
        "p",
        {},
        h("strong", {}, isRemoved ? `${who} removed it ` : `${who} saved version ${theirs.version} `),
        moment(theirs.changed),
        ", while you were editing.",
      ),
      !isRemoved && h("div.both", {}, side(`What ${who} changed`, base, theirContent), side("What you changed", base, mine)),
      h("p.hint", {}, isRemoved ? "Copy what you need; its versions can still be read." : "Nothing is lost: each version can be read in its history."),
      h(
        "div.actions",
        {},
        !isRemoved && h("button.button.small", { type: "button", on: { click: () => take(merged) } }, "Put my changes on top"),
        h("button.button.small.plain", { type: "button", on: { click: discard } }, isRemoved ? "Discard mine" : `Keep only ${who}'s`),
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
