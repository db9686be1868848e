/**
 * Child processes that run Node: code that a request starts runs with its overrides, if it also loads
 * `detour-mesh/register`, which `fork` makes it do.
 *
 * The child finds the overrides in its environment. It cannot know when the request ends, so they apply for some time
 * from its start. Messages that are sent to it later carry nothing, which is reported once.
 */

import { ROOT_CONTEXT, propagation } from "@opentelemetry/api";
import childProcess from "node:child_process";
import { basename } from "node:path";
import { runAllUnder } from "./contexts";
import { type Headers, carried, current } from "./request";
import { warnOnce } from "./reporting";

const VARIABLE = "DETOUR_CARRIED";
const NODE = /^node(?:js)?(?:\.exe)?$/i;

interface Spawning {
  readonly file: string;
  readonly envPairs?: string[];
}

type Child = childProcess.ChildProcess & { spawn(options: Spawning): unknown };

let installed = false;

/** Makes child processes follow the overrides of the requests that start them. */
export function followInProcesses(): void {
  if (installed) return;
  installed = true;
  runUnderStarter();
  const prototype = childProcess.ChildProcess.prototype as Child;
  const { spawn } = prototype;
  prototype.spawn = function (options) {
    const headers = carried();
    const isNode = NODE.test(basename(options.file)) || options.file === process.execPath;
    const isPlain = !isNode || !options.envPairs || Object.keys(headers).length === 0;
    if (!isPlain) options.envPairs?.push(`${VARIABLE}=${JSON.stringify(headers)}`);
    const result = spawn.call(this, options);
    warning(this);
    return result;
  };
}

function runUnderStarter(): void {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  if (!text) return;
  try {
    runAllUnder(propagation.extract(ROOT_CONTEXT, JSON.parse(text) as Headers));
  } catch (error) {
    warnOnce(`${VARIABLE} is ignored: ${String(error)}`);
  }
}

function warning(child: childProcess.ChildProcess): void {
  const { send } = child;
  if (!send) return;
  child.send = function (this: childProcess.ChildProcess, ...args: []) {
    if (current().size > 0) {
      warnOnce(
        "messages to child processes carry no overrides: send carried() with them, and handle them in underCarried()",
      );
    }
    return (send as (...args: unknown[]) => boolean).call(this, ...args);
  };
}
