// The offloaded deployments, with owner and expiry.

import { Problem, ask } from "./api.js";
import { h, plural, swap } from "./dom.js";
import { addToNew } from "./drafts.js";
import { notify } from "./notices.js";
import { calls, deployments, mayChange, mayRemove, me } from "./resources.js";
import { exact, expiry } from "./times.js";

const LONGER = [
  ["24h", "1 day"],
  ["7d", "7 days"],
  ["30d", "30 days"],
];

export function deploymentsView() {
  return new DeploymentsView();
}

class DeploymentsView {
  title = "Deployments";
  #asked = "";

  constructor() {
    this.find = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search deployments",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#draw() },
    });
    this.mine = h("input", { type: "checkbox", on: { change: () => this.#draw() } });
    this.count = h("p.quiet.small", { role: "status" });
    this.fault = h("p.fault", { role: "alert" });
    this.list = h("div.card", { "aria-busy": "true" });
    this.element = h(
      "div.page",
      {},
      h("div.page-head", {}, h("h1", { tabindex: "-1" }, "Offloaded deployments"), this.count),
      h("div.filters", {}, h("div.find", {}, this.find), h("label.check", {}, this.mine, " Only mine")),
      this.fault,
      this.list,
    );
    this.ends = [deployments, calls, me].map((one) => one.listen(() => this.#draw()));
    this.ready = Promise.all([deployments.need(), me.need(), calls.need()]).then(() => this.#draw());
  }

  update() {}

  leave() {
    for (const end of this.ends) end();
  }

  #draw() {
    if (!deployments.isLoaded || !me.isLoaded) return;
    this.list.removeAttribute("aria-busy");
    this.mine.parentElement.hidden = !me.value?.name;
    const found = deployments.value.filter((one) => this.#isWanted(one));
    this.count.textContent = plural(found.length, "deployment");
    swap(this.list, found.length ? this.#table(found) : this.#nothing());
  }

  #isWanted(one) {
    if (this.mine.checked && one.owner !== me.value.name) return false;
    const text = `${one.service}@${one.name} ${one.owner} ${one.source}`.toLowerCase();
    return this.find.value
      .toLowerCase()
      .split(/\s+/)
      .every((word) => text.includes(word));
  }

  #nothing() {
    if (deployments.problem) return h("div.empty", {}, h("h2", {}, "Deployments could not be loaded"), h("p", {}, deployments.problem.message));
    if (deployments.value.length) return h("div.empty", {}, h("h2", {}, "No matches"), h("p", {}, "No deployment matches your search."));
    return h(
      "div.empty",
      {},
      h("h2", {}, "No offloaded deployments"),
      h("p", {}, "Start your change beside the baseline, and register it. Only requests that name it reach it."),
      h("pre", {}, "detour offload add users pr-42 --endpoint IP:PORT"),
    );
  }

  #table(found) {
    return h(
      "table.table.folds",
      {},
      h("caption.unseen", {}, "Offloaded deployments"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Deployment", "Owner", "Expires", "Instances"].map((one) => h("th", { scope: "col" }, one)),
          h("th.number", { scope: "col" }, "Calls a minute"),
          h("th", { scope: "col" }, h("span.unseen", {}, "Actions")),
        ),
      ),
      h(
        "tbody",
        {},
        found.map((one) => this.#row(one)),
      ),
    );
  }

  #row(one) {
    const full = `${one.service}@${one.name}`;
    const requests = calls.value
      .filter((call) => call.service === one.service && call.deployment === one.name)
      .reduce((total, call) => total + call.requests, 0);
    return h(
      "tr",
      {},
      h(
        "td.name",
        {},
        h("a", { href: `#/mesh/${encodeURIComponent(one.service)}`, "data-key": `to-${full}` }, one.service),
        h("span.quiet", {}, "@"),
        h("span.tag.off", {}, one.name),
      ),
      h("td", { "data-label": "Owner" }, one.owner || "–"),
      h("td.nowrap", { "data-label": "Expires" }, expiry(one.expires)),
      h(
        "td.mono.small",
        { "data-label": "Instances" },
        one.endpoints.slice(0, 2).join(" ") || h("span.fault", {}, "none yet"),
        one.endpoints.length > 2 && ` +${one.endpoints.length - 2}`,
      ),
      h("td.number", { "data-label": "A minute" }, requests ? String(requests) : "–"),
      h("td", {}, h("div.actions", {}, this.#actions(one, full))),
    );
  }

  #actions(one, full) {
    if (!mayChange()) return null;
    const use = h(
      "button.button.plain.small",
      { type: "button", "data-key": `use-${full}`, "aria-label": `Override ${one.service} with ${one.name}`, on: { click: () => override(one) } },
      "Override",
    );
    if (!one.is_writable) return [use, h("span.hint.nowrap", {}, `in the ${one.source}`)];
    if (!mayRemove(one.owner)) return [use];
    if (this.#asked === full) return this.#confirm(one, full);
    const longer = h(
      "select.small",
      { "aria-label": `Extend ${full}`, "data-key": `extend-${full}` },
      h("option", { value: "" }, "Extend…"),
      LONGER.map(([value, words]) => h("option", { value }, `to ${words} from now`)),
    );
    longer.addEventListener("change", () => longer.value && this.#extend(one, full, longer.value));
    return [
      use,
      longer,
      h(
        "button.button.plain.small.bad",
        { type: "button", "data-key": `remove-${full}`, "aria-label": `Remove ${full}`, on: { click: () => this.#ask(full) } },
        "Remove…",
      ),
    ];
  }

  #ask(full) {
    this.#asked = full;
    this.#draw();
    this.list.querySelector(`[data-key="keep-${CSS.escape(full)}"]`)?.focus();
  }

  #confirm(one, full) {
    const keep = () => {
      this.#asked = "";
      this.#draw();
      this.list.querySelector(`[data-key="remove-${CSS.escape(full)}"]`)?.focus();
    };
    const isOthers = one.owner && one.owner !== me.value.name;
    return [
      h("span.small.nowrap", {}, isOthers ? `It belongs to ${one.owner}. Remove it?` : "Remove it?"),
      h(
        "button.button.small.bad",
        { type: "button", "data-key": `really-${full}`, "aria-label": `Confirm: remove ${full}`, on: { click: () => this.#remove(one, full) } },
        "Remove",
      ),
      h("button.button.small", { type: "button", "data-key": `keep-${full}`, on: { click: keep } }, "Keep"),
    ];
  }

  async #remove(one, full) {
    this.#asked = "";
    await this.#do(() => ask(path(one), { method: "DELETE" }), `${full} was removed. Requests that name it now fail.`);
    this.find.focus();
  }

  async #extend(one, full, ttl) {
    await this.#do(
      async () => (await ask(path(one), { method: "PATCH", body: { ttl } })).json(),
      ({ expires }) => `${full} now expires ${exact(expires)}.`,
    );
  }

  async #do(act, message) {
    this.fault.textContent = "";
    try {
      const answer = await act();
      notify(typeof message === "string" ? message : message(answer));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.fault.textContent = problem.message;
    }
    await deployments.load();
  }
}

const path = ({ service, name }) => `v1/deployments/${encodeURIComponent(service)}/${encodeURIComponent(name)}`;

function override({ service, name }) {
  const count = addToNew({ kind: "route", subject: service, value: name });
  notify(`Added to your new scenario, which now has ${plural(count, "override")}.`, { label: "Open it", href: "#/new" });
}
