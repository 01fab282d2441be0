// The list of rooms, with what is unread in each.

import {$, make, settle} from "./dom.js";
import {roomName} from "./names.js";
import {language, say} from "./words.js";

const SHOWN = 200;
const FILTER_FROM = 9;
const MOST = 999;

/** At most so many of them, in their order; those that `isFirst` before others. */
export function choose(rooms, most, isFirst) {
  const ranked = [...rooms.filter(isFirst), ...rooms.filter((room) => !isFirst(room))];
  const chosen = new Set(ranked.slice(0, most));
  return rooms.filter((room) => chosen.has(room));
}

export class Rooms {
  #reads;
  #known = new Map(); // By roomId: {roomId, slug, name, head, count}
  #items = new Map(); // By roomId: what shows it.
  #open = null; // The roomId of the open one.
  #reading = null; // Of the one that is in view to its end.
  #onUnread;
  #frame = 0;
  #order = new Intl.Collator(language, {numeric: true, sensitivity: "base"});
  #told = false; // All of them, once.
  #ended = false;

  constructor(reads, onUnread, signal) {
    this.#reads = reads;
    this.#onUnread = onUnread;
    $("filter").addEventListener("input", () => this.draw(), {signal});
  }

  /** All rooms, or those that changed. */
  take({snapshot, rooms}) {
    if (snapshot) {
      this.#known.clear();
      this.#reads.agree(rooms);
    }
    for (const {gone, ...room} of rooms) {
      if (gone) {
        this.#known.delete(room.roomId);
        this.#items.delete(room.roomId);
        this.#reads.forget(room.roomId);
        continue;
      }
      const merged = {...this.#known.get(room.roomId), ...room};
      merged.name = roomName(merged);
      this.#known.set(room.roomId, merged);
    }
    this.#told = true;
    this.later();
  }

  bySlug(address) {
    const known = [...this.#known.values()];
    return known.find(({slug, roomId}) => slug === address || String(roomId) === address);
  }

  unread({roomId, count = 0}) {
    if (roomId === this.#reading && document.visibilityState === "visible") return 0;
    return Math.max(0, count - (this.#reads.of(roomId)?.count ?? 0));
  }

  /** `null`: none. */
  opened(roomId) {
    this.#open = roomId;
    this.#reading = null;
    this.later();
  }

  /** Whether the end of the open room is in view. */
  reading(roomId) {
    if (roomId === this.#reading) return;
    this.#reading = roomId;
    this.later();
  }

  /** The address of the room `steps` further down the list. */
  neighbour(steps) {
    const links = [...$("rooms").querySelectorAll("a")];
    const at = links.findIndex((link) => link.hasAttribute("aria-current"));
    return links.at(at < 0 ? 0 : (at + steps + links.length) % links.length);
  }

  linkOf(roomId) {
    return this.#items.get(roomId)?.querySelector("a");
  }

  /** At the end of a session. */
  clear() {
    this.#ended = true;
    cancelAnimationFrame(this.#frame);
    $("filter").value = "";
    settle($("rooms"), []);
  }

  /** What is unread is told at once: a page that nobody sees is not drawn, but its title is read. */
  later() {
    if (this.#ended) return;
    this.#onUnread([...this.#known.values()].filter((room) => this.unread(room) > 0).length);
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const all = [...this.#known.values()];
    $("filter-box").hidden = all.length < FILTER_FROM;
    const wanted = $("filter").value.trim().toLocaleLowerCase();
    const matching = all
      .filter(({name, slug}) => `${name} ${slug}`.toLocaleLowerCase().includes(wanted))
      .sort((one, other) => this.#order.compare(one.name, other.name) || one.roomId - other.roomId);
    const isFirst = (room) => room.roomId === this.#open || this.unread(room) > 0;
    const shown = choose(matching, SHOWN, isFirst);
    const names = new Map();
    for (const {name} of shown) names.set(name, (names.get(name) ?? 0) + 1);
    const items = shown.map((room) => this.#itemOf(room, names.get(room.name) > 1));
    settle($("rooms"), items);
    const [none, more] = [$("rooms-none"), $("rooms-more")];
    none.hidden = !this.#told || shown.length > 0;
    none.textContent = all.length === 0
      ? `${say("rooms.none")} ${say("rooms.noneHint")}` : say("rooms.noMatch");
    const rest = matching.length - shown.length;
    more.hidden = rest === 0;
    more.textContent = say("rooms.more", {count: rest});
  }

  /** Of two with one name, the address tells which is which. */
  #itemOf(room, isTwin) {
    let item = this.#items.get(room.roomId);
    if (!item) {
      const name = make("span", {className: "room-name", dir: "auto"});
      const badge = make("span", {className: "badge"});
      const words = make("span", {className: "unseen"});
      item = make("li", {}, [make("a", {}, [name, badge, words])]);
      badge.setAttribute("aria-hidden", "true");
      this.#items.set(room.roomId, item);
    }
    const link = item.firstElementChild;
    const [name, badge, words] = link.children;
    const unread = this.unread(room);
    link.href = `/r/${room.slug}`;
    if (room.roomId === this.#open) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.classList.toggle("has-unread", unread > 0);
    name.textContent = room.name;
    if (isTwin) name.append(make("span", {className: "optional"}, [room.slug]));
    badge.textContent = unread > MOST ? `${MOST}+` : unread || "";
    words.textContent = unread > 0 ? `, ${say("rooms.unread", {count: unread})}` : "";
    return item;
  }
}
