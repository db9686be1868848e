// The log of changes.

import { Problem, following, read } from "./api.js";
import { h, swap } from "./dom.js";
import { onEvent } from "./resources.js";
import { clock, day, exact } from "./times.js";

const ROOT = "v1/changes?limit=100";

export function changesView() {
  return new ChangesView();
}

class ChangesView {
  title = "Changes";

  constructor() {
    this.list = h("div.stack", { "aria-busy": "true" });
    this.more = h("p.more", {});
    this.element = h(
      "div.page.log",
      {},
      h("div.page-head", {}, h("h1", { tabindex: "-1" }, "Changes"), h("p.quiet.small", {}, "newest first")),
      this.list,
      this.more,
    );
    this.end = onEvent((kind) => ["scenario", "deployment"].includes(kind) && this.#read(ROOT, []));
    this.ready = this.#read(ROOT, []);
  }

  update() {}

  leave() {
    this.end();
  }

  async #read(path, before) {
    try {
      const page = await read(path);
      const found = [...before, ...page.items];
      this.#draw(found, following(ROOT, page));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      swap(this.list, h("div.card", {}, h("div.empty", {}, h("h2", {}, "Changes could not be loaded"), h("p", {}, problem.message))));
    }
    this.list.removeAttribute("aria-busy");
  }

  #draw(found, next) {
    const days = Map.groupBy(found, (one) => day(one.at));
    swap(
      this.list,
      found.length
        ? [...days].map(([title, changes]) => h("section.stack.tight", {}, h("h3", {}, title), h("ol.card.log-list", {}, changes.map(entry))))
        : nothing(),
    );
    swap(this.more, next && h("button.button.plain", { type: "button", on: { click: () => this.#read(next, found) } }, "Show older changes"));
  }
}

function nothing() {
  return h(
    "div.card",
    {},
    h("div.empty", {}, h("h2", {}, "No changes yet"), h("p", {}, "This list shows each saved scenario and each registered deployment, with user and time.")),
  );
}

function entry(one) {
  return h(
    "li",
    {},
    h("time.quiet.mono.small", { datetime: one.at, title: exact(one.at) }, clock(one.at)),
    h(
      "span",
      {},
      h("strong", {}, one.who || "unknown"),
      ` ${one.action} ${one.kind} `,
      subject(one),
      one.version > 1 && one.kind === "scenario" ? h("span.quiet.small", {}, ` version ${one.version}`) : null,
    ),
  );
}

function subject({ kind, subject: name }) {
  if (kind === "scenario") return h("a.mono", { href: `#/scenarios/${name}/history` }, name);
  if (kind === "deployment") return h("a.mono", { href: `#/mesh/${encodeURIComponent(name.split("@")[0])}` }, name);
  return h("span.mono", {}, name);
}
