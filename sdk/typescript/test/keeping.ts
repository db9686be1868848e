/** As much of SQS as its client needs to send, receive and delete: what comes is kept. */

import { createHash, randomUUID } from "node:crypto";
import { type IncomingMessage, createServer } from "node:http";
import type { AddressInfo } from "node:net";

interface Sent {
  readonly Id?: string;
  readonly MessageBody: string;
  readonly MessageAttributes?: object;
  readonly MessageSystemAttributes?: Record<string, { readonly StringValue: string }>;
}

interface Asked extends Sent {
  readonly Entries?: Sent[];
  readonly ReceiptHandle?: string;
  readonly MessageAttributeNames?: string[];
  readonly MessageSystemAttributeNames?: string[];
}

export interface Keeping {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves on a free port of the loopback interface. */
export async function keeping(): Promise<Keeping> {
  const kept = new Map<string, Sent>();
  const keep = (sent: Sent) => {
    if (Object.keys(sent.MessageAttributes ?? {}).length > 10) throw new Error("more than ten attributes");
    kept.set(randomUUID(), sent);
    return { Id: sent.Id, MessageId: randomUUID(), MD5OfMessageBody: md5(sent.MessageBody) };
  };
  const answers: Record<string, (asked: Asked) => object> = {
    CreateQueue: () => ({ QueueUrl: `${url}/queue` }),
    SendMessage: keep,
    SendMessageBatch: ({ Entries = [] }) => ({ Successful: Entries.map(keep), Failed: [] }),
    ReceiveMessage: (asked) => ({ Messages: [...kept].map(([handle, sent]) => received(handle, sent, asked)) }),
    DeleteMessage: ({ ReceiptHandle = "" }) => ({ deleted: kept.delete(ReceiptHandle) }),
  };
  const server = createServer(async (request, response) => {
    const action = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
    response.setHeader("content-type", "application/x-amz-json-1.0");
    response.end(JSON.stringify(answers[action]?.(await body(request)) ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** A message has only what it was asked for by name. */
function received(handle: string, sent: Sent, asked: Asked): object {
  const { MessageAttributeNames: names = [], MessageSystemAttributeNames: systemNames = [] } = asked;
  const system = Object.entries(sent.MessageSystemAttributes ?? {}).filter(([name]) => systemNames.includes(name));
  return {
    MessageId: handle,
    ReceiptHandle: handle,
    Body: sent.MessageBody,
    MD5OfBody: md5(sent.MessageBody),
    MessageAttributes: Object.fromEntries(
      Object.entries(sent.MessageAttributes ?? {}).filter(([name]) => names.includes(name)),
    ),
    Attributes: Object.fromEntries(system.map(([name, { StringValue }]) => [name, StringValue])),
  };
}

async function body(request: IncomingMessage): Promise<Asked> {
  let text = "";
  for await (const part of request) text += part;
  return JSON.parse(text) as Asked;
}

function md5(text: string): string {
  return createHash("md5").update(text).digest("hex");
}
