/**
 * Worker threads: the code of a `Worker` that a request starts, and handlers of messages that a request posts to it,
 * run with that request's overrides.
 *
 * The thread loads `detour-mesh/register` before its own code, and finds the overrides in its environment data. While
 * the request has overrides, messages are posted in an envelope; listeners only see the content. A thread that
 * outlives its request by more than `DETOUR_AFTER_RESPONSE` continues without overrides.
 */

import { type Context, ROOT_CONTEXT, context, propagation } from "@opentelemetry/api";
import { syncBuiltinESMExports } from "node:module";
import workerThreads from "node:worker_threads";
import { runAllUnder } from "./contexts";
import { type Headers, carried, underCarried } from "./request";
import { Scope, scopeOf, withScope } from "./scopes";
import { warnOnce } from "./reporting";

const KEY = "detour-mesh";
const ENVELOPE = "detour-mesh:carried";
const REGISTER = require.resolve("./register");

type Listener = ((given: unknown) => unknown) | { handleEvent(event: unknown): unknown };

let installed = false;

/** Makes threads follow the overrides of the requests that start them, and that post to them. */
export function followOverrides(): void {
  if (installed) return;
  installed = true;
  workerThreads.Worker = new Proxy(workerThreads.Worker, { construct });
  if (!workerThreads.isMainThread) runUnderStarter();
  syncBuiltinESMExports();
}

type Arguments = [file: string | URL, options?: workerThreads.WorkerOptions];

function construct(
  target: typeof workerThreads.Worker,
  [file, options]: Arguments,
  newTarget: new () => object,
): object {
  const start = (execArgv?: string[]) =>
    Reflect.construct(
      target,
      [file, execArgv ? { ...options, execArgv } : options],
      newTarget,
    ) as workerThreads.Worker;
  const before = workerThreads.getEnvironmentData(KEY);
  workerThreads.setEnvironmentData(KEY, startedBy());
  try {
    return prepared(start, options?.execArgv ?? process.execArgv) ?? unprepared(start());
  } finally {
    workerThreads.setEnvironmentData(KEY, before as Headers | undefined);
  }
}

/** The request that starts a thread. The thread may outlive it: shared memory shows when the request is complete. */
interface Starter {
  readonly headers: Headers;
  readonly completed?: SharedArrayBuffer | undefined;
}

function startedBy(): Starter {
  const headers = carried();
  const isPlain = Object.keys(headers).length === 0;
  return { headers, completed: isPlain ? undefined : scopeOf(context.active())?.shared() };
}

/**
 * Starts a worker that loads this module first; undefined if that is impossible.
 *
 * A thread inherits this process's options unless it has its own. It then refuses those that only a process may have,
 * and which apply to it anyway.
 */
function prepared(
  start: (execArgv: string[]) => workerThreads.Worker,
  options: string[],
): workerThreads.Worker | undefined {
  const preload = ["--require", REGISTER];
  const refused = refusal(() => start([...options, ...preload]));
  if (!Array.isArray(refused)) return posting(refused);
  const others = options.filter((option) => !refused.includes(option));
  const again = refusal(() => start([...others, ...preload]));
  return Array.isArray(again) ? undefined : posting(again);
}

/** Returns the function's result, or the options that were refused. */
function refusal(start: () => workerThreads.Worker): workerThreads.Worker | string[] {
  try {
    return start();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_WORKER_INVALID_EXEC_ARGV") throw error;
    return message
      .slice(message.indexOf(":") + 1)
      .split(",")
      .map((option) => option.trim());
  }
}

function unprepared(worker: workerThreads.Worker): workerThreads.Worker {
  warnOnce("overrides are lost in worker threads: start node with --require detour-mesh/register");
  return worker;
}

function posting(worker: workerThreads.Worker): workerThreads.Worker {
  const { postMessage } = worker;
  worker.postMessage = function (this: workerThreads.Worker, value: unknown, ...rest: []) {
    const headers = carried();
    const isPlain = Object.keys(headers).length === 0;
    return postMessage.call(this, isPlain ? value : { [ENVELOPE]: headers, value }, ...rest);
  };
  return worker;
}

function runUnderStarter(): void {
  const starter = workerThreads.getEnvironmentData(KEY) as unknown as Starter | undefined;
  workerThreads.setEnvironmentData(KEY, undefined as never);
  if (starter) runAllUnder(contextOf(starter));
  if (workerThreads.parentPort) receiving(workerThreads.parentPort);
  const { receiveMessageOnPort } = workerThreads;
  workerThreads.receiveMessageOnPort = (port) => {
    const received = receiveMessageOnPort(port) as { message: unknown } | undefined;
    return received && { message: opened(received.message).value };
  };
}

function contextOf({ headers, completed }: Starter): Context {
  const extracted = propagation.extract(ROOT_CONTEXT, headers);
  return completed ? withScope(extracted, new Scope("", completed)) : extracted;
}

/** All ways to listen to a port end in `addEventListener`. */
function receiving(port: workerThreads.MessagePort): void {
  const target = port as unknown as EventTarget;
  const { addEventListener, removeEventListener } = target;
  const wrapped = new WeakMap<object, Listener>();
  target.addEventListener = function (this: EventTarget, type: string, listener: Listener, ...rest: []) {
    if (type !== "message" || !listener)
      return addEventListener.call(this, type, listener as EventListener, ...rest);
    const one = wrapped.get(listener) ?? handling(listener);
    wrapped.set(listener, one);
    return addEventListener.call(this, type, one as EventListener, ...rest);
  } as typeof addEventListener;
  target.removeEventListener = function (this: EventTarget, type: string, listener: Listener, ...rest: []) {
    const one = (type === "message" && listener && wrapped.get(listener)) || listener;
    return removeEventListener.call(this, type, one as EventListener, ...rest);
  } as typeof removeEventListener;
}

/** Node's own listeners receive the message, web listeners an event that contains it. */
function handling(listener: Listener): Listener {
  return function (this: unknown, given: unknown) {
    const isEvent = given instanceof MessageEvent;
    const { headers, value } = opened(isEvent ? given.data : given);
    if (isEvent) Object.defineProperty(given, "data", { value, configurable: true });
    return underCarried(headers, () =>
      typeof listener === "function" ? listener.call(this, isEvent ? given : value) : listener.handleEvent(given),
    );
  };
}

function opened(message: unknown): { headers: Headers; value: unknown } {
  if (typeof message !== "object" || message === null || !(ENVELOPE in message))
    return { headers: {}, value: message };
  const { [ENVELOPE]: headers, value } = message as { [ENVELOPE]: Headers; value: unknown };
  return { headers, value };
}
