// Many short lives of a few clients with a model of a server, one step at a time and all by chance:
// frames come late, connections end at any frame and are told of late, messages are put off, the
// server crashes and loses what it had not committed. A seed repeats a run.

import assert from "node:assert/strict";
import test from "node:test";

import {Dice, seedOf} from "./dice.js";
import {LIMITS, World} from "./world.js";

const RUNS = Number(process.env.JS_RUNS ?? 200);
const STEPS = 400;
const ROOMS = [1, 2];
const JUMP = 1000; // More than what can be uncommitted.

/** The protocol's rules on the other side, without anything that takes time. */
class ModelServer {
  rooms = new Map(ROOMS.map((roomId) => [roomId, {roomId, log: [], committed: 0, next: 1}]));
  links = new Set();
  lost = 0;

  constructor(dice, refuses) {
    [this.dice, this.refuses] = [dice, refuses];
  }

  accept(socket, userId) {
    const link = {socket, userId, taken: 0, out: [], joined: new Set(), open: true, awaits: null};
    const hello = {type: "hello", version: 1, userId, log: "log"};
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
    if (frame.type === "join_room") this.join(link, room, frame);
    if (frame.type === "chat") this.chat(link, room, frame);
  }

  join(link, room, {after, ref}) {
    this.commit(room);
    const head = room.log.at(-1)?.seq ?? 0;
    link.joined.add(room.roomId);
    const {roomId} = room;
    link.out.push({type: "joined", roomId, head, first: 1, count: room.log.length, ref});
    const missed = room.log.filter(({seq}) => after !== undefined && seq > after);
    for (const {frame} of missed) link.out.push(frame);
  }

  chat(link, room, {message, id}) {
    assert.ok(link.joined.has(room.roomId));
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
      link.out.push({type: "ack", roomId, id: entry.id, seq: entry.seq, at: 0});
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
      this.lost += room.log.length - kept.length;
      Object.assign(room, {log: kept, next: (kept.at(-1)?.seq ?? 0) + JUMP, jumped: true});
      room.next = Math.max(room.next, room.crashed ?? 0);
      room.crashed = room.next + JUMP;
    }
    for (const link of this.links) link.open = false;
  }
}

class Client {
  sends = [];
  ended = []; // Old sockets whose close is still to be told.

  constructor(dice, server, userId, window) {
    [this.dice, this.server, this.userId] = [dice, server, userId];
    this.world = new World();
    const bounds = {window, maxQueued: dice.whole(1, 20), backoffMs: 50, backoffMaxMs: 200};
    const timing = {stableMs: 100, connectTimeoutMs: 300, heartbeatMs: dice.whole(50, 400)};
    const options = {idPrefix: `c${userId}`, ...bounds, ...timing};
    this.parlor = this.world.parlor(options);
    this.world.randomly = dice.roll();
    this.views = ROOMS.map((roomId) => this.view(roomId));
  }

  view(roomId) {
    const room = this.parlor.join(roomId, {after: 0});
    const view = {room, held: new Map(), pull: null, pulling: false};
    room.on("retract", ({after, before}) => {
      for (const seq of [...view.held.keys()]) {
        if (seq > after && seq < before) view.held.delete(seq);
      }
    });
    view.take = (message) => {
      assert.ok([...view.held.keys()].every((seq) => seq < message.seq), "rising, once");
      view.held.set(message.seq, message.message);
    };
    if (this.dice.chance(0.5)) room.on("message", view.take);
    else view.pull = room[Symbol.asyncIterator]();
    return view;
  }

  step() {
    const {dice, world} = this;
    for (const socket of world.sockets) {
      if (socket.known) continue;
      socket.known = true;
      this.server.accept(socket, this.userId);
    }
    if (world.calls.length > 0 && dice.chance(0.5)) this.answer(world.calls.shift());
    const action = dice.whole(0, 9);
    if (action === 0) world.pass(dice.spread(1, 100));
    if (action === 1) this.say();
    if (action === 2 && this.ended.length > 0) this.ended.shift().end();
    if (action >= 3 && action <= 5) this.pull();
  }

  /** Some answers are lost. */
  answer({path, answer}) {
    if (this.dice.chance(0.1)) answer(503, {code: "unavailable", detail: "later"});
    else answer(200, this.server.page(path));
  }

  say() {
    const room = this.views[this.dice.whole(0, ROOMS.length - 1)].room;
    const send = {roomId: room.roomId, text: `${this.userId}-${this.sends.length}`, settled: 0};
    this.sends.push(send);
    room.send(send.text).then(({seq}) => { send.seq = seq; send.settled += 1; });
  }

