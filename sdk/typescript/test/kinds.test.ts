import { context } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { test } from "node:test";
import pino from "pino";
import { current, database, flag, install, parseWords, using } from "../src/index";
import { KINDS, type Kind, keyOf } from "../src/overrides";
import { followOverrides } from "../src/pino";
import { entered, leaving, plain, vectors } from "./setup";

install();

interface Vector {
  readonly kind: Kind;
  readonly key: string;
  readonly subject: string;
  readonly applied_by: "sidecar" | "service";
  readonly expected: string;
  readonly accepted: string[];
  readonly refused: string[];
}

const VECTORS = vectors<Vector>("kinds.json");

/** Whether this SDK honours each kind that services apply: a kind of the table that is missing here fails. */
const HONOURED: Partial<Record<Kind, () => boolean>> = {
  config: () => using("config.colour=blue", () => flag("colour", "green") === "blue"),
  log: () => {
    const logger = followOverrides(pino({ level: "warn" }, { write: () => undefined }), { service: "users" });
    return using("log.users=debug", () => logger.isLevelEnabled("debug"));
  },
  db: () => using("db.users=copy", () => database("main", ["copy"], { service: "users" }) === "copy"),
};

test("it has the kinds of the table", () => {
  assert.deepEqual(
    KINDS,
    VECTORS.map(({ kind }) => kind),
  );
});

for (const { kind, key, subject, applied_by, expected, accepted, refused } of VECTORS) {
  const keyed = keyOf(kind, subject && "users");

  test(`${key} has the accepted values`, () => {
    for (const value of accepted) {
      const read = parseWords(`${keyed}=${value}`);
      assert.deepEqual(plain(read), { [keyed]: value });
      const header = using(read, () => leaving(context.active()));
      assert.deepEqual(plain(current(entered(header))), { [keyed]: value });
    }
  });

  test(`${key} has no other values`, () => {
    for (const value of refused) {
      assert.throws(() => parseWords(`${keyed}=${value}`), (error: Error) => error.message.includes(expected));
    }
  });

  if (applied_by === "service") test(`${key} takes effect`, () => assert.ok(HONOURED[kind]?.()));
}
