// One scenario: its form, and beside it sharing, trial requests and history. Unsaved changes are kept when the user leaves.

import { Problem, ask, pathOf } from "./api.js";
import { conflict } from "./conflict.js";
import { h, swap } from "./dom.js";
import { NEW, blank, draftOf, dropDraft, keepDraft } from "./drafts.js";
import { Editor } from "./editor.js";
import { History } from "./history.js";
import { notify } from "./notices.js";
import { keyOf, objectOf, rowsOf } from "./overrides.js";
import { deployments, mayChange, mayRemove, me, onEvent, scenarios, services } from "./resources.js";
import { Share } from "./share.js";
import { exact, moment } from "./times.js";
import { Trial } from "./trial.js";

const SECTIONS = [
  ["edit", "Edit"],
  ["share", "Share"],
  ["try", "Try it"],
  ["history", "History"],
];

/** Return the view of a scenario; without a name, of a new one. */
export function scenarioView(name = "") {
  return new ScenarioView(name);
}

class ScenarioView {
  #isSaving = false;

  constructor(name) {
    this.name = name;
    this.key = name || NEW;
    this.title = name || "New scenario";
    this.saved = null;
    this.section = "";
    this.head = h("div.page-head", {});
    this.notices = h("div.stack.tight.scenario-notices", { "aria-live": "polite" });
    this.form = h("div.card.card-body.form", {}, h("p.quiet", {}, "Loading…"));
    this.sections = h("nav.segments.sections", { "aria-label": "Sections" });
    this.aside = h("div.card.card-body.aside", {});
    this.element = h(
      name ? "div.page.scenario" : "div.page.scenario.is-new",
      {},
      this.head,
      this.notices,
      h("div.columns", {}, this.sections, this.form, this.aside),
    );
    this.trial = new Trial(() => this.#subject());
    this.share = new Share();
    this.history = new History((version) => this.#restore(version));
    this.end = onEvent((kind, subject) => kind === "scenario" && subject === this.name && this.#hear());
    this.#drawHead();
    this.ready = this.#begin();
  }

  update({ section = "" }) {
    this.section = section;
    this.#drawSections();
  }

  leave() {
    this.end();
  }

  async #begin() {
    // Data for suggestions; the form does not wait for it.
    for (const one of [services, deployments, scenarios]) one.need();
    await me.need();
    if (!this.name) return this.#edit(draftOf(NEW) ?? blank());
    try {
      this.#take(await this.#fetch());
    } catch (problem) {
      this.#fail(problem);
    }
  }

  async #fetch() {
    return (await ask(pathOf(this.name), { headers: { "cache-control": "no-cache" } })).json();
  }

  /** Show the saved scenario, with unsaved changes if there are any. */
  #take(saved) {
    this.saved = saved;
    const kept = draftOf(this.name);
    this.#edit(kept ?? draftFrom(saved));
    if (kept && kept.version !== saved.version) this.#showConflict(saved);
    else if (kept) this.#showKept();
    this.history.show(this.name, saved.version);
    this.share.show(saved);
  }

