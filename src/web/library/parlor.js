// The client library of Parlor, a room server. One ES module without dependencies, for browsers and
// for any other runtime that has `fetch` and `WebSocket` (or is given them).
//
//   const parlor = await Parlor.signIn("https://chat.example.net", {username, password});
//   const room = parlor.join("general", {after: 0});
//   await room.send("hello");
//   for await (const message of room) console.log(message.username, message.message);
//
// In this order: errors and bounds; `Core`, which decides everything and does nothing (frames,
// commands and the time go in, effects come out); `Room` and `Parlor`, which do what it says; and
// the stores that keep what is not sent yet. The protocol is the server's `protocol.md`; what
// applications may call and set is described in `parlor.d.ts`.

/** Whatever goes wrong. `code` is for programs; the codes are listed in the README. */
export class ParlorError extends Error {
  constructor(code, message, {fields = [], retryAfter, retryable = false, status, cause} = {}) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = "ParlorError";
    this.code = code;
    this.fields = fields;
    this.retryable = retryable;
    this.retryAfter = retryAfter;
    this.status = status;
  }
}

/** Every bound and pause, each an option of the same name. */
export const DEFAULTS = Object.freeze({
  maxQueued: 1000,
  maxQueuedBytes: 2_097_152,
  maxUnsent: 1000,
  maxUnsentBytes: 8_388_608,
  maxInFlight: 64,
  window: 1,
  maxRooms: 128,
  maxRequests: 32,
  backoffMs: 500,
  backoffMaxMs: 30_000,
  stableMs: 5000,
  connectTimeoutMs: 15_000,
  requestTimeoutMs: 40_000,
  ackTimeoutMs: 30_000,
  storeTimeoutMs: 5000,
  heartbeatMs: 0, // What the server says.
  wakeTimeoutMs: 5000,
  typingIntervalMs: 1000,
  refreshMinMs: 30_000,
  refreshMaxMs: 86_400_000,
});

const MAY_BE_ZERO = new Set(["stableMs", "heartbeatMs", "typingIntervalMs"]);
/** The longest that a timer can be set to. */
const TIMER_MAX_MS = 2 ** 31 - 1;
/** So long an abandoned socket has for its farewell, where it can be cut off. */
const FAREWELL_MS = 3000;
/** The client's own calls over HTTP at once. */
const OWN_CALLS = 8;
const FATAL_CLOSES = new Set([1002, 1003, 1007, 1008, 1009]);
/** By these the server itself asks for a pause. */
const PUT_OFF_CLOSES = new Set([1011, 1012, 1013, 4409]);
const ID_DIGITS = 8;
const ID_BYTES = 64;
const PAGE = 200;
const RANDOM_LETTERS = 8;
/** What an application's own prefix leaves for the rest of an id: two dashes, letters, digits. */
const PREFIX_BYTES = ID_BYTES - RANDOM_LETTERS - ID_DIGITS - 2;
const NEVER = Infinity;

// What is no business of the application's.
const FACE = Symbol("face");
const LISTENS = Symbol("listens");
const EMIT = Symbol("emit");

const utf8 = new TextEncoder();
const byteLength = (text) => utf8.encode(text).length;

/** Half a character cannot even be read by the server, and control characters not be repeated. */
const HALF = /\p{Surrogate}/u;
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/;

function invalid(field, message) {
  return new ParlorError("invalid", `the ${field} is invalid`, {fields: [{field, message}]});
}

function tooLarge(most) {
  return new ParlorError("message_too_large", `at most ${most} bytes`);
}

/** What is wrong with an id, or the beginning of one; `undefined` if nothing is. */
function faultOfId(id, most) {
  const length = byteLength(id);
  if (length < 1 || length > most) return `must have 1 to ${most} bytes`;
  return HALF.test(id) || CONTROL.test(id) ? "must not contain control characters" : undefined;
}

function errorOf(frame) {
  const {code, message, errors, retryable, retryAfterMs} = frame;
  return new ParlorError(code, message, {fields: errors, retryable, retryAfter: retryAfterMs});
}

// ---- what decides -------------------------------------------------------------------------------

/**
 * The rules, without I/O: `step(now, input, ...)` takes in what happened and gives what is to be
 * done about it, in order; `wakeAt()` says when `step(now, "tick")` is due. For `Parlor` below.
 *
 * Effects, by their `do`: `connect` and `hangUp` {generation}, `transmit` {frame}, `resolve`
 * {room}, `page` {room, page}, `refresh` {number}, `load` {userId}, `save` {entry}, `forget`
 * {entry}, `settle` {entry, receipt | error}, `heard` {entry, receipt}, `message` {room,
 * message}, `end` {room, error?}, `interrupt` {room, error}, `recovered` {room}, `woken`
 * {alive}, `event` {room?, type, detail}.
 */
class Core {
  constructor({random, date, prefix, token, expiresAt, userId, cookie, bounds}) {
    Object.assign(this, {random, date, prefix, token, cookie, bounds});
    this.now = 0;
    this.effects = [];
    // idle, connecting, open, waiting, renewing, unauthorized, failed, closed.
    this.link = "idle";
    this.generation = 0; // Of the connection; what an older one still says is not listened to.
    this.failures = 0;
    this.hint = undefined; // When a stopping server wants us back, in milliseconds.
    this.tokens = 0; // That were given; a renewal of an earlier one counts for nothing.
    this.putOff = false; // Whether the present pause is the server's wish.
    this.lostBy = undefined; // The last close code.
    this.wokenAt = -NEVER; // When a pause was last cut short.
    this.asked = false; // Whether `wake` waits for what becomes of it.
    this.refreshing = false;
    this.refreshFailures = 0;
    this.renewed = false; // Since the last hello, for want of a valid token.
    this.retryAt = this.pingAt = this.deadAt = this.refreshAt = NEVER;
    this.expiresAt = expiresAt; // Of the token, by the server's clock.
    this.userId = undefined;
    this.givenUserId = userId;
    this.log = undefined; // Names the server's database.
    this.limits = {};
    this.rooms = new Map(); // By the address under which they were joined.
    this.byId = new Map();
    this.stored = new Map(); // What was kept of rooms that are not joined (yet): key to entry.
    this.loaded = false; // Whether what was kept is known.
    this.unsent = 0; // In rooms that are joined.
    this.unsentBytes = 0;
    this.flight = new Map(); // What is said on this connection without an answer: to its room.
    this.interrupted = undefined; // Why the connection was given up, until that is mended.
    this.counter = 0; // Of messages, in their ids.
    this.joins = 0;
    this.order = 0;
    this.watching = false;
    this.watches = 0;
    this.watchFailures = 0;
    this.watchAt = NEVER;
    this.listing = null; // The answer to a watch while it comes: {ref, rooms}.
  }

  step(now, input, ...details) {
    this.now = now;
    this.effects = [];
    this[input](...details);
    return this.effects;
  }

  wakeAt() {
    let at = Math.min(this.retryAt, this.pingAt, this.deadAt, this.renewAt(), this.watchAt);
    for (const room of this.rooms.values()) at = Math.min(at, room.resumeAt, room.holdUntil);
    for (const {answerBy} of this.flight.keys()) return Math.min(at, answerBy); // The first due.
    return at;
  }

  effect(name, details) {
    this.effects.push({do: name, ...details});
  }

  event(room, type, detail) {
    this.effect("event", {room, type, detail});
  }

  transmit(frame) {
    this.effect("transmit", {frame});
  }

  // ---- time ----

  tick() {
    if (this.now >= this.retryAt) this.connect();
    if (this.now >= this.deadAt) this.abandon(4408);
    if (this.now >= this.pingAt) {
      this.pingAt = NEVER;
      this.deadAt = this.now + this.heartbeat();
      this.transmit({type: "ping"});
    }
    if (this.now >= this.renewAt()) this.renew();
    if (this.now >= this.watchAt) this.sendWatch();
    this.askAgain();
    for (const room of this.rooms.values()) {
      if (this.now >= room.resumeAt) this.enter(room);
      if (this.now >= room.holdUntil) {
        room.holdUntil = NEVER;
        this.pump(room);
      }
    }
  }

