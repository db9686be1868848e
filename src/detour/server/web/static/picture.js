// The mesh as a graph: services in layers, calls between them, offloaded deployments below their service.

import { h, plural, s, swap } from "./dom.js";
import { layout } from "./layout.js";
import { isInPicture, share, spoken } from "./mesh.js";

const HEAD = 46;
const CHIP = 23;
const CHIP_STEP = 28;
const CHIPS_MAX = 4;
const LETTER = 7.55;
const RATE_LETTER = 7;
const MARGIN = 12;
const SHAPES = {
  right: { width: 186, gaps: { along: 84, across: 22, passage: 5 } },
  down: { width: 108, gaps: { along: 44, across: 15, passage: 4 } },
};
// Wider gaps for a small mesh, so that it fills the page.
const SMALL = 24;
const ROOMY = { along: 84, across: 44, passage: 12 };
const STEPS = {
  right: { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] },
  down: { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] },
};

export class Picture {
  #laid = { key: "", result: null };
  #facts = new Map();

  /** @param {(name: string) => void} select called with the service that the user selects */
  constructor(select) {
    this.select = select;
    this.svg = s("svg.picture", { role: "group", "aria-label": "Services and the calls between them; use the arrow keys to move between services" });
    this.svg.addEventListener("keydown", (event) => this.#key(event));
    this.svg.addEventListener("click", (event) => {
      const chosen = event.target.closest("[data-service]");
      if (chosen) this.select(chosen.dataset.service);
    });
    this.size = { width: 0, height: 0 };
  }

  /**
   * Draw the mesh.
   * @param {Map<string, import("./mesh.js").Facts>} facts
   * @param {{direction: "right"|"down", selected: string, found: (name: string) => boolean}} view
   */
  show(facts, { direction, selected, found }) {
    const shown = [...facts.values()].filter(isInPicture).sort(byPlace);
    this.#facts = new Map(shown.map((one) => [one.name, one]));
    this.direction = direction;
    this.laid = this.#layout(shown);
    this.selected = selected;
    const focused = this.#facts.has(selected) ? selected : (this.svg.querySelector(":focus")?.dataset.service ?? shown[0]?.name);
    const near = new Set(neighbours(this.#facts.get(selected)));
    const isFaded = (name) => !found(name) || (near.size > 0 && name !== selected && !near.has(name));
    swap(
      this.svg,
      arrows(),
      s("g", {}, this.#calls(selected)),
      shown.map((one) => this.#service(one, { focused, isFaded: isFaded(one.name) })),
    );
    this.#resize();
  }

  get isEmpty() {
    return this.#facts.size === 0;
  }

  #layout(shown) {
    const { width, gaps } = SHAPES[this.direction];
    const boxes = shown.map((one) => ({ id: one.name, ...sized(this.direction, width, heightOf(one)) }));
    const pairs = shown.flatMap((one) => one.callees.map((call) => [one.name, call.service]));
    const key = JSON.stringify([this.direction, boxes, pairs]);
    const isRoomy = this.direction === "right" && boxes.length <= SMALL;
    if (key !== this.#laid.key) this.#laid = { key, result: layout(boxes, pairs, isRoomy ? ROOMY : gaps) };
    return this.#laid.result;
  }

  #resize() {
    const [along, across] = [this.laid.along, this.laid.across];
    const [width, height] = this.direction === "right" ? [along, across] : [across, along];
    this.size = { width: width + 2 * MARGIN, height: height + 2 * MARGIN };
    this.svg.setAttribute("viewBox", `${-MARGIN} ${-MARGIN} ${this.size.width} ${this.size.height}`);
  }

  /** Return the position of a box, in the graph's coordinates. */
  #at(name) {
    const { along, across } = this.laid.places.get(name);
    return this.direction === "right" ? { x: along, y: across } : { x: across, y: along };
  }

  #service(facts, { focused, isFaded }) {
    const { x, y } = this.#at(facts.name);
    const { width } = SHAPES[this.direction];
    const isBad = facts.problems.length > 0;
    const box = s(
      `g.service.${facts.kind}`,
      {
        role: "button",
        tabindex: facts.name === focused ? "0" : "-1",
        "aria-label": spoken(facts),
        "aria-pressed": String(facts.name === this.selected),
        "data-service": facts.name,
        "data-key": facts.name,
      },
      s("title", {}, facts.name),
      s("rect.box", { width, height: HEAD, rx: facts.kind === "service" ? 8 : HEAD / 2 }),
      isBad && s("rect.mark", { x: 0.5, y: 9, width: 3, height: HEAD - 18, rx: 1.5 }),
      s("text.name", { x: 13, y: 20 }, shortened(facts.name, width - 22)),
      s(isBad ? "text.facts.bad" : "text.facts", { x: 13, y: 36 }, summary(facts, this.direction)),
    );
    const chips = chipsOf(facts).map((chip, index) => this.#chip(facts, chip, index));
    return s(isFaded ? "g.faded" : "g", { transform: `translate(${x} ${y})` }, box, chips);
  }

  #chip(facts, chip, index) {
    const { width } = SHAPES[this.direction];
    const y = HEAD + 5 + index * CHIP_STEP;
    const rate = chip.requests ? compact(chip.requests) + (this.direction === "right" ? "/min" : "") : "";
    return s(
      "g.chip",
      { "data-service": facts.name, transform: `translate(14 ${y})` },
      s("title", {}, chip.title),
      s("path.branch", { d: `M-6 ${-(index ? CHIP_STEP : 5)}V${CHIP / 2}H0` }),
      s("rect", { width: width - 14, height: CHIP, rx: 6 }),
      s("text", { x: 9, y: 16 }, shortened(chip.name, width - 14 - 18 - rate.length * RATE_LETTER)),
      rate && s(chip.isBad ? "text.rate.bad" : "text.rate", { x: width - 14 - 8, y: 16, "text-anchor": "end" }, rate),
    );
  }

  #calls(selected) {
    const calls = [...this.#facts.values()].flatMap((one) => one.callees).filter((one) => one.caller !== one.service);
    // Draw calls to offloaded deployments last, on top.
    calls.sort((one, other) => Number(Boolean(one.deployment)) - Number(Boolean(other.deployment)) || one.requests - other.requests);
    return calls.map((call) => {
      const d = this.#path(call);
      const width = thickness(call.requests);
      const isLit = selected && (call.caller === selected || call.service === selected);
      const classes = [
        "g.call",
        call.deployment && "off",
        call.requests === 0 && "past",
        isLit && "lit",
        selected && this.#facts.has(selected) && !isLit && "faded",
      ];
      return s(
        classes.filter(Boolean).join("."),
        { "aria-hidden": "true" },
        s("path", { d, "stroke-width": width, "marker-end": `url(#arrow${call.deployment ? "-off" : ""})` }),
        call.errors > 0 && s("path.errors", { d, "stroke-width": Math.max(1.5, (width * call.errors) / Math.max(call.requests, 1)) }),
      );
    });
  }

  /** Return the path of a call: from its caller, through the layers in between, to the called service. */
  #path(call) {
    const isBack = this.laid.isBack(call.caller, call.service);
    const start = this.#port(call.caller, call.caller_deployment, !isBack);
    const end = this.#port(call.service, call.deployment, isBack);
    const key = isBack ? `${call.service}→${call.caller}` : `${call.caller}→${call.service}`;
    const passages = this.laid.ways.get(key) ?? [];
    const beside = end.isAside
      ? [
          [
            { x: end.x + 7, y: end.top },
            { x: end.x + 7, y: end.y - 8 },
          ],
        ]
      : [];
    const middle = passages.flatMap((one) => {
      const across = one.across + (call.deployment ? 10 : 3);
      const ends = [one.along, one.to].map((along) => (this.direction === "right" ? { x: along, y: across } : { x: across, y: along }));
      return [ends];
    });
    return curve(start, [...(isBack ? middle.reverse().map((one) => [...one].reverse()) : middle), ...beside], end, this.direction);
  }

  /** Return the point on a box's border where calls leave or reach it. */
  #port(name, deployment, isLeaving) {
    const facts = this.#facts.get(name);
    const { x, y } = this.#at(name);
    const { width } = SHAPES[this.direction];
    const index = deployment ? chipIndex(facts, deployment) : -1;
    if (this.direction === "right") {
      const at = index < 0 ? HEAD / 2 : HEAD + 5 + index * CHIP_STEP + CHIP / 2;
      return { x: isLeaving ? x + width : x + (index < 0 ? 0 : 14), y: y + at };
    }
    if (index >= 0) return { x: isLeaving ? x + width / 2 : x + width, y: y + HEAD + 5 + index * CHIP_STEP + CHIP / 2, top: y, isAside: !isLeaving };
    return { x: x + width / 2, y: isLeaving ? y + heightOf(facts) : y };
  }

