/** OpenTelemetry's context manager, which keeps apart what requests do at the same time. */

import { type Context, type ContextManager, ROOT_CONTEXT, context } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { registered } from "./registered";

/** Sets a context manager unless there is one; it gives way to one that is set later. */
export function ensureContextManager(): void {
  if (registered().context) return;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  afterwards((set, later) => {
    context.disable();
    return set(later);
  });
}

/** Has everything that runs under no request run under this context: a worker thread's code. */
export function runAllUnder(base: Context): void {
  ensureContextManager();
  const found = registered().context;
  if (found) withBase(found, base);
  afterwards((set, later) => set(withBase(later, base)));
}

type Set = (manager: ContextManager) => boolean;

/** Has this done with the next context manager that somebody sets. */
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
