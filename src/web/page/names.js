// Names and labels that people chose, as they may be shown: nothing in them that is not to be seen
// or that turns its neighbours about, so that none passes for another.

// Joiners, and what chooses a drawing, stay: some scripts and emoji need them.
const HIDDEN =
  /(?![\t\u200c\u200d\ufe0e\ufe0f\u{e0020}-\u{e007f}])[\p{DI}\p{Cc}\p{Zl}\p{Zp}\u2800]/gu;
const SEEN = /[\p{L}\p{N}\p{P}\p{S}]/u;
// What is not to be seen at all, in a name that is read as an address.
const UNSEEN = /\p{DI}/gu;
// What looks like a dot, or is taken for one.
const DOTS = /[\u2024\ufe52\uff0e\u3002\uff61]/g;
const BETWEEN_NAMES = /[^\p{L}\p{N}\p{M}._-]/u;

export const visible = (text) => text.replace(HIDDEN, "");

/** A room's name or, where nothing of that is to be seen, its address. */
export function roomName({name, slug}) {
  const shown = visible(name);
  return SEEN.test(shown) ? shown : slug;
}

/** Where a link leads, if its label begins with the name of another place; else `null`. */
export function otherPlace(label, href) {
  const url = new URL(href);
  const [host] = url.hostname ? [url.hostname] : url.pathname.split("@").slice(-1);
  const written = visible(label).replace(UNSEEN, "").toLowerCase().replace(DOTS, ".");
  for (const word of written.split(BETWEEN_NAMES)) {
    const parts = word.split(".").filter((part) => part !== "");
    const isAddress = parts.length === 4 && parts.every((part) => /^\d+$/.test(part));
    if (!isAddress && (parts.length < 2 || !/^\p{L}{2}/u.test(parts.at(-1)))) continue;
    const name = parts.join(".");
    return host === name || host.endsWith(`.${name}`) ? null : url.host || url.pathname;
  }
  return null;
}
