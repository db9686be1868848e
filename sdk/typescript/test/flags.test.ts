import { OpenFeature, type Provider, StandardResolutionReasons } from "@openfeature/server-sdk";
import assert from "node:assert/strict";
import { test } from "node:test";
import { flag, install, using } from "../src/index";
import { OverrideProvider } from "../src/openfeature";
import { vectors, warningsOf } from "./setup";

install();

interface Vector {
  readonly text: string;
  readonly type: "boolean" | "string" | "integer" | "float" | "object";
  readonly value?: unknown;
  readonly error?: string;
}

const DEFAULTS = { boolean: true, string: "default", integer: 7, float: 7, object: { by: "default" } };

/** JavaScript has one type of number, which is read as a float. */
const VECTORS = vectors<Vector>("flags.json").filter(({ type, error }) => type !== "integer" || !error);

const team = {
  metadata: { name: "team" },
  resolveBooleanEvaluation: async () => ({
    value: true,
    reason: StandardResolutionReasons.STATIC,
    variant: "team",
  }),
} as unknown as Provider;

async function details(text: string, type: Vector["type"]) {
  await OpenFeature.setProviderAndWait(new OverrideProvider());
  const client = OpenFeature.getClient();
  return using(`config.f=${text}`, () => {
    if (type === "boolean") return client.getBooleanDetails("f", DEFAULTS.boolean);
    if (type === "string") return client.getStringDetails("f", DEFAULTS.string);
    if (type === "object") return client.getObjectDetails("f", DEFAULTS.object);
    return client.getNumberDetails("f", DEFAULTS.float);
  });
}

for (const { text, type, value, error } of VECTORS) {
  test(`OpenFeature: ${JSON.stringify(text)} as ${type}`, async () => {
    const found = await details(text, type);
    if (error) {
      assert.deepEqual([found.value, found.errorCode, found.reason], [DEFAULTS[type], error, "ERROR"]);
    } else {
      assert.deepEqual(
        [found.value, found.variant, found.reason, found.errorCode],
        [value, "override", "TARGETING_MATCH", undefined],
      );
    }
  });

  test(`flag: ${JSON.stringify(text)} as ${type}`, () => {
    const otherwise = Array.isArray(value) ? ["default"] : DEFAULTS[type];
    assert.deepEqual(
      using(`config.f=${text}`, () => flag("f", otherwise as object)),
      error ? otherwise : value,
    );
  });
}

test("a flag that the request does not name is the team's own", async () => {
  await OpenFeature.setProviderAndWait(new OverrideProvider(team));
  const found = await OpenFeature.getClient().getBooleanDetails("f", false);
  assert.deepEqual([found.value, found.reason, found.variant], [true, "STATIC", "team"]);
});

test("without a provider of the team's it has its default", async () => {
  await OpenFeature.setProviderAndWait(new OverrideProvider());
  const found = await OpenFeature.getClient().getStringDetails("f", "blue");
  assert.deepEqual([found.value, found.reason], ["blue", "DEFAULT"]);
});

test("the team's provider is made ready, closed, and named", async () => {
  const calls: string[] = [];
  const next = {
    ...team,
    initialize: async () => void calls.push("initialize"),
    onClose: async () => void calls.push("close"),
  };
  const provider = new OverrideProvider(next);
  await provider.initialize();
  await provider.onClose();
  assert.deepEqual([calls, provider.metadata.name], [["initialize", "close"], "Detour overrides, then team"]);
});

test("a flag that is not named is its default", () => {
  assert.equal(flag("unheard", 3), 3);
});

test("an object is not an array", () => {
  assert.deepEqual(
    using("config.f={}", () => flag("f", [1])),
    [1],
  );
});

test("a text without a value is reported once", async () => {
  const ask = () => using("config.once=perhaps", () => flag("once", false));
  assert.match((await warningsOf(ask)).join(), /"override\.config\.once=perhaps" is ignored: expected true, on, 1/);
  assert.deepEqual(await warningsOf(ask), []);
});