  pull() {
    for (const view of this.views) {
      if (!view.pull || view.pulling) continue;
      view.pulling = true;
      view.pull.next().then(({value}) => {
        view.pulling = false;
        if (value) view.take(value);
      });
    }
  }

  /** The next frame to one of its sockets, or the end of it. */
  deliver(link) {
    const {socket} = link;
    if (socket.readyState === 3) return;
    const frame = link.out.shift();
    if (frame) {
      // What has arrived is told of even if the client has given the connection up.
      socket.readyState = Math.max(socket.readyState, 1);
      socket.says(frame);
    } else if (!link.open) {
      this.lose(link);
    }
  }

  lose({socket}) {
    if (socket.readyState === 3) return;
    if (this.dice.chance(0.5)) return socket.end();
    // It cannot be written to any more, but the close comes late.
    socket.readyState = 2;
    this.ended.push(socket);
  }
}

async function live(seed) {
  const dice = new Dice(seed);
  const window = dice.chance(0.5) ? 1 : dice.whole(2, 5);
  const server = new ModelServer(dice, window === 1);
  const clients = [1, 2, 3].map((userId) => new Client(dice, server, userId, window));
  const owner = ({userId}) => clients[userId - 1];
  for (let step = 0; step < STEPS; step += 1) {
    clients[dice.whole(0, 2)].step();
    for (const link of server.links) {
      if (link.open && dice.chance(0.7)) server.serve(link);
      if (dice.chance(0.7)) owner(link).deliver(link);
    }
    if (dice.chance(0.15)) for (const room of server.rooms.values()) server.commit(room);
    if (dice.chance(0.05)) cut(dice, server, owner);
    if (dice.chance(0.01)) server.crash();
    await turn();
  }
  await calm(server, clients, owner);
  check(server, clients);
  return {said: clients.flatMap(({sends}) => sends).length, lost: server.lost};
}

/** The client learns of it now or late; what it has sent before may still reach the server. */
function cut(dice, server, owner) {
  const links = [...server.links].filter(({socket}) => socket.readyState < 2);
  if (links.length === 0) return;
  const link = links[dice.whole(0, links.length - 1)];
  if (dice.chance(0.5)) link.open = false;
  owner(link).lose(link);
}

async function turn() {
  for (let micro = 0; micro < 8; micro += 1) await Promise.resolve();
}

/** Until nothing is under way any more. */
async function calm(server, clients, owner) {
  const hasAll = ({room}) =>
    room.cursor === (server.rooms.get(room.roomId).log.at(-1)?.seq ?? 0);
  const isDone = ({sends, views}) => sends.every(({settled}) => settled) && views.every(hasAll);
  for (let round = 0; round < 3000 && !clients.every(isDone); round += 1) {
    for (const client of clients) {
      while (client.ended.length > 0) client.ended.shift().end();
      client.say = () => {};
      client.step();
      client.pull();
      client.world.pass(10);
    }
    for (const room of server.rooms.values()) server.commit(room);
    for (const link of server.links) {
      for (let frame = 0; frame < 5; frame += 1) {
        if (link.open) server.serve(link);
        owner(link).deliver(link);
        await turn();
      }
    }
  }
  assert.ok(clients.every(isDone), "everything comes to rest");
}

function check(server, clients) {
  for (const {views} of clients) {
    for (const {room, held} of views) {
      const {log} = server.rooms.get(room.roomId);
      assert.deepEqual([...held], log.map(({seq, frame}) => [seq, frame.message]));
    }
  }
  for (const {sends} of clients) {
    for (const roomId of ROOMS) {
      const {log} = server.rooms.get(roomId);
      const mine = sends.filter((send) => send.roomId === roomId);
      assert.ok(mine.every(({settled}) => settled === 1), "each settles once");
      const texts = new Set(mine.map(({text}) => text));
      const stored = log.filter(({frame}) => texts.has(frame.message));
      assert.deepEqual(stored.map(({seq, frame}) => [frame.message, seq]),
        mine.map(({text, seq}) => [text, seq]), "each is stored once, in the order of saying");
    }
  }
}

test(`${RUNS} lives by chance`, async () => {
  const first = seedOf("simulation");
  const sum = {said: 0, lost: 0};
  for (let seed = first; seed < first + RUNS; seed += 1) {
    const {said, lost} = await live(seed).catch((error) => {
      error.message = `JS_SEED=${seed} JS_RUNS=1: ${error.message}`;
      throw error;
    });
    sum.said += said;
    sum.lost += lost;
  }
  assert.ok(sum.lost > 0 || RUNS < 10, "crashes lose something");
  console.log(`simulation: said ${sum.said}, heard and lost in crashes ${sum.lost}`);
});
