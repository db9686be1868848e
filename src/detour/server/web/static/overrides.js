// Parses, formats and checks overrides. The server makes the final check; this one gives hints earlier.

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const PREFIX = "override.";
const BASELINE = "baseline";
const NAME_EXPECTED = "Letters, digits, dots, dashes and underscores only";

const name = (value) => (NAME.test(value) ? "" : NAME_EXPECTED);
const delay = (value) => (milliseconds(value) === null ? "A delay such as 300ms or 1.5s, at most 60s" : "");
const status = (value) => (isStatus(value) ? "" : "An HTTP status from 200 to 599, or a gRPC code from 0 to 16");
const text = () => "";
const baseline = (value) => (value === BASELINE ? "" : `Only ${BASELINE}`);

/**
 * The kinds: their description, subject, values, and a check of values. A test compares them with
 * `sdk/vectors/kinds.json`.
 */
export const KINDS = {
  route: { words: "Route calls of", joint: "to", subject: "service", value: "deployment", example: "pr-42", fault: name },
  delay: { words: "Delay calls to", joint: "by", subject: "service", value: "delay", example: "300ms", fault: delay },
  abort: { words: "Fail calls to", joint: "with", subject: "service", value: "status", example: "503", fault: status },
  config: { words: "Set the flag", joint: "to", subject: "flag", value: "value", example: "on", fault: text },
  log: { words: "Log in", joint: "at level", subject: "service", value: "level", example: "debug", fault: name },
  db: { words: "Database of", joint: "is", subject: "service", value: "database", example: "staging-copy", fault: name },
  missing: { words: "If a deployment is missing", joint: "use the", subject: "", value: BASELINE, example: BASELINE, fault: baseline },
};

/** @typedef {{kind: string, subject: string, value: string}} Row */

/** Return the key of an override in the API. */
export const keyOf = ({ kind, subject }) => (subject || KINDS[kind]?.subject ? `${kind}.${subject}` : kind);

/** Return rows of the API's object of overrides. */
export function rowsOf(overrides) {
  return Object.entries(overrides).map(([key, value]) => rowOf(key, value));
}

function rowOf(key, value) {
  const dot = key.indexOf(".");
  return dot < 0 ? { kind: key, subject: "", value } : { kind: key.slice(0, dot), subject: key.slice(dot + 1), value };
}

/** Return the API's object of rows; of two with the same key the later one wins. */
export const objectOf = (rows) => Object.fromEntries(rows.map((row) => [keyOf(row), row.value]));

/** Format an override for the command line. */
export function wordOf({ kind, subject, value }) {
  const key = kind === "route" && !(subject.split(".")[0] in KINDS) ? subject : keyOf({ kind, subject });
  return `${key}=${value}`;
}

/** Return whether a text contains overrides rather than a name. */
export const isWords = (typed) => /[^\s=]=\S/.test(typed);

/**
 * Parse overrides that were typed or pasted: arguments of the command line, or a `baggage` header.
 * @returns {{rows: Row[], unread: string[]}} `unread` are words that are not overrides
 */
export function parseWords(typed) {
  const isHeader = typed.includes(PREFIX) && typed.includes(",");
  const words = isHeader
    ? typed
        .replace(/^\s*baggage:/i, "")
        .split(",")
        .map((one) => one.trim())
    : split(typed);
  const rows = [];
  const unread = [];
  for (const word of words.filter(Boolean)) {
    // Other entries of the baggage are valid, but not overrides.
    if (isHeader && !word.startsWith(PREFIX)) continue;
    const row = read(word);
    if (row) rows.push(row);
    else if (!isHeader) unread.push(word);
  }
  return { rows, unread };
}

/** Split at spaces outside quotes, as a shell does. */
function split(typed) {
  return [...typed.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}

function read(word) {
  const isCarried = word.startsWith(PREFIX);
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(isCarried ? word.slice(PREFIX.length) : word) ?? [];
  if (!key) return null;
  const row = key.split(".")[0] in KINDS ? rowOf(key, value) : { kind: "route", subject: key, value };
  const kind = KINDS[row.kind];
  if (isCarried && kind.fault === text) row.value = decoded(value);
  if (!row.value && kind.fault("")) return null;
  return kind.subject ? (NAME.test(row.subject) ? row : null) : row.subject ? null : row;
}

function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * Return the errors and warnings of a row.
 * @param {Row} row
 * @param {{services: Object[]}} known
 * @returns {{subject: string, value: string, caution: string}} messages, or empty texts
 */
export function faultsOf(row, known) {
  const faults = { subject: "", value: "", caution: "" };
  const { subject, value, fault } = KINDS[row.kind];
  if (subject && !row.subject) faults.subject = `Enter a ${subject}.`;
  else if (subject) faults.subject = name(row.subject);
  faults.value = fault(row.value);
  if (faults.value && !row.value) faults.value = `Enter a ${value}.`;
  const service = ON_CALLS.includes(row.kind) && known.services.find((one) => one.name === row.subject);
  if (service && !service.overridable) faults.subject = service.warning;
  if (!faults.subject && !faults.value) faults.caution = caution(row, known.services);
  return faults;
}

function milliseconds(value) {
  const [, ms, seconds] = /^(?:(\d{1,5})ms|(\d{1,2}(?:\.\d+)?)s)$/.exec(value) ?? [];
  const found = ms === undefined ? 1000 * Number(seconds) : Number(ms);
  return found >= 0 && found <= 60_000 ? found : null;
}

/** The kinds that sidecars apply to calls. */
const ON_CALLS = ["route", "delay", "abort"];

const isStatus = (value) => /^\d{1,3}$/.test(value) && (Number(value) <= 16 || (Number(value) >= 200 && Number(value) < 600));

function caution({ kind, subject, value }, services) {
  if (KINDS[kind].subject !== "service" || !services.length) return "";
  const service = services.find((one) => one.name === subject);
  if (!service) return `The mesh has no service ${subject} at the moment.`;
  const limits = ON_CALLS.includes(kind) ? service.warning : "";
  if (kind !== "route" || service.deployments.includes(value)) return limits;
  return `${subject} has no deployment ${value} at the moment: until it exists, calls to ${subject} fail with 503. ${limits}`.trim();
}

/** Return the differences between two sets of overrides, by key. */
export function difference(before, after) {
  const changes = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (before[key] !== after[key]) changes.push({ key, before: before[key], after: after[key] });
  }
  return changes;
}

/** Return `theirs` with the changes from `base` to `mine` applied. */
export function rebased(base, mine, theirs) {
  const made = { ...theirs };
  for (const { key, after } of difference(base, mine)) {
    if (after === undefined) delete made[key];
    else made[key] = after;
  }
  return made;
}
