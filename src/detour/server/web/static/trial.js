// Trying a scenario: sends one request through the edge, and shows its hops.

import { Problem, read } from "./api.js";
import { h, plural, swap } from "./dom.js";
import { services } from "./resources.js";
import { duration } from "./times.js";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

export class Trial {
  #isRunning = false;

  /** @param {() => {scenario: string|null, overrides: Object, isDraft: boolean, count: number}} subject returns what to try */
  constructor(subject) {
    this.subject = subject;
    this.method = h(
      "select",
      { "aria-label": "Method" },
      METHODS.map((one) => h("option", {}, one)),
    );
    this.path = h("input.mono", { type: "text", "aria-label": "Path", value: "/", autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
    this.send = h("button.button.main", { type: "submit" }, "Try it");
    this.host = h("input.mono", {
      type: "text",
      id: "trial-host",
      placeholder: "the edge's host",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
    });
    this.headers = h("textarea.mono", { id: "trial-headers", rows: "2", placeholder: "accept-language: de", spellcheck: "false" });
    this.body = h("textarea.mono", { id: "trial-body", rows: "3", spellcheck: "false" });
    this.what = h("p.hint", {});
    this.fault = h("p.fault", { role: "alert" });
    this.outcome = h("p.outcome", { role: "status" });
    this.result = h("div.stack.trial-result", {});
    this.element = h(
      "section.stack",
      { "aria-labelledby": "trial-title" },
      h("div.stack.tight", {}, h("h2.unseen", { id: "trial-title" }, "Try it"), this.what),
      h(
        "form.stack.tight",
        {
          "aria-label": "A request to try",
          on: {
            submit: (event) => {
              event.preventDefault();
              this.#run();
            },
          },
        },
        h("div.request", {}, this.method, this.path, this.send),
        h(
          "details",
          {},
          h("summary", {}, "Host, headers, body"),
          h("div.stack.tight.more-request", {}, field("Host", this.host), field("Headers, one per line", this.headers), field("Body", this.body)),
        ),
      ),
      this.fault,
      this.outcome,
      this.result,
    );
  }

  /** Describe the request. */
  refresh() {
    const { isDraft, count } = this.subject();
    const overrides = plural(count, "override");
    if (!count) {
      this.what.textContent = "A request without overrides: the form has none yet.";
      return;
    }
    this.what.textContent = isDraft
      ? `A request with the ${overrides} of the form, which are not saved.`
      : `A request in the saved scenario, with its ${overrides}.`;
  }

  async #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.fault.textContent = "";
    this.send.setAttribute("aria-disabled", "true");
    this.send.textContent = "Trying…";
    try {
      this.#show(await read("v1/trials", { method: "POST", body: this.#request() }));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.outcome.replaceChildren();
      this.result.replaceChildren();
      this.fault.textContent = problem.status === 404 ? "This server does not support trial requests; upgrade it." : problem.message;
    } finally {
      this.#isRunning = false;
      this.send.removeAttribute("aria-disabled");
      this.send.textContent = "Try it";
    }
  }

  #request() {
    const { scenario, overrides } = this.subject();
    const headers = Object.fromEntries(
      this.headers.value
        .split("\n")
        .map((line) => /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line))
        .filter(Boolean)
        .map(([, name, value]) => [name, value]),
    );
    return {
      scenario,
      overrides,
      method: this.method.value,
      path: this.path.value.trim() || "/",
      host: this.host.value.trim() || null,
      headers,
      body: this.body.value,
    };
  }

  #show(trial) {
    const missed = trial.expected.filter((one) => !one.reached);
    swap(
      this.outcome,
      h(trial.status < 400 ? "strong.tag.words" : "strong.tag.words.bad", {}, String(trial.status)),
      h("span", {}, ` in ${duration(trial.duration_ms)}, ${plural(trial.hops.length, "hop")}`),
      h("span.hint.mono", {}, ` ${trial.url}`),
      missed.length > 0 && h("span.unseen", {}, `, ${plural(missed.length, "deployment")} not reached`),
    );
    swap(
      this.result,
      trial.note && h("p.notice.small", {}, h("div", {}, trial.note)),
      missed.map((one) =>
        h("p.notice.warn.small", {}, h("div", {}, h("strong.mono", {}, `${one.service}@${one.deployment}`), ` ${shortfall(one, trial.hops)}`)),
      ),
      trial.hops.length > 0 && hopTable(trial),
      response(trial),
    );
  }
}

const field = (label, input) => h("div.field", {}, h("label", { for: input.id }, label), input);

