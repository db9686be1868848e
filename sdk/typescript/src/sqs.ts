/**
 * SQS with the AWS SDK for JavaScript v3: each message carries overrides, and is handled with its own.
 *
 * OpenTelemetry's instrumentation (`@opentelemetry/instrumentation-aws-sdk`) writes message attributes if there is
 * room for all that it might write, and delivers messages without a context. So this module writes a missing
 * `baggage` itself. SQS allows ten attributes. If all are in use, overrides travel as a field of `AWSTraceHeader`,
 * the system attribute for X-Ray's tracing header: `Detour=` and their baggage in base64 (RFC 4648, section 5). That
 * header is meant to be short, so the field has at most 256 characters.
 */

import { encode } from "./baggage";
import { OPENTRACING } from "./opentracing";
import { isEmpty } from "./overrides";
import { type Headers, carried, current, goingOn, underCarried } from "./request";
import { report } from "./reporting";

const ATTRIBUTES_MAX = 10;
const FIELD = "Detour=";
const FIELD_MAX = 256;
const HEADERS = ["baggage", OPENTRACING];
const TRACE_HEADER = "AWSTraceHeader";
const NO_TRACE = "Root=1-00000000-000000000000000000000000;Sampled=0";

interface Attribute {
  DataType?: string | undefined;
  StringValue?: string | undefined;
}

type Attributes = Record<string, Attribute>;

/** The parts of a sent message that are needed. */
interface Sent {
  MessageAttributes?: Attributes | undefined;
  MessageSystemAttributes?: Attributes | undefined;
}

/** The parts of a received message that are needed. */
interface Received {
  MessageAttributes?: Attributes | undefined;
  Attributes?: Partial<Record<string, string>> | undefined;
}

interface Receiving {
  MessageAttributeNames?: string[] | undefined;
  MessageSystemAttributeNames?: string[] | undefined;
}

interface Client {
  send(command: never, ...rest: never[]): unknown;
  middlewareStack: {
    add(middleware: never, options: { step: "initialize"; name: string; override: boolean }): void;
  };
}

type Next = (args: { input: object }) => unknown;

const INPUTS: Readonly<Record<string, (input: never) => object>> = {
  SendMessageCommand: sending,
  SendMessageBatchCommand: ({ Entries, ...rest }: { Entries?: Sent[] }) => ({
    ...rest,
    Entries: Entries?.map(sending),
  }),
  ReceiveMessageCommand: receiving,
};

const following = new WeakSet<object>();

/** Makes a client carry overrides, without changing the commands that it receives; returns the client. */
export function followOverrides<C extends Client>(client: C): C {
  if (following.has(client)) return client;
  following.add(client);
  const { send } = client;
  client.send = (command: { input: Copied }, ...rest: never[]) =>
    send.call(client, copied(command) as never, ...rest);
  const middleware =
    (next: Next, { commandName = "" }: { commandName?: string }) =>
    (args: { input: object }) => {
      const change = INPUTS[commandName];
      return next(change ? { ...args, input: change(args.input as never) } : args);
    };
  client.middlewareStack.add(middleware as never, { step: "initialize", name: "detourOverrides", override: true });
  return client;
}

/** Runs a function with the overrides of a received message, and no others. */
export function withMessage<M extends Received, T>(message: M, fn: (message: M) => T): T {
  return underCarried(headersOf(message), () => fn(message));
}

/** Makes every client follow overrides; `sqs` is the module `@aws-sdk/client-sqs`. */
export function followInAll(sqs: { SQSClient: { prototype: object } }): void {
  const prototype = sqs.SQSClient.prototype as Client;
  const { send } = prototype;
  prototype.send = function (this: Client, command, ...rest) {
    return following.has(this) ? send.call(this, command, ...rest) : followOverrides(this).send(command, ...rest);
  };
}

type Copied = Sent & { Entries?: Sent[] };

/**
 * Gives a command attributes of its own: the instrumentation adds to them, and if two requests sent the same object,
 * the second would carry the first one's overrides.
 */
function copied<C extends { input: Copied }>(command: C): C {
  const { Entries } = command.input;
  command.input = { ...own(command.input), ...(Entries ? { Entries: Entries.map(own) } : {}) };
  return command;
}

function own<S extends Sent>(message: S): S {
  return message.MessageAttributes ? { ...message, MessageAttributes: { ...message.MessageAttributes } } : message;
}

function sending<S extends Sent>(message: S): S {
  if (isEmpty(goingOn())) return message;
  const attributes = { ...message.MessageAttributes };
  const headers = carried();
  for (const name of HEADERS) {
    const StringValue = headers[name];
    const hasRoom = name in attributes || Object.keys(attributes).length < ATTRIBUTES_MAX;
    if (StringValue && hasRoom) attributes[name] = { DataType: "String", StringValue };
  }
  if (attributes.baggage) return { ...message, MessageAttributes: attributes };
  return { ...message, MessageSystemAttributes: traced(message.MessageSystemAttributes) };
}

/** Returns system attributes whose trace header contains as many overrides as fit, after its previous content. */
function traced(attributes: Attributes = {}): Attributes {
  const before = attributes[TRACE_HEADER]?.StringValue || NO_TRACE;
  const members: string[] = [];
  for (const member of Array.from(current(), encode)) {
    if (field([...members, member]).length <= FIELD_MAX) members.push(member);
    else report([{ what: member, why: `an SQS message has ten attributes, and ${TRACE_HEADER} is full` }]);
  }
  return { ...attributes, [TRACE_HEADER]: { DataType: "String", StringValue: `${before};${field(members)}` } };
}

function field(members: string[]): string {
  return FIELD + Buffer.from(members.join(","), "latin1").toString("base64url");
}

function receiving(input: Receiving): Receiving {
  return {
    ...input,
    MessageAttributeNames: [...new Set([...(input.MessageAttributeNames ?? []), ...HEADERS])],
    MessageSystemAttributeNames: [...new Set([...(input.MessageSystemAttributeNames ?? []), TRACE_HEADER])],
  };
}

function headersOf({ MessageAttributes = {}, Attributes = {} }: Received): Headers {
  const headers: Headers = {};
  for (const [name, { StringValue }] of Object.entries(MessageAttributes)) {
    if (StringValue) headers[name] = StringValue;
  }
  const fields = (Attributes[TRACE_HEADER] ?? "").split(";");
  const found = fields.find((one) => one.startsWith(FIELD))?.slice(FIELD.length);
  if (found) headers.baggage ??= Buffer.from(found, "base64url").toString("latin1");
  return headers;
}
