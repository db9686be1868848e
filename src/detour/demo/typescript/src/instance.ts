/**
 * One instance of a demo service, as a process of its own: what `detour.demo.instance` is in Python.
 *
 *     node dist/instance.js --service quotes --name quotes-1 --port 8080 --call users=http://users/me
 *
 * It serves HTTP on loopback, makes the calls that its arguments name through its sidecar (`http_proxy`), and returns
 * the call tree. With two lines, OpenTelemetry and Detour's SDK propagate the baggage.
 */

import { HttpInstrumentation } from "@opentelemetry/instrumentation-http";
import "detour-mesh/register";

new HttpInstrumentation().enable();

import { parseArgs } from "node:util";
import { callerOf } from "./calls";
import { serve } from "./service";

const { values } = parseArgs({
  options: {
    service: { type: "string", default: "" },
    name: { type: "string", default: "" },
    port: { type: "string", default: "" },
    deployment: { type: "string", default: "" },
    speaks: { type: "string", default: "http" },
    call: { type: "string", multiple: true, default: [] },
  },
});

const calls = values.call.map((call) => callerOf(...halves(call)));
serve(Number(values.port), async () => ({
  service: values.service,
  instance: values.name,
  deployment: values.deployment,
  calls: await Promise.all(calls.map((call) => call())),
}));

function halves(call: string): [string, string] {
  const at = call.indexOf("=");
  return [call.slice(0, at), call.slice(at + 1)];
}
