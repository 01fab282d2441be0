// A model of a server, for the simulation: the protocol's rules, without anything that takes time.

import assert from "node:assert/strict";

import {LIMITS} from "./world.js";

export const ROOMS = [1, 2, 3, 4, 5];
const JUMP = 1000; // More than what can be uncommitted.

/** The protocol's rules on the other side, without anything that takes time. */
export class ModelServer {
  links = new Set();
  era = 0; // Of the database; an ack's `at` tells of which one it is.
  met = {lost: 0, putOff: 0, databases: 0, hints: 0, expired: 0, late: 0};

  constructor(dice, refuses) {
    [this.dice, this.refuses] = [dice, refuses];
    this.begin();
  }

  begin() {
    this.era += 1;
    this.rooms = new Map(ROOMS.map((roomId) => [roomId, {roomId, log: [], next: 1}]));
  }

  get log() {
    return `log-${this.era}`;
  }

  accept(owner, socket) {
    const {userId} = owner;
    const {onmessage, onclose} = socket;
    const link = {owner, socket, userId, taken: 0, out: [], joined: new Set(), awaits: null};
    // What is on its way comes also if the library has taken its listeners off.
    Object.assign(link, {listeners: {onmessage, onclose}, open: true, hushed: false, code: 1006});
    const hello = {type: "hello", version: 1, userId, log: this.log};
    link.out.push({...hello, heartbeatMs: 1e9, limits: LIMITS});
    this.links.add(link);
  }

  /** Takes in the next frame of a connection. */
  serve(link) {
    if (link.awaits && !link.awaits.committed && !link.awaits.lost) return;
    link.awaits = null;
    const frame = link.socket.sent[link.taken];
    if (!frame) return;
    link.taken += 1;
    const room = this.rooms.get(frame.roomId);
    if (frame.type === "ping") link.out.push({type: "pong"});
    if (frame.type === "leave_room") this.leave(link, frame);
    if (frame.type === "join_room") this.join(link, room, frame);
    if (frame.type === "chat") this.chat(link, room, frame);
  }

  leave(link, {roomId, ref}) {
    link.joined.delete(roomId);
    link.out.push({type: "left", roomId, ref});
  }

  join(link, room, {after, log, ref}) {
    this.commit(room);
    const head = room.log.at(-1)?.seq ?? 0;
    link.joined.add(room.roomId);
    const {roomId} = room;
    const told = {roomId, head, first: 1, count: room.log.length, ref};
    const reset = log !== undefined && log !== this.log;
    link.out.push({type: "joined", ...told, ...(reset && {reset})});
    const missed = room.log.filter(({seq}) => !reset && after !== undefined && seq > after);
    for (const {frame} of missed) link.out.push(frame);
  }

  chat(link, room, {message, id}) {
    if (!link.joined.has(room.roomId)) {
      const error = {code: "not_in_room", message: "join it first", retryable: false};
      link.out.push({type: "error", roomId: room.roomId, id, ...error});
      return;
    }
    const known = room.log.find((entry) => entry.id === id && entry.userId === link.userId);
    if (known) {
      assert.equal(known.frame.message, message);
      known.waiting.push(link);
      if (known.committed) this.acknowledge(room, known);
      else link.awaits = known;
      return;
    }
    const {roomId} = room;
    if (this.refuses && this.dice.chance(0.1)) {
      const error = {code: "overloaded", message: "later", retryable: true, retryAfterMs: 5};
      this.met.putOff += 1;
      link.out.push({type: "error", roomId, id, ...error});
      return;
    }
    const entry = {seq: room.next, userId: link.userId, id, waiting: [link], committed: false};
    const prev = room.jumped ? {prev: room.log.at(-1)?.seq ?? 0} : {};
    entry.frame = {type: "chat", roomId, seq: room.next, userId: link.userId, message, id, ...prev};
    Object.assign(room, {next: room.next + 1, jumped: false});
    room.log.push(entry);
    for (const each of this.links) if (each.joined.has(roomId)) each.out.push(entry.frame);
  }

  /** A page, as over HTTP: of what is committed, which everything is by the time of the answer. */
  page(path) {
    const {pathname, searchParams} = new URL(path, "http://host");
    const room = this.rooms.get(Number(pathname.split("/")[2]));
    this.commit(room);
    const [after, limit] = ["after", "limit"].map((name) => Number(searchParams.get(name)));
    const missed = room.log.filter(({seq}) => seq > after).map(({frame}) => frame);
    return {messages: missed.slice(0, limit), hasMore: missed.length > limit};
  }

  acknowledge({roomId}, entry) {
    for (const link of entry.waiting.splice(0)) {
      link.out.push({type: "ack", roomId, id: entry.id, seq: entry.seq, at: this.era});
    }
  }

  commit(room) {
    for (const entry of room.log) entry.committed = true;
    for (const entry of room.log) this.acknowledge(room, entry);
  }

  /** What was on its way may still arrive. */
  crash() {
    for (const room of this.rooms.values()) {
      for (const entry of room.log.filter(({committed}) => !committed)) entry.lost = true;
      const kept = room.log.filter(({lost}) => !lost);
      this.met.lost += room.log.length - kept.length;
      Object.assign(room, {log: kept, next: (kept.at(-1)?.seq ?? 0) + JUMP, jumped: true});
      room.next = Math.max(room.next, room.crashed ?? 0);
      room.crashed = room.next + JUMP;
    }
    for (const link of this.links) link.open = false;
  }

  /** The same address has another database. */
  replace() {
    this.met.databases += 1;
    this.begin();
    for (const link of this.links) link.open = false;
  }

  /** An orderly end, or that of a token, of which the client is told. */
  end(link, code) {
    if (code === 1012) link.out.push({type: "reconnect", afterMs: this.dice.whole(0, 100)});
    this.met[code === 1012 ? "hints" : "expired"] += 1;
    Object.assign(link, {open: false, code});
  }
}
