/**
 * Overrides as frozen values, and the rules for readable ones.
 *
 * All languages of Detour's SDK read in the same way (`sdk/vectors/baggage.json`).
 */

/** Maximum size of a header in bytes; OpenTelemetry's propagators drop the rest. */
export const HEADER_MAX = 8192;

/** Maximum number of entries of one header that are read as overrides. */
export const ENTRIES_MAX = 64;

/** The prefix of overrides' keys in the baggage. */
export const PREFIX = "override.";

/** A kind of override. */
export type Kind = "route" | "delay" | "abort" | "config" | "log" | "db" | "missing";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const DELAY = /^(?:([0-9]{1,5})ms|([0-9]{1,2}(?:\.[0-9]+)?)s)$/;
const DELAY_MAX_MS = 60_000;
const GRPC_CODE_MAX = 16;
const LONE_SURROGATE = /\p{Surrogate}/u;
const SHOWN_MAX = 80;

const EXPECTED_NAME = "expected letters, digits, dot, dash or underscore, at most 63, the first a letter or digit";
const EXPECTED_MISSING = `expected ${PREFIX}missing=baseline`;

interface Rule {
  readonly expected: string;
  readonly accepts: (value: string) => boolean;
}

const name: Rule = { expected: EXPECTED_NAME, accepts: (value) => NAME.test(value) };

// A test compares this with `sdk/vectors/kinds.json`.
const RULES: Readonly<Record<Kind, Rule>> = {
  route: name,
  delay: { expected: "expected a delay such as 300ms or 1.5s, at most 60s", accepts: isDelay },
  abort: { expected: "expected an HTTP status from 200 to 599 or a gRPC code from 0 to 16", accepts: isStatus },
  config: { expected: "expected text in UTF-8, percent-encoded", accepts: (value) => !LONE_SURROGATE.test(value) },
  log: name,
  db: name,
  missing: { expected: EXPECTED_MISSING, accepts: (value) => value === "baseline" },
};

/** All kinds, in the order of the table that all languages share. */
export const KINDS: readonly string[] = Object.freeze(Object.keys(RULES));

/** One instruction that a request carries. */
export interface Override {
  /** Its kind. */
  readonly kind: Kind;
  /** The service or flag that it refers to; "" for `missing`, which refers to the whole request. */
  readonly subject: string;
  /** The deployment, `300ms`, `503`, the flag's value, the log level, the database, or `baseline`. */
  readonly value: string;
}

/** Something that was ignored, and why. */
export interface Problem {
  readonly what: string;
  readonly why: string;
}

/**
 * The content of a header, and what was ignored.
 *
 * Unreadable entries, by key, are forwarded, too: the services that they are for reject them, so they never vanish.
 */
export interface Parsed {
  readonly overrides: Overrides;
  readonly problems: readonly Problem[];
  readonly unread: ReadonlyMap<string, string>;
}

/** An entry's key and decoded value; undefined if it has no `=`, or a value that is not a text. */
export type Entry = readonly [key: string, value: string | undefined];

/** The overrides of one request, one for each key, in the order in which their keys first occurred. */
export class Overrides implements Iterable<Override> {
  /** The empty set. */
  static readonly none = new Overrides([]);

  readonly #byKey: ReadonlyMap<string, Override>;

  /** Of two with one key the later one wins. */
  constructor(overrides: Iterable<Override>) {
    this.#byKey = new Map(Array.from(overrides, (one) => [keyOf(one.kind, one.subject), one]));
  }

  /** The number of overrides. */
  get size(): number {
    return this.#byKey.size;
  }

  [Symbol.iterator](): Iterator<Override> {
    return this.#byKey.values();
  }

