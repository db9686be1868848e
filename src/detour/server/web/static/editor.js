// The form of a scenario: its overrides, row by row, and its description, owner and expiry.

import { combobox } from "./completion.js";
import { h, unique } from "./dom.js";
import { KINDS, faultsOf, isWords, keyOf, objectOf, parseWords } from "./overrides.js";
import { deployments, me, scenarios, services } from "./resources.js";
import { span } from "./times.js";

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const LEVELS = ["debug", "info", "warning", "error"];
const STATUSES = [
  ["503", "unavailable"],
  ["500", "internal error"],
  ["504", "timeout"],
  ["429", "too many"],
  ["404", "not found"],
];
const DELAYS = ["100ms", "300ms", "1s", "3s", "10s"];
const LIVES = [
  ["1", "1 day"],
  ["7", "7 days"],
  ["30", "30 days"],
];

/**
 * A form that edits a draft in place.
 */
export class Editor {
  #rows;

  /**
   * @param {import("./drafts.js").Draft} draft
   * @param {{isNew: boolean, isOpen: boolean, changed: () => void}} how whether the scenario is new, whether the user may
   *   change it, and a function that is called after each change
   */
  constructor(draft, { isNew, isOpen, changed }) {
    this.draft = draft;
    this.isNew = isNew;
    this.isOpen = isOpen;
    this.changed = changed;
    this.fields = {};
    this.isChecked = false;
    this.#rows = h("ul.override-rows", {});
    this.element = h(
      "fieldset.stack.editor",
      { disabled: !isOpen },
      h("legend.unseen", {}, "The scenario"),
      isNew && this.#name(),
      h("section.stack.tight", { "aria-labelledby": "overrides-title" }, h("h2", { id: "overrides-title" }, "Overrides"), this.#rows, isOpen && this.#adding()),
      this.#text("description", "Description", h("textarea", { rows: "2", maxlength: "2000", placeholder: "What to look at, and what should happen" })),
      h(
        "div.pair",
        {},
        this.#text("owner", "Owner", h("input", { type: "text", maxlength: "100", autocomplete: "off", placeholder: me.value?.name || "you" })),
        this.#expiry(),
      ),
    );
    this.#drawRows();
  }

  /** Return the body of the request that saves the scenario. */
  get body() {
    const { description, owner, expires, rows } = this.draft;
    return { overrides: objectOf(rows), description, expires, ...(owner.trim() ? { owner: owner.trim() } : {}) };
  }

  /** Show errors and focus the first one; return whether the form is valid. */
  check() {
    this.isChecked = true;
    this.#showFault("name", this.isNew ? nameFault(this.draft.name) : "");
    this.#drawRows();
    const none = this.draft.rows.length ? "" : "Add at least one override.";
    this.words.fault.textContent = none;
    this.element.querySelector('[aria-invalid="true"]')?.focus();
    if (none && this.draft.name) this.words.input.focus();
    return !none && !this.element.querySelector('[aria-invalid="true"]');
  }

  /** Show an error message of the server at the field concerned; return false if it concerns no field. */
  blame(detail) {
    const [, key, why] = /(?:^|[\s:;])overrides\.([\w.-]+): (.*)$/s.exec(detail) ?? [];
    const index = this.draft.rows.findIndex((row) => keyOf(row) === key);
    if (index >= 0) {
      this.#rows.children[index].showFaults({ value: why });
      this.#rows.children[index].querySelector("[aria-invalid]")?.focus();
      return true;
    }
    const [, field, message] = /(?:^|[\s:;])(name|owner|description|expires): (.*)$/s.exec(detail) ?? [];
    if (!this.fields[field]) return false;
    this.#showFault(field, message);
    this.fields[field].input.focus();
    return true;
  }

  #showFault(field, text) {
    const found = this.fields[field];
    if (!found) return;
    found.fault.textContent = text;
    found.input.toggleAttribute("aria-invalid", Boolean(text));
    if (text) found.input.setAttribute("aria-invalid", "true");
  }

