// The open room: it is joined, read in both directions, and talked in.

import {$, announce} from "./dom.js";
import {Feed} from "./feed.js";
import {roomName} from "./names.js";
import {presence} from "./people.js";
import {plain} from "./render.js";
import {Typing} from "./typing.js";
import {reason, say} from "./words.js";

const PAGE = 50;
const PAGE_MAX = 200;
/** Of what was read already, above what is new. */
const CONTEXT = 20;
/** Fetch more when less than so many heights of the box are left. */
const AHEAD = 1.5;
const RETRY_MS = 3000;
const ANNOUNCE_MS = 800;
const ANNOUNCED = 3;
const ANNOUNCED_LETTERS = 200;

export class Conversation {
  /** The API's description of the open room, once it is known. */
  info = null;
  #parlor;
  #me;
  #reads;
  #drafts;
  #hooks;
  #feed;
  #room = null;
  #offs = [];
  #opening = 0; // What belongs to an earlier one is not listened to.
  #fetching = new Set();
  #ready = false; // Whether it stands where it is to be read from.
  #count = 0; // Of the room's messages, and the seq of the last one: as it was joined, and since.
  #head = 0;
  #wantsNewest = false; // Also while they cannot be fetched.
  #away = null; // {wasAtEnd}, from an absence on until what came meanwhile is shown.
  #typing = new Typing((text) => { $("typing").textContent = text; });
  #told = [];
  #telling;
  #repeated = new Set(); // Ids of what was refused and is said again.

  /** `kept`: reads and drafts. `hooks`: onOpened(info), onLost(why), onEdit(text), onState(state),
   * onRead(roomId, isRead), onClosing(room), onNotTaken(error). */
  constructor(parlor, me, {reads, drafts}, hooks, signal) {
    [this.#parlor, this.#me, this.#hooks] = [parlor, me, hooks];
    [this.#reads, this.#drafts] = [reads, drafts];
    this.#feed = new Feed(me, {
      onScroll: () => this.#scrolled(),
      onEdit: hooks.onEdit,
      onAgain: (text) => this.#repeat(text),
      onSettled: (id) => drafts.settle(this.info.slug, id),
    }, signal);
  }

  // ---- in and out ----