  #key(event) {
    const step = STEPS[this.direction]?.[event.key];
    const service = event.target.dataset?.service;
    if (!service) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.select(service);
    } else if (step) {
      event.preventDefault();
      this.#focus(this.#next(service, step));
    }
  }

  #next(service, [layers, places]) {
    const layer = this.laid.layers.findIndex((one) => one.includes(service));
    if (places) return this.laid.layers[layer][this.laid.layers[layer].indexOf(service) + places] ?? service;
    const others = this.laid.layers[layer + layers] ?? [];
    const across = this.laid.places.get(service).across;
    const distance = (name) => Math.abs(this.laid.places.get(name).across - across);
    return others.reduce((best, name) => (best && distance(best) <= distance(name) ? best : name), null) ?? service;
  }

  #focus(name) {
    for (const one of this.svg.querySelectorAll(".service")) one.setAttribute("tabindex", one.dataset.service === name ? "0" : "-1");
    this.svg.querySelector(`.service[data-service="${CSS.escape(name)}"]`)?.focus();
  }
}

const byPlace = (one, other) => Number(other.kind === "edge") - Number(one.kind === "edge") || (one.name < other.name ? -1 : 1);

const sized = (direction, width, height) => (direction === "right" ? { along: width, across: height } : { along: height, across: width });