  heartbeat() {
    return this.bounds.heartbeatMs || this.limits.heartbeatMs || 25_000;
  }

  /** Full jitter: anything from nothing to a bound that doubles. */
  backoff(failures) {
    const {backoffMs, backoffMaxMs} = this.bounds;
    return this.random() * Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(failures, 30));
  }

  /** Before what failed so often is tried again. */
  pauseAfter(failures, {retryAfter = 0}) {
    return Math.max(retryAfter, this.backoff(failures));
  }

  // ---- the connection ----

  connect() {
    if (!["idle", "waiting"].includes(this.link)) return;
    if (this.givenUserId !== undefined) this.identify(this.givenUserId);
    if (this.refreshAt === NEVER && !this.refreshing) this.planRefresh();
    this.retryAt = NEVER;
    this.generation += 1;
    this.deadAt = this.now + this.bounds.connectTimeoutMs;
    this.setLink("connecting");
    this.effect("connect", {generation: this.generation});
  }

  setLink(link, detail = {}) {
    this.link = link;
    this.event(null, "state", {state: link, ...detail});
  }

  frame(generation, frame) {
    if (generation !== this.generation || !["connecting", "open"].includes(this.link)) return;
    this.pingAt = this.now + this.heartbeat();
    this.deadAt = NEVER;
    this.woken(true);
    // An error may be about a frame that named no room that there is.
    const room = this.byId.get(frame.roomId) ?? this.joiningAs(frame.ref);
    switch (frame.type) {
      case "hello": return this.onHello(frame);
      case "joined": return room && this.onJoined(room, frame);
      case "left": return room && frame.reason && this.end(room, {reason: frame.reason});
      case "ack": return room && this.onAck(room, frame);
      case "presence": return room && this.onPresence(room, frame);
      case "typing": return room && this.event(room, "typing", strip(frame));
      case "error": return this.onError(room, frame);
      case "reconnect": this.hint = frame.afterMs; return undefined;
      case "rooms": return this.onRooms(frame);
      case "pong": case "refreshed": return undefined;
      default: // A message, or an event of a kind that came after this library.
        return room && Number.isSafeInteger(frame.seq) ? this.onEvent(room, frame) : undefined;
    }
  }

  onHello({userId, log, heartbeatMs, limits}) {
    if (this.userId !== undefined && this.userId !== userId) {
      this.hangUp();
      return this.fail(new ParlorError("other_user", "the token is another account's"));
    }
    const changed = this.log !== undefined && this.log !== log;
    Object.assign(this, {log, renewed: false, hint: undefined, openedAt: this.now});
    this.limits = {...limits, heartbeatMs};
    this.watches = 0; // The same for all who come back, so that the server can answer them together.
    this.identify(userId);
    this.setApart();
    // Another database may know another room by the same name.
    for (const room of this.rooms.values()) if (changed) this.unresolve(room);
    this.setLink("open", {userId, log});
    if (this.watching) this.sendWatch();
    for (const room of this.rooms.values()) this.enter(room);
    return undefined;
  }

  /** The connection is gone. Only the present one counts: an older one may end late. */
  closed(generation, code) {
    if (generation !== this.generation) return;
    if (this.link === "connecting" || this.link === "open") this.lost(code);
  }

  abandon(code) {
    this.hangUp();
    this.lost(code);
  }

  hangUp() {
    this.effect("hangUp", {generation: this.generation});
    this.generation += 1;
  }

  lost(code) {
    if (this.link === "open" && this.now - this.openedAt >= this.bounds.stableMs) this.failures = 0;
    const wasOpen = this.link === "open";
    this.offline();
    if (FATAL_CLOSES.has(code)) {
      const message = `the server did not understand this client (${code})`;
      return this.fail(new ParlorError("protocol", message));
    }
    this.lostBy = code;
    if (code === 4401) return this.unauthorized();
    const atOnce = code === 4408 && wasOpen && this.failures === 0;
    const pause = this.hint ?? (atOnce ? 0 : this.backoff(this.failures));
    this.putOff = this.hint !== undefined || PUT_OFF_CLOSES.has(code);
    this.hint = undefined;
    this.failures += 1;
    return this.comeBack(pause);
  }

  comeBack(pause) {
    this.retryAt = this.now + pause;
    this.setLink("waiting", {retryInMs: pause, code: this.lostBy});
  }

  /** What was under way is so no longer: it is sent again under its id. */
  offline() {
    this.pingAt = this.deadAt = this.retryAt = this.watchAt = NEVER;
    this.listing = null;
    for (const entry of this.flight.keys()) entry.accepted = false;
    this.flight.clear();
    this.woken(false);
    for (const room of this.rooms.values()) {
      Object.assign(room, {ref: null, joined: false, resumeAt: NEVER, holdUntil: NEVER});
      room.filling = null;
      room.people.clear();
      room.count = 0;
      this.setRoom(room, "joining");
    }
  }

  fail(error) {
    this.offline();
    this.refreshAt = NEVER;
    this.setLink("failed", {error});
    this.interrupt(error);
    // It stays where it is kept: it may be another account's, or go with the next page.
    for (const room of this.rooms.values()) this.refuseAll(room, error, {keep: true});
  }

  /** Whoever waits for messages, now or in a room that is joined later, is told why none come. */
  interrupt(error) {
    this.interrupted = error;
    this.event(null, "error", error);
    for (const room of this.rooms.values()) this.effect("interrupt", {room, error});
  }

  recover() {
    this.interrupted = undefined;
    for (const room of this.rooms.values()) this.effect("recovered", {room});
  }

  /** At once, if it only waits; also after a failure. */
  reconnect() {
    if (this.link === "failed") {
      this.recover();
      this.link = "waiting";
    }
    this.connect();
  }

  /**
   * The network may have changed, or the machine slept: a connection is asked at once whether it
   * lives. A pause gives way to a short one, but not where it is the server's wish; and not twice
   * within `stableMs`, for a network that comes and goes.
   */
  wake() {
    this.asked = true;
    const {link, now} = this;
    if (link === "open") {
      if (this.deadAt === NEVER) this.transmit({type: "ping"});
      this.pingAt = NEVER;
      this.deadAt = Math.min(this.deadAt, now + this.bounds.wakeTimeoutMs);
    } else if (link === "waiting" || (link === "renewing" && !this.refreshing)) {
      if (this.putOff || now - this.wokenAt < this.bounds.stableMs) return;
      Object.assign(this, {wokenAt: now, failures: 0, refreshFailures: 0});
      const pause = this.backoff(0);
      if (link === "waiting") this.comeBack(Math.min(this.retryAt - now, pause));
      else this.refreshAt = Math.min(this.refreshAt, now + pause);
    } else if (!["connecting", "renewing"].includes(link)) {
      this.woken(false);
    }
  }

  woken(alive) {
    if (this.asked) this.effect("woken", {alive});
    this.asked = false;
  }

  close() {
    if (this.link === "closed") return;
    const error = new ParlorError("closed", "this client was closed");
    this.hangUp();
    this.offline();
    this.refreshAt = NEVER;
    this.setLink("closed");
    for (const room of [...this.rooms.values()]) {
      // What was not sent stays where it is kept, for the next time.
      this.refuseAll(room, error, {keep: true});
      room.queue = [];
      this.end(room, {});
    }
  }

  /** Until it is told to connect again. */
  pause() {
    this.hangUp();
    this.offline();
    this.tokens += 1; // A renewal that is under way counts for nothing.
    Object.assign(this, {refreshing: false, refreshAt: NEVER});
    this.setLink("idle");
  }

  // ---- all rooms ----

  watch() {
    if (this.link === "open" && !this.watching) this.sendWatch();
    this.watching = true;
    this.connect();
  }

  sendWatch() {
    this.watches += 1;
    this.watchAt = NEVER;
    this.listing = {ref: `w${this.watches}`, rooms: []};
    this.transmit({type: "watch", ref: this.listing.ref});
  }

  /** What answers a watch is told when it is whole: half of it would hide the other rooms. */
  onRooms(frame) {
    if (frame.ref === undefined) return this.event(null, "rooms", strip(frame));
    if (frame.ref !== this.listing?.ref) return undefined;
    const {rooms} = this.listing;
    for (const room of frame.rooms) rooms.push(room);
    if (frame.hasMore) return undefined;
    this.listing = null;
    this.watchFailures = 0;
    return this.event(null, "rooms", {snapshot: true, rooms});
  }

  watchLater(error) {
    this.listing = null;
    this.watchAt = this.now + this.pauseAfter(this.watchFailures, error);
    this.watchFailures += 1;
  }

  // ---- the token ----

  /** As long as the server is not there, a renewal waits for it. */
  renewAt() {
    return this.link === "open" || this.link === "renewing" ? this.refreshAt : NEVER;
  }

  renew() {
    this.refreshAt = NEVER;
    if (!this.refreshing) this.effect("refresh", {number: this.tokens});
    this.refreshing = true;
  }

  /** Whether the answer to a renewal still matters. */
  endRefresh(number) {
    if (number !== this.tokens) return false;
    this.refreshing = false;
    return !["closed", "failed", "unauthorized"].includes(this.link);
  }

  refreshed(number, {token, expiresAt}) {
    if (!this.endRefresh(number)) return;
    this.credentials({token, expiresAt});
    if (this.link === "renewing") {
      this.link = "waiting";
      if (this.failures === 0) this.connect();
      else this.comeBack(this.backoff(this.failures));
    } else if (this.link === "open") {
      if (token && !this.cookie) this.transmit({type: "refresh", token});
      else if (this.cookie && expiresAt !== undefined) this.handOver();
    }
  }

  /** A socket ends with the token that opened it. What a cookie has cannot be shown to an open one,
   * so another takes its place while there is time. */
  handOver() {
    if (this.hint !== undefined) return; // It ends by itself in a moment.
    if (this.now - this.openedAt >= this.bounds.stableMs) this.failures = 0;
    this.hangUp();
    this.offline();
    this.link = "waiting";
    this.connect();
  }

  credentials({token, expiresAt}) {
    if (!this.cookie) this.token = token ?? this.token;
    this.expiresAt = expiresAt;
    this.refreshFailures = 0;
    this.planRefresh();
    if (expiresAt !== undefined) this.event(null, "token", {token: this.token, expiresAt});
  }

  /** At half of its life: the token tells how long that is, whatever this clock says. Without a
   * known end at once, which tells one. */
  planRefresh() {
    const {refreshMinMs, refreshMaxMs} = this.bounds;
    const half = Math.min(this.expiresAt - this.date(), lifeOf(this.token)) / 2;
    const pause = Math.min(Math.max(half, refreshMinMs), refreshMaxMs);
    this.refreshAt = this.now + (this.expiresAt === undefined ? 0 : pause);
  }

  notRefreshed(number, error) {
    if (!this.endRefresh(number)) return undefined;
    if (error.status === 401) return this.deny(error);
    this.putOff = error.retryAfter !== undefined;
    this.refreshAt = this.now + this.pauseAfter(this.refreshFailures, error);
    this.refreshFailures += 1;
    return undefined;
  }

  /** A cookie may have been renewed since, or can be; a token of ours that has ended cannot. */
  unauthorized() {
    if (this.renewed) return this.deny(new ParlorError("unauthorized", "sign in again"));
    this.renewed = true;
    this.putOff = false;
    this.setLink("renewing");
    return this.renew();
  }

  deny(error) {
    this.hangUp();
    this.offline();
    this.refreshAt = NEVER;
    this.setLink("unauthorized");
    this.interrupt(error);
  }

  /** After signing in again, with the same account. */
  useToken(token, expiresAt) {
    if (this.link === "closed") return;
    this.tokens += 1;
    Object.assign(this, {refreshing: false, renewed: false});
    this.recover();
    this.credentials({token, expiresAt});
    if (this.link === "open") {
      if (token) this.transmit({type: "refresh", token});
    } else if (this.link !== "connecting") {
      this.link = "waiting";
      this.connect();
    }
  }

  // ---- joining and hearing ----

  join(room, {after, log} = {}) {
    this.rooms.set(room.address, room);
    Object.assign(room, {cursor: after, log, fromLog: after !== undefined});
    Object.assign(room, {leaving: false, finished: false, seen: false});
    if (room.roomId !== null && !this.claim(room, room.roomId)) return;
    this.adopt(room);
    if (this.interrupted) this.effect("interrupt", {room, error: this.interrupted});
    if (this.link === "open") this.enter(room);
    this.connect();
  }

  /** `false` if another room of this client has the id already. */
  claim(room, roomId) {
    const other = this.byId.get(roomId);
    if (other && other !== room) {
      const message = `it is joined as ${other.address}`;
      other.outbox.push(...room.outbox.splice(0));
      this.pump(other);
      this.end(room, {error: new ParlorError("already_joined", message)});
      return false;
    }
    room.roomId = roomId;
    this.byId.set(roomId, room);
    return true;
  }

  unresolve(room) {
    if (!room.named) return;
    this.byId.delete(room.roomId);
    room.roomId = null;
  }

  enter(room) {
    room.resumeAt = NEVER;
    if (this.link !== "open") return;
    if (room.roomId !== null) return this.sendJoin(room);
    if (!room.resolving) this.effect("resolve", {room});
    room.resolving = true;
  }

  resolved(room, {roomId}) {
    room.resolving = false;
    if (this.rooms.get(room.address) !== room || !this.claim(room, roomId)) return;
    this.adopt(room);
    if (this.link === "open") this.sendJoin(room);
  }

  notResolved(room, error) {
    room.resolving = false;
    if (this.rooms.get(room.address) !== room) return;
    if (error.status === 401 || error.retryable) return this.joinLater(room, error);
    return this.end(room, {error});
  }

  joinLater(room, error) {
    room.resumeAt = this.now + this.pauseAfter(room.failures, error);
    room.failures += 1;
  }

  /** From the last message that was handed on; but who reads slowly, or not at all, is not sent
   * everything again at each join: pages bring it when it is wanted. */
  sendJoin(room) {
    this.joins += 1;
    const skips = room.leaving || (room.seen && (room.behind || !room.reads));
    Object.assign(room, {skips, behind: skips, filling: null, near: false});
    Object.assign(room, {queue: [], bytes: 0, joined: false, ref: `j${this.joins}`});
    const {roomId, ref} = room;
    const after = skips ? undefined : room.cursor;
    const log = after === undefined ? undefined : room.log;
    this.setRoom(room, "joining");
    this.transmit({type: "join_room", roomId, after, log, ref});
  }

  onJoined(room, frame) {
    if (frame.ref !== room.ref) return undefined;
    const isOther = frame.reset || (room.skips && room.seen && room.log !== this.log);
    Object.assign(room, {ref: null, failures: 0, log: this.log, seen: !isOther});
    if (isOther) {
      // Nothing that is held is of this database, and neither is the cursor.
      this.event(room, "reset", {log: this.log});
      this.unhear(room, 0, NEVER);
      room.cursor = room.fromLog ? 0 : undefined;
      return this.sendJoin(room);
    }
    const {head} = frame;
    this.unhear(room, head, NEVER);
    if (head < room.cursor) this.event(room, "retract", {after: head, before: NEVER});
    room.cursor = room.last = Math.min(room.cursor ?? NEVER, head);
    Object.assign(room, {joined: true, head, behind: room.skips && room.cursor < head});
    const {ref: _, ...told} = strip(frame);
    this.event(room, "joined", {...told, cursor: room.cursor});
    this.setRoom(room, room.last < head ? "catching-up" : "live");
    this.pump(room);
    this.flow(room);
    return this.leaveIfDone(room);
  }

  setRoom(room, state) {
    if (room.state === state) return;
    room.state = state;
    this.event(room, "state", {state});
  }

  onEvent(room, frame) {
    // What an earlier join still brings comes again behind the answer to the later one.
    if (!room.joined || frame.seq <= room.last) return;
    this.unhear(room, frame.prev, frame.seq);
    if (frame.id !== undefined && frame.userId === this.userId) this.onHeard(room, frame);
    if (room.leaving || room.behind) return;
    const {maxQueued, maxQueuedBytes} = this.bounds;
    if (room.queue.length >= maxQueued || room.bytes >= maxQueuedBytes) {
      room.behind = true;
      this.setRoom(room, "catching-up");
      return;
    }
    room.queue.push(frame);
    room.bytes += sizeOf(frame.message);
    room.last = frame.seq;
    if (room.last >= room.head) this.setRoom(room, "live");
    this.flow(room);
  }

  /** How many messages the application wants at the moment, and whether it wants any at all. */
  want(room, count, reads) {
    Object.assign(room, {wanted: count, reads});
    this.flow(room);
  }

  flow(room) {
    while (room.wanted > 0 && room.queue.length > 0) {
      const frame = room.queue.shift();
      room.bytes -= sizeOf(frame.message);
      if (frame.prev !== undefined && frame.prev < room.cursor) {
        this.event(room, "retract", {after: frame.prev, before: frame.seq});
      }
      room.cursor = frame.seq;
      if (frame.type !== "chat") {
        this.event(room, "event", frame);
        continue;
      }
      room.wanted -= 1;
      this.effect("message", {room, message: strip(frame)});
    }
    if (room.queue.length > 0) return;
    if (room.ended) this.finish(room, room.ended.error);
    else if (room.behind && room.joined && room.reads && !room.leaving) this.fill(room);
  }

  /** By pages, which bring each message once, up to the end; then by another join. */
  fill(room) {
    if (room.near) {
      room.behind = false;
      this.sendJoin(room);
    } else if (!room.filling) {
      room.filling = {after: room.cursor, limit: Math.min(this.bounds.maxQueued, PAGE)};
      this.effect("page", {room, page: room.filling});
    }
  }

  filled(room, page, {messages, hasMore}) {
    if (room.filling !== page) return;
    Object.assign(room, {filling: null, near: !hasMore});
    for (const message of messages) {
      this.unhear(room, message.prev, message.seq);
      room.queue.push({type: "chat", ...message});
      room.bytes += sizeOf(message.message);
    }
    this.flow(room);
  }

  notFilled(room, page, error) {
    if (room.filling !== page) return;
    room.filling = null;
    if (error.status === 401 || error.retryable) return void this.joinLater(room, error);
    room.near = true; // A join brings it, too.
    this.flow(room);
  }

  /** What was heard between the two is lost in a crash, and sent again if it is ours. */
  unhear(room, after, before) {
    for (const entry of room.outbox) {
      if (entry.heardAs > after && entry.heardAs < before) entry.heardAs = undefined;
    }
  }

  onPresence(room, frame) {
    if (frame.snapshot) room.people.clear();
    for (const {userId, username} of frame.joined ?? []) room.people.set(userId, username);
    for (const {userId} of frame.left ?? []) room.people.delete(userId);
    if (room.people.size > frame.count) room.people.clear();
    room.count = frame.count;
    this.event(room, "presence", strip(frame));
  }

  typing(room) {
    if (!room.joined || this.now - room.typedAt < this.bounds.typingIntervalMs) return;
    room.typedAt = this.now;
    this.transmit({type: "typing", roomId: room.roomId});
  }

  // ---- leaving ----

  /** Nothing more is handed on; what is not acknowledged yet is waited for. */
  leave(room) {
    if (room.ended || room.leaving) return;
    Object.assign(room, {leaving: true, queue: [], filling: null});
    this.finish(room);
    this.leaveIfDone(room);
  }

  finish(room, error) {
    if (!room.finished) this.effect("end", {room, error});
    room.finished = true;
  }

  leaveIfDone(room) {
    if (!room.leaving || room.ended || room.outbox.length > 0) return;
    // What is said in one go acts in order, so that this comes behind a join that is under way.
    const known = room.joined || room.ref !== null;
    if (known) this.transmit({type: "leave_room", roomId: room.roomId});
    this.end(room, {});
  }

  end(room, {reason, error}) {
    if (room.ended) return;
    Object.assign(room, {ended: {error}, joined: false, ref: null, filling: null});
    this.rooms.delete(room.address);
    if (this.byId.get(room.roomId) === room) this.byId.delete(room.roomId);
    this.setRoom(room, "left");
    const refusal = new ParlorError("left", "the room was left before the message was stored");
    this.refuseAll(room, error ?? refusal);
    this.event(room, "left", {...(reason && {reason}), ...(error && {error})});
    if (error) this.event(room, "error", error);
    this.flow(room);
  }

  // ---- saying ----

  send(room, text, {id} = {}, entry = {}) {
    this.counter += 1;
    this.order = Math.max(this.order + 1, this.date());
    const {address, roomId} = room;
    id ??= `${this.prefix}-${String(this.counter).padStart(ID_DIGITS, "0")}`;
    const {order, log} = this;
    Object.assign(entry, {key: `${address} ${id}`, id, text, address, roomId, order, log});
    Object.assign(entry, {accepted: false, saved: false});
    const error = this.refusal(room, entry);
    if (error) return this.effect("settle", {entry, error});
    this.hold(room, entry);
    if (this.loaded) this.save(entry);
    this.event(room, "sending", {id, message: text});
    return this.pump(room);
  }

  hold(room, entry) {
    room.outbox.push(entry);
    this.unsent += 1;
    this.unsentBytes += sizeOf(entry.text);
  }

  drop(room, entry) {
    room.outbox.splice(room.outbox.indexOf(entry), 1);
    this.unsent -= 1;
    this.unsentBytes -= sizeOf(entry.text);
  }

  refusal(room, {id, text}) {
    if (this.link === "closed") return new ParlorError("closed", "this client was closed");
    if (this.link === "failed") return this.interrupted;
    if (room.ended || room.leaving) return new ParlorError("left", "the room was left");
    const {maxUnsent, maxUnsentBytes} = this.bounds;
    if (sizeOf(text) > maxUnsentBytes) return tooLarge(maxUnsentBytes);
    if (this.unsent >= maxUnsent || this.unsentBytes + sizeOf(text) > maxUnsentBytes) {
      return new ParlorError("queue_full", "too many messages wait to be sent", {retryable: true});
    }
    if (room.outbox.some((other) => other.id === id)) {
      return new ParlorError("id_conflict", "a message with this id is on its way");
    }
    const fault = faultOfId(id, ID_BYTES);
    if (fault) return invalid("id", fault);
    return HALF.test(text) ? invalid("message", "must not contain half characters") : undefined;
  }

  /** Sends what may be sent, in order. */
  pump(room) {
    if (!room.joined || !this.loaded) return;
    if (room.holdUntil !== NEVER && this.now < room.holdUntil) return;
    let open = 0;
    for (const entry of [...room.outbox]) {
      if (entry.accepted) continue;
      const isNew = !this.flight.has(entry);
      if (open >= this.bounds.window || (isNew && this.isFull())) return;
      if (isNew && !this.transmitChat(room, entry)) continue;
      open += 1;
    }
  }

  isFull() {
    const {bounds: {maxInFlight}, limits: {unacknowledged = NEVER}} = this;
    return this.flight.size >= Math.min(maxInFlight, unacknowledged);
  }

  /** No longer on its way, whyever: whoever waited for its place goes on. */
  release(entry) {
    const wasFull = this.isFull();
    entry.accepted = false;
    this.flight.delete(entry);
    if (wasFull) for (const room of this.rooms.values()) this.pump(room);
  }

  transmitChat(room, entry) {
    const {messageBytes = NEVER, frameBytes = NEVER} = this.limits;
    const frame = chatOf(room, entry);
    // A frame past its limit would cost the connection.
    const tooLong = byteLength(entry.text) > messageBytes;
    if (tooLong || byteLength(JSON.stringify(frame)) > frameBytes) {
      this.settle(room, entry, {error: tooLarge(messageBytes)});
      return false;
    }
    this.fly(room, entry, {again: false});
    this.transmit(frame);
    return true;
  }

  /** Behind all others, so that the first of them is always the first that is due. */
  fly(room, entry, {again}) {
    this.flight.delete(entry);
    Object.assign(entry, {again, answerBy: this.now + this.bounds.ackTimeoutMs});
    this.flight.set(entry, room);
  }

  /** An answer to each message comes in time, or this connection has lost something. */
  askAgain() {
    for (const [entry, room] of this.flight) {
      if (this.now < entry.answerBy) return;
      if (entry.again) return void this.abandon(4408);
      this.fly(room, entry, {again: true});
      this.transmit(chatOf(room, entry));
    }
  }

  onHeard(room, {id, seq, at}) {
    const entry = room.outbox.find((entry) => entry.id === id);
    if (!entry) return;
    // One that an earlier connection sent is sent again all the same: an ack comes to who sends.
    entry.accepted = this.flight.has(entry);
    if (entry.heardAs !== seq) this.event(room, "heard", {id, seq, at});
    entry.heardAs = seq;
    this.effect("heard", {entry, receipt: {id, seq, at}});
    this.pump(room);
  }

  onAck(room, frame) {
    const entry = room.outbox.find((entry) => entry.id === frame.id);
    if (!entry) return;
    const {id, seq, at, duplicate = false} = frame;
    this.settle(room, entry, {receipt: {id, seq, at, duplicate}});
  }

  settle(room, entry, {receipt, error, keep = false}) {
    this.drop(room, entry);
    if (!keep) this.effect("forget", {entry});
    this.effect("settle", {entry, receipt, error});
    const {id, text: message} = entry;
    if (receipt) this.event(room, "ack", receipt);
    else if (!keep) this.event(room, "refused", {id, message, error});
    this.release(entry);
    this.leaveIfDone(room);
    this.pump(room);
  }

  refuseAll(room, error, {keep = false} = {}) {
    for (const entry of [...room.outbox]) this.settle(room, entry, {error, keep});
  }

  joiningAs(ref) {
    if (ref === undefined) return undefined;
    return [...this.rooms.values()].find((room) => room.ref === ref);
  }

  onError(room, frame) {
    const error = errorOf(frame);
    if (room && room.ref !== null && frame.ref === room.ref) {
      room.ref = null;
      return error.retryable ? this.joinLater(room, error) : this.end(room, {error});
    }
    const isOfWatch = this.listing && frame.ref === this.listing.ref;
    if (isOfWatch && error.retryable) return this.watchLater(error);
    const entry = room?.outbox.find((entry) => this.flight.has(entry) && entry.id === frame.id);
    if (entry) return this.onRefused(room, entry, error);
    if (this.flight.size === 1 && isUnreadable(frame)) {
      for (const [only, its] of this.flight) return this.settle(its, only, {error});
    }
    return this.event(null, "error", error);
  }

  onRefused(room, entry, error) {
    const outside = error.code === "not_in_room";
    if (!error.retryable && !outside) return this.settle(room, entry, {error});
    if (outside && room.joined) {
      this.sendJoin(room);
    } else if (!outside) {
      const pause = error.retryAfter ?? this.bounds.backoffMs;
      room.holdUntil = this.now + pause + this.random() * pause;
    }
    return this.release(entry);
  }

  /** What is on its way already may arrive all the same. */
  discard(id) {
    for (const [key, entry] of this.stored) {
      if (entry.id !== id) continue;
      this.stored.delete(key);
      this.effect("forget", {entry});
    }
    const error = new ParlorError("discarded", "the message was discarded");
    for (const room of [...this.rooms.values()]) {
      const entry = room.outbox.find((entry) => entry.id === id);
      if (entry) this.settle(room, entry, {error});
    }
  }

  // ---- what outlives a page ----

  identify(userId) {
    if (this.userId === userId) return;
    this.userId = userId;
    this.loaded = false;
    this.effect("load", {userId});
  }

  /** What was kept for this account, in the order in which it was said. */
  restored(entries) {
    if (this.link === "closed") return;
    this.loaded = true;
    for (const kept of entries.slice(0, this.bounds.maxUnsent)) {
      this.order = Math.max(this.order, kept.order);
      this.stored.set(kept.key, {...kept, accepted: false, saved: true, restored: true});
    }
    this.setApart();
    for (const room of this.rooms.values()) {
      for (const entry of room.outbox) this.save(entry);
      this.adopt(room);
      this.pump(room);
    }
    const unsent = [...this.stored.values()].map(shown);
    this.event(null, "restored", {unsent});
  }

  save(entry) {
    if (entry.saved) return;
    entry.saved = true;
    const {key, id, text, address, roomId, order, log} = entry;
    const {userId} = this;
    this.effect("save", {entry: {key, id, text, address, roomId, order, log, userId}});
  }

  /** What was said to another database is not for this one, where the account may be somebody
   * else's. It stays where it is kept. What was said before any was known is for this one. */
  setApart() {
    const {log} = this;
    if (log === undefined) return;
    const isOther = (entry) => entry.log !== undefined && entry.log !== log;
    const claim = (entry) => {
      if (entry.log === log) return;
      Object.assign(entry, {log, saved: false});
      if (this.loaded) this.save(entry);
    };
    for (const [key, entry] of this.stored) {
      if (isOther(entry)) this.stored.delete(key);
      else claim(entry);
    }
    const error = new ParlorError("other_database", "it was said to another database");
    for (const room of this.rooms.values()) {
      for (const entry of [...room.outbox]) {
        if (isOther(entry)) this.settle(room, entry, {error, keep: true});
        else claim(entry);
      }
    }
  }

  adopt(room) {
    let found = false;
    for (const [key, entry] of this.stored) {
      const same = entry.address === room.address ||
        (room.roomId !== null && entry.roomId === room.roomId);
      if (!same) continue;
      found = true;
      this.stored.delete(key);
      this.hold(room, entry);
    }
    if (!found) return;
    const rank = (entry) => (entry.restored ? 0 : 1);
    room.outbox.sort((one, other) => rank(one) - rank(other) || one.order - other.order);
    this.event(room, "restored", {unsent: room.outbox.map(shown)});
  }
}

