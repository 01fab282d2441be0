// What the application is handed on: each message once, in order, from where it was left, and what
// to take back after a crash of the server.

import assert from "node:assert/strict";
import test from "node:test";

import {World, codeOf, record, settled} from "./world.js";

const seqs = (events) => events.map(([, {seq}]) => seq);

test("listeners hear what comes, as it comes", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const heard = [];
  room.on("message", (message) => heard.push(message));
  socket.chat(1, {prev: undefined});
  assert.equal(room.cursor, 0, "nobody wants it before the listener is there for good");
  return settled().then(() => {
    socket.chat(2);
    const at = (seq) => ({roomId: 1, seq, userId: 8, username: "bo", message: `m${seq}`, at: seq});
    assert.deepEqual(heard, [at(1), at(2)]);
    assert.equal(room.cursor, 2);
  });
});

test("it comes back from what was pulled, not from what came", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const pull = room[Symbol.asyncIterator]();
  for (const seq of [1, 2, 3, 4, 5]) socket.chat(seq);
  for (const seq of [1, 2]) assert.equal((await pull.next()).value.seq, seq);
  assert.equal(room.cursor, 2);
  socket.end();
  assert.equal((await pull.next()).value.seq, 3, "what is here can be pulled without a connection");
  world.pass(500);
  world.socket.hello();
  const [{after, log}] = world.socket.of("join_room");
  assert.deepEqual([after, log], [3, "log-1"]);
  world.socket.joined(1, {head: 5});
  assert.equal(room.state, "catching-up");
  for (const seq of [4, 5, 6]) world.socket.chat(seq);
  assert.equal(room.state, "live");
  for (const seq of [4, 5, 6]) assert.equal((await pull.next()).value.seq, seq);
});

test("a room without `after` begins at the present, and comes back from there", async () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join(1);
  const heard = record(room, "message", "joined");
  await settled();
  world.socket.hello();
  assert.equal("after" in world.socket.of("join_room")[0], false);
  world.socket.joined(1, {head: 40});
  assert.deepEqual([room.cursor, heard[0][1].head, room.state], [40, 40, "live"]);
  world.socket.end();
  world.pass(500);
  world.socket.hello();
  assert.equal(world.socket.of("join_room")[0].after, 40);
  world.socket.joined(1, {head: 42});
  for (const seq of [41, 42]) world.socket.chat(seq);
  assert.deepEqual(seqs(heard.filter(([type]) => type === "message")), [41, 42]);
});

test("with a cursor and a log kept from before", () => {
  const world = new World();
  world.parlor().join(1, {after: 57, log: "log-0"});
  world.socket.hello();
  const {after, log} = world.socket.of("join_room")[0];
  assert.deepEqual([after, log], [57, "log-0"]);
});

test("what an earlier join still brings comes again, and counts once", async () => {
  const world = new World();
  const {room, socket} = world.joined({}, {head: 0});
  const heard = record(room, "message");
  await settled();
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.chat(1);
  world.socket.says({type: "joined", roomId: 1, head: 9, ref: "another"});
  assert.equal(room.state, "joining");
  world.socket.joined(1, {head: 1});
  world.socket.chat(1);
  world.socket.chat(1);
  assert.deepEqual(seqs(heard), [1]);
});

/** Of a room in which three messages were heard before the connection was lost. */
async function backAfterThree() {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "message", "retract");
  await settled();
  for (const seq of [1, 2, 3]) socket.chat(seq);
  socket.end();
  world.pass(500);
  world.socket.hello();
  return {world, room, told};
}

test("a head that is behind takes back what was above it", async () => {
  const {world, room, told} = await backAfterThree();
  world.socket.joined(1, {head: 1});
  assert.deepEqual(told.at(-1), ["retract", {after: 1, before: Infinity}]);
  assert.equal(room.cursor, 1);
  world.socket.chat(1_048_578, {prev: 1});
  assert.equal(told.length, 5, "nothing is held between: nothing more to take back");
});