  /** The keys in the baggage: `override.route.users`. */
  keys(): string[] {
    return [...this.#byKey.keys()];
  }

  /** Returns the value of an override, if the request carries it. */
  value(kind: Kind, subject = ""): string | undefined {
    return this.#byKey.get(keyOf(kind, subject))?.value;
  }

  /** Returns the deployment that calls to the service go to, if it is overridden. */
  route(service: string): string | undefined {
    return this.value("route", service);
  }

  /** Returns the overrides of one kind: subject to value. */
  of(kind: Kind): ReadonlyMap<string, string> {
    return new Map([...this].filter((one) => one.kind === kind).map((one) => [one.subject, one.value]));
  }

  /** Merges with other overrides; of two with one key, this object's wins. */
  over(others: Overrides): Overrides {
    return new Overrides([...others, ...this]);
  }
}

/** Returns an override's key in the baggage: `override.route.users`, `override.missing`. */
export function keyOf(kind: Kind, subject: string): string {
  return subject ? `${PREFIX}${kind}.${subject}` : PREFIX + kind;
}

/** Whether a name is one of an override's kinds. */
export function isKind(text: string): text is Kind {
  return Object.hasOwn(RULES, text);
}

/** Reads entries whose keys start with `override.`; of two with one key the later one wins. */
export function readEntries(entries: readonly Entry[]): Parsed {
  const overrides: Override[] = [];
  const problems: Problem[] = [];
  const unread = new Map<string, string>();
  for (const [key, value] of new Map(entries)) {
    const read = readEntry(key, value);
    if (!("why" in read)) {
      overrides.push(read);
      continue;
    }
    problems.push(read);
    // Without a value, the next reader would take a flag for an empty one.
    if (value !== undefined || !key.startsWith(`${PREFIX}config.`)) unread.set(key, value ?? "");
  }
  const beyond = entries[ENTRIES_MAX];
  if (beyond) problems.push({ what: beyond[0], why: `sidecars read at most ${ENTRIES_MAX} overrides of one request` });
  return { overrides: new Overrides(overrides), problems, unread };
}

/** Returns the union; of two entries with one key `own`'s wins, readable or not. */
export function over(own: Parsed, others: Parsed): Parsed {
  const keys = new Set([...own.overrides.keys(), ...own.unread.keys()]);
  const theirs = [...others.overrides].filter((one) => !keys.has(keyOf(one.kind, one.subject)));
  const unread = [...others.unread].filter(([key]) => !keys.has(key));
  return {
    overrides: new Overrides([...own.overrides, ...theirs]),
    problems: [...own.problems, ...others.problems],
    unread: new Map([...own.unread, ...unread]),
  };
}

/** Whether there are neither readable nor unreadable overrides. */
export function isEmpty({ overrides, unread }: Parsed): boolean {
  return overrides.size === 0 && unread.size === 0;
}

/** The empty result. */
export const NOTHING: Parsed = { overrides: Overrides.none, problems: [], unread: new Map() };

/** Reads one entry, whose key starts with `override.`, as an override. */
export function readEntry(key: string, value: string | undefined): Override | Problem {
  const [kind = "", ...rest] = key.slice(PREFIX.length).split(".");
  if (!isKind(kind)) return { what: key, why: `expected ${PREFIX} and one of ${KINDS.join(", ")}` };
  const rule = RULES[kind];
  const subject = rest.join(".");
  const what = value === undefined ? key : `${key}=${value}`;
  if (kind === "missing" ? rest.length > 0 : !NAME.test(subject)) {
    return { what, why: kind === "missing" ? EXPECTED_MISSING : `expected a name behind ${PREFIX}${kind}.` };
  }
  if (value === undefined || !rule.accepts(value)) return { what, why: rule.expected };
  return Object.freeze({ kind, subject, value });
}

/** Describes a problem in one line: quoted, because it comes from outside, and shortened to 80 characters. */
export function inWords({ what, why }: Problem): string {
  const shown = what.length > SHOWN_MAX ? `${what.slice(0, SHOWN_MAX - 1)}…` : what;
  return `${JSON.stringify(shown)} is ignored: ${why}`;
}

function isDelay(value: string): boolean {
  const match = DELAY.exec(value);
  return match !== null && (match[1] ? Number(match[1]) : 1000 * Number(match[2])) <= DELAY_MAX_MS;
}

function isStatus(value: string): boolean {
  const status = /^[0-9]{1,3}$/.test(value) ? Number(value) : Number.NaN;
  return status <= GRPC_CODE_MAX || (status >= 200 && status < 600);
}
