// Creates elements without parsing markup, so that data from people or services is always text.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an HTML element.
 * @param {string} tag its name, with classes as in CSS: `button.main`
 * @param {Object} attributes `on` holds listeners by event, `css` custom properties; null and false leave one out
 * @param {...(Node|string|number|null|Array)} children
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElement(name), classes, attributes, children);
}

/** Make an SVG element; the same arguments. */
export function s(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  return filled(document.createElementNS(SVG, name), classes, attributes, children);
}

function filled(element, classes, attributes, children) {
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(attributes)) put(element, name, value);
  element.append(...flat(children));
  return element;
}

function put(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
  else if (name === "css") for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
  else if (name === "value") element.value = value;
  else if (name === "href" && !isWebAddress(value)) return;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Return whether an address is http or https; `javascript:` and other schemes are refused. */
export function isWebAddress(address) {
  return URL.canParse(address, location.href) && ["http:", "https:"].includes(new URL(address, location.href).protocol);
}

function flat(children) {
  return children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace the children of an element; the focus stays on the element with the same `data-key`. */
export function swap(element, ...children) {
  const held = element.contains(document.activeElement) ? document.activeElement.dataset?.key : null;
  element.replaceChildren(...flat(children));
  if (held) element.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

let made = 0;

/** Return a unique id. */
export function unique(prefix) {
  made += 1;
  return `${prefix}-${made}`;
}

/** Format a number of things: `plural(2, "service")`. */
export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}
