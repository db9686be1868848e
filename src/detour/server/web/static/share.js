// Sharing a scenario: its links, a QR code, and headers and commands for programs.

import { Problem, ask, pathOf } from "./api.js";
import { h, swap } from "./dom.js";
import { notify } from "./notices.js";

export class Share {
  #shown = "";

  constructor() {
    this.element = h("section.stack.share", { "aria-label": "Share" });
  }

  /** Show the ways to enter a scenario. */
  show(scenario) {
    const key = JSON.stringify([scenario.name, scenario.state, scenario.links, scenario.only_host, scenario.baggage]);
    if (key === this.#shown) return;
    this.#shown = key;
    if (scenario.state !== "live") {
      swap(
        this.element,
        h("h2.unseen", {}, "Share"),
        h("p.quiet", {}, `This scenario ${scenario.state === "expired" ? "has expired" : "was removed"}. Its links show this.`),
      );
      return;
    }
    // An edge removes overrides from outside, and applies scenarios by their names.
    const header = `x-detour-scenario: ${scenario.name}`;
    swap(
      this.element,
      h("h2.unseen", {}, "Share"),
      scenario.links.length ? this.#links(scenario) : noLinks(),
      lineToCopy("Header", header),
      lineToCopy("curl", `curl -H ${quoted(header)} ${scenario.links.length ? originOf(scenario.links) : "URL"}`),
      lineToCopy("Detour's command line", `detour curl -s ${scenario.name} -- ${scenario.links.length ? originOf(scenario.links) : "URL"}`),
      lineToCopy("Header inside the mesh", `baggage: ${scenario.baggage}`),
      lineToCopy("This page", location.href.replace(/#.*$/, `#/scenarios/${scenario.name}`)),
    );
  }

  #links({ name, links, only_host: host }) {
    const code = h("figure.qr", {}, h("div.qr-place", {}));
    this.#drawCode(code, name, links[0]);
    const send =
      navigator.share && h("button.button", { type: "button", on: { click: () => navigator.share({ title: name, url: links[0] }).catch(() => {}) } }, "Send…");
    return h(
      "div.link-and-code",
      {},
      h(
        "div.stack.tight",
        {},
        links.map((link, index) => lineToCopy(index ? "Another link" : "Link", link, true)),
        host && h("p.hint", {}, `The link with ?…=${name} applies to ${host} only, not to other hosts that its pages call.`),
        send && h("div.actions", {}, send),
      ),
      code,
    );
  }

  async #drawCode(figure, name, link) {
    try {
      const drawn = await (await ask(`${pathOf(name)}/qr`)).blob();
      const source = URL.createObjectURL(drawn);
      const image = h("img", { src: source, alt: `QR code of ${link}`, width: "164", height: "164", on: { load: () => URL.revokeObjectURL(source) } });
      figure.replaceChildren(h("div.qr-place", {}, image), h("figcaption.hint", {}, "Scan with a phone"));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      figure.replaceChildren(h("figcaption.hint", {}, problem.message));
    }
  }
}

const originOf = (links) => `${new URL(links.at(-1)).origin}/`;

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function noLinks() {
  return h(
    "div.notice",
    {},
    h(
      "div.stack.tight",
      {},
      h("p", {}, "No link yet, because the mesh file does not contain the URL of the edge. Add it:"),
      h("pre", {}, "edge:\n  url: https://staging.example.test"),
    ),
  );
}

/** Return a line of text with a button that copies it. */
function lineToCopy(label, text, isLink = false) {
  const shown = isLink ? h("a.mono", { href: text, target: "_blank", rel: "noopener" }, text) : h("code", {}, text);
  const button = h("button.button.small", { type: "button", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    const isCopied = await copied(text, shown);
    notify(isCopied ? "Copied." : "Your browser does not allow pages to copy. The text is selected: copy it yourself.");
  });
  return h("div.copy-line", {}, h("span.label", {}, label), h("div", {}, shown, button));
}

/** Copy a text; the clipboard API needs https or localhost, so otherwise select the text and copy the selection. */
async function copied(text, element) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}
