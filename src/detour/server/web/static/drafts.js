// Unsaved changes, kept while the tab is open, so that leaving a view loses nothing.

const PREFIX = "detour.draft.";
/** The key of the draft of a new scenario; it is not a valid scenario name. */
export const NEW = "_new";

/** @typedef {{name: string, description: string, owner: string, expires: string|null, rows: Object[], version: number|null, base: Object|null}} Draft */

const memory = new Map();

/** Return the unsaved draft of a scenario, or null. */
export function draftOf(name) {
  try {
    return JSON.parse(sessionStorage.getItem(PREFIX + name));
  } catch {
    return memory.get(name) ?? null;
  }
}

export function keepDraft(name, draft) {
  memory.set(name, draft);
  try {
    sessionStorage.setItem(PREFIX + name, JSON.stringify(draft));
  } catch {
    // Without storage, the draft lasts until the page is reloaded.
  }
}

export function dropDraft(name) {
  memory.delete(name);
  try {
    sessionStorage.removeItem(PREFIX + name);
  } catch {
    // No storage, so nothing was stored.
  }
}

/** Return the draft of a new scenario. */
export function blank() {
  const expires = new Date(Date.now() + 7 * 86_400_000).toISOString();
  return { name: "", description: "", owner: "", expires, rows: [], version: null, base: null };
}

/** Add an override to the draft of the new scenario; return its number of overrides. */
export function addToNew(row) {
  const draft = draftOf(NEW) ?? blank();
  const others = draft.rows.filter((one) => one.kind !== row.kind || one.subject !== row.subject);
  keepDraft(NEW, { ...draft, rows: [...others, row] });
  return others.length + 1;
}
