// What an earlier page left unsent is sent as soon as it is known, without anybody asking for it.

import assert from "node:assert/strict";
import test from "node:test";

import {Leftovers} from "../../../src/web/page/leftovers.js";
import {say} from "../../../src/web/page/words.js";
import {World, settled} from "../world.js";

const kept = (roomId) => ({
  key: `${roomId} old-${roomId}`, id: `old-${roomId}`, text: `of ${roomId}`, address: `${roomId}`,
  roomId, order: roomId,
});

class Drafts {
  refused = [];
  refuse(slug, {id, message, why}) { this.refused.push([slug, id, message, why]); }
}

/** A page that was opened where an earlier one left messages in these rooms. */
async function opened(rooms, options = {}) {
  const world = new World();
  const store = {load: async () => rooms.map(kept), save: async () => {}, remove: async () => {}};
  const parlor = world.parlor({store, ...options});
  const drafts = new Drafts();
  new Leftovers(parlor, drafts);
  parlor.watch();
  world.socket.hello();
  await settled();
  return {world, parlor, drafts, socket: world.socket};
}

const joins = (socket) => socket.of("join_room").map(({roomId}) => roomId);

test("each room is joined for as long as that takes, also where nothing else happens", async () => {
  const {world, parlor, socket} = await opened([1, 2]);
  assert.deepEqual(joins(socket), [1, 2]);
  for (const {roomId, ref} of socket.of("join_room")) {
    socket.says({type: "joined", roomId, head: 0, first: 0, count: 0, ref});
  }
  assert.deepEqual(socket.said, ["of 1", "of 2"]);
  for (const roomId of [1, 2]) socket.ack(1, `old-${roomId}`, {roomId});
  assert.deepEqual(socket.of("leave_room").map(({roomId}) => roomId), [1, 2]);
  assert.deepEqual([parlor.unsent, parlor.joined], [[], []]);
  assert.ok(world.next > 10_000, "and nothing is asked for from time to time");
});

test("where too many rooms are joined, the next follows when one is left", async () => {
  const {parlor, socket} = await opened([1, 2], {maxRooms: 1});
  assert.deepEqual(joins(socket), [1]);
  socket.joined(1);
  socket.ack(1, "old-1");
  assert.deepEqual(joins(socket), [1, 2]);
  socket.joined(2);
  socket.ack(1, "old-2", {roomId: 2});
  assert.deepEqual(parlor.unsent, []);
});

test("what is refused is kept among the drafts", async () => {
  const {parlor, drafts, socket} = await opened([1]);
  socket.joined(1);
  socket.refuse("message_too_large", {id: "old-1"});
  assert.deepEqual(drafts.refused, [["1", "old-1", "of 1", say("errors.message_too_large")]]);
  assert.deepEqual(parlor.joined, []);
});
