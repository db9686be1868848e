// The versions of a scenario, with user, time and changes.

import { Problem, following, pathOf, read } from "./api.js";
import { h, swap } from "./dom.js";
import { difference, rowsOf, wordOf } from "./overrides.js";
import { mayChange } from "./resources.js";
import { exact, moment } from "./times.js";

const PAGE = 20;

export class History {
  #shown = 0;

  /** @param {(version: Object) => void} restore called with a version to restore */
  constructor(restore) {
    this.restore = restore;
    this.list = h("ol.versions", {});
    this.more = h("p.more", {});
    this.element = h("section.stack.tight", { "aria-labelledby": "history-title" }, h("h2.unseen", { id: "history-title" }, "History"), this.list, this.more);
  }

  /** Show the versions of a scenario; `version` is its latest. */
  async show(name, version) {
    if (this.#shown === version) return;
    this.#shown = version;
    this.found = [];
    await this.#read(`${pathOf(name)}/versions?limit=${PAGE}`, `${pathOf(name)}/versions?limit=${PAGE}`);
  }

  async #read(path, root) {
    try {
      const page = await read(path);
      this.found.push(...page.items);
      this.#draw(following(root, page), root);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      swap(this.more, h("span.fault", {}, problem.message));
    }
  }

  #draw(next, root) {
    const entries = this.found.map((one, index) => this.#entry(one, this.found[index + 1], index === 0));
    // The changes of the oldest loaded version are not known until its predecessor is loaded.
    swap(this.list, next ? entries.slice(0, -1) : entries);
    swap(this.more, next && h("button.button.plain.small", { type: "button", on: { click: () => this.#read(next, root) } }, "Show older versions"));
  }

  #entry(one, before, isLast) {
    const done = one.state === "removed" ? "removed it" : before && before.state !== "removed" ? "changed it" : "created it";
    return h(
      "li",
      {},
      h(
        "div.version",
        {},
        h("strong.mono", {}, `v${one.version}`),
        h("span", {}, `${one.changed_by || "unknown user"} ${done} `, moment(one.changed)),
        h("span.grow", {}),
        !isLast &&
          mayChange() &&
          one.state !== "removed" &&
          h("button.button.plain.small", { type: "button", "aria-label": `Restore version ${one.version}`, on: { click: () => this.restore(one) } }, "Restore"),
      ),
      one.state !== "removed" && changeList(before && before.state !== "removed" ? before : { overrides: {} }, one),
    );
  }
}

/** Return the list of differences between two contents of a scenario. */
export function changeList(before, after) {
  const entries = difference(before.overrides, after.overrides).flatMap(({ key, before: was, after: is }) => [
    was !== undefined && line("removed", word(key, was)),
    is !== undefined && line("added", word(key, is)),
  ]);
  for (const [field, describe] of Object.entries(FIELDS)) {
    if ((before[field] ?? null) === (after[field] ?? null) || (before[field] === undefined && !after[field])) continue;
    entries.push(h("li.words", {}, describe(after[field])));
  }
  const shown = entries.filter(Boolean);
  return shown.length ? h("ul.changes", {}, shown) : h("p.hint", {}, "no changes");
}

const FIELDS = {
  description: (text) => (text ? `Description: ${text}` : "No description"),
  owner: (text) => (text ? `Owner: ${text}` : "No owner"),
  expires: (text) => (text ? `Expires ${exact(text)}` : "Never expires"),
};

const word = (key, value) => wordOf(rowsOf({ [key]: value })[0]);

function line(kind, text) {
  return h(`li.${kind}`, {}, h("span.unseen", {}, kind === "added" ? "added: " : "removed: "), h("code", {}, text));
}
