import { Metadata, Server, ServerCredentials, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { current, install, using } from "../src/index";
import { followOverrides, withMessage } from "../src/kafkajs";
import { followInProcesses } from "../src/processes";

install();
followInProcesses();

const run = promisify(execFile);
const REGISTER = join(__dirname, "../src/register.js");

const relay = {
  Call: {
    path: "/test.Relay/Call",
    requestStream: false,
    responseStream: true,
    requestSerialize: Buffer.from,
    requestDeserialize: String,
    responseSerialize: Buffer.from,
    responseDeserialize: String,
  },
} as const;

test("gRPC calls keep apart, though they wait for one connection, without any instrumentation", async (t) => {
  const server = new Server();
  server.addService(relay as never, {
    Call: (call: { write(text: string): void; end(): void; metadata: Metadata }) => {
      setImmediate(() => {
        call.write(`${current().route("users")} ${call.metadata.get("baggage")}`);
        call.end();
      });
    },
  });
  const port = await promisify(server.bindAsync.bind(server))("127.0.0.1:0", ServerCredentials.createInsecure());
  t.after(() => server.forceShutdown());
  const Client = makeGenericClientConstructor(relay as never, "Relay");
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.enable_http_proxy": 0 });
  t.after(() => client.close());
  const shared = new Metadata(); // What one call writes must not leave with the next.
  const call = async (words: string[]) => {
    const made = using(words, () => (client as never as Record<string, Function>).Call?.("x", shared));
    return ((await once(made, "data")) as [string])[0];
  };
  const answers = await Promise.all([call(["users=a"]), call(["users=b"]), call([])]);
  assert.deepEqual(answers, ["a override.route.users=a", "b override.route.users=b", "undefined "]);
});

test("Kafka's messages carry overrides, and each is handled under its own", async () => {
  const sent: { headers: Record<string, unknown> }[] = [];
  let each: (payload: { message: object }) => unknown = () => assert.fail("it does not run");
  const send = async ({ messages }: { messages: { headers: Record<string, unknown> }[] }) => void sent.push(...messages);
  const producer = followOverrides({ send, sendBatch: send });
  const consumer = followOverrides({
    run: async (config: { eachMessage: typeof each }) => {
      each = config.eachMessage;
    },
  });
  const message = { value: "x", headers: { a: "b" } };
  await using("users=a", () => producer.send({ messages: [message] as never }));
  await producer.send({ messages: [message] as never });
  assert.deepEqual(
    sent.map(({ headers }) => headers),
    [{ a: "b", baggage: "override.route.users=a" }, { a: "b" }],
  );
  const routes: unknown[] = [];
  await consumer.run({ eachMessage: async () => routes.push(current().route("users")) });
  await using("users=outer", async () => {
    await each({ message: { headers: { baggage: Buffer.from("override.route.users=a") } } });
    await each({ message: {} });
  });
  routes.push(withMessage({ headers: { baggage: Buffer.from("override.route.users=b") } }, () => current().route("users")));
  assert.deepEqual(routes, ["a", undefined, "b"]);
});

/** Makes a folder with packages of these names, and files. */
async function folder(t: TestContext, packages: string[], files: Record<string, string>): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "detour-"));
  t.after(() => rm(made, { recursive: true }));
  for (const name of packages) {
    await mkdir(join(made, "node_modules", name), { recursive: true });
    await writeFile(join(made, "node_modules", name, "index.js"), "exports.Anything = class {}");
  }
  for (const [name, code] of Object.entries(files)) await writeFile(join(made, name), code);
  return made;
}

for (const file of ["app.cjs", "app.mjs"]) {
  test(`what overrides get lost in is named once when it is loaded, with what helps: ${file}`, async (t) => {
    const names = ["@aws-sdk/client-sns", "bull", "kafkajs", "pg", "mysql2"];
    const load = (name: string) => (file === "app.cjs" ? `require("${name}");` : `import "${name}";`);
    const cwd = await folder(t, names, { [file]: names.map(load).join("\n") });
    const { stderr } = await run(process.execPath, ["--require", REGISTER, file], { cwd, timeout: 30_000 });
    const lines = stderr.split("\n").filter((line) => line.includes("DetourWarning"));
    assert.equal(lines.length, 3, stderr);
    assert.match(stderr, /lost in @aws-sdk\/client-sns: npm install @opentelemetry\/instrumentation-aws-sdk, and register/);
    assert.match(stderr, /lost in messages of bull: send carried\(\) with them, and handle them in underCarried\(\)/);
    assert.match(stderr, /may be lost in kafkajs, because detour-mesh does not support its version/);
  });
}

test("a service that uses Node's own servers and clients alone gets no warning", async (t) => {
  const code = `require("http"); require("http2"); fetch("http://127.0.0.1:1").catch(() => {});`;
  const cwd = await folder(t, [], { "app.cjs": code });
  const { stderr } = await run(process.execPath, ["--require", REGISTER, "app.cjs"], { cwd, timeout: 30_000 });
  assert.equal(stderr, "");
});

test("a child process runs under the request that started it, and its messages are named", async (t) => {
  const code = `const { current } = require(${JSON.stringify(join(__dirname, "../src/index.js"))});
    process.once("message", () => process.send([current().route("users") ?? "", Object.keys(process.env).join()]));`;
  const cwd = await folder(t, [], { "child.cjs": code });
  const warnings: string[] = [];
  process.on("warning", ({ message }) => warnings.push(message));
  for (const [words, route] of [
    [["users=a"], "a"],
    [[], ""],
  ] as const) {
    const child = using(words, () => fork(join(cwd, "child.cjs"), { execArgv: ["--require", REGISTER] }));
    t.after(() => child.kill());
    using(words, () => child.send("go"));
    const [[found, variables]] = (await once(child, "message")) as [[string, string]];
    assert.equal(found, route);
    assert.ok(!variables.includes("DETOUR"), variables);
  }
  assert.match(warnings.join(), /messages to child processes carry no overrides/);
});