test("a gap that is named takes back what is held in it", async () => {
  const {world, told} = await backAfterThree();
  assert.equal(world.socket.of("join_room")[0].after, 3);
  world.socket.joined(1, {head: 2_000_000});
  world.socket.chat(1_048_578, {prev: 1});
  assert.deepEqual(told.slice(3).map(([type, detail]) => [type, detail.after ?? detail.seq]),
    [["retract", 1], ["message", 1_048_578]]);
  assert.deepEqual(told[3][1], {after: 1, before: 1_048_578});
});

test("what waits to be pulled is not of a log that lost it", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "retract");
  const pull = room[Symbol.asyncIterator]();
  for (const seq of [1, 2, 3]) socket.chat(seq);
  assert.equal((await pull.next()).value.seq, 1);
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 1});
  world.socket.chat(1_048_578, {prev: 1});
  assert.equal((await pull.next()).value.seq, 1_048_578);
  assert.deepEqual(told, []);
});

test("another database: everything is taken back, and read from its beginning", async () => {
  const world = new World();
  const {room, socket} = world.joined({}, {after: 5, head: 5});
  const told = record(room, "reset", "message");
  await settled();
  socket.end();
  world.pass(500);
  world.socket.hello({log: "log-2"});
  assert.equal(world.socket.of("join_room")[0].log, "log-1");
  world.socket.joined(1, {head: 9, reset: true});
  world.socket.chat(6);
  const again = world.socket.of("join_room").at(-1);
  assert.deepEqual([again.after, again.log], [0, "log-2"]);
  world.socket.joined(1, {head: 9});
  world.socket.chat(1);
  assert.deepEqual(told.map(([type]) => type), ["reset", "message"]);
  assert.equal(told[1][1].seq, 1);
});

test("another database: who only listens begins at its present", () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join(1);
  world.socket.hello();
  world.socket.joined(1, {head: 5});
  world.socket.end();
  world.pass(500);
  world.socket.hello({log: "log-2"});
  world.socket.joined(1, {head: 9, reset: true});
  assert.equal("after" in world.socket.of("join_room").at(-1), false);
  world.socket.joined(1, {head: 9});
  assert.equal(room.cursor, 9);
});

test("a room is found by its name, again in another database", async () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join("general", {after: 0});
  world.socket.hello();
  assert.equal(world.calls[0].path, "/rooms/general");
  await world.calls[0].answer(200, {room: {roomId: 4}});
  assert.equal(world.socket.of("join_room")[0].roomId, 4);
  assert.equal(room.roomId, 4);
  world.socket.end();
  world.pass(500);
  world.socket.hello();
  assert.equal(world.socket.of("join_room")[0].roomId, 4, "known by now");
  world.socket.end();
  world.pass(1000);
  world.socket.hello({log: "log-2"});
  await world.calls[1].answer(200, {room: {roomId: 6}});
  assert.equal(world.socket.of("join_room")[0].roomId, 6);
});

test("a name that cannot be looked up now is looked up later; none at all ends it", async () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join("general");
  world.socket.hello();
  await world.calls[0].answer(503, {code: "unavailable", detail: "later"});
  world.pass(500);
  assert.equal(world.calls.length, 2);
  const pulled = codeOf(room[Symbol.asyncIterator]().next());
  const said = codeOf(room.send("hi"));
  await world.calls[1].answer(404, {code: "no_such_room", detail: "there is none"});
  assert.deepEqual([await pulled, await said], ["no_such_room", "no_such_room"]);
  assert.equal(room.state, "left");
  assert.notEqual(parlor.join("general"), room);
});

test("one room is not joined under two names", async () => {
  const world = new World();
  const {parlor, room} = world.joined();
  assert.equal(parlor.join("1"), room);
  const other = parlor.join("general");
  const errors = record(other, "error");
  await world.calls[0].answer(200, {room: {roomId: 1}});
  assert.equal(errors[0][1].code, "already_joined");
  assert.deepEqual([room.state, other.state], ["live", "left"]);
});

