// The panel with all details of a service.

import { mayChange } from "./resources.js";
import { h, plural } from "./dom.js";
import { addToNew } from "./drafts.js";
import { share } from "./mesh.js";
import { notify } from "./notices.js";
import { expiry } from "./times.js";

const ENDPOINTS_SHOWN = 5;

/**
 * Return the panel's content.
 * @param {import("./mesh.js").Facts} facts
 * @param {() => void} close
 */
export function servicePanel(facts, close) {
  return [
    h(
      "div.panel-head",
      {},
      h("h2.mono", { tabindex: "-1", id: "panel-title" }, facts.name),
      h("button.icon-button", { type: "button", "aria-label": "Close", "data-key": "panel-close", on: { click: close } }, "✕"),
    ),
    facts.problems.length > 0 &&
      h(
        "div.tags",
        {},
        facts.problems.map((one) => h("span.tag.words.bad", {}, one.text)),
      ),
    facts.kind === "service" && offloaded(facts),
    called(
      "Called by",
      facts.callers,
      (call) => whole(call.caller, call.caller_deployment),
      (call) => call.deployment,
    ),
    called(
      "Calls",
      facts.callees,
      (call) => call.service,
      (call) => call.deployment,
    ),
    facts.kind === "service" && instances(facts),
    envoys(facts),
  ];
}

const whole = (service, deployment) => (deployment ? `${service}@${deployment}` : service);

function section(title, ...content) {
  return h("section.stack.tight", {}, h("h3", {}, title), content);
}

function offloaded(facts) {
  const warning = facts.warning && h("p.hint", {}, facts.warning);
  if (!facts.isOverridable) return section("Offloaded deployments", warning);
  if (!facts.deployments.length) {
    return section(
      "Offloaded deployments",
      h("p.hint", {}, "None. To register one:"),
      h("pre.line", {}, `detour offload add ${facts.name} pr-42 --endpoint IP:PORT`),
      warning,
      mayChange() && h("div.actions", {}, slower(facts)),
    );
  }
  return section(
    "Offloaded deployments",
    h(
      "ul.rows",
      {},
      facts.deployments.map((one) => deployment(facts, one)),
    ),
    warning,
    mayChange() && h("div.actions", {}, slower(facts)),
  );
}

function slower(facts) {
  const add = () => added({ kind: "delay", subject: facts.name, value: "300ms" });
  return h("button.button.plain.small", { type: "button", "data-key": "panel-slow", on: { click: add } }, "Delay its calls");
}

function deployment(facts, one) {
  const add = () => added({ kind: "route", subject: facts.name, value: one.name });
  return h(
    "li",
    {},
    h(
      "div.grow",
      {},
      h("span.tag.off", {}, one.name),
      h("p.hint", {}, [one.owner, one.requests && `${one.requests}/min`, !one.endpoints.length && "no instances yet"].filter(Boolean).join(" · ")),
      h("p.hint", {}, one.expires ? ["expires ", expiry(one.expires)] : "does not expire"),
    ),
    mayChange() &&
      h(
        "button.button.small",
        { type: "button", "data-key": `override-${one.name}`, "aria-label": `Override ${facts.name} with ${one.name}`, on: { click: add } },
        "Override",
      ),
  );
}

function added(override) {
  const count = addToNew(override);
  notify(`Added to your new scenario, which now has ${plural(count, "override")}.`, { label: "Open it", href: "#/new" });
}

function called(title, calls, name, deployment) {
  if (!calls.length) return null;
  const sorted = [...calls].sort((one, other) => other.requests - one.requests);
  return section(
    title,
    h(
      "ul.rows.calls",
      {},
      sorted.map((call) =>
        h(
          "li",
          {},
          h(
            "div.grow.tags",
            {},
            h("span.mono", {}, name(call)),
            deployment(call) && h("span.quiet", {}, "→"),
            deployment(call) && h("span.tag.off", {}, deployment(call)),
          ),
          call.errors > 0 && h("span.fault", {}, `${share(call.errors, call.requests)} errors`),
          h("span.hint.nowrap", {}, call.requests ? `${call.requests}/min` : "earlier"),
        ),
      ),
    ),
  );
}

function instances(facts) {
  const shown = facts.instances.slice(0, ENDPOINTS_SHOWN);
  const others = facts.instances.length - shown.length;
  return section(
    plural(facts.instances.length, "instance"),
    facts.instances.length
      ? h("p.mono.small.quiet", {}, shown.join("  "), others > 0 && ` and ${others} more`)
      : h("p.hint", {}, "Calls to the baseline fail until it has an instance."),
  );
}

function envoys(facts) {
  const rejections = facts.envoys.flatMap((envoy) => envoy.rejections.map((one) => ({ ...one, node: envoy.node })));
  if (!facts.envoys.length) return null;
  return section(
    plural(facts.envoys.length, "Envoy"),
    h(
      "p.mono.small.quiet",
      {},
      facts.envoys
        .slice(0, ENDPOINTS_SHOWN)
        .map((one) => one.node)
        .join("  "),
    ),
    rejections.slice(0, 5).map((one) => h("p.notice.bad.small", {}, h("div", {}, `${one.node} rejected ${one.type} ${one.names.join(", ")}: ${one.message}`))),
  );
}
