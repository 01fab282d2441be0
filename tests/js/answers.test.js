// What is on its way always comes to an end: each place that becomes free is given to the next, and
// an answer that does not come is asked for.

import assert from "node:assert/strict";
import test from "node:test";

import {World, codeOf, record} from "./world.js";

/** So long without a word that each is asked for again, on a connection that is alive. */
function waitInVain(world, ms = 30_000) {
  for (let passed = 0; passed < ms; passed += 10_000) {
    world.pass(10_000);
    if (world.socket.readyState === 1) world.socket.says({type: "pong"});
  }
}

// Rooms that wait for a free place were woken by acks alone: one message that was put off while all
// places were taken lost its place to nobody, and the others stood still for ever.
test("a message that is put off gives its place to whoever waits for one", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined({maxInFlight: 1});
  const other = parlor.join(2, {after: 0});
  socket.joined(2);
  const first = room.send("one");
  other.send("two");
  socket.refuse("rate_limited", {id: first.id, retryable: true, retryAfterMs: 1000});
  assert.deepEqual(socket.said, ["one", "two"]);
});

test("a message to a room that was left behind our back gives up its place, too", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined({maxInFlight: 1});
  const other = parlor.join(2, {after: 0});
  socket.joined(2);
  const first = room.send("one");
  other.send("two");
  socket.refuse("not_in_room", {id: first.id});
  assert.deepEqual(socket.said, ["one", "two"]);
});

test("an id that the server could not repeat in an answer is not sent", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  for (const id of ["a\u0001", "a\u007f", "\ud800"]) {
    const error = await room.send("x", {id}).catch((error) => error);
    assert.deepEqual([error.code, error.fields[0].field], ["invalid", "id"]);
  }
  const error = await room.send("half of \ud83d").catch((error) => error);
  assert.deepEqual([error.code, error.fields[0].field], ["invalid", "message"]);
  const [tab, emoji] = [room.send("x", {id: "a\tb"}), room.send("\u{1f600}")];
  socket.ack(1, tab.id);
  socket.ack(2, emoji.id);
  assert.deepEqual(socket.said, ["x", "\u{1f600}"]);
  await Promise.all([tab, emoji]);
});

test("an error that names nothing is of the only message on its way, if it is of a message", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const errors = record(parlor, "error");
  const refused = record(room, "refused");
  room.send("one").catch(() => {});
  room.send("two");
  socket.says({type: "error", code: "not_in_room", message: "of `typing`", roomId: 1});
  assert.deepEqual([errors.length, refused.length], [1, 0]);
  const errorsOfId = [{field: "id", message: "is strange"}];
  socket.refuse("invalid", {roomId: undefined, errors: errorsOfId});
  assert.deepEqual([refused[0][1].message, refused[0][1].error.code], ["one", "invalid"]);
  assert.deepEqual(socket.said, ["one", "two"]);
});

test("an error that names nothing is of nobody while several are on their way", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined({window: 2});
  const errors = record(parlor, "error");
  room.send("one");
  room.send("two");
  socket.refuse("bad_frame", {roomId: undefined});
  assert.deepEqual([errors.length, room.unsent.length], [1, 2]);
});

test("an answer that does not come is asked for once, then the connection given up", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const said = [room.send("one"), room.send("two")];
  waitInVain(world, 20_000);
  assert.deepEqual(socket.said, ["one"]);
  waitInVain(world, 10_000);
  assert.deepEqual(socket.said, ["one", "one"]);
  socket.hear(1, said[0].id);
  assert.deepEqual(socket.said, ["one", "one", "two"], "heard, but not acknowledged");
  waitInVain(world, 30_000);
  assert.ok(socket.closing);
  world.pass(1000);
  assert.deepEqual([world.sockets.length, parlor.state], [2, "connecting"]);
  world.socket.hello();
  world.socket.joined(1, {head: 1});
  world.socket.ack(1, said[0].id, {duplicate: true});
  world.socket.ack(2, said[1].id);
  assert.deepEqual((await Promise.all(said)).map(({seq}) => seq), [1, 2]);
  waitInVain(world, 120_000);
  assert.equal(world.sockets.length, 2, "nothing is waited for any more");
});

test("two clients with the same prefix never say the same id", () => {
  const world = new World();
  const ids = [1, 2].map(() => world.joined({idPrefix: "bot"}).room.send("backup is done").id);
  for (const id of ids) assert.match(id, /^bot-[0-9a-z]{8}-00000001$/);
  assert.notEqual(ids[0], ids[1]);
  assert.throws(() => world.parlor({idPrefix: "x".repeat(47)}), {code: "invalid"});
  assert.throws(() => world.parlor({idPrefix: "a\n\u0000"}), {code: "invalid"});
  assert.equal(world.joined({idPrefix: "x".repeat(46)}).room.send("hi").id.length, 64);
});

test("what failed for good is told to whoever says or hears something later", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  socket.end(1008);
  assert.equal(await codeOf(room.send("late")), "protocol");
  const other = parlor.join(2);
  assert.equal(await codeOf(other[Symbol.asyncIterator]().next()), "protocol");
  assert.equal(await codeOf(other.send("late")), "protocol");
  parlor.reconnect();
  world.socket.hello();
  world.socket.joined(2);
  const next = other[Symbol.asyncIterator]().next();
  world.socket.chat(1, {roomId: 2});
  assert.equal((await next).value.seq, 1);
  assert.equal(await codeOf(parlor.join(3)[Symbol.asyncIterator]().return()), "no error");
});
