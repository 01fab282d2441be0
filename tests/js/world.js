// A world without I/O for the library: a clock that stands until it is moved, sockets and HTTP
// answers that do what a test says.

import assert from "node:assert/strict";

import {Parlor} from "../../src/web/library/parlor.js";

export const LIMITS =
  {messageBytes: 100, frameBytes: 400, roomsPerConnection: 128, unacknowledged: 256};

export class World {
  now = 1_000_000;
  sockets = [];
  calls = []; // {method, path, body, headers, answer(status, json, headers)}
  randomly = 0.5;
  #timers = new Map();
  #lastTimer = 0;

  constructor() {
    const world = this;
    this.timers = {
      now: () => this.now,
      set: (action, ms) => {
        this.#lastTimer += 1;
        this.#timers.set(this.#lastTimer, {action, at: this.now + ms});
        return this.#lastTimer;
      },
      clear: (timer) => this.#timers.delete(timer),
    };
    this.WebSocket = class extends FakeSocket {
      constructor(url) {
        super(url);
        world.sockets.push(this);
      }
    };
    this.fetch = (url, {method, headers, body}) => new Promise((resolve) => {
      const path = new URL(url).pathname.replace("/api/v1", "") + new URL(url).search;
      const answer = (status, json, extra = {}) => {
        const text = json === undefined ? null : JSON.stringify(json);
        resolve(new Response(text, {status, headers: extra}));
        return settled();
      };
      this.calls.push({method, path, headers, body: body && JSON.parse(body), answer});
    });
  }

  /** A client that is not connected yet; its token lives long. */
  parlor(options = {}) {
    const expiresAt = this.now + 1e9;
    const given = {token: "t0", expiresAt, store: null, idPrefix: "me", ...options};
    const {timers, WebSocket, fetch} = this;
    const random = () => this.randomly;
    return new Parlor("http://host:1", {timers, WebSocket, fetch, random, ...given});
  }

  /** A client that has joined room 1, empty so far or with a head. */
  joined(options = {}, {after = 0, head = 0} = {}) {
    const parlor = this.parlor(options);
    const room = parlor.join(1, {after});
    this.socket.hello();
    this.socket.joined(1, {head});
    return {parlor, room, socket: this.socket};
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Moves the clock; what is due on the way happens at its time. */
  pass(ms) {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, {at}]) => at <= end);
      due.sort(([, one], [, other]) => one.at - other.at);
      if (due.length === 0) break;
      const [[timer, {action, at}]] = due;
      this.#timers.delete(timer);
      this.now = Math.max(this.now, at);
      action();
    }
    this.now = end;
  }

  /** In how many milliseconds the next timer is due. */
  get next() {
    return Math.min(...[...this.#timers.values()].map(({at}) => at)) - this.now;
  }
}

class FakeSocket {
  readyState = 0;
  sent = [];
  closing = false;

  constructor(url) {
    this.url = new URL(url);
  }

  send(text) {
    assert.equal(this.readyState, 1);
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closing = true;
    if (this.readyState < 2) this.readyState = 2;
  }

  /** The connection ends; also an old one of which nobody waits for it any more. */
  end(code = 1006) {
    this.readyState = 3;
    this.onclose?.({code});
  }

  says(frame) {
    this.onmessage?.({data: JSON.stringify(frame)});
  }

  hello({userId = 7, log = "log-1", heartbeatMs = 25_000, limits = LIMITS} = {}) {
    this.readyState = 1;
    this.says({type: "hello", version: 1, userId, log, heartbeatMs, limits});
  }

  /** Answers the last join of the room. */
  joined(roomId, {head = 0, ...rest} = {}) {
    const {ref} = this.sent.findLast((frame) => frame.type === "join_room");
    const told = {head, first: 1, count: head, delivery: "immediate"};
    this.says({type: "joined", roomId, ...told, ref, ...rest});
  }

  /** Answers the last watch, or goes on with the answer. */
  lists(rooms, rest = {}) {
    const {ref} = this.sent.findLast((frame) => frame.type === "watch");
    this.says({type: "rooms", snapshot: true, rooms, ref, ...rest});
  }

  chat(seq, rest = {}) {
    const said = {userId: 8, username: "bo", message: `m${seq}`, at: seq};
    this.says({type: "chat", roomId: 1, seq, ...said, ...rest});
  }

  /** Own messages. */
  hear(seq, id) {
    this.chat(seq, {userId: 7, username: "ann", id});
  }

  ack(seq, id, rest = {}) {
    this.says({type: "ack", roomId: 1, id, seq, at: seq, ...rest});
  }

  refuse(code, rest = {}) {
    this.says({type: "error", code, message: code, retryable: false, roomId: 1, ...rest});
  }

  /** The frames of this type that were sent. */
  of(type) {
    return this.sent.filter((frame) => frame.type === type);
  }

  get said() {
    return this.of("chat").map(({message}) => message);
  }
}

/** Everything that promises do by themselves is done. */
export async function settled() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Events of these types, as they come: `[type, detail]`. */
export function record(emitter, ...types) {
  const events = [];
  for (const type of types) emitter.on(type, (detail) => events.push([type, detail]));
  return events;
}

/** The code of the error by which it fails. */
export async function codeOf(promise) {
  try {
    await promise;
  } catch (error) {
    return error.code;
  }
  return "no error";
}
