// All scenarios, with search and filters by owner and state.

import { h, plural, swap } from "./dom.js";
import { rowsOf, wordOf } from "./overrides.js";
import { mayChange, me, scenarios } from "./resources.js";
import { expiry, moment } from "./times.js";

const SHOWN = 100;
const STATES = [
  ["live", "Live"],
  ["expired", "Expired"],
  ["removed", "Removed"],
  ["all", "All"],
];

export function scenariosView() {
  return new ScenariosView();
}

class ScenariosView {
  title = "Scenarios";
  #state = "live";
  #most = SHOWN;

  constructor() {
    this.find = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search scenarios",
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => this.#draw() },
    });
    this.mine = h("input", { type: "checkbox", on: { change: () => this.#draw() } });
    this.states = h("nav.segments", { "aria-label": "State" });
    this.list = h("div.card", { "aria-busy": "true" });
    this.count = h("p.quiet.small", { role: "status" });
    this.add = h("span", {});
    this.element = h(
      "div.page",
      {},
      h("div.page-head", {}, h("h1", { tabindex: "-1" }, "Scenarios"), this.count, h("span.grow", {}), this.add),
      h("div.filters", {}, h("div.find", {}, this.find), this.states, h("label.check", {}, this.mine, " Only mine")),
      this.list,
    );
    this.ends = [scenarios, me].map((one) => one.listen(() => this.#draw()));
    this.ready = Promise.all([scenarios.need(), me.need()]).then(() => this.#draw());
  }

  update({ state = "live" }) {
    this.#state = state;
    this.#most = SHOWN;
    this.states.replaceChildren(
      ...STATES.map(([value, words]) => h("a", { href: `#/scenarios?state=${value}`, "aria-current": value === state && "true" }, words)),
    );
    this.#draw();
  }

  leave() {
    for (const end of this.ends) end();
  }

  #draw() {
    if (!scenarios.isLoaded || !me.isLoaded) return;
    this.list.removeAttribute("aria-busy");
    this.mine.parentElement.hidden = !me.value?.name;
    swap(this.add, mayChange() && h("a.button.main", { href: "#/new", "data-key": "new" }, "New scenario"));
    const found = scenarios.value.filter((one) => this.#isWanted(one));
    this.count.textContent = plural(found.length, "scenario");
    swap(this.list, found.length ? [table(found.slice(0, this.#most)), this.#others(found.length)] : this.#nothing());
  }

  #isWanted(one) {
    if (this.#state !== "all" && one.state !== this.#state) return false;
    if (this.mine.checked && one.owner !== me.value.name) return false;
    const text = [one.name, one.owner, one.description, ...rowsOf(one.overrides).map(wordOf)].join(" ").toLowerCase();
    return this.find.value
      .toLowerCase()
      .split(/\s+/)
      .every((word) => text.includes(word));
  }

  #others(count) {
    if (count <= this.#most) return null;
    const more = () => {
      this.#most += SHOWN;
      this.#draw();
    };
    return h("p.more", {}, h("button.button.plain", { type: "button", on: { click: more } }, `Show ${Math.min(SHOWN, count - this.#most)} more of ${count}`));
  }

  #nothing() {
    if (scenarios.problem) return h("div.empty", {}, h("h2", {}, "Scenarios could not be loaded"), h("p", {}, scenarios.problem.message));
    if (this.find.value || this.mine.checked || this.#state !== "live")
      return h("div.empty", {}, h("h2", {}, "No matches"), h("p", {}, "No scenario matches your search."));
    return h(
      "div.empty",
      {},
      h("h2", {}, "No scenarios yet"),
      h("p", {}, "A scenario is a named set of overrides, such as users at pr-42 and payments delayed by 300 ms. Save one, and share its link."),
      mayChange() && h("a.button.main", { href: "#/new" }, "New scenario"),
    );
  }
}

function table(found) {
  return h(
    "table.table.folds.scenarios",
    {},
    h("caption.unseen", {}, "Scenarios"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Name", "Overrides", "Owner", "Expires", "Changed"].map((one) => h("th", { scope: "col" }, one)),
      ),
    ),
    h("tbody", {}, found.map(row)),
  );
}

function row(one) {
  const words = rowsOf(one.overrides).map((each) => h(each.kind === "route" ? "span.tag.off" : "span.tag", {}, wordOf(each)));
  const state = one.state === "live" ? null : h("span.tag.words.warn", {}, one.state);
  return h(
    "tr",
    {},
    h(
      "td.name",
      {},
      h("a", { href: `#/scenarios/${one.name}`, "data-key": one.name }, one.name),
      " ",
      state,
      one.description && h("p.hint.description", {}, one.description),
    ),
    h("td", {}, h("div.tags", {}, words.slice(0, 6), words.length > 6 && h("span.tag", {}, `${words.length - 6} more`))),
    h("td", { "data-label": "Owner" }, one.owner || "–"),
    h("td.nowrap", { "data-label": "Expires" }, expiry(one.expires)),
    h(
      "td.nowrap.quiet",
      { "data-label": "Changed" },
      h("span", {}, moment(one.changed), one.changed_by && one.changed_by !== one.owner && ` by ${one.changed_by}`),
    ),
  );
}
