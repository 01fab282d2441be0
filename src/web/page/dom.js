// The few things that every part of the page does to the document.

export const $ = (id) => document.getElementById(id);

/** An element with properties and children; a string among the children becomes text. */
export function make(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  sending: ["M12 6.5V12l3.5 2", "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z"],
  heard: ["M5 12.5l4.5 4.5L19 7.5"],
  safe: ["M2.5 12.5 7 17l9-9.5", "M11 16l1.2 1L21.5 7.5"],
  refused: ["M12 7.5v5.5", "M12 16.4v.1", "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17Z"],
};

export function icon(name) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", "0 0 24 24");
  drawn.setAttribute("aria-hidden", "true");
  drawn.classList.add("icon");
  for (const line of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    drawn.append(path);
  }
  return drawn;
}

/** The first letter of a name, whatever script it is in. */
export function initial(name) {
  const [first = "?"] = new Intl.Segmenter().segment(name.trim() || "?");
  return (first.segment ?? "?").toLocaleUpperCase();
}

/** Makes `items` the children of `list`, touching no more than must be. */
export function settle(list, items) {
  const wanted = new Set(items);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  let next = list.firstElementChild;
  for (const item of items) {
    if (item === next) next = next.nextElementSibling;
    else list.insertBefore(item, next);
  }
}

const announcer = () => $("announcer");

/** Tells a screen reader, politely. The same words twice in a row are told twice. */
export function announce(text) {
  const told = make("p", {}, [text]);
  announcer().append(told);
  while (announcer().childElementCount > 4) announcer().firstElementChild.remove();
}

/** Puts a text where pasting takes it from, and tells whether it is there. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Only secure pages have a clipboard. In others what is selected can be copied.
    const focused = document.activeElement;
    const box = make("textarea", {value: text, className: "unseen", readOnly: true});
    document.body.append(box);
    box.select();
    const isDone = document.execCommand("copy");
    box.remove();
    focused?.focus();
    return isDone;
  }
}

export const isNarrow = () => matchMedia("(max-width: 719px)").matches;
export const isTouch = () => matchMedia("(pointer: coarse)").matches;
