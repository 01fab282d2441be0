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
// the stores that keep what is not sent yet. The protocol is the server's `protocol.md`.

/** Whatever goes wrong. `code` is for programs; the codes are listed in the README. */
export class ParlorError extends Error {
  constructor(code, message, {fields = [], retryAfter, retryable = false, status, cause} = {}) {
    super(message, cause === undefined ? undefined : {cause});
    this.name = "ParlorError";
    /** Like the server's codes, or one of the library's own. */
    this.code = code;
    /** `[{field, message}]` where fields are at fault. */
    this.fields = fields;
    /** Whether the same may succeed later. */
    this.retryable = retryable;
    /** Milliseconds after which to try again, if the server told. */
    this.retryAfter = retryAfter;
    /** Of the HTTP answer, if it was one. */
    this.status = status;
  }
}

/** Every bound and pause, each an option of the same name. Times are in milliseconds. */
export const DEFAULTS = Object.freeze({
  /** Messages of a room that wait for the application; past it they are asked for again later. */
  maxQueued: 1000,
  /** Messages said and not acknowledged, in all rooms; past it `send` fails with `queue_full`. */
  maxUnsent: 1000,
  /** Messages on their way at once, in all rooms; never more than the server allows. */
  maxInFlight: 64,
  /** Messages of one room sent before the first is heard or acknowledged. With more than one, a
   * message that the server puts off (`rate_limited`, `overloaded`) may be overtaken. */
  window: 1,
  /** Rooms joined at once; past it `join` fails with `too_many_rooms`. */
  maxRooms: 128,
  /** Calls over HTTP at once; past it they fail with `queue_full`. */
  maxRequests: 32,
  /** The longest first pause before coming back, and the longest ever. */
  backoffMs: 500,
  backoffMaxMs: 30_000,
  /** A connection that lives this long makes the pauses short again. */
  stableMs: 5000,
  /** How long until the server's first frame. */
  connectTimeoutMs: 15_000,
  requestTimeoutMs: 40_000,
  /** Silence after which the server is asked; as long again, and the connection is given up.
   * 0: what the server says. */
  heartbeatMs: 0,
  /** How long the server may take to answer after `wake`. */
  wakeTimeoutMs: 5000,
  typingIntervalMs: 1000,
  /** The token is renewed at half of its life, within these bounds. */
  refreshMinMs: 30_000,
  refreshMaxMs: 86_400_000,
});

const FATAL_CLOSES = new Set([1002, 1003, 1007, 1008, 1009]);
/** By these the server itself asks for a pause. */
const PUT_OFF_CLOSES = new Set([1011, 1012, 1013, 4409]);
const ID_DIGITS = 8;
const ID_BYTES = 64;
const NEVER = Infinity;

const FACE = Symbol("what Parlor tells a room");

const utf8 = new TextEncoder();
const byteLength = (text) => utf8.encode(text).length;

function errorOf(frame) {
  const {code, message, errors, retryable, retryAfterMs} = frame;
  return new ParlorError(code, message, {fields: errors, retryable, retryAfter: retryAfterMs});
}

// ---- what decides -------------------------------------------------------------------------------

/**
 * The rules, without I/O: `step(now, input, ...)` takes in what happened and gives what is to be
 * done about it, in order; `wakeAt()` says when `step(now, "tick")` is due. For `Parlor` below and
 * for tests.
 *
 * Effects, by their `do`: `connect` and `hangUp` {generation}, `transmit` {frame}, `resolve`
 * {room}, `refresh`, `load` {userId}, `save` {entry}, `forget` {entry}, `settle` {entry, receipt
 * | error}, `heard` {entry, receipt}, `message` {room, message}, `end` {room, error?},
 * `interrupt` {error}, `recovered`, `woken` {alive}, `event` {room?, type, detail}.
 */
