// What is kept of unsent messages: whose it is, how long it is kept, and what a store may do.

import assert from "node:assert/strict";
import test from "node:test";

import {Kept} from "./kept.js";
import {World, codeOf, record, settled} from "./world.js";

/** A client that has said something to log-1 and was closed before it was on disk. */
async function saidAndClosed(store) {
  const world = new World();
  const {parlor, room} = world.joined({store, userId: 7});
  await settled();
  room.send("private").catch(() => {});
  await settled();
  parlor.close();
  assert.deepEqual(store.texts, ["private"]);
}

// The scope names the account by its id, which another database gives to somebody else.
for (const joins of ["before", "behind"]) {
  test(`what was said to another database is not said to this one (loaded ${joins} hello)`,
    async () => {
      const store = new Kept();
      await saidAndClosed(store);
      const world = new World();
      const parlor = world.parlor({store, ...(joins === "before" && {userId: 7})});
      const room = parlor.join(1, {after: 0});
      await settled();
      world.socket.hello({log: "log-2"});
      await settled();
      world.socket.joined(1);
      assert.deepEqual([world.socket.said, room.unsent, parlor.unsent], [[], [], []]);
      assert.deepEqual(store.texts, ["private"], "it stays where it is kept");
      parlor.close();
      const back = world.parlor({store});
      back.join(1);
      world.socket.hello({log: "log-1"});
      await settled();
      world.socket.joined(1);
      assert.deepEqual(world.socket.said, ["private"]);
    });
}

test("what waits when another database answers has its own error, and stays kept", async () => {
  const [store, world] = [new Kept(), new World()];
  const {room, socket} = world.joined({store});
  await settled();
  const said = codeOf(room.send("old"));
  await settled();
  socket.end();
  world.pass(500);
  world.socket.hello({log: "log-2"});
  assert.equal(await said, "other_database");
  const fresh = room.send("new");
  world.socket.joined(1, {reset: true});
  world.socket.joined(1);
  assert.deepEqual(world.socket.said, ["new"]);
  world.socket.ack(1, fresh.id);
  await fresh;
  await settled();
  assert.deepEqual(store.texts, ["old"]);
});

test("what is said before any database is known is for the first that is", async () => {
  const [store, world] = [new Kept(), new World()];
  const room = world.parlor({store, userId: 7}).join(1);
  room.send("early");
  await settled();
  const logs = () => [...store.of("http://host:1 7").values()].map(({log}) => log);
  assert.deepEqual(logs(), [undefined]);
  world.socket.hello();
  world.socket.joined(1);
  await settled();
  assert.deepEqual([world.socket.said, logs()], [["early"], ["log-1"]]);
});

// A failed connection refused what was unsent for good, and with it what the store had kept.
test("a token of another account, or a failure, leaves what is kept to its account", async () => {
  for (const fail of [(world) => world.socket.hello({userId: 9}),
    (world) => world.socket.end(1008)]) {
    const [store, world] = [new Kept(), new World()];
    const {room, socket} = world.joined({store});
    await settled();
    const refused = record(room, "refused");
    const said = codeOf(room.send("mine"));
    await settled();
    socket.end();
    world.pass(500);
    fail(world);
    assert.notEqual(await said, "no error");
    await settled();
    assert.deepEqual([store.texts, refused], [["mine"], []]);
    const again = world.joined({store});
    await settled();
    assert.deepEqual(again.socket.said, ["mine"]);
  }
});

test("a store without an answer is gone on without", async () => {
  const world = new World();
  const never = () => new Promise(() => {});
  const parlor = world.parlor({store: {load: never, save: never, remove: never}});
  const errors = record(parlor, "error");
  const room = parlor.join(1);
  world.socket.hello();
  world.socket.joined(1);
  const said = room.send("a");
  await settled();
  world.pass(4999);
  await settled();
  assert.deepEqual(world.socket.said, []);
  world.pass(1);
  await settled();
  assert.deepEqual([world.socket.said, errors[0][1].code], [["a"], "store"]);
  world.socket.ack(1, said.id);
  await said;
  await settled();
  assert.ok(errors.length > 1, "not kept, not waited for either");
});

test("a store that answers late is used again from then on", async () => {
  const world = new World();
  const store = new Kept();
  let answer;
  store.load = () => new Promise((resolve) => { answer = resolve; });
  const parlor = world.parlor({store});
  const room = parlor.join(1);
  world.socket.hello();
  await settled();
  world.pass(5000);
  await settled();
  answer([]);
  await settled();
  room.send("kept");
  await settled();
  assert.deepEqual(store.texts, ["kept"]);
});

test("a store that gives nonsense is told of, and messages go all the same", async () => {
  for (const nonsense of [5, {}, [null, null]]) {
    const world = new World();
    const parlor = world.parlor({store: {load: async () => nonsense, save() {}, remove() {}}});
    const errors = record(parlor, "error");
    const room = parlor.join(1);
    room.send("a");
    world.socket.hello();
    world.socket.joined(1);
    await settled();
    assert.deepEqual([world.socket.said, errors[0]?.[1].code], [["a"], "store"]);
  }
});

test("where a page may not store anything, it works without", () => {
  const forbidden = {get() { throw new Error("SecurityError"); }, configurable: true};
  Object.defineProperty(globalThis, "indexedDB", forbidden);
  try {
    const {room, socket} = new World().joined({store: undefined});
    room.send("a");
    assert.deepEqual(socket.said, ["a"]);
  } finally {
    delete globalThis.indexedDB;
  }
});

// Messages of rooms that are never joined again took the places of those that are said now.
test("what is kept for rooms that are not joined takes no places, and can go", async () => {
  const [store, world] = [new Kept(), new World()];
  for (const id of ["a", "b"]) {
    const entry = {key: `gone ${id}`, id, text: id, address: "gone", roomId: 9, log: "log-1"};
    await store.save("http://host:1 7", entry);
  }
  const {parlor, room, socket} = world.joined({store, maxUnsent: 2});
  await settled();
  assert.deepEqual(parlor.unsent.map(({id}) => id), ["a", "b"]);
  const said = [room.send("c"), room.send("d")];
  assert.equal(await codeOf(room.send("e")), "queue_full");
  assert.deepEqual([parlor.discard("a"), parlor.discard("nothing")], [true, false]);
  await settled();
  assert.deepEqual(store.texts, ["b", "c", "d"]);
  assert.equal(parlor.discard(said[0].id), true);
  assert.deepEqual([await codeOf(said[0]), socket.said], ["discarded", ["c", "d"]]);
  socket.ack(1, said[0].id);
  socket.ack(2, said[1].id);
  assert.equal((await said[1]).seq, 2);
  await settled();
  assert.deepEqual([store.texts, parlor.unsent.length], [["b"], 1]);
});
