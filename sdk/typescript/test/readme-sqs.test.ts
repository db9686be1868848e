/** The example of README.md for SQS, line by line: tests/docs compares them. The queue is a stand-in. */

import { CreateQueueCommand, type Message, ReceiveMessageCommand, SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";
import assert from "node:assert/strict";
import { test } from "node:test";
import { current, install, using } from "detour-mesh";
import { followOverrides, withMessage } from "detour-mesh/sqs";
import { keeping } from "./keeping";

install();

test("each message is handled under its own overrides", { timeout: 30_000 }, async (t) => {
  const stand = await keeping();
  t.after(() => stand.close());
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: "any",
    AWS_SECRET_ACCESS_KEY: "any",
    AWS_REGION: "elasticmq",
    AWS_ENDPOINT_URL_SQS: stand.url,
  });
  const seen: unknown[] = [];
  const handle = async (message: Message): Promise<void> => void seen.push([message.Body, current().route("users")]);

  const client = followOverrides(new SQSClient({}));
  t.after(() => client.destroy());
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: "rides" }));
  await using("users=pr-42", () => client.send(new SendMessageCommand({ QueueUrl, MessageBody: "a ride" })));
  const { Messages = [] } = await client.send(new ReceiveMessageCommand({ QueueUrl }));
  await Promise.all(Messages.map((message) => withMessage(message, handle)));
  assert.deepEqual(seen, [["a ride", "pr-42"]]);
});