  #set(field, value) {
    this.draft[field] = value;
    this.#showFault(field, "");
    this.changed();
  }

  #text(field, label, input, hint = "") {
    const id = unique(field);
    input.id = id;
    input.value = this.draft[field];
    input.setAttribute("aria-describedby", `${id}-hints`);
    input.addEventListener("input", () => this.#set(field, input.value));
    const fault = h("span.fault", {});
    this.fields[field] = { input, fault };
    return h("div.field", {}, h("label", { for: id }, label), input, h("div", { id: `${id}-hints` }, hint && h("span.hint", {}, hint), fault));
  }

  #name() {
    const input = h("input.mono", {
      type: "text",
      maxlength: "63",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      placeholder: "checkout-redesign",
    });
    const field = this.#text("name", "Name", input, "Part of the scenario's link: lower-case letters, digits and dashes.");
    input.addEventListener("blur", () => input.value && this.#showFault("name", nameFault(input.value)));
    return field;
  }

  #expiry() {
    const id = unique("expires");
    const date = h("input", { type: "date", "aria-label": "Expires on", hidden: true });
    const select = h("select", { id }, this.#expiryOptions());
    const fault = h("span.fault", {});
    this.fields.expires = { input: select, fault };
    select.addEventListener("change", () => {
      date.hidden = select.value !== "date";
      if (select.value === "date") return date.focus();
      if (select.value !== "as-is") this.#set("expires", select.value === "never" ? null : later(Number(select.value)));
    });
    date.addEventListener("change", () => {
      const end = new Date(`${date.value}T23:59:59`);
      if (!Number.isNaN(end.getTime())) this.#set("expires", end.toISOString());
    });
    return h("div.field", {}, h("label", { for: id }, "Expires"), select, date, fault);
  }

  #expiryOptions() {
    const { expires } = this.draft;
    const left = Date.parse(expires) - Date.now();
    const isAbout = (days) => expires !== null && Math.abs(left - Number(days) * 86_400_000) < 600_000;
    const asIs = expires && !LIVES.some(([days]) => isAbout(days)) && (left > 0 ? `in ${span(left)}` : "has expired");
    const option = (value, words, isChosen) => h("option", { value, selected: isChosen }, words);
    return [
      asIs && option("as-is", asIs, true),
      LIVES.map(([days, words]) => option(days, `in ${words}`, isAbout(days))),
      option("never", "never", !expires),
      option("date", "on a day…", false),
    ]
      .flat()
      .filter(Boolean);
  }

  #adding() {
    const input = h("input.mono", {
      type: "text",
      "aria-label": "Type or paste overrides",
      placeholder: "users=pr-42 delay.payments=300ms",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
    });
    const fault = h("span.fault", { role: "alert" });
    this.words = { input, fault };
    const add = () => {
      if (input.value.trim() && this.#take(input.value)) input.value = "";
    };
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      add();
    });
    input.addEventListener("input", () => (fault.textContent = ""));
    const another = () => {
      this.draft.rows.push({ kind: "route", subject: "", value: "" });
      this.#changedRows();
      this.#rows.lastElementChild.querySelector("input").focus();
    };
    return h(
      "div.stack.tight",
      {},
      h(
        "div.adding",
        {},
        h("button.button.small", { type: "button", on: { click: another } }, "+ Add an override"),
        h("span.hint", {}, "or"),
        input,
        h("button.button.small", { type: "button", on: { click: add } }, "Add"),
      ),
      fault,
    );
  }

  /** Add overrides that were typed; if they are invalid, show an error and return false. */
  #take(text, instead = null) {
    const { rows, unread } = parseWords(text);
    if (unread.length || !rows.length) {
      this.words.fault.textContent = `${unread.map((one) => `“${one}”`).join(", ") || "This"} is not an override: expected SERVICE=DEPLOYMENT, such as users=pr-42.`;
      return false;
    }
    const kept = this.draft.rows.filter((row) => row !== instead && !rows.some((one) => keyOf(one) === keyOf(row)));
    this.draft.rows = [...kept, ...rows];
    this.words.fault.textContent = "";
    this.#changedRows();
    return true;
  }

  #changedRows() {
    this.#drawRows();
    this.changed();
  }

  #drawRows() {
    const rows = this.draft.rows.map((row, index) => overrideRow(row, index, this.#rowActions(row)));
    this.#rows.replaceChildren(...rows);
    this.#rows.hidden = rows.length === 0;
  }

  #rowActions(row) {
    return {
      isOpen: this.isOpen,
      isChecked: this.isChecked,
      changed: () => this.changed(),
      redraw: () => this.#changedRows(),
      take: (text) => this.#take(text, row),
      remove: () => {
        const at = this.draft.rows.indexOf(row);
        this.draft.rows = this.draft.rows.filter((one) => one !== row);
        this.#changedRows();
        (this.#rows.children[Math.min(at, this.draft.rows.length - 1)]?.querySelector(".remove") ?? this.words.input).focus();
      },
    };
  }
}

function nameFault(name) {
  if (!name) return "Enter a name.";
  return NAME.test(name) ? "" : "Use lower-case letters, digits and dashes, with no dash at the start or end.";
}

