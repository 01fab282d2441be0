// What is said is stored once, in order, and its promise settles once, whatever happens meanwhile.

import assert from "node:assert/strict";
import test from "node:test";

import {World, codeOf, record, settled} from "./world.js";

const ids = (socket) => socket.of("chat").map(({id}) => id);

test("heard first, then safe", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "sending", "heard", "ack");
  const said = room.send("hi");
  assert.match(said.id, /^me-[0-9a-z]{8}-00000001$/);
  assert.deepEqual(socket.of("chat"),
    [{type: "chat", roomId: 1, message: "hi", id: said.id}]);
  assert.deepEqual(room.unsent, [{id: said.id, message: "hi", room: "1", heard: false}]);
  socket.hear(1, said.id);
  assert.deepEqual(await said.heard, {id: said.id, seq: 1, at: 1});
  assert.equal(room.unsent[0].heard, true);
  socket.ack(1, said.id);
  socket.ack(1, said.id, {duplicate: true});
  assert.deepEqual(await said, {id: said.id, seq: 1, at: 1, duplicate: false});
  assert.deepEqual(told.map(([type]) => type), ["sending", "heard", "ack"]);
  assert.deepEqual(room.unsent, []);
});

test("an ack that comes first tells both", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = room.send("hi");
  socket.ack(1, said.id);
  assert.equal((await said.heard).seq, 1);
  assert.equal((await said).seq, 1);
});

test("somebody else's message with the same id is not ours", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = room.send("hi");
  socket.chat(1, {id: said.id});
  assert.equal(room.unsent[0].heard, false);
});

test("the next goes when the one before is heard, so that the order holds", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = ["a", "b", "c"].map((text) => room.send(text));
  assert.deepEqual(socket.said, ["a"]);
  socket.hear(1, said[0].id);
  assert.deepEqual(socket.said, ["a", "b"]);
  socket.refuse("overloaded", {id: said[1].id, retryable: true, retryAfterMs: 100});
  world.pass(99);
  assert.deepEqual(socket.said, ["a", "b"]);
  world.pass(60);
  assert.deepEqual(socket.said, ["a", "b", "b"]);
  socket.ack(2, said[1].id);
  assert.deepEqual(socket.said, ["a", "b", "b", "c"]);
});

test("a wider window sends ahead, as far as it goes", () => {
  const world = new World();
  const {room, socket} = world.joined({window: 3, maxInFlight: 4});
  const said = ["a", "b", "c", "d", "e", "f"].map((text) => room.send(text));
  assert.equal(socket.said.length, 3);
  socket.hear(1, said[0].id);
  assert.equal(socket.said.length, 4);
  socket.hear(2, said[1].id);
  assert.equal(socket.said.length, 4, "four are not acknowledged yet");
  socket.ack(1, said[0].id);
  assert.equal(socket.said.length, 5);
});

test("what is in flight is bounded over all rooms", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined({maxInFlight: 1});
  const other = parlor.join(2, {after: 0});
  socket.joined(2);
  const first = room.send("one");
  other.send("two");
  assert.deepEqual(socket.said, ["one"]);
  socket.hear(1, first.id);
  assert.deepEqual(socket.said, ["one"]);
  socket.ack(1, first.id);
  assert.deepEqual(socket.said, ["one", "two"]);
});

test("what has no ack is sent again, under its id, in order, behind the join", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = ["a", "b"].map((text) => room.send(text));
  socket.hear(1, said[0].id);
  socket.end();
  const late = room.send("c");
  world.pass(500);
  world.socket.hello();
  assert.equal(world.socket.said.length, 0);
  world.socket.joined(1, {head: 1});
  assert.deepEqual(ids(world.socket), [said[0].id]);
  world.socket.ack(1, said[0].id, {duplicate: true});
  world.socket.ack(2, said[1].id);
  world.socket.ack(3, late.id);
  assert.deepEqual(world.socket.said, ["a", "b", "c"]);
  assert.equal((await said[0]).duplicate, true);
  assert.deepEqual((await Promise.all([said[1], late])).map(({seq}) => seq), [2, 3]);
});

test("what is heard from an earlier connection still needs its ack", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  room.on("message", () => {});
  const said = [room.send("a"), room.send("b")];
  socket.end();
  world.pass(500);
  world.socket.hello();
  const {ref} = world.socket.of("join_room")[0];
  world.socket.says({type: "joined", roomId: 1, head: 1, ref});
  assert.deepEqual(ids(world.socket), [said[0].id]);
  world.socket.hear(1, said[0].id);
  assert.deepEqual(ids(world.socket), said.map(({id}) => id));
  world.socket.hear(2, said[1].id);
  world.socket.end();
  world.pass(1000);
  world.socket.hello();
  world.socket.joined(1, {head: 2});
  assert.deepEqual(ids(world.socket), [said[0].id], "again, for its ack");
  world.socket.ack(1, said[0].id, {duplicate: true});
  world.socket.ack(2, said[1].id, {duplicate: true});
  await Promise.all(said);
});

