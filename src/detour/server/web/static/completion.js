// A text field with suggestions: the editable combobox with a list of the ARIA Authoring Practices.

import { h, unique } from "./dom.js";

const SHOWN_MAX = 60;

/**
 * Return a combobox.
 * @param {Object} how
 * @param {string} how.label the label for screen readers
 * @param {string} how.value
 * @param {string} [how.placeholder]
 * @param {string} [how.key] identifies the field, so that it keeps the focus when rows are drawn again
 * @param {() => {value: string, note?: string}[]} how.options all suggestions
 * @param {(value: string) => void} how.change called with each new text
 * @returns {{element: HTMLElement, input: HTMLInputElement}}
 */
export function combobox(how) {
  return new Combobox(how);
}

class Combobox {
  #active = -1;
  #shown = [];

  constructor({ label, value, placeholder = "", key, options, change }) {
    this.options = options;
    this.change = change;
    const id = unique("options");
    this.list = h("ul.options", { id, role: "listbox", "aria-label": label, hidden: true });
    this.input = h("input", {
      type: "text",
      role: "combobox",
      "aria-label": label,
      "aria-expanded": "false",
      "aria-controls": id,
      "aria-autocomplete": "list",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      placeholder,
      value,
      "data-key": key,
      on: {
        input: () => this.#typed(),
        keydown: (event) => this.#key(event),
        click: () => this.#open(),
        blur: () => this.#close(),
      },
    });
    this.element = h("div.combo", {}, this.input, this.list);
  }

  #typed() {
    this.change(this.input.value);
    this.#open();
  }

  #open() {
    this.#shown = matching(this.options(), this.input.value);
    this.#active = -1;
    this.list.replaceChildren(...this.#shown.map((option, index) => this.#option(option, index)));
    const isOpen = this.#shown.length > 0;
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
    this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.list.hidden = true;
    this.#active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #option({ value, note }, index) {
    return h(
      "li",
      {
        id: `${this.list.id}-${index}`,
        role: "option",
        "aria-selected": "false",
        // The field keeps the focus.
        on: { mousedown: (event) => event.preventDefault(), click: () => this.#take(index) },
      },
      h("span", {}, marked(value, this.input.value.trim())),
      note && h("span", {}, note),
    );
  }

  #take(index) {
    this.input.value = this.#shown[index].value;
    this.#close();
    this.change(this.input.value);
  }

  #key(event) {
    const isOpen = !this.list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!isOpen) this.#open();
      this.#move(event.key === "ArrowDown" ? 1 : -1);
    } else if (isOpen && this.#active >= 0 && (event.key === "Enter" || event.key === "Tab")) {
      if (event.key === "Enter") event.preventDefault();
      this.#take(this.#active);
    } else if (isOpen && event.key === "Escape") {
      event.stopPropagation();
      this.#close();
    }
  }

  #move(step) {
    const count = this.#shown.length;
    if (!count) return;
    this.#active = this.#active < 0 ? (step > 0 ? 0 : count - 1) : (this.#active + step + count) % count;
    for (const [index, one] of [...this.list.children].entries()) one.setAttribute("aria-selected", String(index === this.#active));
    const active = this.list.children[this.#active];
    active.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", active.id);
  }
}

/** Return the options that contain a text, those that begin with it first; all options if the text is one of them. */
function matching(options, text) {
  const wanted = text.trim().toLowerCase();
  if (options.some((one) => one.value.toLowerCase() === wanted)) return options.slice(0, SHOWN_MAX);
  const found = options.filter((one) => one.value.toLowerCase().includes(wanted));
  const begins = (one) => Number(one.value.toLowerCase().startsWith(wanted));
  return found.sort((one, other) => begins(other) - begins(one)).slice(0, SHOWN_MAX);
}

function marked(value, text) {
  const at = text ? value.toLowerCase().indexOf(text.toLowerCase()) : -1;
  if (at < 0) return value;
  return [value.slice(0, at), h("mark", {}, value.slice(at, at + text.length)), value.slice(at + text.length)];
}
