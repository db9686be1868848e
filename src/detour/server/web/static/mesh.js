// The facts about each service of the mesh: a pure join of the API's lists.

/**
 * @typedef {Object} Facts
 * @property {string} name
 * @property {"service"|"edge"|"caller"} kind a `caller` is not a service of the mesh
 * @property {string[]} instances
 * @property {{name, owner, expires, endpoints, source, requests, errors}[]} deployments
 * @property {Object[]} callers calls to it, in the API's form
 * @property {Object[]} callees calls that it makes
 * @property {number} requests in the last minute, to the baseline and to deployments
 * @property {number} errors of the baseline; errors of offloaded deployments are not part of the service's health
 * @property {{text: string, weight: "bad"|"warn"}[]} problems
 * @property {boolean} isOverridable whether overrides can affect calls to it
 * @property {string} warning the calls that overrides do not affect; empty if they affect all
 */

const ERROR_SHARE_SHOWN = 0.01;

/** Return the facts of all services, edges and callers, by name. */
export function meshFacts({ services, deployments, calls, status }) {
  const facts = new Map(
    services.map((one) => [one.name, { ...blank(one.name, "service", one.endpoints), isOverridable: one.overridable, warning: one.warning }]),
  );
  for (const envoy of status?.envoys ?? []) if (envoy.role === "edge") known(facts, "edge", "edge");
  for (const call of calls) {
    const caller = known(facts, call.caller, call.caller === "edge" ? "edge" : "caller");
    known(facts, call.service, "caller").callers.push(call);
    caller.callees.push(call);
  }
  for (const one of deployments) {
    const service = facts.get(one.service);
    if (service) service.deployments.push({ ...one, ...trafficOf(service.callers, one.name) });
  }
  for (const one of facts.values()) complete(one, status?.envoys ?? []);
  return facts;
}

function known(facts, name, kind) {
  if (!facts.has(name)) facts.set(name, blank(name, kind, []));
  return facts.get(name);
}

function blank(name, kind, instances) {
  return { name, kind, instances, deployments: [], callers: [], callees: [], requests: 0, errors: 0, problems: [], isOverridable: true, warning: "" };
}

function trafficOf(calls, deployment) {
  const concerned = calls.filter((call) => (call.deployment ?? null) === deployment);
  return { requests: sum(concerned, "requests"), errors: sum(concerned, "errors") };
}

const sum = (items, key) => items.reduce((total, item) => total + item[key], 0);

function complete(facts, envoys) {
  facts.requests = sum(facts.callers, "requests");
  facts.baseline = trafficOf(facts.callers, null);
  facts.errors = facts.baseline.errors;
  facts.envoys = envoys.filter((one) => (facts.kind === "edge" ? one.role === "edge" : one.service === facts.name && one.role !== "edge"));
  facts.problems = problemsOf(facts);
}

function problemsOf(facts) {
  const problems = [];
  if (facts.kind === "service" && !facts.instances.length) problems.push({ text: "no instances", weight: "bad" });
  if (facts.envoys.some((one) => one.rejections.length)) problems.push({ text: "Envoy rejected config", weight: "bad" });
  if (facts.errors && facts.errors >= facts.baseline.requests * ERROR_SHARE_SHOWN)
    problems.push({ text: `${share(facts.errors, facts.baseline.requests)} errors`, weight: "bad" });
  return problems;
}

/** Format a share in percent; a share above zero is never shown as 0 %. */
export function share(part, whole) {
  const percent = (100 * part) / Math.max(whole, 1);
  return percent > 0 && percent < 1 ? "< 1 %" : `${Math.round(percent)} %`;
}

/** Return whether the graph of calls contains it: it makes or receives calls. */
export const isInPicture = (facts) => facts.callers.length > 0 || facts.callees.length > 0;

/** Describe it in one line, for screen readers. */
export function spoken(facts) {
  const parts = [facts.name];
  if (facts.kind === "service") parts.push(count(facts.instances.length, "instance"));
  if (facts.deployments.length) {
    parts.push(
      `offloaded: ${facts.deployments
        .map((one) => one.name)
        .slice(0, 8)
        .join(", ")}`,
    );
  }
  if (facts.callers.length) parts.push(`${count(facts.requests, "call")} in the last minute`);
  parts.push(...facts.problems.map((one) => one.text));
  return parts.join(", ");
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
