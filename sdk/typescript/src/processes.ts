/**
 * Child processes that run Node: the code that a request starts runs under its overrides, if it loads
 * `detour-mesh/register` too, as `fork` has it do.
 *
 * The child finds them in its environment. When the request ends it can't know, so they count for some time from its
 * start. What is sent to it later carries nothing, which is said once.
 */

import { ROOT_CONTEXT, propagation } from "@opentelemetry/api";
import childProcess from "node:child_process";
import { basename } from "node:path";
import { runAllUnder } from "./contexts";
import { type Headers, carried, current } from "./request";
import { tellOnce } from "./telling";

const VARIABLE = "DETOUR_CARRIED";
const NODE = /^node(?:js)?(?:\.exe)?$/i;

interface Spawning {
  readonly file: string;
  readonly envPairs?: string[];
}

type Child = childProcess.ChildProcess & { spawn(options: Spawning): unknown };

let installed = false;

/** Has child processes follow the overrides of the requests that start them. */
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
    tellOnce(`${VARIABLE} is ignored: ${String(error)}`);
  }
}

function warning(child: childProcess.ChildProcess): void {
  const { send } = child;
  if (!send) return;
  child.send = function (this: childProcess.ChildProcess, ...args: []) {
    if (current().size > 0) {
      tellOnce(
        "messages to child processes carry no overrides: send carried() with them, and handle them in underCarried()",
      );
    }
    return (send as (...args: unknown[]) => boolean).call(this, ...args);
  };
}