  #edit(draft) {
    this.draft = draft;
    const isOpen = mayChange() && this.saved?.state !== "removed";
    this.editor = new Editor(draft, { isNew: !this.name, isOpen, changed: () => this.#changed() });
    this.fault = h("p.fault", { role: "alert" });
    this.save = h("button.button.main", { type: "submit" }, this.name ? "Save" : "Save scenario");
    this.discard = h("button.button.plain", { type: "button", on: { click: () => this.#discard() } }, "Discard changes");
    this.state = h("span.hint", { role: "status" });
    const form = h(
      "form.stack",
      {
        novalidate: true,
        "aria-label": this.title,
        on: {
          submit: (event) => {
            event.preventDefault();
            this.#save();
          },
        },
      },
      this.editor.element,
      this.fault,
      isOpen && h("div.save-bar", {}, this.save, this.discard, this.state),
    );
    this.form.replaceChildren(form);
    this.#drawHead();
    this.#drawSections();
    this.#drawState();
  }

  #changed() {
    this.fault.textContent = "";
    if (this.#isDirty) keepDraft(this.key, this.draft);
    else dropDraft(this.key);
    this.#drawState();
  }

  get #isDirty() {
    const { base } = this.draft;
    if (!base) return Boolean(this.draft.rows.length || this.draft.name || this.draft.description);
    return JSON.stringify(contentOf(this.draft)) !== JSON.stringify(base);
  }

  #drawState() {
    const isDirty = this.#isDirty;
    this.discard.hidden = !isDirty;
    if (isDirty || !this.name) this.save.removeAttribute("aria-disabled");
    else this.save.setAttribute("aria-disabled", "true");
    this.state.textContent = isDirty && this.name ? "Not saved yet; this tab keeps your changes." : "";
    this.trial.refresh();
  }

  /** Save the scenario; if forced, even with services and deployments that the mesh does not have. */
  async #save(isForced = false) {
    if (this.#isSaving || (this.name && !this.#isDirty) || !this.editor.check()) return;
    this.#isSaving = true;
    this.save.setAttribute("aria-disabled", "true");
    this.fault.textContent = "";
    try {
      await this.#put(isForced);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      await this.#refused(problem);
    } finally {
      this.#isSaving = false;
      this.#drawState();
    }
  }

  async #put(isForced) {
    const name = this.name || this.draft.name;
    const condition = this.name ? { "if-match": `"${this.draft.version}"` } : { "if-none-match": "*" };
    const saved = await (await ask(`${pathOf(name)}${isForced ? "?force=true" : ""}`, { method: "PUT", headers: condition, body: this.editor.body })).json();
    dropDraft(this.key);
    this.notices.replaceChildren();
    if (!this.name) {
      notify(`${name} is saved.`);
      location.hash = `#/scenarios/${name}/share`;
      return;
    }
    notify(`Saved as version ${saved.version}. Open links use it immediately.`);
    this.#take(saved);
  }

  async #refused(problem) {
    if (problem.status === 409) {
      const why = problem.message.replace(/ To use names that do not exist yet, add .*$/, "");
      const anyway = h("button.button.small", { type: "button", on: { click: () => this.#save(true) } }, "Save anyway");
      this.fault.replaceChildren(`${why} `, anyway);
    } else if (problem.status !== 412) {
      if (!this.editor.blame(problem.message)) this.fault.textContent = problem.message;
    } else if (this.name) {
      this.#showConflict(await this.#fetch());
    } else {
      this.editor.blame(`name: a scenario with this name exists; choose another name, or edit the existing scenario`);
    }
  }

  /** Handle a change of the scenario on the server, possibly by the same user. */
  async #hear() {
    if (this.#isSaving || !this.saved) return;
    const saved = await this.#fetch();
    if (saved.version <= this.saved.version) return;
    if (this.#isDirty) {
      keepDraft(this.name, this.draft);
      this.#showConflict(saved);
    } else {
      this.#take(saved);
      notify(`${saved.changed_by || "Another user"} ${saved.state === "removed" ? "removed this scenario" : `saved version ${saved.version}`}.`);
    }
  }

  #showConflict(theirs) {
    const mine = contentOf(this.draft);
    const take = (content) => {
      this.saved = theirs;
      this.#edit({
        ...this.draft,
        ...content,
        rows: inOrderOf(this.draft.rows, rowsOf(content.overrides)),
        version: theirs.version,
        base: contentOf(draftFrom(theirs)),
      });
      this.#changed();
      this.notices.replaceChildren();
      this.history.show(this.name, theirs.version);
      this.share.show(theirs);
      this.form.querySelector("button[type=submit]")?.focus();
    };
    swap(
      this.notices,
      conflict({ base: this.draft.base, mine, theirs, theirContent: contentOf(draftFrom(theirs)), take, discard: () => this.#discard(theirs) }),
    );
    this.notices.querySelector("button")?.scrollIntoView({ block: "nearest" });
  }

  #showKept() {
    swap(this.notices, h("div.notice", {}, h("div", {}, "These changes are not saved yet.")));
  }

  #discard(saved = this.saved) {
    const dropped = structuredClone(this.draft);
    dropDraft(this.key);
    this.notices.replaceChildren();
    if (saved) this.#take(saved);
    else this.#edit(blank());
    const undo = () => {
      keepDraft(this.key, dropped);
      if (this.saved) this.#take(this.saved);
      else this.#edit(dropped);
    };
    notify("Your changes were discarded.", { label: "Undo", act: undo });
  }