function newRoom(address, face) {
  const named = !/^[0-9]+$/.test(address);
  return {
    address, face, named, roomId: named ? null : Number(address),
    state: "joining", resolving: false, joined: false,
    leaving: false, ended: null, finished: false,
    cursor: undefined, log: undefined, fromLog: false, // What was handed on, and of which log.
    ref: null, failures: 0, skips: false, last: 0, head: 0, // Of the present join.
    seen: false, behind: false, filling: null, near: false, // What is still to be asked for.
    queue: [], bytes: 0, wanted: 0, reads: false, // What waits for the application.
    outbox: [], holdUntil: NEVER, resumeAt: NEVER, // What waits for the server.
    people: new Map(), count: 0, typedAt: -NEVER,
  };
}

/** Of a text, in memory. */
function sizeOf(text = "") {
  return 2 * text.length;
}

function chatOf({roomId}, {text, id}) {
  return {type: "chat", roomId, message: text, id};
}

/** About a frame of which the server could not read whose answer it is. */
function isUnreadable({code, id, ref, errors = []}) {
  if (id !== undefined || ref !== undefined) return false;
  return code === "bad_frame" || errors.some(({field}) => field === "id");
}

function strip({type: _, ...rest}) {
  return rest;
}

/** An unsent message as the application sees it. */
function shown({id, text, address, heardAs}) {
  return {id, message: text, room: address, heard: heardAs !== undefined};
}

