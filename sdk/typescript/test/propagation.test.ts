import { ROOT_CONTEXT, context, createContextKey, propagation, trace } from "@opentelemetry/api";
import { W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import * as fc from "fast-check";
import assert from "node:assert/strict";
import { test } from "node:test";
import { current, install, parseWords, using } from "../src/index";
import { Overrides } from "../src/overrides";
import { OverridesPropagator } from "../src/propagator";
import { withOverrides } from "../src/request";
import { entered, leaving, plain, vectors, warningsOf } from "./setup";

install();

interface Vector {
  readonly name: string;
  readonly lines: string[];
  readonly overrides: Record<string, string>;
  readonly leaves?: string[];
}

for (const { name, lines, overrides, leaves } of vectors<Vector>("baggage.json")) {
  test(`reads: ${name}`, () => {
    assert.deepEqual(plain(current(entered({ baggage: lines }))), overrides);
  });

  test(`writes: ${name}`, { skip: !leaves }, () => {
    const members = (leaving(entered({ baggage: lines })).baggage ?? "").split(",");
    assert.deepEqual(members.filter((member) => member.startsWith("override")).sort(), leaves);
  });

  test(`reads what it wrote: ${name}`, () => {
    assert.deepEqual(plain(current(entered(leaving(entered({ baggage: lines }))))), overrides);
  });
}

test("overrides leave behind other people's entries", () => {
  const left = leaving(entered({ baggage: "override.route.users=pr-42,team=a%20b,tier=gold;p=1" }));
  assert.equal(left.baggage, "team=a%20b,tier=gold;p=1,override.route.users=pr-42");
});

test("the trace goes on", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.equal(leaving(entered({ traceparent, baggage: "override.route.users=pr-42" })).traceparent, traceparent);
});

test("without overrides the others write what they write", () => {
  const other = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ team: { value: "rides & co" } }));
  assert.deepEqual(leaving(other), { baggage: "team=rides%20%26%20co" });
});

test("overrides are forwarded even if no other propagator carries baggage", () => {
  const alone = new OverridesPropagator(new W3CTraceContextPropagator());
  const headers: Record<string, string> = {};
  const get = { get: (carrier: Record<string, string>, key: string) => carrier[key], keys: () => [] };
  alone.inject(alone.extract(ROOT_CONTEXT, { baggage: "a=b,override.route.users=pr-42" }, get as never), headers, {
    set: (carrier, key, value) => Object.assign(carrier as object, { [key]: value }),
  });
  assert.deepEqual(headers, { baggage: "override.route.users=pr-42" });
});

test("an override that was encoded counts, and leaves as it is written", () => {
  const entering = entered({ baggage: "override%2Eroute.users=%70r%252D42,team=a" });
  assert.equal(current(entering).route("users"), "pr-42");
  assert.equal(leaving(entering).baggage, "team=a,override.route.users=pr-42");
});

test("what can't be read goes on, and fails where it is for", () => {
  for (const [baggage, expected] of [
    ['override.route.users="pr-42"', "override.route.users=%22pr-42%22"],
    ["team=a,override.route.users,override.missing=basline", "team=a,override.route.users=,override.missing=basline"],
    ["override.route.users=pr 42,override.route.rides=pr-7", "override.route.rides=pr-7,override.route.users=pr%2042"],
    [`override.route.users=pr-42,pad=${"x".repeat(9000)}`, "override.route.users=pr-42"],
  ] as const) {
    assert.equal(leaving(entered({ baggage })).baggage, expected);
  }
});

test("overrides a service takes away are gone, however they were spelt", () => {
  const left = context.with(entered({ baggage: 'override%252Eroute.a=b,override.route.users="x",team=a' }), () =>
    using([], () => leaving(context.active())),
  );
  assert.deepEqual(left, { baggage: "team=a" });
});

test("other code finds overrides in the baggage", () => {
  const baggage = propagation.getBaggage(entered({ baggage: "override.config.text=a%20b" }));
  assert.equal(baggage?.getEntry("override.config.text")?.value, "a b");
});

test("other people's last entries are dropped if the header would be too long, and that is reported", async () => {
  const baggage = propagation.createBaggage({
    first: { value: "1" },
    big: { value: "x".repeat(4000) },
    last: { value: "y".repeat(4000) },
  });
  const full = withOverrides(
    propagation.setBaggage(ROOT_CONTEXT, baggage),
    new Overrides([{ kind: "config", subject: "text", value: "z".repeat(300) }]),
  );
  let header = "";
  const warnings = await warningsOf(() => {
    header = leaving(full).baggage ?? "";
  });
  assert.ok(
    header.length <= 8192 && header.startsWith("first=1,big=") && header.endsWith("z"),
    header.slice(0, 50),
  );
  assert.match(warnings.join(), /last=yyy.*exceed 8192 bytes/);
});

