/** With the SQS at `SQS_ENDPOINT`, else with one that keeps messages and does nothing more. */

import type { Message, MessageAttributeValue, SQSClient } from "@aws-sdk/client-sqs";
import { trace } from "@opentelemetry/api";
import { registerInstrumentations } from "@opentelemetry/instrumentation";
import { AwsInstrumentation } from "@opentelemetry/instrumentation-aws-sdk";
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { current, install, using } from "../src/index";
import { mend } from "../src/mends";
import { followOverrides, withMessage } from "../src/sqs";
import { type Keeping, keeping } from "./keeping";
import { warningsOf } from "./setup";

new NodeTracerProvider().register();
registerInstrumentations({ instrumentations: [new AwsInstrumentation()] });
install();
mend();

const sqs = require("@aws-sdk/client-sqs") as typeof import("@aws-sdk/client-sqs");
const TEN = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`a${index}`, text(String(index))]));

function text(StringValue: string): MessageAttributeValue {
  return { DataType: "String", StringValue };
}

const route = (): string | undefined => current().route("users");

describe("SQS", { timeout: 60_000 }, () => {
  let stand: Keeping | undefined;
  let client: SQSClient;
  let QueueUrl = "";

  before(async () => {
    stand = process.env.SQS_ENDPOINT ? undefined : await keeping();
    const credentials = { accessKeyId: "any", secretAccessKey: "any" };
    client = new sqs.SQSClient({
      endpoint: process.env.SQS_ENDPOINT ?? stand?.url ?? "",
      region: "elasticmq",
      credentials,
    });
    QueueUrl = (await client.send(new sqs.CreateQueueCommand({ QueueName: randomUUID() }))).QueueUrl ?? "";
  });

  after(async () => {
    client?.destroy();
    await stand?.close();
  });

  const send = (words: string[], MessageAttributes?: Record<string, MessageAttributeValue>) =>
    using(words, () =>
      client.send(
        new sqs.SendMessageCommand({
          QueueUrl,
          MessageBody: words[0] ?? "none",
          ...(MessageAttributes ? { MessageAttributes } : {}),
        }),
      ),
    );

  async function received(count: number): Promise<Message[]> {
    const found: Message[] = [];
    while (found.length < count) {
      const { Messages = [] } = await client.send(
        new sqs.ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 1,
          MessageAttributeNames: Object.keys(TEN),
        }),
      );
      for (const message of Messages) {
        found.push(message);
        await client.send(new sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
      }
    }
    return found;
  }

  test("with nine attributes the overrides get the last place, before the trace", async () => {
    const { a9, ...nine } = TEN;
    assert.ok(a9);
    await trace.getTracer("test").startActiveSpan("serve", async (span) => {
      await send(["users=pr-42"], nine);
      span.end();
    });
    const [message] = await received(1);
    assert.equal(message?.MessageAttributes?.baggage?.StringValue, "override.route.users=pr-42");
  });

  test("a message from the Python SDK is read, all of whose attributes are taken", () => {
    const header =
      "Root=1-00000000-000000000000000000000000;Sampled=0;Detour=dGVhbT1hLG92ZXJyaWRlLnJvdXRlLnVzZXJzPXByLTQy";
    assert.equal(withMessage({ Attributes: { AWSTraceHeader: header } }, route), "pr-42");
  });

  for (const count of [0, 5, 9, 10]) {
    test(`overrides arrive beside ${count} attributes, which stay`, async () => {
      const attributes = Object.fromEntries(Object.entries(TEN).slice(0, count));
      await send(["users=pr-42", "config.text=a b;c"], attributes);
      const [message] = await received(1);
      assert.ok(message);
      assert.deepEqual(
        withMessage(message, () => [route(), current().value("config", "text")]),
        ["pr-42", "a b;c"],
      );
      const { MessageAttributes: kept = {} } = message;
      assert.deepEqual(
        Object.keys(attributes).map((name) => kept[name]?.StringValue),
        Object.values(attributes).map(({ StringValue }) => StringValue),
      );
    });
  }

  test("each message of a batch is handled under its own overrides", async () => {
    const entries = [
      { Id: "1", MessageBody: "1", MessageAttributes: TEN },
      { Id: "2", MessageBody: "2" },
    ];
    await using("users=pr-1", () => client.send(new sqs.SendMessageBatchCommand({ QueueUrl, Entries: entries })));
    await send(["users=pr-2"]);
    await send([]);
    const messages = await received(4);
    const seen = await Promise.all(
      messages.map((message) =>
        withMessage(message, async ({ Body = "" }) => {
          await new Promise(setImmediate);
          return `${Body} ${route()}`;
        }),
      ),
    );
    assert.deepEqual(seen.sort(), ["1 pr-1", "2 pr-1", "none undefined", "users=pr-2 pr-2"]);
  });

  test("what requests send with the same attributes is not mixed up", async () => {
    const attributes = { kind: text("ride") };
    await send(["users=pr-42"], attributes);
    await send([], attributes);
    const seen = (await received(2)).map((message) =>
      withMessage(message, ({ Body = "" }) => `${Body} ${route()}`),
    );
    assert.deepEqual(seen.sort(), ["none undefined", "users=pr-42 pr-42"]);
    assert.deepEqual(attributes, { kind: text("ride") });
  });

  test("following twice is following once", () => {
    const { send: own } = client;
    assert.equal(followOverrides(client).send, own);
  });

  test("overrides that do not fit beside ten attributes are reported, and the message is sent", async () => {
    const warnings = await warningsOf(() => send(["users=pr-42", `config.long=${"x".repeat(300)}`], TEN));
    assert.match(warnings.join(), /config\.long=.*has ten attributes/);
    const [message] = await received(1);
    assert.equal(message && withMessage(message, route), "pr-42");
  });
});
