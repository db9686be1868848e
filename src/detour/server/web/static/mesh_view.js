// The mesh as a graph or as a table, and a panel for the selected service.

import { h, plural, swap } from "./dom.js";
import { calls, deployments, services, status } from "./resources.js";
import { isInPicture, meshFacts, share } from "./mesh.js";
import { Picture, uncalled } from "./picture.js";
import { servicePanel } from "./service_panel.js";

const NARROW = matchMedia("(width < 760px)");
const ZOOMS = { least: 0.25, most: 2, step: 1.25, unasked: 1.2 };
const LEGIBLE = 0.66;

export function meshView() {
  return new MeshView();
}

class MeshView {
  title = "Mesh";
  #selected = "";
  #wanted = "";
  #isTable = false;
  #zoom = null;
  #ends = [];
  #isShown = false;

  constructor() {
    this.picture = new Picture((name) => this.#select(name));
    this.counts = h("p.quiet.small", {});
    this.find = h("input", { type: "search", placeholder: "Find a service", "aria-label": "Find a service", autocomplete: "off", spellcheck: "false" });
    this.find.addEventListener("input", () => this.#look());
    this.find.addEventListener("keydown", (event) => event.key === "Enter" && this.#goToFirst());
    this.modes = ["Picture", "Table"].map((word) =>
      h("button", { type: "button", "aria-pressed": String(word === "Picture"), on: { click: () => this.#show(word === "Table") } }, word),
    );
    this.zooms = h("div.zooms", {}, this.#zoomButton("Smaller", "−", -1), this.#zoomButton("Larger", "+", 1), this.#zoomButton("All of it", "Fit", 0));
    this.problems = h("div.stack.tight.mesh-problems", { role: "status" });
    this.legend = legend();
    this.still = h("section.still-part", { "aria-labelledby": "still-title" });
    this.canvas = h("div.canvas", { "aria-busy": "true" }, h("p.drawing", {}, "Loading the mesh…"));
    this.table = h("div.mesh-table", { hidden: true });
    this.panel = h("aside.panel", { "aria-labelledby": "panel-title", hidden: true });
    this.element = h(
      "div.mesh",
      {},
      h(
        "div.toolbar",
        {},
        h("h1", { tabindex: "-1" }, "Mesh"),
        this.counts,
        h("div.grow", {}),
        h("div.find", {}, this.find),
        this.zooms,
        h("div.segments", { role: "group", "aria-label": "Show the mesh as" }, this.modes),
      ),
      this.problems,
      h("div.mesh-body", {}, h("div.mesh-main", {}, this.canvas, this.table), this.panel),
    );
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.#selected && this.#close());
    const redraw = () => this.#drawSoon();
    this.#ends = [services, deployments, calls, status].map((one) => one.listen(redraw));
    const turned = () => {
      this.#zoom = null;
      this.#draw();
    };
    NARROW.addEventListener("change", turned);
    this.#ends.push(() => NARROW.removeEventListener("change", turned));
    this.ready = Promise.all([services, deployments, calls, status].map((one) => one.need())).then(() => {
      this.#isShown = true;
      this.#draw();
      this.#reveal(this.#selected || "edge", true);
    });
  }

  update({ service = "" }) {
    const isNew = service !== this.#selected;
    this.#selected = service;
    this.#draw();
    if (!isNew || !service || !this.#isShown) return;
    this.panel.querySelector("h2")?.focus({ preventScroll: true });
    this.#reveal(service);
  }

  leave() {
    for (const end of this.#ends) end();
  }

  #select(name) {
    location.hash = `#/mesh/${encodeURIComponent(name)}`;
  }

  /** Scroll the selected service into view; the panel may have covered it. */
  #reveal(name, isFirst = false) {
    const chosen = this.canvas.querySelector(`:is(.service, button)[data-service="${CSS.escape(name)}"]`);
    chosen?.scrollIntoView({ block: isFirst ? "center" : "nearest", inline: "center" });
  }

  #close() {
    const name = CSS.escape(this.#selected);
    location.hash = "#/mesh";
    requestAnimationFrame(() => this.element.querySelector(`.mesh-main [data-service="${name}"]:is(.service, button)`)?.focus());
  }

  #show(isTable) {
    this.#isTable = isTable;
    for (const [index, one] of this.modes.entries()) one.setAttribute("aria-pressed", String(isTable === (index === 1)));
    this.#draw();
  }

  #look() {
    this.#wanted = this.find.value.trim().toLowerCase();
    this.#draw();
  }

  #goToFirst() {
    const found = [...(this.facts?.keys() ?? [])].sort().find((name) => this.#found(name));
    if (found) this.#select(found);
  }

  #found = (name) => !this.#wanted || name.toLowerCase().includes(this.#wanted);

  /** Draw once for all changes within a frame. */
  #drawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    // Draw when everything is loaded, rather than bit by bit. The user may have left by then.
    if (!this.#isShown || !this.element.isConnected) return;
    this.facts = meshFacts({
      services: services.value,
      deployments: deployments.value,
      calls: calls.value,
      status: status.value,
    });
    const view = { selected: this.#selected, found: this.#found, select: (name) => this.#select(name) };
    this.counts.textContent = `${plural(services.value.length, "service")} · ${plural(deployments.value.length, "offloaded deployment")}`;
    swap(
      this.problems,
      troubles().map((text) => h("p.notice.warn", {}, h("div", {}, text))),
    );
    this.canvas.hidden = this.#isTable;
    this.table.hidden = !this.#isTable;
    this.zooms.hidden = this.#isTable;
    if (this.#isTable) swap(this.table, table(this.facts, view));
    this.#drawPanel();
    if (!this.#isTable) this.#drawPicture(view);
  }

  #drawPicture(view) {
    this.picture.show(this.facts, { direction: NARROW.matches ? "down" : "right", ...view });
    const still = uncalled(this.facts, view);
    const isEmpty = this.facts.size === 0;
    if (this.canvas.hasAttribute("aria-busy")) {
      this.canvas.removeAttribute("aria-busy");
      this.canvas.replaceChildren(h("div.pan", {}, this.picture.svg), this.legend, this.still);
    }
    this.canvas.firstChild.hidden = this.picture.isEmpty;
    this.legend.hidden = this.picture.isEmpty;
    this.zooms.hidden = this.picture.isEmpty;
    swap(this.still, isEmpty ? noServices() : still.length ? [stillHead(this.picture.isEmpty, still.length), h("div.stills", {}, still)] : null);
    this.#scale();
  }

  #scale() {
    const zoom = this.#zoom ?? Math.min(this.#roomy, Math.max(LEGIBLE, this.#room / this.picture.size.width));
    this.picture.svg.setAttribute("width", Math.round(this.picture.size.width * zoom));
    this.picture.svg.setAttribute("height", Math.round(this.picture.size.height * zoom));
    this.shownZoom = zoom;
  }

  /** The zoom of a small graph: it is enlarged as long as it needs no scrolling. */
  get #roomy() {
    return Math.min(ZOOMS.unasked, Math.max(1, (0.8 * this.canvas.clientHeight) / this.picture.size.height));
  }

  /** The width of the graph that needs no scrolling. */
  get #room() {
    const style = getComputedStyle(this.canvas);
    return this.canvas.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  }

  #zoomButton(label, sign, direction) {
    const zoom = () => {
      const { width, height } = this.picture.size;
      const whole = Math.min(1, this.#room / width, (this.canvas.clientHeight - 8) / height);
      const wanted = direction ? this.shownZoom * ZOOMS.step ** direction : whole;
      this.#zoom = Math.min(ZOOMS.most, Math.max(direction ? ZOOMS.least : 0.1, wanted));
      this.#scale();
    };
    return h("button.button.small", { type: "button", "aria-label": label, title: label, on: { click: zoom } }, sign);
  }

  #drawPanel() {
    const facts = this.facts.get(this.#selected);
    this.panel.hidden = !this.#selected;
    this.element.classList.toggle("has-panel", Boolean(this.#selected));
    if (!this.#selected) return this.panel.replaceChildren();
    swap(
      this.panel,
      facts
        ? servicePanel(facts, () => this.#close())
        : [
            h("h2", { id: "panel-title", tabindex: "-1" }, this.#selected),
            h("p.quiet", {}, "The mesh does not have this service at the moment."),
            h("a", { href: "#/mesh" }, "Back to the mesh"),
          ],
    );
  }
}

/** Return the problems of the whole mesh, one sentence each. */
function troubles() {
  const found = [services, deployments, status].filter((one) => one.problem).map((one) => one.problem.message);
  const known = status.value;
  if (known?.mesh_file?.problem) found.push(`The mesh file has an error, and the server uses the last valid one: ${known.mesh_file.problem}`);
  return [...new Set([...found, ...(known?.cluster?.problems ?? []), ...(known?.failures ?? [])])];
}

function noServices() {
  return h(
    "div.empty",
    {},
    h("h2", { id: "still-title" }, "The mesh has no services yet"),
    h("p", {}, "Add services to the mesh file. The server reads the file again whenever it changes, and shows them here."),
    h("pre", {}, "services:\n  users: {endpoints: [127.0.0.1:9001]}"),
  );
}

function stillHead(isAll, count) {
  const why =
    calls.problem?.status === 404
      ? "This server does not report calls."
      : calls.problem
        ? `Calls could not be loaded: ${calls.problem.message}`
        : "Calls between services appear here as they happen.";
  return h(
    "div.still-head",
    {},
    h("h2", { id: "still-title" }, isAll ? "No recent calls" : `No recent calls: ${plural(count, "service")}`),
    isAll && h("p.hint", {}, why),
  );
}

function legend() {
  const line = (name, text) => h("li", {}, h(`i.${name}`, { "aria-hidden": "true" }), text);
  return h(
    "ul.legend",
    { "aria-label": "Legend" },
    line("plain", "calls; a thicker line means more"),
    line("off", "calls to an offloaded deployment"),
    line("bad", "errors"),
  );
}

const COLUMNS = ["Service", "Health", "Instances", "Offloaded deployments", "Called by", "Calls"];

function table(facts, { selected, found, select }) {
  const shown = [...facts.values()].filter((one) => found(one.name)).sort((one, other) => (one.name < other.name ? -1 : 1));
  return h(
    "div.card.scroller",
    {},
    h(
      "table.table.folds",
      {},
      h("caption.unseen", {}, "The services of the mesh, and the calls of the last minute"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          COLUMNS.map((one) => h("th", { scope: "col" }, one)),
          h("th.number", { scope: "col" }, "A minute"),
          h("th.number", { scope: "col" }, "Errors"),
        ),
      ),
      h(
        "tbody",
        {},
        shown.map((one) => row(one, { selected, select })),
      ),
    ),
  );
}

function row(one, { selected, select }) {
  const names = (list) => [...new Set(list)].sort().join(", ");
  const health = one.problems.length
    ? h(
        "span.tags",
        {},
        one.problems.map((problem) => h("span.tag.words.bad", {}, problem.text)),
      )
    : h("span.quiet", {}, "good");
  const choose = h(
    "button.button.plain.small.mono",
    {
      type: "button",
      "aria-pressed": String(one.name === selected),
      "data-key": `row-${one.name}`,
      "data-service": one.name,
      on: { click: () => select(one.name) },
    },
    one.name,
  );
  return h(
    "tr",
    {},
    h("td.name", {}, choose),
    h("td", { "data-label": "Health" }, health),
    h("td", { "data-label": "Instances" }, one.kind === "service" ? String(one.instances.length) : "–"),
    h(
      "td",
      { "data-label": "Offloaded" },
      one.deployments.length
        ? h(
            "span.tags",
            {},
            one.deployments.map((each) => h("span.tag.off", {}, each.name)),
          )
        : h("span.quiet", {}, "none"),
    ),
    h("td", { "data-label": "Called by" }, names(one.callers.map((call) => call.caller)) || "–"),
    h("td", { "data-label": "Calls" }, names(one.callees.map((call) => (call.deployment ? `${call.service}@${call.deployment}` : call.service))) || "–"),
    h("td.number", { "data-label": "A minute" }, isInPicture(one) ? String(one.requests) : "–"),
    h("td.number", { "data-label": "Errors" }, one.errors ? share(one.errors, one.baseline.requests) : "–"),
  );
}