test("what is heard before it is sent again is sent all the same", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  room.on("message", () => {});
  await settled();
  const said = [room.send("a"), room.send("b")];
  socket.hear(1, said[0].id);
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 2});
  world.socket.hear(2, said[1].id);
  assert.equal((await said[1].heard).seq, 2);
  assert.deepEqual(ids(world.socket), [said[0].id]);
  world.socket.ack(1, said[0].id, {duplicate: true});
  assert.deepEqual(ids(world.socket), said.map(({id}) => id));
  world.socket.ack(2, said[1].id, {duplicate: true});
  await Promise.all(said);
});

test("what was in flight on a lost connection does not count on the next", () => {
  const world = new World();
  const {room, socket} = world.joined({maxInFlight: 1});
  room.send("a");
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1);
  assert.deepEqual(world.socket.said, ["a"]);
});

test("nothing is said to a room that ends", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = ["a", "b"].map((text) => codeOf(room.send(text)));
  socket.says({type: "left", roomId: 1, reason: "deleted"});
  assert.deepEqual(await Promise.all(said), ["left", "left"]);
  assert.deepEqual(socket.said, ["a"]);
});

test("what was heard and lost in a crash is sent again", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  room.on("message", () => {});
  await settled();
  const told = record(room, "retract");
  const said = room.send("a");
  socket.hear(1, said.id);
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 0});
  assert.deepEqual(told, [["retract", {after: 0, before: Infinity}]]);
  assert.equal(room.unsent[0].heard, false);
  assert.deepEqual(ids(world.socket), [said.id]);
  world.socket.hear(1_048_577, said.id);
  world.socket.ack(1_048_577, said.id);
  assert.equal((await said).seq, 1_048_577);
});

test("a refusal for good settles the promise, and the next goes on", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const told = record(room, "refused");
  const [bad, good] = [room.send("a"), room.send("b")];
  const errors = [{field: "message", message: "has control characters"}];
  socket.refuse("invalid", {id: bad.id, errors});
  const error = await bad.catch((error) => error);
  assert.deepEqual([error.code, error.fields], ["invalid", errors]);
  assert.equal(told[0][1].message, "a");
  assert.deepEqual(socket.said, ["a", "b"]);
  socket.ack(1, good.id);
  await good;
  assert.equal(await codeOf(bad.heard), "invalid");
});

test("an id that is known with another text is an error, here or there", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  const first = codeOf(room.send("a", {id: "mine"}));
  assert.equal(await codeOf(room.send("b", {id: "mine"})), "id_conflict");
  socket.refuse("id_conflict", {id: "mine"});
  assert.equal(await first, "id_conflict");
  assert.deepEqual(room.unsent, []);
  for (const id of ["", "é".repeat(33)]) {
    assert.equal(await codeOf(room.send("b", {id})), "invalid");
  }
});

test("a message to a room that was left behind our back waits for another join", () => {
  const world = new World();
  const {room, socket} = world.joined();
  const said = room.send("a");
  socket.refuse("not_in_room", {id: said.id});
  assert.equal(socket.of("join_room").length, 2);
  socket.joined(1);
  assert.deepEqual(socket.said, ["a", "a"]);
});

test("what is too long is not sent: the frame would cost the connection", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  assert.equal(await codeOf(room.send("é".repeat(51))), "message_too_large");
  // Within the limit of texts, but not as JSON.
  assert.equal(await codeOf(room.send("\u0001".repeat(80))), "message_too_large");
  room.send("\n".repeat(100));
  assert.equal(socket.said.length, 1);
});

test("what waits to be sent is bounded", async () => {
  const world = new World();
  const parlor = world.parlor({maxUnsent: 2});
  const room = parlor.join(1);
  const said = [room.send("a"), room.send("b")];
  const error = await room.send("c").catch((error) => error);
  assert.deepEqual([error.code, error.retryable], ["queue_full", true]);
  world.socket.hello();
  world.socket.joined(1);
  world.socket.ack(1, said[0].id);
  assert.equal(world.socket.said.length, 2);
  room.send("d");
  assert.equal(parlor.unsent.length, 2);
});

test("a listener may say something from within an event", async () => {
  const world = new World();
  const {room, socket} = world.joined();
  room.on("message", ({seq}) => { if (seq === 1) room.send("answer"); });
  await settled();
  socket.chat(1);
  assert.deepEqual(socket.said, ["answer"]);
});

test("what a listener says is told behind what it listens to", () => {
  const world = new World();
  const room = world.parlor().join(1);
  const told = [];
  for (const type of ["joined", "state", "sending"]) room.on(type, () => told.push(type));
  room.on("joined", () => room.send("answer"));
  world.socket.hello();
  world.socket.joined(1);
  assert.deepEqual(told, ["joined", "state", "sending"]);
});

