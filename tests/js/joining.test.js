// Going into rooms and out of them, where something unusual comes between.

import assert from "node:assert/strict";
import test from "node:test";

import {World, codeOf, settled} from "./world.js";

test("an address that can be no room's, and a seq that can be none, are refused", () => {
  const world = new World();
  const parlor = world.parlor();
  for (const address of [2 ** 53, "9007199254740993", "99999999999999999999"]) {
    assert.throws(() => parlor.join(address), {code: "invalid"}, address);
  }
  for (const after of [NaN, -1, 1.5, 2 ** 53, "5", null]) {
    assert.throws(() => parlor.join(1, {after}), {code: "invalid"}, String(after));
  }
  assert.equal(parlor.joined.length, 0);
  parlor.join(Number.MAX_SAFE_INTEGER, {after: Number.MAX_SAFE_INTEGER});
});

test("a join that is refused without its room's id ends that room, by its ref", async () => {
  const world = new World();
  const parlor = world.parlor();
  const room = parlor.join(Number.MAX_SAFE_INTEGER);
  world.socket.hello();
  const {ref} = world.socket.of("join_room")[0];
  world.socket.refuse("invalid", {roomId: undefined, ref});
  assert.equal(await codeOf(room[Symbol.asyncIterator]().next()), "invalid");
  assert.deepEqual([room.state, parlor.joined.length], ["left", 0]);
});

// They were refused with `already_joined`, and forgotten.
test("what is unsent in a room that turns out to be another one goes there", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const other = parlor.join("general");
  const said = other.send("hi");
  const first = room.send("first");
  await world.calls[0].answer(200, {room: {roomId: 1}});
  assert.equal(other.state, "left");
  assert.deepEqual(socket.said, ["first"]);
  socket.ack(1, first.id);
  socket.ack(2, said.id);
  assert.deepEqual(socket.said, ["first", "hi"]);
  assert.equal((await said).seq, 2);
});

test("a leave that is taken back settles, and the next one has its own end", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const said = room.send("bye");
  let left = 0;
  const leaving = [room.leave(), room.leave()].map((leave) => leave.then(() => { left += 1; }));
  await settled();
  assert.equal(left, 0);
  assert.equal(parlor.join(1, {after: 0}), room);
  await Promise.all(leaving);
  socket.joined(1);
  assert.equal(room.state, "live");
  const again = room.leave().then(() => { left += 1; });
  await settled();
  assert.equal(left, 2, "it is not left yet");
  socket.ack(1, said.id);
  await again;
  assert.equal(room.state, "left");
  await room.leave();
});