  /** Load an old version into the form, to save it as the next one. */
  #restore(version) {
    this.#edit({ ...this.draft, ...draftFrom(version), version: this.draft.version, base: this.draft.base });
    this.#changed();
    location.hash = `#/scenarios/${this.name}`;
    notify(`The form shows version ${version.version}. Save it to restore it.`);
  }

  async #remove() {
    const { version, overrides, owner, description, expires } = this.saved;
    try {
      await ask(pathOf(this.name), { method: "DELETE", headers: { "if-match": `"${version}"` } });
    } catch (problem) {
      this.fault.textContent = problem.message;
      return;
    }
    dropDraft(this.name);
    location.hash = "#/scenarios";
    const name = this.name;
    notify(`${name} was removed; its links now show this.`, { label: "Undo", act: () => remake(name, { overrides, owner, description, expires }) });
  }

  /** Return what a trial sends: the content of the form, or the saved scenario if it is the same. */
  #subject() {
    const isDraft = !this.name || this.#isDirty;
    return { isDraft, scenario: isDraft ? null : this.name, overrides: isDraft ? objectOf(this.draft?.rows ?? []) : {}, count: this.draft?.rows.length ?? 0 };
  }

  #fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    const title = problem.status === 404 ? `Scenario ${this.name} does not exist` : "The scenario could not be loaded";
    this.element.replaceChildren(
      h("div.empty", {}, h("h1", { tabindex: "-1" }, title), h("p", {}, problem.message), h("a.button", { href: "#/scenarios" }, "All scenarios")),
    );
  }

  #drawHead() {
    const { saved } = this;
    swap(
      this.head,
      h(this.name ? "h1.mono" : "h1", { tabindex: "-1" }, this.name || "New scenario"),
      saved && saved.state !== "live" && h("span.tag.words.warn", {}, saved.state),
      saved && h("p.quiet.small", {}, `Version ${saved.version}, `, saved.changed_by ? `by ${saved.changed_by} ` : "", moment(saved.changed)),
      h("span.grow", {}),
      saved?.state === "live" && mayRemove(saved.owner) && this.#removal(),
      saved?.state === "live" && saved.links[0] && h("a.button.main", { href: saved.links[0], target: "_blank", rel: "noopener" }, "Open the app in it"),
    );
    if (saved && saved.state !== "live") swap(this.notices, this.#over(saved));
  }

  #removal() {
    const place = h("span.actions", {});
    const confirm = () => {
      const theirs = saved.owner && me.value.name && saved.owner !== me.value.name ? `It belongs to ${saved.owner}. ` : "";
      place.replaceChildren(
        h("span.small", {}, `${theirs}Remove it?`),
        h("button.button.small.bad", { type: "button", on: { click: () => this.#remove() } }, "Remove"),
        h("button.button.small", { type: "button", on: { click: begin } }, "Keep"),
      );
      place.lastChild.focus();
    };
    const begin = () => {
      place.replaceChildren(h("button.button.plain.bad", { type: "button", on: { click: confirm } }, "Remove…"));
      if (place.isConnected) place.firstChild.focus();
    };
    const { saved } = this;
    begin();
    return place;
  }

  #over(saved) {
    const { overrides, owner, description } = saved;
    if (saved.state === "expired")
      return h(
        "div.notice.warn",
        {},
        h("div", {}, `This scenario expired on ${exact(saved.expires)}, and its links show this. To use it again, choose another expiry and save.`),
      );
    const again = async () => {
      await remake(this.name, { overrides, owner, description, expires: null });
      this.#take(await this.#fetch());
      this.notices.replaceChildren();
    };
    return h(
      "div.notice.warn",
      {},
      h("div", {}, `${saved.changed_by || "Another user"} removed this scenario. Its versions stay readable.`),
      mayChange() && Object.keys(overrides).length > 0 && h("button.button.small", { type: "button", on: { click: again } }, "Create it again"),
    );
  }

  #drawSections() {
    const isWide = matchMedia("(width >= 1000px)").matches;
    const possible = SECTIONS.filter(([key]) => this.name || ["edit", "try"].includes(key));
    const first = this.name ? "share" : "try";
    const section = this.section || (isWide ? first : "edit");
    const aside = section === "edit" ? first : section;
    const root = this.name ? `#/scenarios/${this.name}` : "#/new";
    swap(
      this.sections,
      possible.map(([key, words]) =>
        h(
          `a.to-${key}`,
          { href: key === "edit" ? root : `${root}/${key}`, "aria-current": (isWide ? aside : section) === key && "true", "data-key": `section-${key}` },
          words,
        ),
      ),
    );
    this.element.classList.toggle("is-editing", section === "edit");
    const shown = { share: this.share, try: this.trial, history: this.history }[aside].element;
    if (this.aside.firstChild !== shown) this.aside.replaceChildren(shown);
  }
}

async function remake(name, body) {
  const isOver = body.expires && Date.parse(body.expires) <= Date.now();
  try {
    await ask(`${pathOf(name)}?force=true`, { method: "PUT", headers: { "if-none-match": "*" }, body: { ...body, expires: isOver ? null : body.expires } });
    notify(`${name} was created again.`, { label: "Open it", href: `#/scenarios/${name}` });
  } catch (problem) {
    notify(`${name} could not be created again: ${problem.message}`);
  }
}

function draftFrom(saved) {
  const { name, description, owner, expires, version } = saved;
  const draft = { name, description, owner, expires, rows: rowsOf(saved.overrides), version };
  return { ...draft, base: contentOf(draft) };
}

/** Return rows in the order of other rows; new ones come last. */
function inOrderOf(others, rows) {
  const place = (row) => others.findIndex((one) => keyOf(one) === keyOf(row)) + 1 || others.length + 1;
  return rows.sort((one, other) => place(one) - place(other));
}

/** Return the content of a draft, in a form that can be compared. */
function contentOf({ description, owner, expires, rows }) {
  const overrides = objectOf(rows);
  const sorted = Object.fromEntries(
    Object.keys(overrides)
      .sort()
      .map((key) => [key, overrides[key]]),
  );
  return { description, owner, expires, overrides: sorted };
}