test("overrides are never left out, however long they are", () => {
  const flags = ["a", "b", "c"].map((subject) => ({ kind: "config", subject, value: " ".repeat(1200) }) as const);
  const { baggage = "" } = leaving(withOverrides(ROOT_CONTEXT, new Overrides(flags)));
  assert.equal(current(entered({ baggage })).size, 3);
});

test("unreadable entries are reported once, and quoted", async () => {
  const baggage = "override.route.users=a\u001b[31m";
  const first = await warningsOf(() => entered({ baggage }));
  assert.match(first.join(), /"override\.route\.users=a\\u001b\[31m" is ignored: expected letters/);
  assert.deepEqual(await warningsOf(() => entered({ baggage })), []);
});

test("using replaces overrides, and leaves other people's baggage alone", () => {
  const left = context.with(entered({ baggage: "team=a,override.route.users=pr-1" }), () =>
    using(["rides=pr-7", "config.x=a b"], () => leaving(context.active())),
  );
  assert.deepEqual(left, { baggage: "team=a,override.route.rides=pr-7,override.config.x=a%20b" });
});

test("using lasts as long as what it runs, across awaits", async () => {
  const seen = await Promise.all(
    ["a", "b", "c"].map((name) =>
      using(`users=${name}`, async () => {
        await new Promise(setImmediate);
        return current().route("users");
      }),
    ),
  );
  assert.deepEqual([...seen, current().size], ["a", "b", "c", 0]);
});

for (const [word, expected] of [
  ["users", /"users" is not an override: expected SERVICE=DEPLOYMENT/],
  ["delay.users=soon", /"delay\.users=soon" is not an override: expected a delay such as 300ms/],
  ["log=debug", /for a service called log: route\.log=debug/],
] as const) {
  test(`a word that is not an override is refused: ${word}`, () => {
    assert.throws(() => using(word, () => undefined), { message: expected });
  });
}

test("propagators that are set later stand behind", () => {
  assert.equal(propagation.setGlobalPropagator(new W3CBaggagePropagator()), true);
  install();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  assert.deepEqual(leaving(entered({ traceparent, baggage: "a=b,override.route.users=pr-42" })), {
    baggage: "a=b,override.route.users=pr-42",
  });
});

test("a carrier that can't be read, and one that can't be written, throw nothing", async () => {
  const fails = () => {
    throw new TypeError("no carrier");
  };
  const warnings = await warningsOf(() => {
    assert.equal(propagation.extract(ROOT_CONTEXT, {}, { get: fails, keys: fails }), ROOT_CONTEXT);
    propagation.inject(entered({ baggage: "override.route.users=pr-42" }), {}, { set: fails });
  });
  assert.equal(warnings.length, 2);
});

test("where the others fail, overrides go on", () => {
  const odd = propagation.setBaggage(ROOT_CONTEXT, propagation.createBaggage({ odd: { value: "\ud800" } }));
  assert.equal(leaving(withOverrides(odd, parseWords("users=pr-42"))).baggage, "override.route.users=pr-42");
});

test("the context of a request is kept beside the overrides", () => {
  const key = createContextKey("mine");
  const span = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 };
  const before = trace.setSpanContext(ROOT_CONTEXT.setValue(key, 1), span);
  const under = propagation.extract(before, { baggage: "override.route.users=pr-42" });
  assert.deepEqual([under.getValue(key), trace.getSpanContext(under)], [1, span]);
});

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc
    .array(
      fc.constantFrom(
        "override.",
        "config.",
        "route.",
        "a",
        "=",
        ",",
        ";",
        "%",
        "%ff",
        "%20",
        " ",
        "\t",
        "\ud800",
        "é",
        "__proto__",
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join("")),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString("base64")),
);

test("hostile headers throw nothing, and what leaves is a header that reads the same", () => {
  const value = fc.oneof(hostile, fc.array(hostile, { maxLength: 3 }), fc.anything());
  fc.assert(
    fc.property(value, value, (baggage, opentracing) => {
      const entering = entered({ baggage, "x-ot-span-context": opentracing });
      const left = leaving(entering);
      const isHeader = !/[^\t\x20-\x7e\x80-\xff]/.test(left.baggage ?? "");
      assert.ok(isHeader || current(entering).size === 0);
      assert.deepEqual(plain(current(entered({ baggage: left.baggage ?? "" }))), plain(current(entering)));
    }),
    { numRuns: 3000 },
  );
});
