import { context, propagation } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { test } from "node:test";
import { current, install, parseWords, using } from "../src/index";
import { parseOpentracing, writeOpentracing } from "../src/opentracing";
import { entered, leaving, plain, vectors } from "./setup";

install();

const HEADER = "x-ot-span-context";

interface Vector {
  readonly name: string;
  readonly opentracing: string;
  readonly lines: string[];
  readonly overrides: Record<string, string>;
  readonly leaves: (string | null)[];
  readonly members: string[];
}

for (const { name, opentracing, lines, overrides, leaves, members } of vectors<Vector>("opentracing.json")) {
  test(`carries: ${name}`, () => {
    const context = entered({ [HEADER]: opentracing, baggage: lines });
    assert.deepEqual(plain(current(context)), overrides);
    const left = leaving(context);
    assert.ok(leaves.includes(left[HEADER] ?? null), `${HEADER} leaves as ${left[HEADER]}`);
    assert.equal((left.baggage ?? "").split(",").sort().join(), members.join());
  });
}

/** What Python's `write_opentracing(None, Overrides)` makes of `override.route.users=pr-42`. */
const FROM_PYTHON = "EkMJAAAAAAAAAAARAAAAAAAAAAAYACItCglvdmVycmlkZXMSIENoUUtDM0p2ZFhSbExuVnpaWEp6RWdWd2NpMDBNZz09";

/** The same beside trace id 1, span id 2, a foreign baggage item, and an unknown field. */
const WITH_OTHERS =
  "OAUSWwkBAAAAAAAAABECAAAAAAAAABgBIg0KBHRlYW0SBXJpZGVzSgd1bmtub3duIi0KCW92ZXJyaWRlcxIgQ2hRS0MzSnZkWFJsTG5WelpYSnpFZ1Z3Y2kwME1nPT0=";

test("overrides that came in the carrier count", () => {
  assert.deepEqual(plain(current(entered({ [HEADER]: FROM_PYTHON }))), { "override.route.users": "pr-42" });
});

test("it goes on byte for byte where nothing changes, and the overrides in the baggage too", () => {
  assert.deepEqual(leaving(entered({ [HEADER]: FROM_PYTHON })), {
    baggage: "override.route.users=pr-42",
    [HEADER]: FROM_PYTHON,
  });
});

test("it is not made where it did not come in", () => {
  assert.deepEqual(Object.keys(leaving(entered({ baggage: "override.route.users=pr-42" }))), ["baggage"]);
});

test("of both headers the baggage counts, key by key", () => {
  const both = entered({ [HEADER]: FROM_PYTHON, baggage: "override.route.users=pr-1" });
  assert.equal(current(both).route("users"), "pr-1");
  const beside = entered({ [HEADER]: FROM_PYTHON, baggage: "team=a,override.route.rides=pr-7" });
  assert.deepEqual([current(beside).route("users"), current(beside).route("rides")], ["pr-42", "pr-7"]);
});

test("ids, other people's items and unknown fields stay, also without overrides", () => {
  const left = context.with(entered({ [HEADER]: WITH_OTHERS }), () => using([], () => leaving(context.active())));
  const { overrides, carrier } = parseOpentracing(left[HEADER] ?? "");
  assert.equal(overrides.size, 0);
  assert.deepEqual(carrier, parseOpentracing(WITH_OTHERS).carrier);
});

test("overrides that a service changed leave changed", () => {
  const left = context.with(entered({ [HEADER]: WITH_OTHERS }), () =>
    using("rides=pr-7", () => leaving(context.active())),
  );
  assert.deepEqual(plain(parseOpentracing(left[HEADER] ?? "").overrides), { "override.route.rides": "pr-7" });
});

for (const header of ["", "no base64!", "EA==", "x".repeat(9000), "Eg==", "EgIiAA"]) {
  test(`one that is none takes nothing with it: ${JSON.stringify(header.slice(0, 12))}`, () => {
    const left = leaving(entered({ [HEADER]: header, baggage: "override.route.users=pr-42" }));
    assert.equal(left.baggage, "override.route.users=pr-42");
  });
}

test("with too many overrides it is forwarded without them", () => {
  const { carrier } = parseOpentracing(WITH_OTHERS);
  const dropped: string[] = [];
  const long = parseWords(["a", "b", "c"].map((name) => `config.${name}=${"x".repeat(2500)}`));
  assert.ok(carrier);
  assert.equal(parseOpentracing(writeOpentracing(carrier, long, ({ why }) => dropped.push(why))).overrides.size, 0);
  assert.match(dropped.join(), /at most 64 in 8192/);
});

test("the propagator says that it writes it", () => {
  assert.deepEqual(propagation.fields(), ["traceparent", "tracestate", "baggage", HEADER]);
});
