import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const FOLDER = join(__dirname, "../..");
const APP = join(FOLDER, "test/fixtures/app.mjs");

async function output(...options: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, options, { cwd: FOLDER, timeout: 30_000 });
  return stdout.trim();
}

for (const preload of [["--require"], ["--import"], ["--expose-gc", "--require"]]) {
  test(`overrides travel with ${preload.join(" ")} detour-mesh/register, and no change of code`, async () => {
    const line = await output(...preload, "detour-mesh/register", APP);
    assert.deepEqual(JSON.parse(line), { route: "pr-42", baggage: "override.route.users=pr-42" });
  });
}

test("it stands in front of what an app sets up later", async () => {
  const code = `
    const { NodeTracerProvider } = require("@opentelemetry/sdk-trace-node");
    const { W3CTraceContextPropagator } = require("@opentelemetry/core");
    const { context, propagation, ROOT_CONTEXT } = require("@opentelemetry/api");
    new NodeTracerProvider().register({ propagator: new W3CTraceContextPropagator() });
    const headers = {};
    propagation.inject(propagation.extract(ROOT_CONTEXT, { baggage: "a=b,override.route.users=pr-42" }), headers);
    const seen = context.with(ROOT_CONTEXT.setValue("k", 1), () => context.active().getValue("k"));
    console.log(JSON.stringify([headers, seen]));`;
  assert.deepEqual(JSON.parse(await output("--require", "detour-mesh/register", "--eval", code)), [
    { baggage: "override.route.users=pr-42" },
    1,
  ]);
});

test("an ES module imports everything by name", async () => {
  const code = `
    import { current, flag, install, using } from "detour-mesh";
    import { followOverrides } from "detour-mesh/pino";
    import { OverrideProvider } from "detour-mesh/openfeature";
    import { withMessage } from "detour-mesh/sqs";
    install();
    console.log(using(["users=pr-42", "config.f=on"], () => current().route("users") + flag("f", false)));
    console.log(typeof followOverrides, typeof OverrideProvider, typeof withMessage);`;
  assert.equal(await output("--input-type=module", "--eval", code), "pr-42true\nfunction function function");
});