test("a join that is put off comes later; one that is refused ends the room", async () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join(1);
  world.socket.hello();
  const {ref} = world.socket.of("join_room")[0];
  world.socket.refuse("overloaded", {ref, retryable: true, retryAfterMs: 700});
  world.pass(699);
  assert.equal(world.socket.of("join_room").length, 1);
  world.pass(1);
  assert.equal(world.socket.of("join_room").length, 2);
  const pulled = codeOf(room[Symbol.asyncIterator]().next());
  world.socket.refuse("too_many_rooms", {ref: world.socket.of("join_room")[1].ref});
  assert.deepEqual([await pulled, room.state], ["too_many_rooms", "left"]);
});

/** Answers the last call over HTTP with a page of these. */
function answerPage(world, seqs, {hasMore = false, ...rest} = {}) {
  const messages = seqs.map((seq) =>
    ({roomId: 1, seq, userId: 8, username: "bo", message: `m${seq}`, at: seq, ...rest}));
  return world.calls.at(-1).answer(200, {messages, head: 0, count: 0, hasMore});
}

// It was asked for by a join, which brought everything from there again: 20,000 messages that were
// read one by one took 200,000 frames.
test("a full queue lets go of what comes, and asks for it by pages when it is empty", async () => {
  const world = new World();
  const {room, socket} = world.joined({maxQueued: 3});
  const pull = room[Symbol.asyncIterator]();
  const pulls = async (...seqs) => {
    for (const seq of seqs) assert.equal((await pull.next()).value.seq, seq);
  };
  for (const seq of [1, 2, 3, 4, 5]) socket.chat(seq);
  assert.equal(room.state, "catching-up");
  await pulls(1, 2);
  assert.equal(world.calls.length, 0);
  await pulls(3);
  assert.equal(world.calls[0].path, "/rooms/1/messages?after=3&limit=3");
  socket.chat(6);
  await answerPage(world, [4, 5, 6], {hasMore: true});
  socket.chat(7);
  await pulls(4, 5, 6);
  assert.equal(world.calls[1].path, "/rooms/1/messages?after=6&limit=3");
  await answerPage(world, [7]);
  await pulls(7);
  assert.equal(socket.of("join_room").length, 2);
  assert.equal(socket.of("join_room")[1].after, 7);
  socket.chat(8);
  socket.joined(1, {head: 8});
  assert.equal(room.state, "catching-up");
  socket.chat(8);
  socket.chat(9);
  assert.equal(room.state, "live");
  await pulls(8, 9);
  assert.equal(world.calls.length, 2);
});

test("a page that cannot be had now is asked for later, or by a join", async () => {
  const world = new World();
  const {room, socket} = world.joined({maxQueued: 1});
  for (const seq of [1, 2]) socket.chat(seq);
  const heard = record(room, "message");
  await settled();
  assert.deepEqual([seqs(heard), world.calls.length], [[1], 1]);
  await world.calls[0].answer(503, {code: "unavailable", detail: "later"});
  world.pass(500);
  assert.equal("after" in socket.of("join_room")[1], false, "nothing is sent again for it");
  socket.joined(1, {head: 2});
  await world.calls[1].answer(404, {code: "not_found", detail: "an old server"});
  assert.equal(socket.of("join_room")[2].after, 1);
  socket.joined(1, {head: 2});
  socket.chat(2);
  assert.deepEqual(seqs(heard), [1, 2]);
});

test("a page of an earlier connection counts for nothing", async () => {
  const world = new World();
  const {room, socket} = world.joined({maxQueued: 1});
  for (const seq of [1, 2]) socket.chat(seq);
  const told = record(room, "message", "retract");
  await settled();
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 2_000_000});
  const messages = [{roomId: 1, seq: 2, message: "lost"}];
  await world.calls[0].answer(200, {messages, hasMore: true});
  assert.equal(world.calls[1].path, "/rooms/1/messages?after=1&limit=1");
  await answerPage(world, [1_048_577], {prev: 0});
  assert.deepEqual(told.map(([type, {seq, after}]) => [type, seq ?? after]),
    [["message", 1], ["retract", 0], ["message", 1_048_577]]);
});

