// What a person has not saved yet, kept for as long as the tab is open: no way out of a view loses anything.

const PREFIX = "detour.draft.";
/** The draft of the scenario that is still to be made; no scenario can have this name. */
export const NEW = "_new";

/** @typedef {{name: string, description: string, owner: string, expires: string|null, rows: Object[], version: number|null, base: Object|null}} Draft */

const memory = new Map();

/** Return what is not saved of a scenario, or null. */
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
    // No storage: it lasts until the page is loaded again.
  }
}

export function dropDraft(name) {
  memory.delete(name);
  try {
    sessionStorage.removeItem(PREFIX + name);
  } catch {
    // There was none.
  }
}

/** Return a draft of a scenario that is to be made. */
export function blank() {
  const expires = new Date(Date.now() + 7 * 86_400_000).toISOString();
  return { name: "", description: "", owner: "", expires, rows: [], version: null, base: null };
}

/** Add an override to the scenario that is still to be made; return how many it has. */
export function addToNew(row) {
  const draft = draftOf(NEW) ?? blank();
  const others = draft.rows.filter((one) => one.kind !== row.kind || one.subject !== row.subject);
  keepDraft(NEW, { ...draft, rows: [...others, row] });
  return others.length + 1;
}