class MapStore {
  kept = new Map();
  log = [];
  async load(scope) {
    this.log.push(`load ${scope}`);
    return [...this.kept.values()];
  }
  async save(scope, entry) { this.kept.set(entry.key, structuredClone(entry)); }
  async remove(scope, key) { this.kept.delete(key); }
}

test("what is unsent outlives the page, in its order", async () => {
  const [store, world] = [new MapStore(), new World()];
  const before = world.parlor({store, idPrefix: "old", userId: 7});
  const room = before.join(1);
  const said = ["a", "b", "c"].map((text) => room.send(text));
  for (const each of said) each.catch(() => {});
  await settled();
  world.socket.hello();
  world.socket.joined(1);
  world.socket.ack(1, said[0].id);
  await settled();
  assert.deepEqual(store.log, ["load http://host:1 7"]);
  before.close();
  await settled();
  assert.deepEqual([...store.kept.values()].map(({text}) => text), ["b", "c"]);

  const after = world.parlor({store, userId: 7});
  const again = after.join("1", {after: 0});
  const restored = record(again, "restored", "ack");
  const late = again.send("d");
  world.socket.hello();
  world.socket.joined(1, {head: 2});
  assert.deepEqual(world.socket.said, [], "not before it is known what is older");
  await settled();
  assert.deepEqual(restored[0][1].unsent.map(({message}) => message), ["b", "c", "d"]);
  world.socket.ack(2, said[1].id, {duplicate: true});
  world.socket.ack(3, said[2].id);
  world.socket.ack(4, late.id);
  await late;
  assert.deepEqual(ids(world.socket), [said[1].id, said[2].id, late.id]);
  await settled();
  assert.equal(store.kept.size, 0);
  assert.deepEqual(restored.slice(1).map(([, {seq}]) => seq), [2, 3, 4]);
});

test("before it is known whose it is, nothing is kept", async () => {
  const [store, world] = [new MapStore(), new World()];
  const parlor = world.parlor({store});
  parlor.join(1).send("a");
  await settled();
  assert.equal(store.kept.size, 0);
  world.socket.hello({userId: 9});
  await settled();
  assert.deepEqual([...store.kept.values()].map(({text, userId}) => [text, userId]), [["a", 9]]);
});

test("what is kept of other rooms is told as soon as it is known, once", async () => {
  const [store, world] = [new MapStore(), new World()];
  const kept = {key: "k", id: "old-1", text: "a", address: "general", roomId: 3, order: 1};
  store.kept.set("k", kept);
  store.kept.set("l", {...kept, key: "l", id: "old-2", address: "1", roomId: 1});
  const parlor = world.parlor({store});
  const told = record(parlor, "restored");
  parlor.join(1);
  world.socket.hello();
  assert.deepEqual(told, []);
  await settled();
  const unsent = [{id: "old-1", message: "a", room: "general", heard: false}];
  assert.deepEqual(told, [["restored", {unsent}]]);
  world.socket.end();
  world.pass(500);
  world.socket.hello();
  await settled();
  assert.equal(told.length, 1);
  const closed = world.parlor({store});
  const late = record(closed, "restored");
  closed.join(2);
  world.socket.hello();
  closed.close();
  await settled();
  assert.deepEqual(late, []);
});

test("what is kept for a room that is not joined waits for it", async () => {
  const [store, world] = [new MapStore(), new World()];
  const kept = {key: "k", id: "old-1", text: "a", address: "general", roomId: 3, order: 1};
  store.kept.set("k", kept);
  const parlor = world.parlor({store});
  parlor.join(1);
  world.socket.hello();
  await settled();
  assert.deepEqual(parlor.unsent.map(({room}) => room), ["general"]);
  parlor.join(3);
  world.socket.joined(3);
  assert.deepEqual(ids(world.socket), ["old-1"]);
});

test("a store that fails is told of, and messages go all the same", async () => {
  const world = new World();
  const broken = () => Promise.reject(new Error("disk full"));
  const parlor = world.parlor({store: {load: broken, save: broken, remove: broken}});
  const errors = record(parlor, "error");
  const room = parlor.join(1);
  world.socket.hello();
  world.socket.joined(1);
  await settled();
  const said = room.send("a");
  world.socket.ack(1, said.id);
  await said;
  await settled();
  assert.deepEqual(errors.map(([, {code}]) => code), ["store", "store", "store"]);
});

test("signing out forgets what is unsent", async () => {
  const [store, world] = [new MapStore(), new World()];
  const parlor = world.parlor({store, userId: 7});
  const said = codeOf(parlor.join(1).send("a"));
  await settled();
  assert.equal(store.kept.size, 1);
  const leaving = parlor.signOut();
  assert.equal(world.calls[0].path, "/signout");
  await world.calls[0].answer(204);
  await leaving;
  assert.deepEqual([await said, store.kept.size, parlor.state], ["closed", 0, "closed"]);
});
