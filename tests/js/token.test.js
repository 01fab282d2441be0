// The token's life: when it is renewed, which renewal counts, and the end of a session.

import assert from "node:assert/strict";
import test from "node:test";

import {World, codeOf, record, settled} from "./world.js";

const part = (claims) => Buffer.from(JSON.stringify(claims)).toString("base64url");
/** As the server makes them; the times are in seconds. */
const jwt = (iat, exp) => `${part({alg: "HS256"})}.${part({sub: "7", iat, exp, "ü": "?>"})}.x`;

const states = (told) => told.map(([, {state}]) => state);

test("a clock that is slow does not put the renewal off", () => {
  const world = new World();
  const seconds = world.now / 1000 + 1e6; // The server's.
  const token = jwt(seconds, seconds + 600);
  world.joined({token, expiresAt: (seconds + 600) * 1000, heartbeatMs: 1e9});
  world.pass(299_999);
  assert.equal(world.calls.length, 0);
  world.pass(1);
  assert.equal(world.calls.length, 1);
});

test("a token is renewed by what it tells of its life, whenever its end seems to be", async () => {
  const world = new World();
  const {parlor} = world.joined({expiresAt: undefined, heartbeatMs: 1e9});
  const told = record(parlor, "token");
  world.pass(0);
  await world.calls[0].answer(200, {token: jwt(1000, 1100), expiresAt: world.now + 1e9});
  assert.equal(told.length, 1);
  world.pass(49_999);
  assert.equal(world.calls.length, 1);
  world.pass(1);
  assert.equal(world.calls.length, 2);
});

// Both tried twice a second, for as long as the server was down.
test("a renewal that fails is tried again after growing pauses, and only with a connection",
  async () => {
    const world = new World();
    const {socket} = world.joined({expiresAt: undefined, heartbeatMs: 1e9});
    const pauses = [];
    world.pass(0);
    for (let round = 1; round <= 6; round += 1) {
      await world.calls.at(-1).answer(500, {code: "internal", detail: "no"});
      const from = world.now;
      world.pass(world.next);
      assert.equal(world.calls.length, round + 1);
      pauses.push(world.now - from);
    }
    assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000]);
    await world.calls.at(-1).answer(500, {code: "internal", detail: "no"});
    world.randomly = 0.9999;
    socket.end();
    for (let round = 0; round < 10; round += 1) {
      world.pass(30_000);
      if (world.socket.readyState === 0) world.socket.end();
    }
    assert.equal(world.calls.length, 7, "nobody is there to ask");
    world.pass(30_000);
    world.socket.hello();
    world.pass(0);
    assert.equal(world.calls.length, 8);
  });

test("a lookup that fails is tried again after growing pauses", async () => {
  const world = new World();
  world.parlor().join("general");
  world.socket.hello({heartbeatMs: 1e9});
  const pauses = [];
  for (let round = 1; round <= 5; round += 1) {
    await world.calls.at(-1).answer(503, {code: "unavailable", detail: "later"});
    const from = world.now;
    world.pass(world.next);
    assert.equal(world.calls.length, round + 1);
    pauses.push(world.now - from);
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000]);
});

test("a renewal of the token before says nothing about the one that is used now", async () => {
  const answers = [[401, {code: "unauthorized"}], [200, {token: "old", expiresAt: 5}]];
  for (const [status, body] of answers) {
    const world = new World();
    const {parlor, socket} = world.joined({expiresAt: undefined});
    world.pass(0);
    parlor.useToken("new", {expiresAt: world.now + 1e9});
    assert.deepEqual(socket.of("refresh").map(({token}) => token), ["new"]);
    await world.calls[0].answer(status, body);
    assert.deepEqual([parlor.state, socket.of("refresh").length], ["open", 1]);
    socket.end();
    world.pass(500);
    assert.equal(world.socket.url.searchParams.get("token"), "new");
  }
});

test("a token of unknown life that is used on an open connection is renewed at once", async () => {
  const world = new World();
  const {parlor} = world.joined();
  parlor.useToken("new");
  world.pass(0);
  assert.deepEqual([world.calls[0].path, world.calls[0].headers.authorization],
    ["/refresh", "Bearer new"]);
});

test("a closed client stays closed, and no token is none", () => {
  const world = new World();
  const {parlor} = world.joined();
  for (const none of [undefined, "", null]) {
    assert.throws(() => parlor.useToken(none), {code: "unauthorized"});
  }
  const told = record(parlor, "state");
  parlor.close();
  parlor.close();
  parlor.useToken("new");
  assert.deepEqual([states(told), parlor.state, world.sockets.length], [["closed"], "closed", 1]);
});

// The server ends the connection with the session: that was taken for a surprise, and answered by a
// renewal. A session that had ended already could not be left at all.
test("signing out is no surprise, and works also when the session has ended", async () => {
  for (const status of [204, 401]) {
    const kept = new Map([["of another room", {}], ["k", {}]]);
    const store = {
      load: async () => [...kept.keys()].map((key) => ({key, id: key, text: key, address: "x"})),
      save: async (scope, {key}) => { kept.set(key, {}); },
      remove: async (scope, key) => { kept.delete(key); },
    };
    const world = new World();
    const {parlor, room, socket} = world.joined({store});
    await settled();
    const told = record(parlor, "state");
    const said = codeOf(room.send("hi"));
    await settled();
    assert.equal(kept.size, 3);
    const leaving = parlor.signOut();
    assert.ok(socket.closing);
    socket.end(4401);
    await world.calls[0].answer(status, status === 401 ? {code: "unauthorized"} : undefined);
    await leaving;
    assert.deepEqual([await said, kept.size, states(told)], ["closed", 0, ["idle", "closed"]]);
    assert.equal(world.calls.length, 1, "nothing was renewed");
  }
});

test("signing out of a server that cannot be reached changes nothing", async () => {
  const world = new World();
  const {parlor, room} = world.joined();
  const said = room.send("hi");
  const leaving = codeOf(parlor.signOut());
  await world.calls[0].answer(503, {code: "unavailable", detail: "later"});
  assert.equal(await leaving, "unavailable");
  world.socket.hello();
  world.socket.joined(1);
  world.socket.ack(1, said.id);
  assert.equal((await said).seq, 1);
  const idle = world.parlor();
  const failing = codeOf(idle.signOut());
  await world.calls[1].answer(503, {code: "unavailable", detail: "later"});
  assert.deepEqual([await failing, idle.state], ["unavailable", "idle"]);
});
