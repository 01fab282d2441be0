// Time and space: clocks that are set, timers, bounds, and what is left behind.

import assert from "node:assert/strict";
import test from "node:test";

import {Parlor} from "../../src/web/library/parlor.js";
import {World, codeOf, record, settled} from "./world.js";

// A clock that was set back an hour put the next attempt off by an hour.
test("pauses are told by a clock that nobody sets", (context) => {
  let [passed, date, timer] = [0, 1e12, null];
  context.mock.method(performance, "now", () => passed);
  context.mock.method(Date, "now", () => date);
  context.mock.method(globalThis, "setTimeout", (action, ms) => (timer = {action, ms}));
  context.mock.method(globalThis, "clearTimeout", () => { timer = null; });
  const world = new World();
  const parlor = world.parlor({timers: undefined});
  parlor.join(1);
  world.socket.end();
  assert.equal(parlor.state, "waiting");
  date -= 3_600_000;
  passed += timer.ms;
  timer.action();
  assert.equal(world.sockets.length, 2);
  parlor.close();
});

test("no timer is set beyond what timers can", () => {
  const world = new World();
  const set = [];
  const {timers} = world;
  world.timers = {...timers, set: (action, ms) => { set.push(ms); return timers.set(action, ms); }};
  const {parlor} = world.joined({heartbeatMs: 3e9, refreshMaxMs: Infinity, expiresAt: 1e15});
  world.pass(2 ** 31);
  assert.equal(parlor.state, "open");
  world.pass(3e9 - 2 ** 31);
  assert.equal(world.socket.of("ping").length, 1);
  assert.ok(set.length > 1 && set.every((ms) => ms < 2 ** 31), String(set));
});

test("each bound has a least value", () => {
  const world = new World();
  for (const name of ["window", "maxInFlight", "maxQueued", "maxUnsent", "backoffMs"]) {
    assert.throws(() => world.parlor({[name]: 0}), {code: "invalid"}, name);
  }
  world.parlor({heartbeatMs: 0, stableMs: 0, typingIntervalMs: 0});
});

test("a hint is for the connection that gave it", async () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  socket.says({type: "reconnect", afterMs: 20_000});
  socket.end(4401);
  await world.calls[0].answer(200, {token: "t1", expiresAt: world.now + 1e9});
  world.pass(500);
  world.socket.hello();
  const told = record(parlor, "state");
  world.socket.end();
  assert.equal(told[0][1].retryInMs, 250);
});

test("what waits to be sent is bounded by its size, too", async () => {
  const world = new World();
  const room = world.parlor({maxUnsentBytes: 100}).join(1);
  const first = room.send("x".repeat(30));
  assert.equal(await codeOf(room.send("x".repeat(21))), "queue_full");
  assert.equal(await codeOf(room.send("x".repeat(51))), "message_too_large");
  room.send("x".repeat(20));
  world.socket.hello();
  world.socket.joined(1);
  world.socket.ack(1, first.id);
  room.send("x".repeat(30));
  assert.equal(room.unsent.length, 2);
});

test("the client's own calls take none of the application's, and wait for each other", async () => {
  const world = new World();
  const parlor = world.parlor({maxRequests: 1});
  for (let room = 0; room < 20; room += 1) parlor.join(`room-${room}`);
  world.socket.hello();
  assert.equal(world.calls.length, 8);
  const rooms = parlor.rooms();
  await world.calls[8].answer(200, {rooms: [], hasMore: false});
  await rooms;
  for (let room = 0; room < 20; room += 1) {
    const call = world.calls.filter(({path}) => path !== "/rooms")[room];
    await call.answer(200, {room: {roomId: room + 1}});
  }
  assert.equal(world.socket.of("join_room").length, 20);
});

test("closing ends what is asked for, and what an abandoned socket still holds", async () => {
  const world = new World();
  const {signals, fetch} = {signals: [], fetch: (url, {signal}) => new Promise((_, reject) => {
    signals.push(signal);
    signal.addEventListener("abort", () => reject(signal.reason));
  })};
  const {parlor, socket} = world.joined({fetch});
  let cut = 0;
  socket.terminate = () => { cut += 1; };
  const asking = codeOf(parlor.rooms());
  parlor.close();
  assert.equal(await asking, "closed");
  assert.equal(signals[0].aborted, true);
  world.pass(2999);
  assert.equal(cut, 0);
  world.pass(1);
  assert.equal(cut, 1, "nobody answered its farewell");
  const {parlor: other, socket: polite} = world.joined();
  polite.terminate = () => { cut += 1; };
  other.close();
  polite.end(1000);
  world.pass(10_000);
  assert.equal(cut, 1);
  assert.equal(world.next, Infinity, "no timer is left");
});

test("people are not known while the connection is away", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const joined = [{userId: 8, username: "bo"}];
  socket.says({type: "presence", roomId: 1, snapshot: true, joined, count: 1});
  assert.deepEqual([room.people.size, room.count], [1, 1]);
  socket.end();
  assert.deepEqual([room.people.size, room.count], [0, 0]);
});

test("an address that is no server's is told by name, and nothing is asked of it", async () => {
  for (const url of ["localhost:8080", "http://", "ws://host", "nonsense"]) {
    const options = {WebSocket: class {}};
    const signing = Parlor.signIn(url, {username: "a", password: "b"}, options);
    assert.equal(await codeOf(signing), "invalid", url);
    assert.throws(() => new Parlor(url, {token: "t", ...options}), {code: "invalid"}, url);
  }
});

test("no account is made where there is no WebSocket to use it with", async () => {
  const present = globalThis.WebSocket;
  delete globalThis.WebSocket;
  try {
    const {fetch, calls} = new World();
    const signing = Parlor.signUp("http://host:1", {username: "a", password: "b"}, {fetch});
    assert.equal(await codeOf(signing), "no_websocket");
    assert.equal(calls.length, 0);
  } finally {
    if (present) globalThis.WebSocket = present;
  }
});

test("history of a room that is not looked up yet escapes its address", async () => {
  const world = new World();
  const room = world.parlor().join("../me?x");
  room.history().catch(() => {});
  assert.equal(world.calls[0].path, "/rooms/..%2Fme%3Fx/messages");
  await settled();
});

test("what is heard is told once, again only with another seq", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "heard");
  const said = room.send("hi");
  const back = (head) => {
    world.socket.end();
    world.pass(30_000);
    world.socket.hello();
    world.socket.joined(1, {head});
  };
  socket.hear(1, said.id);
  room.on("message", () => {});
  back(1);
  world.socket.hear(1, said.id);
  assert.equal(told.length, 1);
  back(0);
  assert.equal(room.unsent[0].heard, false);
  world.socket.hear(1_048_577, said.id);
  assert.deepEqual(told.map(([, {seq}]) => seq), [1, 1_048_577]);
});

test("what was heard by nobody who reads, and lost, or of another database, is not heard", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = room.send("hi");
  socket.hear(1, said.id);
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 0});
  assert.equal(room.unsent[0].heard, false, "the cursor was not past it");
});

test("nothing internal is to be seen on what applications hold", () => {
  const {parlor, room} = new World().joined();
  for (const of of [parlor, room]) {
    assert.deepEqual([of.emit, of.listens], [undefined, undefined]);
  }
});
