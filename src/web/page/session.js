// Everything that a person sees who is signed in: the rooms, and the conversation in one of them.

import {$, announce, copied, isNarrow, isTouch} from "./dom.js";
import {accountDialog, deleteDialog} from "./account.js";
import {Composer} from "./composer.js";
import {Conversation} from "./conversation.js";
import {createDialog} from "./create.js";
import {Drafts, ReadPositions} from "./keep.js";
import {Leftovers} from "./leftovers.js";
import {Link} from "./link.js";
import {Rooms} from "./rooms.js";
import {reason, say} from "./words.js";

const RETRY_MS = 3000;
const RETRY_MAX_MS = 60_000;

export class Session {
  #parlor;
  #reads;
  #drafts;
  #rooms;
  #link;
  #composer;
  #conversation;
  #leftovers;
  #ask; // Before something is deleted.
  #isGoing = false; // Whether the account is being deleted.
  #route;
  #address = null; // Of the room that was asked for.
  #unread = 0;
  #toast;
  #ended = new AbortController();
  #retry;
  #tries = 0; // To open a room; what an earlier one brings is not listened to.
  #failures = 0; // Of them, in a row.

  /** `route` has go(path); `onEnd(why)` is told once, when nobody is signed in any more. */
  constructor(parlor, route, onEnd) {
    [this.#parlor, this.#route] = [parlor, route];
    const {user} = parlor;
    const {signal} = this.#ended;
    this.#reads = new ReadPositions(user.userId, () => this.#rooms.later(), signal);
    this.#drafts = new Drafts(user.userId);
    this.#rooms = new Rooms(this.#reads, (unread) => this.#countUnread(unread), signal);
    this.#link = new Link(parlor);
    this.#leftovers = new Leftovers(parlor, this.#drafts);
    const kept = {reads: this.#reads, drafts: this.#drafts};
    this.#conversation = new Conversation(parlor, user, kept, this.#hooks(), signal);
    this.#composer = new Composer(this.#drafts, {
      onSend: (text) => this.#conversation.send(text) !== null,
      onTyping: () => this.#conversation.typing(),
    }, signal);
    const made = (room) => {
      this.#rooms.take({rooms: [room]});
      route.go(`/r/${room.slug}`);
    };
    createDialog((room) => parlor.createRoom(room), made, signal);
    this.#ask = deleteDialog(signal);
    accountDialog(parlor, this.#ask, {
      onChanged: () => this.#warn(say("account.changed")),
      remove: (answer) => this.#leaveFor(answer, onEnd),
    }, signal);
    this.#listen(onEnd);
    $("who").textContent = user.displayName;
    $("who-name").textContent = user.displayName === user.username ? "" : `@${user.username}`;
    $("app").hidden = false;
    parlor.watch();
  }

  #hooks() {
    return {
      onOpened: (info) => this.#opened(info),
      onLost: (why) => this.#lost(why),
      onEdit: (text) => this.#composer.putBack(text),
      onState: (state) => this.#link.room(state),
      onRead: (roomId, isRead) => this.#rooms.reading(isRead ? roomId : null),
      onClosing: (room) => this.#leftovers.follow(room),
      onNotTaken: (error) => this.#warn(say("talk.refused", {reason: reason(error)})),
    };
  }

  #listen(onEnd) {
    const {signal} = this.#ended;
    const parlor = this.#parlor;
    parlor.on("rooms", (news) => {
      this.#reads.belongTo(parlor.log);
      this.#rooms.take(news);
      for (const {roomId, head} of news.rooms) this.#conversation.storedUpTo(roomId, head);
    });
    parlor.on("state", ({state}) => {
      if (!["open", "connecting"].includes(state)) this.#conversation.absent();
      if (state === "open" && $("app").dataset.panel === "failed") this.#open();
      if (state === "unauthorized" && !this.#isGoing) this.#end(onEnd, say("signin.ended"));
    });
    parlor.on("error", (error) => {
      if (error.code === "store") this.#warn(say("link.unsaved"));
    });
    $("signout").addEventListener("click", () => this.#signOut(onEnd), {signal});
    $("signout-anyway").addEventListener("click", () => this.#signOut(onEnd, true), {signal});
    $("signout-stay").addEventListener("click", () => $("signout-ask").close(), {signal});
    $("skip").addEventListener("click", () => this.#composer.focus(), {signal});
    $("newest").addEventListener("click", () => {
      // The button goes away, and the focus must not go with it.
      if (document.activeElement === $("newest")) $("log").focus();
      this.#conversation.newest();
    }, {signal});
    $("copy-link").addEventListener("click", () => this.#copyLink(), {signal});
    $("room-delete").addEventListener("click", () => this.#deleteRoom(), {signal});
    $("panel-action").addEventListener("click", () => this.#open(), {signal});
    document.addEventListener("visibilitychange", () => {
      this.#rooms.later();
      if (document.visibilityState === "visible") this.#conversation.seen();
    }, {signal});
    document.addEventListener("keydown", (event) => this.#key(event), {signal});
  }

  // ---- rooms ----

  /** The room of this address, or none; of the one that is open, the newest. */
  show(address) {
    const known = address && this.#rooms.bySlug(address);
    const slug = this.#conversation.info?.slug;
    if (!slug || slug !== (known?.slug ?? address)) return this.#change(address);
    this.#conversation.newest();
    return this.#focus();
  }

  #focus() {
    if (isNarrow() || isTouch()) $("title").focus();
    else this.#composer.focus();
  }

  #change(address) {
    const known = address && this.#rooms.bySlug(address);
    const before = this.#conversation.info?.roomId;
    this.#address = address;
    this.#composer.close();
    this.#conversation.close();
    this.#rooms.opened(known?.roomId ?? null);
    this.#link.room("live");
    $("app").dataset.view = address ? "room" : "list";
    $("title").textContent = known?.name ?? "";
    this.#panel(address ? "loading" : "pick");
    this.#nameDocument();
    this.#failures = 0;
    this.#open();
    if (!address) (this.#rooms.linkOf(before) ?? $("rooms-title")).focus();
  }

  /** Also again: what stands there stays until it is known what comes of it. */
  async #open() {
    clearTimeout(this.#retry);
    this.#tries += 1;
    const [address, tries] = [this.#address, this.#tries];
    if (!address) return;
    const known = this.#rooms.bySlug(address);
    // What is new, and a little of what it is about.
    const wanted = known ? this.#rooms.unread(known) + 20 : 0;
    try {
      await this.#conversation.open(address, wanted);
    } catch (error) {
      if (tries === this.#tries) this.#notOpened(error);
    }
  }

  #opened({slug, name, roomId, createdBy}) {
    const {userId, role} = this.#parlor.user;
    $("room-delete").hidden = createdBy !== userId && role !== "admin";
    this.#route.correct(`/r/${slug}`);
    this.#address = slug;
    this.#rooms.opened(roomId);
    $("title").textContent = name;
    $("log").setAttribute("aria-label", say("talk.log", {room: name}));
    this.#panel(null);
    this.#composer.open(slug, name);
    this.#nameDocument();
    this.#focus();
  }

  #notOpened(error) {
    if (["no_such_room", "not_found"].includes(error.code)) return this.#panel("missing");
    if (error.status === 401) return undefined; // The connection finds out, too.
    this.#panel("failed", reason(error));
    const pause = Math.min(RETRY_MS * 2 ** this.#failures, RETRY_MAX_MS);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#open(), Math.max(pause, error.retryAfter ?? 0));
    return undefined;
  }

  #lost(why) {
    if (why === "reset") return void this.#change(this.#address);
    const wasHere = $("talk").contains(document.activeElement);
    this.#composer.close();
    this.#conversation.close();
    if (why === undefined) return;
    this.#panel(why === "deleted" ? "deleted" : "missing");
    announce($("panel-title").textContent);
    if (wasHere) $("title").focus();
  }

  #deleteRoom() {
    const {roomId, name} = this.#conversation.info;
    this.#ask({
      title: say("rooms.deleteTitle", {room: name}),
      text: say("rooms.deleteText"),
      submit: say("rooms.delete"),
    }, async () => {
      await this.#parlor.deleteRoom(roomId);
      this.#rooms.take({rooms: [{roomId, gone: true}]});
      $("delete").close();
      // Unless that was told already.
      if (this.#conversation.info?.roomId === roomId) this.#lost("deleted");
      $("title").focus();
    });
  }

  /** What stands where a conversation would: `null` for the conversation itself. */
  #panel(kind, detail = "") {
    $("talk").hidden = kind !== null;
    $("panel").hidden = kind === null;
    $("app").dataset.panel = kind ?? "";
    const texts = {
      loading: [say("app.loading"), ""],
      pick: [say("rooms.pick"), say("rooms.pickHint")],
      missing: [say("rooms.missing"), say("rooms.missingHint")],
      deleted: [say("rooms.deleted"), say("rooms.deletedHint")],
      failed: [say("talk.failed"), detail],
    };
    const [title, hint] = texts[kind] ?? ["", ""];
    $("panel-title").textContent = title;
    $("panel-hint").textContent = hint;
    $("panel-action").hidden = kind !== "failed";
    // What was written for a room that is gone.
    const isGone = kind === "missing" || kind === "deleted";
    const kept = isGone ? this.#drafts.all(this.#address).join("\n\n") : "";
    $("panel-kept").hidden = kept === "";
    $("panel-text").value = kept;
  }

  // ---- the rest ----

  #countUnread(unread) {
    this.#unread = unread;
    this.#nameDocument();
    $("back").classList.toggle("has-unread", unread > 0);
    const label = unread > 0 ? say("rooms.backUnread", {count: unread}) : say("rooms.back");
    $("back").setAttribute("aria-label", label);
  }

  #nameDocument() {
    const name = this.#address ? $("title").textContent : "";
    const count = this.#unread > 0 ? `(${this.#unread}) ` : "";
    document.title = `${count}${name ? `${name} · ` : ""}${say("app.name")}`;
  }

  #key(event) {
    if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const steps = {ArrowUp: -1, ArrowDown: 1}[event.key];
    const link = steps && this.#rooms.neighbour(steps);
    if (!link) return;
    event.preventDefault();
    this.#route.go(link.pathname);
  }

  async #copyLink() {
    const link = `${location.origin}/r/${this.#address}`;
    this.#warn(say(await copied(link) ? "rooms.copied" : "rooms.notCopied", {link}));
  }

  #warn(text) {
    if (this.#ended.signal.aborted) return;
    $("toast").textContent = text;
    $("toast").hidden = false;
    announce(text);
    clearTimeout(this.#toast);
    this.#toast = setTimeout(() => { $("toast").hidden = true; }, 4000);
  }

  async #signOut(onEnd, anyway = false) {
    // Of another account that is signed in by now nothing is ours to end; nor is it known what waits.
    if (this.#parlor.state === "failed") return void location.reload();
    const count = this.#parlor.unsent.length + this.#drafts.refusals;
    if (count > 0 && !anyway) {
      $("signout-text").textContent = say("account.signOutUnsent", {count});
      $("signout-ask").showModal();
      return;
    }
    $("signout-ask").close();
    try {
      await this.#parlor.signOut();
    } catch (error) {
      // A session that has ended already has nothing to sign out of.
      if (error.status !== 401) return void this.#warn(say("account.signOutFailed"));
    }
    this.#drafts.clear();
    this.#end(onEnd, say("signin.signedOut"));
  }

  /** The account's deletion ends its sessions, and that may be told before it is answered. */
  async #leaveFor(deletion, onEnd) {
    this.#isGoing = true;
    try {
      await deletion;
    } catch (error) {
      this.#isGoing = false;
      if (this.#parlor.state === "unauthorized") this.#end(onEnd, say("signin.ended"));
      throw error;
    }
    // There is no session left; but what is kept of it goes.
    await this.#parlor.signOut().catch(() => {});
    this.#drafts.clear();
    this.#end(onEnd, say("signin.deleted"));
  }

  #end(onEnd, why) {
    if (this.#ended.signal.aborted) return;
    this.#ended.abort();
    clearTimeout(this.#retry);
    this.#composer.close();
    this.#conversation.close();
    this.#link.stop();
    this.#parlor.close();
    this.#rooms.clear();
    clearTimeout(this.#toast);
    $("toast").hidden = true;
    for (const id of ["toast", "title", "announcer"]) $(id).replaceChildren();
    $("app").hidden = true;
    for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
    for (const form of $("app").querySelectorAll("form")) form.reset();
    $("panel-text").value = "";
    document.title = say("app.name");
    onEnd(why);
  }
}