const later = (days) => new Date(Date.now() + days * 86_400_000).toISOString();

/** Return the row of one override. */
function overrideRow(row, index, actions) {
  const kind = KINDS[row.kind];
  const fault = h("span.fault", { role: "alert" });
  const caution = h("span.caution", {});
  const parts = { subject: null, value: null };
  const element = h("li.override-row", { "data-kind": row.kind }, kindSelect(row, index, actions));
  element.showFaults = (faults) => {
    for (const part of ["subject", "value"]) {
      if (faults[part]) parts[part]?.setAttribute("aria-invalid", "true");
      else parts[part]?.removeAttribute("aria-invalid");
    }
    fault.textContent = faults.subject || faults.value || "";
    caution.textContent = faults.caution ?? "";
  };
  const check = () => element.showFaults(faultsOf(row, { services: services.value }));
  const part = (name, label, options) => {
    const field = combobox({
      label: `${label}, override ${index + 1}`,
      value: row[name],
      placeholder: name === "value" ? kind.example : kind.subject,
      options,
      change: (text) => {
        // Overrides that were pasted into the field of the name.
        if (name === "subject" && isWords(text) && actions.take(text)) return;
        row[name] = text.trim();
        element.showFaults({ caution: "" });
        actions.changed();
      },
    });
    field.input.addEventListener("blur", () => row.subject && row.value && check());
    parts[name] = field.input;
    return field.element;
  };
  if (kind.subject) element.append(part("subject", kind.subject === "flag" ? "Flag" : "Service", () => subjects(row.kind)));
  element.append(h("span.joint", {}, kind.joint));
  if (kind.subject) element.append(part("value", named(kind.value), () => values(row)));
  else element.append(h("span.tag.fixed", {}, kind.example));
  if (actions.isOpen) {
    const label = `Remove override ${index + 1}${row.subject ? `, ${row.subject}` : ""}`;
    element.append(h("button.icon-button.remove", { type: "button", "aria-label": label, title: "Remove", on: { click: actions.remove } }, "✕"));
  }
  element.append(h("div.faults", {}, fault, caution));
  if (actions.isChecked || (row.subject && row.value)) check();
  return element;
}

const named = (text) => text[0].toUpperCase() + text.slice(1);

function kindSelect(row, index, { redraw }) {
  const select = h(
    "select",
    { "aria-label": `Kind, override ${index + 1}` },
    Object.entries(KINDS).map(([kind, { words }]) => h("option", { value: kind, selected: kind === row.kind }, words)),
  );
  select.addEventListener("change", () => {
    const list = select.closest("ul");
    const keepsSubject = KINDS[select.value].subject === KINDS[row.kind].subject;
    row.kind = select.value;
    row.value = KINDS[row.kind].subject ? "" : KINDS[row.kind].example;
    if (!keepsSubject) row.subject = "";
    redraw();
    list.children[index].querySelector("select").focus();
  });
  return select;
}

function subjects(kind) {
  if (KINDS[kind].subject === "flag") return flags();
  return services.value.map((one) => ({ value: one.name, note: noteOf(one) }));
}

function noteOf(service) {
  if (!service.overridable) return "not HTTP";
  return service.deployments.length ? `${service.deployments.length} offloaded` : "";
}

/** Return the flags that any scenario sets. */
function flags() {
  const names = new Map();
  for (const scenario of scenarios.value) {
    for (const key of Object.keys(scenario.overrides)) {
      if (key.startsWith("config.")) names.set(key.slice(7), (names.get(key.slice(7)) ?? 0) + 1);
    }
  }
  return [...names].sort().map(([value, count]) => ({ value, note: `in ${count} scenario${count === 1 ? "" : "s"}` }));
}

function values({ kind, subject }) {
  if (kind === "route") {
    const found = deployments.value.filter((one) => !subject || one.service === subject);
    return found.map((one) => ({ value: one.name, note: [!subject && one.service, one.owner].filter(Boolean).join(", ") }));
  }
  if (kind === "delay") return DELAYS.map((value) => ({ value }));
  if (kind === "abort") return STATUSES.map(([value, note]) => ({ value, note }));
  if (kind === "log") return LEVELS.map((value) => ({ value }));
  return usedBefore(`${kind}.${subject}`);
}

function usedBefore(key) {
  const found = new Set(scenarios.value.map((one) => one.overrides[key]).filter((one) => one !== undefined));
  if (key.startsWith("config.")) for (const one of ["on", "off"]) found.add(one);
  return [...found].sort().map((value) => ({ value }));
}
