import assert from "node:assert/strict";
import { test } from "node:test";
import { database, install, using } from "../src/index";
import { warningsOf } from "./setup";

install();

const rides = { service: "rides" };
const choose = () => database("main", ["copy", "pr-42"], rides);

test("a request chooses among the service's databases", () => {
  assert.equal(using("db.rides=copy", choose), "copy");
  assert.equal(using("db.rides=main", choose), "main");
  assert.equal(using("db.users=copy", choose), "main");
  assert.equal(choose(), "main");
});

test("another database is refused and reported once", async () => {
  const ask = () => assert.equal(using("db.rides=payroll", choose), "main");
  const expected = /"override\.db\.rides=payroll" is ignored: expected one of main, copy, pr-42/;
  assert.match((await warningsOf(ask)).join(), expected);
  assert.deepEqual(await warningsOf(ask), []);
});

test("the environment names the service, and a warning asks for a missing name", async () => {
  const nameless = () => using("db.rides=copy", () => database("main", ["copy"]));
  assert.match((await warningsOf(() => assert.equal(nameless(), "main"))).join(), /databases are ignored.*OTEL_SERVICE_NAME/);
  process.env.OTEL_SERVICE_NAME = "rides";
  try {
    assert.equal(nameless(), "copy");
  } finally {
    delete process.env.OTEL_SERVICE_NAME;
  }
});