test("a page that comes behind the end of a room, or a leave, is not handed on", async () => {
  for (const leave of [(room) => { room.leave(); },
    (room, socket) => socket.says({type: "left", roomId: 1, reason: "deleted"})]) {
    const world = new World();
    const {room, socket} = world.joined({maxQueued: 1});
    for (const seq of [1, 2]) socket.chat(seq);
    const heard = record(room, "message");
    await settled();
    assert.equal(world.calls.length, 1);
    room.send("bye").catch(() => {});
    leave(room, socket);
    await answerPage(world, [2]);
    assert.deepEqual(seqs(heard), [1]);
  }
});

test("a room that nobody reads holds no more than its queue, and can be said to", async () => {
  const world = new World();
  const {room, socket} = world.joined({maxQueued: 2});
  for (let seq = 1; seq < 100; seq += 1) socket.chat(seq);
  const said = room.send("hi");
  socket.hear(100, said.id);
  assert.equal((await said.heard).seq, 100, "own messages are heard all the same");
  const heard = record(room, "message");
  await settled();
  assert.deepEqual(seqs(heard), [1, 2]);
  assert.equal(world.calls[0].path, "/rooms/1/messages?after=2&limit=2");
});

test("what waits is bounded by its size, too", async () => {
  const world = new World();
  const {room, socket} = world.joined({maxQueuedBytes: 100});
  for (let seq = 1; seq < 10; seq += 1) socket.chat(seq, {message: "x".repeat(20)});
  const heard = record(room, "message");
  await settled();
  assert.deepEqual(seqs(heard), [1, 2, 3]);
  assert.equal(world.calls[0].path, "/rooms/1/messages?after=3&limit=200");
});

// Each return of the connection brought everything since the first join again, to nobody.
test("who does not read is sent nothing again, and loses nothing", async () => {
  const world = new World();
  const {room, socket} = world.joined({}, {after: 5, head: 5});
  const told = record(room, "retract", "reset", "joined");
  for (const seq of [6, 7]) socket.chat(seq);
  const back = (head, rest) => {
    world.socket.end();
    world.pass(30_000);
    world.socket.hello(rest);
    assert.equal("after" in world.socket.of("join_room")[0], false);
    world.socket.joined(1, {head});
  };
  back(8);
  assert.deepEqual([room.cursor, room.state], [5, "catching-up"]);
  back(4);
  assert.deepEqual(told.at(-2), ["retract", {after: 4, before: Infinity}]);
  assert.deepEqual([room.cursor, room.state], [4, "live"]);
  back(6);
  const heard = record(room, "message");
  await settled();
  assert.equal(world.calls[0].path, "/rooms/1/messages?after=4&limit=200");
  await answerPage(world, [1_048_577], {prev: 4});
  assert.equal(world.socket.of("join_room")[1].after, 1_048_577);
  world.socket.joined(1, {head: 1_048_577});
  assert.deepEqual([seqs(heard), room.state], [[1_048_577], "live"]);
});

test("another database is noticed also by who does not read", () => {
  const world = new World();
  const {room, socket} = world.joined({}, {after: 5, head: 5});
  const told = record(room, "reset");
  socket.end();
  world.pass(500);
  world.socket.hello({log: "log-2"});
  world.socket.joined(1, {head: 9});
  assert.deepEqual(told, [["reset", {log: "log-2"}]]);
  assert.equal(world.socket.of("join_room")[1].after, 0);
});

test("rooms at once are bounded", () => {
  const world = new World();
  const parlor = world.parlor({maxRooms: 2});
  parlor.join(1);
  parlor.join(2);
  parlor.join(2);
  assert.throws(() => parlor.join(3), {code: "too_many_rooms"});
});

test("one loop at a time; after it, listeners hear again as it comes", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const heard = record(room, "message");
  await settled();
  const loop = room[Symbol.asyncIterator]();
  assert.throws(() => room[Symbol.asyncIterator](), {code: "iterating"});
  socket.chat(1);
  assert.deepEqual(seqs(heard), [], "the loop sets the pace");
  assert.equal((await loop.next()).value.seq, 1);
  socket.chat(2);
  await loop.return();
  assert.deepEqual(await loop.next(), {value: undefined, done: true});
  assert.deepEqual(seqs(heard), [1, 2]);
  setImmediate(() => socket.chat(3));
  for await (const message of room) {
    assert.equal(message.seq, 3);
    break;
  }
});