const heightOf = (facts) => HEAD + chipsOf(facts).length * CHIP_STEP;

function neighbours(facts) {
  if (!facts) return [];
  return [...facts.callers.map((call) => call.caller), ...facts.callees.map((call) => call.service)];
}

/** Return the deployments to draw: those with the most calls, and one chip for all others. */
function chipsOf(facts) {
  const sorted = [...facts.deployments].sort((one, other) => other.requests - one.requests || (one.name < other.name ? -1 : 1));
  const drawn = sorted.length > CHIPS_MAX ? sorted.slice(0, CHIPS_MAX - 1) : sorted;
  const chips = drawn.map((one) => ({
    name: one.name,
    requests: one.requests,
    isBad: one.errors > 0,
    title: [`${facts.name}@${one.name}`, one.owner && `owner ${one.owner}`, one.errors && `${share(one.errors, one.requests)} errors`]
      .filter(Boolean)
      .join(", "),
  }));
  const others = sorted.length - drawn.length;
  return others ? [...chips, { name: `${others} more`, requests: 0, title: `${others} more of ${facts.name}` }] : chips;
}

function chipIndex(facts, deployment) {
  const chips = chipsOf(facts);
  const index = chips.findIndex((one) => one.name === deployment);
  return index < 0 && facts.deployments.some((one) => one.name === deployment) ? chips.length - 1 : index;
}

function summary(facts, direction) {
  if (facts.problems.length) return facts.problems[0].text;
  const rate = facts.callers.length ? `${compact(facts.requests)}/min` : "";
  if (facts.kind === "edge") return facts.envoys.length ? plural(facts.envoys.length, "Envoy") : direction === "down" ? "" : "entry point";
  if (facts.kind === "caller") return rate || "calls only";
  if (direction === "down") return rate || plural(facts.instances.length, "instance");
  return [plural(facts.instances.length, "instance"), rate].filter(Boolean).join(" · ");
}

function shortened(text, width) {
  const most = Math.floor(width / LETTER);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** Format a number to fit in a box: 12k. */
const compact = (number) => (number < 10_000 ? String(number) : `${Math.round(number / 1000)}k`);

/** Return the line width of a call: one step more for twice the number of requests. */
const thickness = (requests) => Math.min(1 + 0.42 * Math.log2(1 + requests), 6);

function curve(start, passages, end, direction) {
  let path = `M${start.x} ${start.y}`;
  let last = start;
  for (const [from, to] of [...passages, [end, end]]) {
    path += bend(last, from, direction) + (from === to ? "" : `L${round(to)}`);
    last = to;
  }
  return path;
}

function bend(from, to, direction) {
  if (direction === "right") {
    const reach = (to.x - from.x) / 2;
    return `C${round({ x: from.x + reach, y: from.y })} ${round({ x: to.x - reach, y: to.y })} ${round(to)}`;
  }
  if (to.isAside) return `Q${round({ x: from.x, y: to.y })} ${round(to)}`;
  const reach = (to.y - from.y) / 2;
  const before = { x: to.x, y: to.y - reach };
  return `C${round({ x: from.x, y: from.y + reach })} ${round(before)} ${round(to)}`;
}

const round = ({ x, y }) => `${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;

function arrows() {
  const arrow = (id) =>
    s(
      "marker",
      { id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
      s("path", { d: "M0 0.5 8 4 0 7.5Z" }),
    );
  return s("defs", {}, arrow("arrow"), arrow("arrow-off"));
}

/** Return the list of services without recent calls. */
export function uncalled(facts, { select, selected, found }) {
  const shown = [...facts.values()].filter((one) => !isInPicture(one) && found(one.name)).sort(byPlace);
  return shown.map((one) =>
    h(
      "button.still",
      {
        type: "button",
        "aria-pressed": String(one.name === selected),
        "data-key": `still-${one.name}`,
        "data-service": one.name,
        on: { click: () => select(one.name) },
      },
      h("span.mono.name", {}, one.name),
      one.problems.length
        ? h("span.fault", {}, one.problems[0].text)
        : h("span.hint", {}, one.kind === "edge" ? "an edge" : plural(one.instances.length, "instance")),
      one.deployments.length > 0 && h("span.tags", {}, tagsOf(one.deployments)),
    ),
  );
}

function tagsOf(deployments) {
  const shown = deployments.slice(0, 3).map((one) => h("span.tag.off", {}, one.name));
  return deployments.length > 3 ? [...shown, h("span.tag", {}, `${deployments.length - 3} more`)] : shown;
}