export class Core {
  constructor({random, prefix, token, expiresAt, userId, cookie = false, bounds = {}}) {
    Object.assign(this, {random, prefix, token, cookie, bounds: {...DEFAULTS, ...bounds}});
    this.now = 0;
    this.effects = [];
    // idle, connecting, open, waiting, renewing, unauthorized, failed, closed.
    this.link = "idle";
    this.generation = 0; // Of the connection; what an older one still says is not listened to.
    this.failures = 0;
    this.hint = undefined; // When a stopping server wants us back, in milliseconds.
    this.putOff = false; // Whether the present pause is the server's wish.
    this.lostBy = undefined; // The last close code.
    this.wokenAt = -NEVER; // When a pause was last cut short.
    this.asked = false; // Whether `wake` waits for what becomes of it.
    this.refreshing = false;
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
    this.unsent = 0;
    this.inFlight = 0;
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
    let at = Math.min(this.retryAt, this.pingAt, this.deadAt, this.refreshAt, this.watchAt);
    for (const room of this.rooms.values()) at = Math.min(at, room.resumeAt, room.holdUntil);
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
    if (this.now >= this.refreshAt) this.renew();
    if (this.now >= this.watchAt) this.sendWatch();
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

  // ---- the connection ----

  connect() {
    if (!["idle", "waiting"].includes(this.link)) return;
    if (this.givenUserId !== undefined) this.identify(this.givenUserId);
    if (this.expiresAt !== undefined && this.refreshAt === NEVER) this.planRefresh();
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
    const room = this.byId.get(frame.roomId);
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
    Object.assign(this, {log, renewed: false, openedAt: this.now});
    this.limits = {...limits, heartbeatMs};
    this.identify(userId);
    // Another database may know another room by the same name.
    for (const room of this.rooms.values()) if (changed) this.unresolve(room);
    this.setLink("open", {userId, log});
    // Without a known end, the token is renewed at once, which tells one.
    if (this.expiresAt === undefined && !this.refreshing) this.refreshAt = this.now;
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
    this.inFlight = 0;
    this.woken(false);
    for (const room of this.rooms.values()) {
      for (const entry of room.outbox) Object.assign(entry, {sent: false, accepted: false});
      Object.assign(room, {ref: null, joined: false, resumeAt: NEVER, holdUntil: NEVER});
      this.setRoom(room, "joining");
    }
  }

  fail(error) {
    this.offline();
    this.refreshAt = NEVER;
    this.setLink("failed", {error});
    this.event(null, "error", error);
    this.effect("interrupt", {error});
    for (const room of this.rooms.values()) this.refuseAll(room, error);
  }

  /** At once, if it only waits; also after a failure. */
  reconnect() {
    if (this.link === "failed") this.effect("recovered");
    if (this.link === "failed") this.link = "waiting";
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
      Object.assign(this, {wokenAt: now, failures: 0});
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
    const error = new ParlorError("closed", "this client was closed");
    this.hangUp();
    this.offline();
    this.refreshAt = NEVER;
    this.setLink("closed");
    for (const room of [...this.rooms.values()]) {
      // What was not sent stays where it is kept, for the next time.
      for (const entry of room.outbox) this.effect("settle", {entry, error});
      Object.assign(room, {outbox: [], queue: []});
      this.end(room, {});
    }
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

  watchLater({retryAfter = 0}) {
    const pause = Math.max(retryAfter, this.bounds.backoffMs) + this.backoff(this.watchFailures);
    this.listing = null;
    this.watchFailures += 1;
    this.watchAt = this.now + pause;
  }

  // ---- the token ----

  renew() {
    this.refreshAt = NEVER;
    if (!this.refreshing) this.effect("refresh");
    this.refreshing = true;
  }

  refreshed({token, expiresAt}) {
    this.refreshing = false;
    if (["closed", "failed", "unauthorized"].includes(this.link)) return;
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
    if (this.now - this.openedAt >= this.bounds.stableMs) this.failures = 0;
    this.hangUp();
    this.offline();
    this.link = "waiting";
    this.connect();
  }

  credentials({token, expiresAt}) {
    if (token && !this.cookie) this.token = token;
    this.expiresAt = expiresAt;
    this.planRefresh();
    this.event(null, "token", {token: this.token, expiresAt});
  }

  /** Should the clocks differ much, the bounds keep the pace sane. */
  planRefresh() {
    const {refreshMinMs, refreshMaxMs} = this.bounds;
    const half = ((this.expiresAt ?? NEVER) - this.now) / 2;
    this.refreshAt = this.now + Math.min(Math.max(half, refreshMinMs), refreshMaxMs);
  }

  notRefreshed(error) {
    this.refreshing = false;
    if (["closed", "failed", "unauthorized"].includes(this.link)) return;
    if (error.status === 401) return this.deny(error);
    this.failures += this.link === "renewing" ? 1 : 0;
    this.putOff = error.retryAfter !== undefined;
    const pause = this.link === "renewing" ? this.backoff(this.failures) : 0;
    this.refreshAt = this.now + Math.max(pause, error.retryAfter ?? 0, this.bounds.backoffMs);
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
    this.event(null, "error", error);
    this.effect("interrupt", {error});
  }

  /** After signing in again, with the same account. */
  useToken(token, expiresAt) {
    this.token = this.cookie ? undefined : token;
    this.renewed = false;
    this.refreshAt = NEVER;
    this.effect("recovered");
    if (expiresAt !== undefined) this.credentials({token, expiresAt});
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
    Object.assign(room, {leaving: false, finished: false});
    if (room.roomId !== null && !this.claim(room, room.roomId)) return;
    this.adopt(room);
    if (this.link === "open") this.enter(room);
    this.connect();
  }

  /** `false` if another room of this client has the id already. */
  claim(room, roomId) {
    const other = this.byId.get(roomId);
    if (other && other !== room) {
      const message = `it is joined as ${other.address}`;
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

  joinLater(room, {retryAfter = 0}) {
    room.resumeAt = this.now + Math.max(retryAfter, this.bounds.backoffMs);
  }

  /** From the last message that the application was handed on. */
  sendJoin(room) {
    this.joins += 1;
    Object.assign(room, {queue: [], behind: false, joined: false, ref: `j${this.joins}`});
    room.sentAfter = room.leaving ? undefined : room.cursor;
    const {roomId, sentAfter: after, ref} = room;
    const log = after === undefined ? undefined : room.log;
    this.setRoom(room, "joining");
    this.transmit({type: "join_room", roomId, after, log, ref});
  }

  onJoined(room, frame) {
    if (frame.ref !== room.ref) return undefined;
    room.ref = null;
    room.log = this.log;
    if (frame.reset) {
      // Nothing that is held is of this database, and neither is the cursor.
      this.event(room, "reset", {log: this.log});
      room.cursor = room.fromLog ? 0 : undefined;
      return this.sendJoin(room);
    }
    const {sentAfter} = room;
    if (sentAfter !== undefined && frame.head < sentAfter) {
      this.retract(room, frame.head, NEVER);
    }
    room.cursor = Math.min(sentAfter ?? NEVER, frame.head);
    room.last = room.cursor;
    Object.assign(room, {joined: true, head: frame.head});
    const {ref: _, ...told} = strip(frame);
    this.event(room, "joined", {...told, cursor: room.cursor});
    this.setRoom(room, room.last < room.head ? "catching-up" : "live");
    this.pump(room);
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
    if (frame.id !== undefined && frame.userId === this.userId) this.onHeard(room, frame);
    if (room.leaving || room.behind) return;
    if (room.queue.length >= this.bounds.maxQueued) {
      room.behind = true;
      return;
    }
    room.queue.push(frame);
    room.last = frame.seq;
    if (room.last >= room.head) this.setRoom(room, "live");
    this.flow(room);
  }

  /** How many messages the application wants at the moment. */
  want(room, count) {
    room.wanted = count;
    this.flow(room);
  }

  flow(room) {
    while (room.wanted > 0 && room.queue.length > 0) {
      const frame = room.queue.shift();
      if (frame.prev !== undefined && frame.prev < room.cursor) {
        this.retract(room, frame.prev, frame.seq);
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
    else if (room.behind && room.joined && this.link === "open") this.sendJoin(room);
  }

  /** What was heard between the two is lost in a crash, and sent again if it is ours. */
  retract(room, after, before) {
    for (const entry of room.outbox) {
      if (entry.heardAs > after && entry.heardAs < before) entry.heardAs = undefined;
    }
    this.event(room, "retract", {after, before});
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
    Object.assign(room, {leaving: true, queue: []});
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
    Object.assign(room, {ended: {error}, joined: false, ref: null});
    this.rooms.delete(room.address);
    if (this.byId.get(room.roomId) === room) this.byId.delete(room.roomId);
    this.setRoom(room, "left");
    const refusal = new ParlorError("left", "the room was left before the message was stored");
    this.refuseAll(room, error ?? refusal);
    this.event(room, "left", {reason, error});
    if (error) this.event(room, "error", error);
    this.flow(room);
  }

  // ---- saying ----

  send(room, text, {id} = {}, entry = {}) {
    this.counter += 1;
    this.order = Math.max(this.order + 1, this.now);
    const {address, roomId} = room;
    id ??= `${this.prefix}-${String(this.counter).padStart(ID_DIGITS, "0")}`;
    const {userId = this.givenUserId, order} = this;
    Object.assign(entry, {key: `${address} ${id}`, id, text, address, roomId, userId, order});
    Object.assign(entry, {sent: false, accepted: false, saved: false});
    const error = this.refusal(room, entry);
    if (error) return this.effect("settle", {entry, error});
    room.outbox.push(entry);
    this.unsent += 1;
    if (this.loaded) this.save(entry);
    this.event(room, "sending", {id, message: text});
    return this.pump(room);
  }

  refusal(room, {id, text}) {
    if (this.link === "closed") return new ParlorError("closed", "this client was closed");
    if (room.ended || room.leaving) return new ParlorError("left", "the room was left");
    if (this.unsent >= this.bounds.maxUnsent) {
      return new ParlorError("queue_full", "too many messages wait to be sent", {retryable: true});
    }
    if (room.outbox.some((other) => other.id === id)) {
      return new ParlorError("id_conflict", "a message with this id is on its way");
    }
    const length = byteLength(id);
    if (length >= 1 && length <= ID_BYTES) return undefined;
    const message = `must have 1 to ${ID_BYTES} bytes`;
    return new ParlorError("invalid", "the id is invalid", {fields: [{field: "id", message}]});
  }

  /** Sends what may be sent, in order. */
  pump(room) {
    if (!room.joined || !this.loaded) return;
    if (room.holdUntil !== NEVER && this.now < room.holdUntil) return;
    let open = 0;
    for (const entry of [...room.outbox]) {
      if (entry.accepted) continue;
      if (open >= this.bounds.window || (!entry.sent && this.isFull())) return;
      if (!entry.sent && !this.transmitChat(room, entry)) continue;
      open += 1;
    }
  }

  isFull() {
    return this.inFlight >= Math.min(this.bounds.maxInFlight, this.limits.unacknowledged ?? NEVER);
  }

  transmitChat(room, entry) {
    const {messageBytes = NEVER, frameBytes = NEVER} = this.limits;
    const frame = {type: "chat", roomId: room.roomId, message: entry.text, id: entry.id};
    // A frame past its limit would cost the connection.
    const tooLong = byteLength(entry.text) > messageBytes;
    if (tooLong || byteLength(JSON.stringify(frame)) > frameBytes) {
      const error = new ParlorError("message_too_large", `at most ${messageBytes} bytes`);
      this.settle(room, entry, {error});
      return false;
    }
    entry.sent = true;
    this.inFlight += 1;
    this.transmit(frame);
    return true;
  }

  onHeard(room, {id, seq, at}) {
    const entry = room.outbox.find((entry) => entry.id === id);
    if (!entry) return;
    // One that an earlier connection sent is sent again all the same: an ack comes to who sends.
    entry.accepted = entry.sent;
    entry.heardAs = seq;
    this.effect("heard", {entry, receipt: {id, seq, at}});
    this.event(room, "heard", {id, seq, at});
    this.pump(room);
  }

  onAck(room, frame) {
    const entry = room.outbox.find((entry) => entry.id === frame.id);
    if (!entry) return;
    const {id, seq, at, duplicate = false} = frame;
    this.settle(room, entry, {receipt: {id, seq, at, duplicate}});
  }

  settle(room, entry, {receipt, error}) {
    const wasFull = this.isFull();
    room.outbox.splice(room.outbox.indexOf(entry), 1);
    this.unsent -= 1;
    if (entry.sent) this.inFlight -= 1;
    this.effect("forget", {entry});
    this.effect("settle", {entry, receipt, error});
    const refused = {id: entry.id, message: entry.text, error};
    this.event(room, receipt ? "ack" : "refused", receipt ?? refused);
    this.leaveIfDone(room);
    for (const waiting of wasFull ? this.rooms.values() : [room]) this.pump(waiting);
  }

  refuseAll(room, error) {
    for (const entry of [...room.outbox]) this.settle(room, entry, {error});
  }

  onError(room, frame) {
    const error = errorOf(frame);
    if (room && room.ref !== null && frame.ref === room.ref) {
      room.ref = null;
      return error.retryable ? this.joinLater(room, error) : this.end(room, {error});
    }
    const isOfWatch = this.listing && frame.ref === this.listing.ref;
    if (isOfWatch && error.retryable) return this.watchLater(error);
    const entry = room?.outbox.find((entry) => entry.sent && entry.id === frame.id);
    if (entry) return this.onRefused(room, entry, error);
    return this.event(null, "error", error);
  }

  onRefused(room, entry, error) {
    const outside = error.code === "not_in_room";
    if (!error.retryable && !outside) return this.settle(room, entry, {error});
    entry.sent = entry.accepted = false;
    this.inFlight -= 1;
    if (outside) return room.joined ? this.sendJoin(room) : undefined;
    const pause = error.retryAfter ?? this.bounds.backoffMs;
    room.holdUntil = this.now + pause + this.random() * pause;
    return undefined;
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
    const free = Math.max(this.bounds.maxUnsent - this.unsent, 0);
    for (const kept of entries.slice(0, free)) {
      this.order = Math.max(this.order, kept.order);
      const entry = {...kept, sent: false, accepted: false, saved: true, restored: true};
      this.stored.set(kept.key, entry);
      this.unsent += 1;
    }
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
    const {key, id, text, address, roomId, order} = entry;
    this.effect("save", {entry: {key, id, text, address, roomId, order, userId: this.userId}});
  }

  adopt(room) {
    let found = false;
    for (const [key, entry] of this.stored) {
      const same = entry.address === room.address ||
        (room.roomId !== null && entry.roomId === room.roomId);
      if (!same) continue;
      found = true;
      this.stored.delete(key);
      room.outbox.push(entry);
    }
    if (!found) return;
    const rank = (entry) => (entry.restored ? 0 : 1);
    room.outbox.sort((one, other) => rank(one) - rank(other) || one.order - other.order);
    this.event(room, "restored", {unsent: room.outbox.map(shown)});
  }
}

export function newRoom(address, face) {
  const named = !/^[0-9]+$/.test(address);
  return {
    address, face, named, roomId: named ? null : Number(address),
    state: "joining", resolving: false, joined: false,
    leaving: false, ended: null, finished: false,
    cursor: undefined, log: undefined, fromLog: false, // What was handed on, and of which log.
    ref: null, sentAfter: undefined, last: 0, head: 0, // Of the present join.
    queue: [], behind: false, wanted: 0, // What waits for the application.
    outbox: [], holdUntil: NEVER, resumeAt: NEVER, // What waits for the server.
    people: new Map(), count: 0, typedAt: -NEVER,
  };
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

  /** @internal */
  listens(type) {
    return (this.#listeners.get(type)?.size ?? 0) > 0;
  }

  /** @internal A listener that throws must not stop the others: its error goes to the runtime. */
  emit(type, detail) {
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
  #left;
  #hasLeft;

  /** @internal */
  constructor(address, {step, say, request}) {
    super();
    [this.#step, this.#say, this.#request] = [step, say, request];
    this.address = address;
    this.#left = new Promise((resolve) => { this.#hasLeft = resolve; });
  }

  get roomId() { return this.#state.roomId; }
  get state() { return this.#state.state; }
  /** Seq of the last message that was handed on; to keep, with `log`, for a later `after`. */
  get cursor() { return this.#state.cursor; }
  get log() { return this.#state.log; }
  get people() { return new Map(this.#state.people); }
  get count() { return this.#state.count; }
  get unsent() { return this.#state.outbox.map(shown); }

  /**
   * Says something, once, however often the connection breaks. The promise settles when the message
   * is on disk; its `heard` as soon as the room heard it; its `id` is the message's.
   */
  send(text, {id} = {}) {
    return this.#say(this.#state, String(text), {id});
  }

  /** Tells the others that this person is writing; call it at each keystroke. */
  typing() {
    this.#step("typing", this.#state);
  }

  /** A page: `{messages, head, count, hasMore}`, oldest first. */
  history({before, after, limit} = {}) {
    const query = {before, after, limit};
    const room = this.#state.roomId ?? this.address;
    return this.#request("GET", `/rooms/${room}/messages`, {query});
  }

  /** Stops hearing at once; settles when what was said is acknowledged and the room is left. */
  leave() {
    this.#step("leave", this.#state);
    return this.#left;
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

  /** Messages, each handed on when it is pulled. One loop at a time. */
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
    const all = this.listens("message") ? NEVER : 0;
    const count = this.#iterating ? this.#waiting.length : all;
    if (count !== this.#state.wanted) this.#step("want", this.#state, count);
  }

  /** @internal */
  [FACE] = {
    adopt: (state) => { this.#state = state; this.#done = null; },
    message: (message) => {
      this.#waiting.shift()?.resolve({value: message, done: false});
      this.emit("message", message);
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
    },
    left: () => this.#hasLeft(),
  };
}

/** A connection to a server, and the calls of its API. */
export class Parlor extends Emitter {
  #core;
  #http;
  #store;
  #scope;
  #saving = Promise.resolve(); // One after the other.
  #WebSocket;
  #socket = null;
  #timers;
  #timer;
  #armedFor = NEVER;
  #effects = [];
  #performing = false;
  #sent = new Map(); // What `send` promised: entry to what settles it.
  #requests = 0;
  #waking = null; // What `wake` promised.

  /** Makes an account and goes in. */
  static signUp(url, credentials, options) {
    return enter(url, "/signup", credentials, options);
  }

  static signIn(url, credentials, options) {
    return enter(url, "/signin", credentials, options);
  }

  /** With a `token`, or with `cookie: true` on the server's own pages. */
  constructor(url, {token, expiresAt, cookie = false, user, userId, ...given} = {}) {
    super();
    if (!token && !cookie) throw new ParlorError("unauthorized", "needs a token, or cookie: true");
    this.#WebSocket = given.WebSocket ?? globalThis.WebSocket;
    if (!this.#WebSocket) {
      const advice = "this runtime has no WebSocket: pass one as the option WebSocket";
      throw new ParlorError("no_websocket", advice);
    }
    const bounds = boundsOf(given);
    this.user = user;
    this.#http = httpOf(url, cookie, given);
    this.#timers = given.timers ?? systemTimers;
    this.#store = given.store === undefined ? defaultStore() : given.store;
    const random = given.random ?? Math.random;
    const core = {token, expiresAt, cookie, userId: userId ?? user?.userId, bounds, random};
    this.#core = new Core({...core, prefix: given.idPrefix ?? randomPrefix()});
  }

  /** idle, connecting, open, waiting, renewing, unauthorized, failed, closed. */
  get state() { return this.#core.link; }
  get userId() { return this.#core.userId; }
  get log() { return this.#core.log; }
  get joined() { return [...this.#core.rooms.values()].map(({face}) => face); }

  /** What has no ack yet, also of rooms that are not joined. */
  get unsent() {
    const outboxes = [...this.#core.rooms.values()].flatMap(({outbox}) => outbox);
    return [...this.#core.stored.values(), ...outboxes].map(shown);
  }

  /**
   * Enters a room, by its slug or id, and stays in it whatever happens to the connection. With
   * `after`, everything behind that seq comes first (0: all of it); without, what is said from now.
   */
  join(address, {after, log} = {}) {
    const {rooms, bounds, link} = this.#core;
    if (link === "closed") throw new ParlorError("closed", "this client was closed");
    const key = String(address);
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

  /** Comes back at once instead of waiting. */
  reconnect() { this.#step("reconnect"); }

  /**
   * Something happened that a connection may not have outlived: the network changed, the machine
   * slept. Settles when that is known: `true` if the server was heard, `false` if it is away.
   */
  wake() {
    if (!this.#waking) {
      this.#waking = {};
      this.#waking.promise = new Promise((resolve) => { this.#waking.resolve = resolve; });
    }
    const {promise} = this.#waking;
    this.#step("wake");
    return promise;
  }

  /** After signing in again as the same account; without a token if a cookie has it. */
  useToken(token, {expiresAt} = {}) { this.#step("useToken", token, expiresAt); }

  /** From now on `rooms` events tell what changes in all rooms. */
  watch() { this.#step("watch"); }

  /** Ends everything. What is unsent stays kept, if there is a store. */
  close() { this.#step("close"); }

  /** Ends the session on the server, forgets what is unsent, and closes. */
  async signOut() {
    await this.request("POST", "/signout");
    const kept = [...this.#core.stored.values()];
    for (const {outbox} of this.#core.rooms.values()) kept.push(...outbox);
    for (const entry of kept) this.#keep((store, scope) => store.remove(scope, entry.key));
    this.close();
    await this.#saving;
  }

  async me() { return (this.user = (await this.request("GET", "/me")).user); }
  rooms({after, limit} = {}) { return this.request("GET", "/rooms", {query: {after, limit}}); }
  async room(address) { return (await this.request("GET", pathOf(address))).room; }
  async createRoom(body) { return (await this.request("POST", "/rooms", {body})).room; }
  async deleteRoom(address) { await this.request("DELETE", pathOf(address)); }

  /** Any call of the HTTP API; `path` is below `/api/v1`. */
  async request(method, path, {query, body} = {}) {
    if (this.#requests >= this.#core.bounds.maxRequests) {
      throw new ParlorError("queue_full", "too many calls at once", {retryable: true});
    }
    this.#requests += 1;
    try {
      const {token, bounds} = this.#core;
      return await call(this.#http, method, path, {query, body, token, bounds});
    } finally {
      this.#requests -= 1;
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
    }, Math.max(at - now, 0));
  }

  #perform({do: what, room, entry, ...rest}) {
    switch (what) {
      case "connect": return this.#connect(rest.generation);
      case "hangUp": return this.#hangUp();
      case "transmit": return this.#transmit(rest.frame);
      case "resolve": return this.#resolve(room);
      case "refresh": return this.#refresh();
      case "load": return this.#load(rest.userId);
      case "save": return this.#keep((store, scope) => store.save(scope, entry));
      case "forget": return this.#keep((store, scope) => store.remove(scope, entry.key));
      case "settle": return this.#settle(entry, rest);
      case "heard": return this.#sent.get(entry)?.heard.resolve(rest.receipt);
      case "message": return room.face[FACE].message(rest.message);
      case "end": return room.face[FACE].end(rest.error);
      case "interrupt": return this.#eachRoom((face) => face.interrupt(rest.error));
      case "recovered": return this.#eachRoom((face) => face.recovered());
      case "woken": return this.#wokeUp(rest.alive);
      default: return this.#tell(room, rest.type, rest.detail);
    }
  }

  #eachRoom(action) {
    for (const {face} of [...this.#core.rooms.values()]) action(face[FACE]);
  }

  #wokeUp(alive) {
    this.#waking?.resolve(alive);
    this.#waking = null;
  }

  #tell(room, type, detail) {
    (room?.face ?? this).emit(type, detail);
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
      this.emit("error", new ParlorError("network", "cannot open a WebSocket", {cause}));
      queueMicrotask(() => this.#step("closed", generation, 1006));
      return;
    }
    this.#socket.onmessage = ({data}) => this.#step("frame", generation, parsed(data));
    this.#socket.onclose = ({code}) => this.#step("closed", generation, code);
    this.#socket.onerror = () => {}; // A close follows.
  }

  #hangUp() {
    this.#socket?.close();
    this.#socket = null;
  }

  #transmit(frame) {
    // Not open: its close is on its way, and everything is sent again after that.
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #resolve(room) {
    this.room(room.address).then(
      (found) => this.#step("resolved", room, found),
      (error) => this.#step("notResolved", room, error),
    );
  }

  #refresh() {
    this.request("POST", "/refresh").then(
      (fresh) => this.#step("refreshed", fresh),
      (error) => this.#step("notRefreshed", error),
    );
  }

  #load(userId) {
    this.#scope = `${this.#http.base} ${userId}`;
    if (!this.#store) return this.#step("restored", []);
    return this.#keep(async (store, scope) => store.load(scope)).then((entries) => {
      const sorted = [...(entries ?? [])].sort((one, other) => one.order - other.order);
      this.#step("restored", sorted);
    });
  }

  /** A store that fails is told of, and all else goes on. */
  #keep(action) {
    if (!this.#store || this.#scope === undefined) return this.#saving;
    const scope = this.#scope;
    this.#saving = this.#saving.then(() => action(this.#store, scope)).catch((cause) => {
      this.emit("error", new ParlorError("store", "cannot keep what is unsent", {cause}));
    });
    return this.#saving;
  }
}

async function enter(url, path, credentials, options = {}) {
  const {cookie = false} = options;
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
    const value = options[name];
    if (!(typeof value === "number" && value >= 0)) {
      const fields = [{field: name, message: "must be a number that is not negative"}];
      throw new ParlorError("invalid", `the option ${name} is invalid`, {fields});
    }
    bounds[name] = value;
  }
  return bounds;
}

const systemTimers = {
  now: () => Date.now(),
  set: (action, ms) => setTimeout(action, ms),
  clear: (timer) => clearTimeout(timer),
};

/** Also where a page is not secure, which has no `randomUUID`. */
function randomPrefix() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => (byte % 36).toString(36)).join("");
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
  const absolute = new URL(url, globalThis.location?.href);
  const base = `${absolute.origin}${absolute.pathname}`.replace(/\/+$/, "");
  return {base, cookie, fetch: options.fetch ?? ((...call) => fetch(...call))};
}

const pathOf = (address) => `/rooms/${encodeURIComponent(address)}`;

async function call({base, cookie, fetch}, method, path, {query = {}, body, token, bounds}) {
  const url = new URL(`${base}/api/v1${path}`);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, value);
  }
  const headers = token && !cookie ? {authorization: `Bearer ${token}`} : {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const signal = AbortSignal.timeout(bounds.requestTimeoutMs);
  const credentials = cookie ? "same-origin" : "omit";
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
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  let opened;
  const open = () => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("unsent", {keyPath: ["scope", "key"]});
    };
    return done(request);
  };
  const unsent = async (mode) => {
    opened ??= open();
    const database = await opened;
    return database.transaction("unsent", mode).objectStore("unsent");
  };
  return {
    async load(scope) {
      // Behind every string comes an array.
      const range = [[scope], [scope, []]];
      const store = await unsent("readonly");
      const all = await done(store.getAll(globalThis.IDBKeyRange.bound(...range)));
      return all.map(({scope: _, ...entry}) => entry);
    },
    save: async (scope, entry) => done((await unsent("readwrite")).put({scope, ...entry})),
    remove: async (scope, key) => done((await unsent("readwrite")).delete([scope, key])),
  };
}

function defaultStore() {
  return globalThis.indexedDB ? indexedDbStore() : null;
}