// ---- what applications hold ---------------------------------------------------------------------

class Emitter {
  #listeners = new Map();

  /** Calls `listener` at each event of this type; gives what takes it off again. */
  on(type, listener) {
    if (!this.#listeners.has(type)) this.#listeners.set(type, new Set());
    this.#listeners.get(type).add(listener);
    return () => this.off(type, listener);
  }

  off(type, listener) {
    this.#listeners.get(type)?.delete(listener);
  }

  [LISTENS](type) {
    return (this.#listeners.get(type)?.size ?? 0) > 0;
  }

  /** A listener that throws must not stop the others: its error goes to the runtime. */
  [EMIT](type, detail) {
    for (const listener of [...(this.#listeners.get(type) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        queueMicrotask(() => { throw error; });
      }
    }
  }
}

/** A room that was joined; made by `Parlor.join`. */
export class Room extends Emitter {
  #state; // The core's.
  #step;
  #say;
  #request;
  #iterating = false;
  #waiting = []; // Calls of the iterator's `next` without an answer yet.
  #failure = null;
  #done = null;
  #leaving = null; // What `leave` promised.

  /** @internal */
  constructor(address, {step, say, request}) {
    super();
    [this.#step, this.#say, this.#request] = [step, say, request];
    this.address = address;
  }

  get roomId() { return this.#state.roomId; }
  get state() { return this.#state.state; }
  get cursor() { return this.#state.cursor; }
  get log() { return this.#state.log; }
  get people() { return new Map(this.#state.people); }
  get count() { return this.#state.count; }
  get unsent() { return this.#state.outbox.map(shown); }

  send(text, {id} = {}) {
    return this.#say(this.#state, String(text), {id});
  }

  typing() {
    this.#step("typing", this.#state);
  }

  history({before, after, limit} = {}) {
    const query = {before, after, limit};
    const path = pathOf(this.#state.roomId ?? this.address);
    return this.#request("GET", `${path}/messages`, {query});
  }

  leave() {
    if (this.#state.ended) return Promise.resolve();
    let settle;
    const promise = new Promise((resolve) => { settle = resolve; });
    const {promise: leaving} = this.#leaving ??= {promise, settle};
    this.#step("leave", this.#state);
    return leaving;
  }

  #settleLeave() {
    this.#leaving?.settle();
    this.#leaving = null;
  }

  on(type, listener) {
    const off = super.on(type, listener);
    if (type === "message") queueMicrotask(() => this.#want());
    return off;
  }

  off(type, listener) {
    super.off(type, listener);
    if (type === "message") this.#want();
  }

  [Symbol.asyncIterator]() {
    if (this.#iterating) throw new ParlorError("iterating", "the room is being iterated already");
    this.#iterating = true;
    this.#want();
    return {
      next: () => this.#next(),
      return: async () => {
        this.#stop();
        return {value: undefined, done: true};
      },
      [Symbol.asyncIterator]() { return this; },
    };
  }

  #next() {
    const end = this.#failure ? {error: this.#failure} : this.#done;
    if (end || !this.#iterating) {
      this.#stop();
      if (this.#done) this.#done = {};
      if (end?.error) return Promise.reject(end.error);
      return Promise.resolve({value: undefined, done: true});
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({resolve, reject});
      this.#want();
    });
  }

  #stop() {
    this.#iterating = false;
    for (const {resolve} of this.#waiting.splice(0)) resolve({value: undefined, done: true});
    this.#want();
  }

  /** While it is iterated, messages go by the iterator's pace; else to listeners as they come. */
  #want() {
    const all = this[LISTENS]("message") ? NEVER : 0;
    const count = this.#iterating ? this.#waiting.length : all;
    const reads = this.#iterating || all > 0;
    const {wanted, reads: before} = this.#state;
    if (count !== wanted || reads !== before) this.#step("want", this.#state, count, reads);
  }

  /** @internal */
  [FACE] = {
    adopt: (state) => {
      [this.#state, this.#done] = [state, null];
      this.#settleLeave();
    },
    message: (message) => {
      this.#waiting.shift()?.resolve({value: message, done: false});
      this[EMIT]("message", message);
    },
    interrupt: (error) => {
      this.#failure = error;
      const waiting = this.#waiting.splice(0);
      if (waiting.length === 0) return;
      this.#iterating = false;
      for (const {reject} of waiting) reject(error);
      this.#want();
    },
    recovered: () => { this.#failure = null; },
    end: (error) => {
      const [first, ...others] = this.#waiting.splice(0);
      this.#done = first ? {} : {error};
      if (error) first?.reject(error);
      else first?.resolve({value: undefined, done: true});
      for (const {resolve} of others) resolve({value: undefined, done: true});
      if (first) this.#iterating = false;
      this.#want(); // Nobody pulls any more, should a leave be taken back.
    },
    left: () => this.#settleLeave(),
  };
}

/** A connection to a server, and the calls of its API. */
export class Parlor extends Emitter {
  #core;
  #http;
  #store;
  #scope;
  #saving = Promise.resolve(); // One after the other.
  #stuck = false; // One of them has no answer.
  #WebSocket;
  #socket = null;
  #timers;
  #timer;
  #armedFor = NEVER;
  #effects = [];
  #performing = false;
  #sent = new Map(); // What `send` promised: entry to what settles it.
  #requests = 0;
  #ownCalls = 0;
  #turns = []; // What lets the next of them go on.
  #closing = new AbortController();
  #waking = null; // What `wake` promised.

  static signUp(url, credentials, options) {
    return enter(url, "/signup", credentials, options);
  }

  static signIn(url, credentials, options) {
    return enter(url, "/signin", credentials, options);
  }

  constructor(url, {token, expiresAt, cookie = false, user, userId, ...given} = {}) {
    super();
    needToken(token, cookie);
    this.#WebSocket = webSocketOf(given);
    const bounds = boundsOf(given);
    this.user = user;
    this.#http = httpOf(url, cookie, given);
    this.#timers = this.#http.timers;
    this.#store = given.store === undefined ? defaultStore() : given.store;
    const {random = Math.random} = given;
    const date = () => (this.#timers.date ? this.#timers.date() : this.#timers.now());
    const core = {token, expiresAt, cookie, userId: userId ?? user?.userId, bounds, random, date};
    this.#core = new Core({...core, prefix: prefixOf(given)});
  }

  get state() { return this.#core.link; }
  get userId() { return this.#core.userId; }
  get log() { return this.#core.log; }
  get joined() { return [...this.#core.rooms.values()].map(({face}) => face); }

  get unsent() {
    const outboxes = [...this.#core.rooms.values()].flatMap(({outbox}) => outbox);
    return [...this.#core.stored.values(), ...outboxes].map(shown);
  }

  join(address, {after, log} = {}) {
    const {rooms, bounds, link} = this.#core;
    if (link === "closed") throw new ParlorError("closed", "this client was closed");
    const key = String(address);
    if (/^[0-9]+$/.test(key) && !Number.isSafeInteger(Number(key))) {
      throw invalid("address", "must be a slug, or an id below 2^53");
    }
    if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) {
      throw invalid("after", "must be an integer from 0 up to 2^53");
    }
    const known = rooms.get(key);
    if (known && !known.leaving) return known.face;
    if (!known && rooms.size >= bounds.maxRooms) {
      throw new ParlorError("too_many_rooms", `at most ${bounds.maxRooms} rooms`);
    }
    const step = (...input) => this.#step(...input);
    const say = (...input) => this.#say(...input);
    const request = (...input) => this.request(...input);
    const room = known?.face ?? new Room(key, {step, say, request});
    const state = known ?? newRoom(key, room);
    room[FACE].adopt(state);
    this.#step("join", state, {after, log});
    return room;
  }

  #say(room, text, {id}) {
    const entry = {};
    let heard;
    const hearing = new Promise((resolve, reject) => { heard = {resolve, reject}; });
    hearing.catch(() => {}); // Whoever waits for the ack alone is told there.
    const sending = new Promise((resolve, reject) => {
      this.#sent.set(entry, {resolve, reject, heard});
    });
    this.#step("send", room, text, {id}, entry);
    return Object.assign(sending, {id: entry.id, heard: hearing});
  }

  reconnect() { this.#step("reconnect"); }

  useToken(token, {expiresAt} = {}) {
    needToken(token, this.#core.cookie);
    this.#step("useToken", token, expiresAt);
  }

  wake() {
    if (!this.#waking) {
      this.#waking = {};
      this.#waking.promise = new Promise((resolve) => { this.#waking.resolve = resolve; });
    }
    const {promise} = this.#waking;
    this.#step("wake");
    return promise;
  }

  watch() { this.#step("watch"); }

  close() {
    this.#step("close");
    this.#closing.abort(new ParlorError("closed", "this client was closed"));
  }

  async signOut() {
    // Before the server ends the connection with the session, as if it were a surprise.
    const pauses = ["connecting", "open", "waiting", "renewing"].includes(this.state);
    if (pauses) this.#step("pause");
    try {
      await this.#call("POST", "/signout");
    } catch (error) {
      // A session that has ended already is what is wanted.
      if (error.status !== 401) {
        if (pauses) this.reconnect();
        throw error;
      }
    }
    this.close();
    const {givenUserId, userId = givenUserId} = this.#core;
    if (userId !== undefined) this.#scope = this.#scopeOf(userId);
    await this.#keep(async (store, scope) => {
      for (const {key} of await store.load(scope)) await store.remove(scope, key);
    });
  }

  discard(id) {
    const found = this.unsent.some((entry) => entry.id === id);
    this.#step("discard", id);
    return found;
  }

  async me() { return (this.user = (await this.request("GET", "/me")).user); }
  rooms({after, limit} = {}) { return this.request("GET", "/rooms", {query: {after, limit}}); }
  async room(address) { return (await this.request("GET", pathOf(address))).room; }
  async createRoom(body) { return (await this.request("POST", "/rooms", {body})).room; }
  async deleteRoom(address) { await this.request("DELETE", pathOf(address)); }

  async request(method, path, {query, body} = {}) {
    if (this.#requests >= this.#core.bounds.maxRequests) {
      throw new ParlorError("queue_full", "too many calls at once", {retryable: true});
    }
    this.#requests += 1;
    try {
      return await this.#call(method, path, {query, body});
    } finally {
      this.#requests -= 1;
    }
  }

  async #call(method, path, details) {
    const {token, bounds} = this.#core;
    const closing = this.#closing.signal;
    return call(this.#http, method, path, {...details, token, bounds, closing});
  }

  /** What the client asks for itself waits for its turn, and takes none of the application's. */
  async #own(path, query) {
    while (this.#ownCalls >= OWN_CALLS) {
      await new Promise((resolve) => this.#turns.push(resolve));
    }
    this.#ownCalls += 1;
    try {
      return await this.#call("GET", path, {query});
    } finally {
      this.#ownCalls -= 1;
      this.#turns.shift()?.();
    }
  }

  // ---- doing what the core says ----

  /** Also called from within the application's listeners, hence the queue. */
  #step(input, ...details) {
    for (const effect of this.#core.step(this.#timers.now(), input, ...details)) {
      this.#effects.push(effect);
    }
    if (this.#performing) return;
    this.#performing = true;
    try {
      while (this.#effects.length > 0) this.#perform(this.#effects.shift());
    } finally {
      this.#performing = false;
    }
    this.#arm();
  }

  /** One timer; it may come early, which does no harm, but never late. */
  #arm() {
    const at = this.#core.wakeAt();
    const [idle, now] = [at === NEVER, this.#timers.now()];
    if (idle ? this.#armedFor === NEVER : at >= this.#armedFor) return;
    this.#timers.clear(this.#timer);
    this.#armedFor = at;
    if (idle) return;
    this.#timer = this.#timers.set(() => {
      this.#armedFor = NEVER;
      this.#step("tick");
    }, Math.min(Math.max(at - now, 0), TIMER_MAX_MS));
  }

  #perform({do: what, room, entry, ...rest}) {
    switch (what) {
      case "connect": return this.#connect(rest.generation);
      case "hangUp": return this.#hangUp();
      case "transmit": return this.#transmit(rest.frame);
      case "resolve": return this.#resolve(room);
      case "page": return this.#page(room, rest.page);
      case "refresh": return this.#refresh(rest.number);
      case "load": return this.#load(rest.userId);
      case "save": return this.#keep((store, scope) => store.save(scope, entry));
      case "forget": return this.#keep((store, scope) => store.remove(scope, entry.key));
      case "settle": return this.#settle(entry, rest);
      case "heard": return this.#sent.get(entry)?.heard.resolve(rest.receipt);
      case "message": return room.face[FACE].message(rest.message);
      case "end": return room.face[FACE].end(rest.error);
      case "interrupt": return room.face[FACE].interrupt(rest.error);
      case "recovered": return room.face[FACE].recovered();
      case "woken": return this.#wokeUp(rest.alive);
      default: return this.#tell(room, rest.type, rest.detail);
    }
  }

  #wokeUp(alive) {
    this.#waking?.resolve(alive);
    this.#waking = null;
  }

  #tell(room, type, detail) {
    (room?.face ?? this)[EMIT](type, detail);
    if (room && type === "left") room.face[FACE].left();
  }

  #settle(entry, {receipt, error}) {
    const sending = this.#sent.get(entry);
    this.#sent.delete(entry);
    sending?.[error ? "reject" : "resolve"](error ?? receipt);
    sending?.heard[error ? "reject" : "resolve"](error ?? receipt);
  }

  #connect(generation) {
    const url = new URL(`${this.#http.base}/ws`);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (!this.#core.cookie) url.searchParams.set("token", this.#core.token);
    try {
      this.#socket = new this.#WebSocket(url.href);
    } catch (cause) {
      this[EMIT]("error", new ParlorError("network", "cannot open a WebSocket", {cause}));
      queueMicrotask(() => this.#step("closed", generation, 1006));
      return;
    }
    this.#socket.onmessage = ({data}) => this.#step("frame", generation, parsed(data));
    this.#socket.onclose = ({code}) => this.#step("closed", generation, code);
    this.#socket.onerror = () => {}; // A close follows.
  }

  #hangUp() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    // Behind a silent network it may last, but shall hold on to nothing. Some can be cut off.
    const timer = socket.terminate &&
      this.#timers.set(() => socket.terminate(), FAREWELL_MS);
    socket.onmessage = () => {};
    socket.onclose = () => this.#timers.clear(timer);
    socket.close();
  }

  #transmit(frame) {
    // Not open: its close is on its way, and everything is sent again after that.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #resolve(room) {
    this.#own(pathOf(room.address)).then(
      (found) => this.#step("resolved", room, found.room),
      (error) => this.#step("notResolved", room, error),
    );
  }

  #page(room, page) {
    this.#own(`${pathOf(room.roomId)}/messages`, page).then(
      (found) => this.#step("filled", room, page, found),
      (error) => this.#step("notFilled", room, page, error),
    );
  }

  #refresh(number) {
    this.#call("POST", "/refresh").then(
      (fresh) => this.#step("refreshed", number, fresh),
      (error) => this.#step("notRefreshed", number, error),
    );
  }

  #scopeOf(userId) { return `${this.#http.base} ${userId}`; }

  async #load(userId) {
    this.#scope = this.#scopeOf(userId);
    let kept = [];
    if (this.#store) {
      await this.#keep(async (store, scope) => {
        kept = [...((await store.load(scope)) ?? [])].sort((one, other) => one.order - other.order);
      });
    }
    // Of another account meanwhile?
    if (this.#core.userId === userId) this.#step("restored", kept);
  }

  /** A store that fails, or does not answer, is told of, and all else goes on. */
  #keep(action) {
    if (!this.#store || this.#scope === undefined) return this.#saving;
    const scope = this.#scope;
    this.#saving = this.#saving.then(() => this.#inTime(() => action(this.#store, scope)))
      .catch((cause) => {
        this[EMIT]("error", new ParlorError("store", "cannot keep what is unsent", {cause}));
      });
    return this.#saving;
  }

  /** As long as a call has no answer, none is made behind it. */
  async #inTime(action) {
    if (this.#stuck) throw new Error("the store does not answer");
    const calling = (async () => action())();
    let timer;
    const late = new Promise((_, reject) => {
      timer = this.#timers.set(() => {
        this.#stuck = true;
        calling.catch(() => {}).then(() => { this.#stuck = false; });
        reject(new Error("the store did not answer in time"));
      }, this.#core.bounds.storeTimeoutMs);
    });
    try {
      await Promise.race([calling, late]);
    } finally {
      this.#timers.clear(timer);
    }
  }
}

function needToken(token, cookie) {
  if (!token && !cookie) throw new ParlorError("unauthorized", "needs a token, or cookie: true");
}

function webSocketOf({WebSocket = globalThis.WebSocket}) {
  if (WebSocket) return WebSocket;
  const advice = "this runtime has no WebSocket: pass one as the option WebSocket, or start Node " +
    "20 with --experimental-websocket";
  throw new ParlorError("no_websocket", advice);
}

async function enter(url, path, credentials, options = {}) {
  const {cookie = false} = options;
  webSocketOf(options); // Before an account is made.
  const body = {...credentials, ...(cookie && {cookie})};
  const http = httpOf(url, cookie, options);
  const answer = await call(http, "POST", path, {body, bounds: boundsOf(options)});
  const {user, token, expiresAt} = answer;
  return new Parlor(url, {...options, user, token, expiresAt});
}

function boundsOf(options) {
  const bounds = {...DEFAULTS};
  for (const name of Object.keys(DEFAULTS)) {
    if (options[name] === undefined) continue;
    const least = MAY_BE_ZERO.has(name) ? 0 : 1;
    if (!(typeof options[name] === "number" && options[name] >= least)) {
      throw invalid(name, `must be a number from ${least} up`);
    }
    bounds[name] = options[name];
  }
  return bounds;
}

/** What passes is told by a clock that nobody sets. */
const systemTimers = {
  now: () => performance.now(),
  date: () => Date.now(),
  set: (action, ms) => setTimeout(action, ms),
  clear: (timer) => clearTimeout(timer),
};

/** Another one for each client, whatever the application begins it with: an id that was used before
 * names a message that is stored already. Also where a page is not secure, without `randomUUID`. */
function prefixOf({idPrefix}) {
  const bytes = crypto.getRandomValues(new Uint8Array(RANDOM_LETTERS));
  const letters = Array.from(bytes, (byte) => (byte % 36).toString(36)).join("");
  if (idPrefix === undefined) return letters;
  const fault = faultOfId(idPrefix, PREFIX_BYTES);
  if (fault) throw invalid("idPrefix", fault);
  return `${idPrefix}-${letters}`;
}

/** How long the server made it for, in milliseconds, if it tells. */
function lifeOf(token) {
  try {
    const [, claims] = token.split(".");
    const {iat, exp} = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
    return (exp - iat) * 1000 || NEVER;
  } catch {
    return NEVER;
  }
}

function parsed(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}

// ---- HTTP ---------------------------------------------------------------------------------------

function httpOf(url, cookie, options) {
  let absolute;
  try {
    absolute = new URL(url, globalThis.location?.href);
  } catch {
    // Told below.
  }
  if (!/^https?:/.test(absolute?.href)) throw invalid("url", "must begin with http: or https:");
  const base = `${absolute.origin}${absolute.pathname}`.replace(/\/+$/, "");
  const {timers = systemTimers} = options;
  return {base, cookie, timers, fetch: options.fetch ?? ((...call) => fetch(...call))};
}

const pathOf = (address) => `/rooms/${encodeURIComponent(address)}`;

async function call({base, cookie, timers, fetch}, method, path, details) {
  const {query = {}, body, token, bounds, closing} = details;
  const url = new URL(`${base}/api/v1${path}`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  const headers = token && !cookie ? {authorization: `Bearer ${token}`} : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const stop = new AbortController();
  const close = () => stop.abort(closing.reason);
  const late = () => stop.abort(new Error("no answer in time"));
  const timer = timers.set(late, Math.min(bounds.requestTimeoutMs, TIMER_MAX_MS));
  closing?.addEventListener("abort", close);
  const credentials = cookie ? "same-origin" : "omit";
  const {signal} = stop;
  const request = {method, headers, body: body && JSON.stringify(body), signal, credentials};
  try {
    const response = await fetch(url.href, {...request, cache: "no-store"});
    const text = await response.text();
    if (response.ok) return text === "" ? undefined : JSON.parse(text);
    throw problemOf(response, text);
  } catch (cause) {
    if (cause instanceof ParlorError) throw cause;
    const message = `the server cannot be reached: ${cause.message}`;
    throw new ParlorError("network", message, {cause, retryable: true});
  } finally {
    timers.clear(timer);
    closing?.removeEventListener("abort", close);
  }
}

function problemOf(response, text) {
  const {code = "http", detail = `the server answered ${response.status}`, errors} = parsed(text);
  const {status} = response;
  const seconds = Number(response.headers.get("retry-after") ?? NaN);
  const retryAfter = Number.isFinite(seconds) ? seconds * 1000 : undefined;
  const retryable = [429, 502, 503, 504].includes(status);
  return new ParlorError(code, detail, {fields: errors, status, retryAfter, retryable});
}

// ---- stores of what is unsent -------------------------------------------------------------------

/** Keeps it in this browser, across reloads. */
export function indexedDbStore(indexedDB = globalThis.indexedDB, name = "parlor") {
  let opened; // Forgotten when it fails or ends: the next call opens it again.
  const open = () => new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("unsent", {keyPath: ["scope", "key"]});
    };
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = () => { opened = undefined; };
      // Another page may have a newer version, and waits for this one.
      database.onversionchange = () => {
        database.close();
        opened = undefined;
      };
      resolve(database);
    };
  });
  const aborted = () => new DOMException("the transaction was aborted", "AbortError");
  /** Done is what the whole transaction has done. */
  const unsent = async (mode, action) => {
    opened ??= open();
    try {
      const transaction = (await opened).transaction("unsent", mode);
      const request = action(transaction.objectStore("unsent"));
      return await new Promise((resolve, reject) => {
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => reject(transaction.error ?? aborted());
      });
    } catch (error) {
      opened = undefined;
      throw error;
    }
  };
  return {
    async load(scope) {
      // Behind every string comes an array.
      const range = globalThis.IDBKeyRange.bound([scope], [scope, []]);
      const all = await unsent("readonly", (store) => store.getAll(range));
      return all.map(({scope: _, ...entry}) => entry);
    },
    save: (scope, entry) => unsent("readwrite", (store) => store.put({scope, ...entry})),
    remove: (scope, key) => unsent("readwrite", (store) => store.delete([scope, key])),
  };
}

/** Where a page may not store anything, merely to ask for the database throws. */
function defaultStore() {
  try {
    return globalThis.indexedDB ? indexedDbStore() : null;
  } catch {
    return null;
  }
}
