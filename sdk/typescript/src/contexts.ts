/** OpenTelemetry's context manager, which separates concurrent requests. */

import { type Context, type ContextManager, ROOT_CONTEXT, context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { registered } from "./registered";

/** Sets a context manager unless there is one; it can be replaced later. */
export function ensureContextManager(): void {
  if (registered().context) return;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  afterwards((set, later) => {
    context.disable();
    return set(later);
  });
}

/** Runs all code without a request in this context: the code of a worker thread. */
export function runAllUnder(base: Context): void {
  ensureContextManager();
  const found = registered().context;
  if (found) withBase(found, base);
  afterwards((set, later) => set(withBase(later, base)));
}

type Set = (manager: ContextManager) => boolean;

/** Applies a change to the next context manager that is set. */
function afterwards(take: (set: Set, later: ContextManager) => boolean): void {
  const { setGlobalContextManager } = context;
  context.setGlobalContextManager = (later) => {
    context.setGlobalContextManager = setGlobalContextManager;
    return take((manager) => context.setGlobalContextManager(manager), later);
  };
}

function withBase(manager: ContextManager, base: Context): ContextManager {
  const active = manager.active.bind(manager);
  manager.active = () => {
    const found = active();
    return found === ROOT_CONTEXT ? base : found;
  };
  return manager;
}