/** Explain why a deployment was not reached, as far as the hops show it. */
function shortfall({ service, deployment, reached }, hops) {
  if (reached === null) return "may have been reached: the hops after the edge were not reported.";
  const calls = hops.filter((hop) => hop.service === service);
  if (!calls.length) return `was not called: no hop of this request went to ${service}.`;
  const asked = calls.find((hop) => hop.deployment === deployment);
  if (asked) return `was called and did not answer${asked.why ? `: ${asked.why}` : ""}.`;
  return `was not reached: the call to ${service} went to its baseline. Either a service on the way lost the overrides, or they contain missing=baseline.`;
}

function hopTable({ hops, duration_ms: whole }) {
  const end = Math.max(whole, ...hops.map((one) => one.offset_ms + one.duration_ms));
  const rows = inOrder(hops).map(([hop, depth]) => hopRow(hop, depth, end));
  return h(
    "div.scroller",
    { tabindex: "0", role: "region", "aria-label": "Hops" },
    h(
      "table.hops",
      {},
      h("caption.unseen", {}, "Each hop of the request, callers before the services that they called"),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Called", "Answered by", "Status", "Time"].map((one) => h("th", { scope: "col" }, one)),
        ),
      ),
      h("tbody", {}, rows),
    ),
  );
}

/** Return hops with their depth, each after the one that caused it. */
function inOrder(hops) {
  const below = (parent, depth) => hops.flatMap((hop, index) => (hop.parent === parent ? [[hop, depth], ...below(index, depth + 1)] : []));
  return below(null, 0);
}

function hopRow(hop, depth, whole) {
  const isBad = isFailed(hop);
  const status = hop.grpc_status === null ? String(hop.status ?? "none") : `gRPC ${hop.grpc_status}`;
  const answered = answeredBy(hop);
  const share = (part) => `${Math.min(100, (100 * part) / whole).toFixed(2)}%`;
  // A hop without a parent was caused by something else, such as a queue; show its caller.
  const caller = depth === 0 && hop.caller !== "edge" && `, by ${hop.caller}${hop.caller_deployment ? `@${hop.caller_deployment}` : ""}`;
  return h(
    answered.deployment ? "tr.off" : "tr",
    {},
    h(
      "th",
      { scope: "row", css: { "--depth": depth } },
      h("span.unseen", {}, `level ${depth + 1}: `),
      h("span.mono", {}, hop.service),
      hop.deployment && hop.deployment !== answered.deployment && h("span.tag.off", {}, hop.deployment),
      h("span.hint.mono", {}, `${hop.method} `, breakable(hop.path), caller),
      hop.why && h(isBad ? "span.fault" : "span.hint", {}, hop.why),
    ),
    h("td", {}, answered.deployment ? h("span.tag.off", {}, answered.deployment) : h(answered.isFailed ? "span.fault" : "span.quiet", {}, answered.words)),
    h("td", {}, h(isBad ? "span.tag.bad" : "span.tag", {}, status)),
    h(
      "td.time",
      {},
      h("span.bar", { css: { "--from": share(hop.offset_ms), "--long": share(hop.duration_ms) } }),
      h("span.small", {}, duration(hop.duration_ms)),
    ),
  );
}

/** Return a path with possible line breaks after each segment. */
const breakable = (path) => path.split(/(?<=[/.])/).flatMap((part) => [part, h("wbr")]);

const isFailed = (hop) => hop.status === null || hop.status >= 400 || hop.grpc_status > 0;

/** Return what answered a hop: a deployment, or a description. */
function answeredBy(hop) {
  if (hop.served_by) {
    const deployment = hop.served_by.split("@")[1] ?? "";
    return { deployment, words: "baseline" };
  }
  if (isFailed(hop)) return { words: "no instance", isFailed: true };
  return { words: services.value.some((one) => one.name === hop.service) ? "not reported" : "outside the mesh" };
}

function response({ headers, body, truncated }) {
  const lines = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
  return h(
    "div.stack.tight",
    {},
    h(
      "details",
      { open: body.length > 0 && body.length < 600 },
      h("summary", {}, "Response body"),
      h("pre.response", { tabindex: "0", role: "region", "aria-label": "Response body" }, body || "(empty)"),
      truncated && h("p.hint", {}, "Truncated: only the beginning is shown."),
    ),
    h(
      "details",
      {},
      h("summary", {}, "Response headers"),
      h("pre.response", { tabindex: "0", role: "region", "aria-label": "Response headers" }, lines || "(none)"),
    ),
  );
}
