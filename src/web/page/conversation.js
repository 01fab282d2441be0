// The open room: it is joined, read in both directions, and talked in.

import {$, announce} from "./dom.js";
import {Feed} from "./feed.js";
import {roomName} from "./names.js";
import {presence} from "./people.js";
import {Typing} from "./typing.js";
import {say} from "./words.js";

const PAGE = 50;
const PAGE_MAX = 200;
/** Fetch more when less than so many heights of the box are left. */
const AHEAD = 1.5;
const RETRY_MS = 3000;
const ANNOUNCE_MS = 800;
const ANNOUNCED = 3;

export class Conversation {
  /** The API's description of the open room, once it is known. */
  info = null;
  #parlor;
  #me;
  #reads;
  #hooks;
  #feed;
  #room = null;
  #offs = [];
  #opening = 0; // What belongs to an earlier one is not listened to.
  #fetching = new Set();
  #ready = false; // Whether it stands where it is to be read from.
  #count = 0;
  #head = 0;
  #unseen = 0;
  #typing = new Typing((text) => { $("typing").textContent = text; });
  #told = [];

  /** `hooks`: onOpened(info), onLost(why), onEdit(text), onState(state), onRead(roomId, isRead),
   * onClosing(room), onDropped(slug, text) of what was refused and not dealt with. */
  constructor(parlor, me, reads, hooks, signal) {
    [this.#parlor, this.#me, this.#reads, this.#hooks] = [parlor, me, reads, hooks];
    const onScroll = () => this.#scrolled();
    this.#feed = new Feed(me, {onScroll, onEdit: hooks.onEdit}, signal);
  }

  // ---- in and out ----

  /** Throws what the server answered if it cannot be opened. `wanted` is how many messages. */
  async open(address, wanted) {
    this.close();
    const opening = this.#opening;
    const limit = Math.min(Math.max(wanted, PAGE), PAGE_MAX);
    const path = `/rooms/${encodeURIComponent(address)}/messages`;
    const ask = (query) => this.#parlor.request("GET", path, {query});
    let [info, page] = await Promise.all([this.#parlor.room(address), ask({limit})]);
    const unread = page.count - (this.#reads.of(info.roomId) ?? page.count);
    // Who followed a link: that much is new was not known before.
    if (unread > limit && limit < PAGE_MAX) page = await ask({limit: PAGE_MAX});
    if (opening !== this.#opening) return;
    this.info = {...info, name: roomName(info)};
    this.#count = page.count;
    this.#head = page.head;
    this.#feed.timeline.reset(page);
    this.#feed.freshFrom = unread > 0 ? page.messages.at(-unread)?.seq : undefined;
    this.#join(page.messages.at(-1)?.seq ?? page.head);
    this.#hooks.onOpened(this.info);
    this.#feed.draw();
    this.#showEnds();
    const fresh = document.querySelector("#messages > li > .fresh");
    if (fresh) this.#feed.scroller.toItem(fresh);
    this.#ready = true;
    this.#scrolled();
  }

  /** What was said and not acknowledged is still sent. */
  close() {
    this.#opening += 1;
    this.#ready = false;
    for (const off of this.#offs.splice(0)) off();
    if (this.#room) {
      for (const text of this.#feed.refusals) this.#hooks.onDropped(this.info.slug, text);
      this.#hooks.onClosing(this.#room);
      this.#room.leave();
    }
    this.#room = this.info = null;
    this.#fetching.clear();
    this.#unseen = 0;
    this.#typing.clear();
    this.#feed.clear();
    this.#tellNewest();
    presence(null);
  }

  #join(after) {
    // One that was joined only to send what was left begins anew, here.
    this.#parlor.joined.find(({address}) => address === this.info.slug)?.leave();
    const room = this.#parlor.join(this.info.slug, {after});
    this.#room = room;
    const feed = this.#feed;
    const on = (type, listener) => this.#offs.push(room.on(type, listener));
    on("message", (message) => this.#hear(message));
    on("joined", ({head, count}) => {
      [this.#head, this.#count] = [head, count];
      this.#adoptUnsent();
    });
    on("state", ({state}) => {
      if (state === "joining" && this.#parlor.state !== "connecting") this.absent();
      this.#hooks.onState(state);
    });
    on("retract", (range) => this.#retract(range));
    on("reset", () => this.#hooks.onLost("reset"));
    on("presence", () => presence(room, this.#me));
    on("typing", ({userId, username}) => this.#typing.heard(userId, username));
    on("sending", (sent) => feed.sending(sent));
    on("ack", ({seq}) => feed.storedUpTo(seq));
    on("refused", (refusal) => feed.refused(refusal));
    on("restored", () => this.#adoptUnsent());
    on("left", ({reason, error}) => this.#hooks.onLost(reason ?? error?.code));
    this.#adoptUnsent();
    this.#hooks.onState(room.state);
  }

  #adoptUnsent() {
    for (const entry of this.#room?.unsent ?? []) {
      if (!entry.heard) this.#feed.sending(entry);
    }
  }

  // ---- hearing ----

  #hear(message) {
    const {timeline, scroller} = this.#feed;
    const follows = scroller.atEnd && document.visibilityState === "visible";
    this.#typing.stopped(message.userId);
    if (message.seq > this.#head) this.#count += 1;
    // Where nothing is heard before the disk has it.
    if (this.info.delivery === "committed") this.#feed.timeline.storedUpTo(message.seq);
    const shown = timeline.hear(message, scroller.atEnd);
    if (!shown && message.id !== undefined) this.#feed.heardElsewhere(message.id);
    if (message.userId !== this.#me.userId) {
      this.#announce(message);
      if (!follows) this.#unseen += 1;
    }
    this.#feed.later();
    this.#tellNewest();
    this.#markRead();
  }

  #retract(range) {
    this.#count -= this.#feed.timeline.retract(range);
    this.#adoptUnsent();
    this.#feed.later();
  }

  /** A few are read out; of many, only how many. */
  #announce({username: name, message: text}) {
    this.#told.push(say("talk.says", {name, text}));
    if (this.#told.length > 1) return;
    setTimeout(() => {
      const told = this.#told.splice(0);
      if (told.length <= ANNOUNCED) told.forEach(announce);
      else announce(say("talk.unseen", {count: told.length}));
    }, ANNOUNCE_MS);
  }

  // ---- saying ----

  get canSend() {
    return this.#room !== null && this.#room.state !== "left";
  }

  /** `false` if it was not taken. */
  send(text) {
    if (!this.canSend) return false;
    const sending = this.#room.send(text);
    // What becomes of it is told by events, but for what was not taken in the first place.
    sending.catch(() => {});
    if (!this.#feed.isPending(sending.id)) return false;
    this.#feed.scroller.atEnd = true;
    if (this.#feed.timeline.live) this.#feed.draw();
    else this.newest();
    return true;
  }

  /** Who is there is not known while we are not. Not told while a connection hands over to another:
   * that is over in a moment. */
  absent() {
    presence(null);
  }

  /** Everything that was said in this room up to this seq is on disk. */
  storedUpTo(roomId, seq) {
    if (this.#room && roomId === this.info.roomId) this.#feed.storedUpTo(seq);
  }

  typing() {
    this.#room?.typing();
  }

  // ---- moving through the history ----

  async newest() {
    if (this.#feed.timeline.live) {
      this.#feed.scroller.toEnd();
      this.#scrolled();
      return;
    }
    await this.#fetch("newest", {limit: PAGE}, (page) => {
      this.#feed.timeline.reset(page);
      this.#feed.scroller.atEnd = true;
    });
  }

  #scrolled() {
    if (!this.#ready) return;
    const {timeline, scroller} = this.#feed;
    const {above, below} = scroller.room;
    if (above < AHEAD && !timeline.atBeginning) this.#older();
    if (below < AHEAD && !timeline.live) this.#newer();
    this.#tellNewest();
    this.#markRead();
  }

  #older() {
    const {timeline} = this.#feed;
    const query = {before: timeline.first, limit: PAGE};
    this.#fetch("older", query, (page) => {
      if (timeline.first === query.before) timeline.prepend(page);
    });
  }

  #newer() {
    const {timeline} = this.#feed;
    const query = {after: timeline.last, limit: PAGE};
    this.#fetch("newer", query, (page) => {
      if (timeline.last === query.after) timeline.append(page);
    });
  }

  async #fetch(kind, query, take) {
    if (this.#fetching.has(kind) || !this.#room) return;
    this.#fetching.add(kind);
    this.#showEnds();
    const [opening, room] = [this.#opening, this.#room];
    let failed = false;
    try {
      const page = await room.history(query);
      if (opening !== this.#opening) return;
      take(page);
      this.#feed.draw();
    } catch {
      failed = true;
    }
    if (opening !== this.#opening) return;
    if (failed) await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
    if (opening !== this.#opening) return;
    this.#fetching.delete(kind);
    this.#showEnds();
    this.#scrolled();
  }

  // ---- telling ----

  #showEnds() {
    const {timeline} = this.#feed;
    const name = this.info?.name ?? "";
    const older = this.#fetching.has("older") ? say("talk.older") : "";
    $("beginning").textContent = timeline.atBeginning ? say("talk.beginning", {room: name}) : older;
  }

  #tellNewest() {
    const {timeline, scroller} = this.#feed;
    if (timeline.live && scroller.atEnd && document.visibilityState === "visible") this.#unseen = 0;
    const count = this.#unseen;
    $("newest").hidden = !this.#room || (timeline.live && scroller.atEnd);
    $("newest-text").textContent = count > 0 ? say("talk.unseen", {count}) : say("talk.newest");
  }

  /** What is in view of a person has been read. */
  #markRead() {
    if (!this.#ready || document.visibilityState !== "visible") return;
    const isRead = this.#feed.timeline.live && this.#feed.scroller.atEnd;
    if (isRead) this.#reads.set(this.info.roomId, this.#count);
    this.#hooks.onRead(this.info.roomId, isRead);
  }

  /** The page is seen again: what came meanwhile is drawn and read. */
  seen() {
    if (!this.#room) return;
    this.#feed.draw();
  }
}