test("a room that is deleted is read to its end", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const told = record(room, "left");
  for (const seq of [1, 2]) socket.chat(seq);
  socket.says({type: "left", roomId: 1, reason: "deleted"});
  assert.deepEqual(told, [["left", {reason: "deleted"}]]);
  const read = [];
  for await (const {seq} of room) read.push(seq);
  assert.deepEqual(read, [1, 2]);
  assert.equal(parlor.joined.length, 0);
  assert.equal(await codeOf(room.send("late")), "left");
});

test("leaving waits for what was said, but hands nothing on", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const heard = record(room, "message");
  await settled();
  const said = room.send("bye");
  const leaving = room.leave();
  assert.equal(socket.of("leave_room").length, 0);
  assert.equal(await codeOf(room.send("more")), "left");
  socket.hear(1, said.id);
  socket.ack(1, said.id);
  assert.equal((await said).seq, 1);
  await leaving;
  assert.deepEqual(socket.of("leave_room"), [{type: "leave_room", roomId: 1}]);
  assert.deepEqual([heard.length, parlor.joined.length], [0, 0]);
  const again = parlor.join(1, {after: 1});
  socket.says({type: "left", roomId: 1});
  socket.joined(1, {head: 1});
  assert.equal(again.state, "live");
});

test("a leave is taken back by another join", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  room.send("bye");
  room.leave();
  assert.equal(parlor.join(1, {after: 3}), room);
  assert.equal(socket.of("join_room")[1].after, 3);
  socket.joined(1, {head: 4});
  socket.chat(4);
  for await (const {seq} of room) {
    assert.equal(seq, 4);
    break;
  }
});

test("events of kinds to come move the cursor in their place", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const events = record(room, "event");
  const pull = room[Symbol.asyncIterator]();
  socket.chat(1);
  socket.says({type: "reaction", roomId: 1, seq: 2, to: 1});
  assert.equal((await pull.next()).value.seq, 1);
  assert.equal(room.cursor, 1);
  const next = pull.next();
  assert.equal(room.cursor, 2);
  assert.equal(events[0][1].type, "reaction");
  socket.chat(3);
  assert.equal((await next).value.seq, 3);
});

test("presence: who is here, told whole and by changes", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const ann = {userId: 7, username: "ann"};
  const bo = {userId: 8, username: "bo"};
  const say = (frame) => socket.says({type: "presence", roomId: 1, ...frame});
  say({snapshot: true, joined: [ann], count: 1});
  say({joined: [bo], count: 2});
  assert.deepEqual([...room.people], [[7, "ann"], [8, "bo"]]);
  say({left: [ann], count: 1});
  assert.deepEqual([[...room.people.keys()], room.count], [[8], 1]);
  say({snapshot: true, count: 300});
  assert.deepEqual([room.people.size, room.count], [0, 300]);
});

test("typing is told at most once a second", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "typing");
  for (let key = 0; key < 5; key += 1) room.typing();
  world.pass(1000);
  room.typing();
  assert.equal(socket.of("typing").length, 2);
  socket.says({type: "typing", roomId: 1, userId: 8, username: "bo"});
  assert.deepEqual(told, [["typing", {roomId: 1, userId: 8, username: "bo"}]]);
  world.pass(1000);
  socket.end();
  room.typing();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1);
  assert.equal(world.socket.of("typing").length, 0, "what could not be told is not told late");
  room.typing();
  assert.equal(world.socket.of("typing").length, 1, "nor does it count");
});

test("pages of history are asked for over HTTP", async () => {
  const world = new World();
  const {room} = world.joined();
  const page = room.history({before: 50, limit: 10});
  assert.equal(world.calls[0].path, "/rooms/1/messages?before=50&limit=10");
  await world.calls[0].answer(200, {messages: [], head: 0, count: 0, hasMore: false});
  assert.equal((await page).hasMore, false);
});