  /** Throws what the server answered if it cannot be opened. `wanted` is how many messages. */
  async open(address, wanted) {
    this.close();
    const opening = this.#opening;
    const path = `/rooms/${encodeURIComponent(address)}/messages`;
    const ask = (query) => this.#parlor.request("GET", path, {query});
    const limit = Math.min(Math.max(wanted, PAGE), PAGE_MAX);
    const [info, newest] = await Promise.all([this.#parlor.room(address), ask({limit})]);
    const {count, seq} = this.#readOf(info.roomId, newest);
    const isFar = newest.hasMore && newest.count - count > newest.messages.length;
    const [later, earlier] = isFar
      ? await Promise.all([{after: seq, limit: PAGE}, {before: seq + 1, limit: CONTEXT}].map(ask))
      : [];
    if (opening !== this.#opening) return;
    this.info = {...info, name: roomName(info)};
    [this.#count, this.#head] = [newest.count, newest.head];
    const {timeline, scroller} = this.#feed;
    if (isFar) {
      timeline.resetBehind(later, count);
      timeline.prepend(earlier);
    } else {
      timeline.reset(newest);
    }
    scroller.follow(timeline.live);
    this.#join((timeline.live ? timeline.last : undefined) ?? newest.head);
    this.#hooks.onOpened(this.info);
    this.#toFresh(seq);
    this.#showEnds();
  }

  /** Whoever is here for the first time has read what there is. */
  #readOf(roomId, {count, head}) {
    const nothing = {count: 0, seq: 0};
    return this.#reads.of(roomId) ?? (this.#reads.isNew ? {count, seq: head} : nothing);
  }

  /** With the first of what is new in view, under a line that says so. */
  #toFresh(read) {
    const {timeline, scroller} = this.#feed;
    this.#ready = false;
    const isFresh = ({seq, userId}) => seq > read && userId !== this.#me.userId;
    this.#feed.freshFrom = timeline.messages.find(isFresh)?.seq;
    this.#feed.draw();
    const fresh = document.querySelector("#messages > li > .fresh");
    if (fresh) scroller.toItem(fresh);
    this.#ready = true;
    this.#scrolled();
  }

  /** What was said and not acknowledged is still sent. */
  close() {
    this.#opening += 1;
    this.#ready = false;
    for (const off of this.#offs.splice(0)) off();
    if (this.#room) {
      this.#hooks.onClosing(this.#room);
      this.#room.leave();
    }
    this.#room = this.info = null;
    this.#fetching.clear();
    this.#away = null;
    this.#wantsNewest = false;
    clearTimeout(this.#telling);
    this.#told = [];
    this.#repeated.clear();
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
      if (state === "catching-up") this.#leave();
      this.#hooks.onState(state);
    });
    on("retract", (range) => this.#retract(range));
    on("reset", () => this.#hooks.onLost("reset"));
    on("presence", () => presence(room, this.#me));
    on("typing", ({userId, username}) => this.#typing.heard(userId, username));
    on("sending", (sent) => feed.sending(sent));
    on("ack", (receipt) => this.#acked(receipt));
    on("refused", (refusal) => this.#refused(refusal));
    on("restored", () => this.#adoptUnsent());
    on("left", ({reason, error}) => this.#hooks.onLost(reason ?? error?.code));
    for (const refusal of this.#drafts.refused(this.info.slug)) feed.refused(refusal);
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
    this.#typing.stopped(message.userId);
    if (document.hidden) this.#leave();
    if (message.seq > this.#head) this.#count += 1;
    // Where nothing is heard before the disk has it.
    if (this.info.delivery === "committed") timeline.storedUpTo(message.seq);
    const shown = timeline.hear(message, scroller.atEnd && !this.#away);
    if (!shown && message.id !== undefined) this.#feed.heardElsewhere(message.id);
    if (message.userId !== this.#me.userId) this.#announce(message);
    this.#feed.later();
  }

  #retract(range) {
    this.#feed.timeline.retract(range);
    this.#adoptUnsent();
    this.#feed.later();
  }

  /** What comes from now on is not seen as it comes. */
  #leave() {
    this.#away ??= {wasAtEnd: this.#feed.scroller.atEnd};
  }

  #comeBack() {
    if (document.hidden || this.#room.state === "catching-up") return;
    const {wasAtEnd} = this.#away;
    this.#away = null;
    if (wasAtEnd) this.#toFresh(this.#reads.of(this.info.roomId)?.seq ?? 0);
  }

  /** A few are read out; of many, only how many. */
  #announce({username: name, message: text}) {
    this.#told.push(say("talk.says", {name, text: plain(text, ANNOUNCED_LETTERS)}));
    if (this.#told.length > 1) return;
    this.#telling = setTimeout(() => {
      const told = this.#told.splice(0);
      if (told.length <= ANNOUNCED) told.forEach(announce);
      else announce(say("talk.unseen", {count: told.length}));
    }, ANNOUNCE_MS);
  }

  // ---- saying ----

  get canSend() {
    return this.#room !== null && this.#room.state !== "left";
  }

  /** Its id, or `null` if it was not taken. */
  send(text) {
    if (!this.canSend) return null;
    const sending = this.#room.send(text);
    const isTaken = this.#feed.isPending(sending.id);
    // What becomes of it is told by events, but for what was not taken in the first place.
    sending.catch((error) => { if (!isTaken) this.#hooks.onNotTaken(error); });
    if (!isTaken) return null;
    this.#feed.scroller.follow(true);
    if (this.#feed.timeline.live) this.#feed.draw();
    else this.newest();
    return sending.id;
  }

  /** Whoever cannot see what becomes of it is told. */
  #repeat(text) {
    const id = this.send(text);
    if (id !== null) this.#repeated.add(id);
    return id !== null;
  }

  #acked(receipt) {
    this.#feed.acked(receipt);
    if (this.#repeated.delete(receipt.id)) announce(say("talk.safe"));
  }

  /** It is kept until something is done about it. */
  #refused({id, message, error}) {
    const why = reason(error);
    this.#drafts.refuse(this.info.slug, {id, message, why});
    this.#feed.refused({id, message, why});
    announce(say("talk.refused", {reason: why}));
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
    this.#wantsNewest = !this.#feed.timeline.live;
    if (!this.#wantsNewest) {
      this.#feed.scroller.toEnd();
      this.#scrolled();
      return;
    }
    await this.#fetch("newest", {limit: PAGE}, (page) => {
      this.#wantsNewest = false;
      this.#feed.timeline.reset(page);
      this.#feed.scroller.follow(true);
    });
  }

  #scrolled() {
    if (!this.#ready) return;
    if (this.#away) this.#comeBack();
    const {timeline, scroller} = this.#feed;
    const {above, below} = scroller.room;
    if (above < AHEAD && !timeline.atBeginning) this.#older();
    if (this.#wantsNewest) this.newest();
    if (below < AHEAD && !timeline.live) this.#newer();
    this.#markRead();
    this.#tellNewest();
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
    try {
      const page = await room.history(query);
      if (opening !== this.#opening) return;
      take(page);
      this.#feed.draw();
    } catch (error) {
      const pause = Math.max(RETRY_MS, error.retryAfter ?? 0);
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
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
    const read = this.info && this.#reads.of(this.info.roomId);
    const count = read ? this.#count - read.count : 0;
    $("newest").hidden = !this.#room || (timeline.live && scroller.atEnd);
    $("newest-text").textContent = count > 0 ? say("talk.unseen", {count}) : say("talk.newest");
  }

  /** What is in view of a person, or was, has been read. */
  #markRead() {
    if (this.#away || document.hidden) return;
    const {roomId} = this.info;
    const {timeline, scroller} = this.#feed;
    const isAtEnd = timeline.live && scroller.atEnd;
    const seq = isAtEnd ? timeline.last ?? this.#head : this.#feed.lastSeen;
    if (seq !== undefined) this.#reads.reach(roomId, {seq, count: timeline.countAt(seq)});
    this.#hooks.onRead(roomId, isAtEnd);
  }

  /** The page is seen again: what came meanwhile is drawn and read. */
  seen() {
    if (!this.#room) return;
    this.#feed.draw();
  }
}
