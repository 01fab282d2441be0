// When it connects, gives up, comes back, and with which token.

import assert from "node:assert/strict";
import {webcrypto} from "node:crypto";
import test from "node:test";

import {Parlor, ParlorError} from "../../src/web/library/parlor.js";
import {World, codeOf, record, settled} from "./world.js";

test("the first join connects, with the token in the address", () => {
  const world = new World();
  const parlor = world.parlor({token: "a b"});
  assert.deepEqual([world.sockets.length, parlor.state], [0, "idle"]);
  parlor.join(1);
  parlor.join(2);
  assert.deepEqual([world.sockets.length, parlor.state], [1, "connecting"]);
  assert.equal(world.socket.url.href, "ws://host:1/ws?token=a+b");
  world.socket.hello();
  assert.deepEqual([parlor.state, parlor.userId, parlor.log], ["open", 7, "log-1"]);
  assert.deepEqual(world.socket.of("join_room").map(({roomId}) => roomId), [1, 2]);
});

test("a cookie's client shows no token, anywhere", () => {
  const world = new World();
  const parlor = world.parlor({token: undefined, cookie: true});
  parlor.join(1);
  assert.equal(world.socket.url.href, "ws://host:1/ws");
  parlor.rooms();
  assert.equal(world.calls[0].headers.authorization, undefined);
});

test("pauses double up to a bound, with full jitter, and shrink when a connection held", () => {
  const world = new World();
  const parlor = world.parlor();
  parlor.join(1);
  const pauses = [];
  const states = record(parlor, "state");
  for (let round = 0; round < 9; round += 1) {
    world.socket.end();
    pauses.push(states.at(-1)[1].retryInMs);
    world.pass(world.next);
    assert.equal(parlor.state, "connecting");
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  world.socket.hello();
  world.socket.end();
  assert.equal(states.at(-1)[1].retryInMs, 15_000, "a short life changes nothing");
  world.pass(15_000);
  world.socket.hello();
  world.pass(5000);
  world.randomly = 0.001;
  world.socket.end();
  assert.equal(states.at(-1)[1].retryInMs, 0.5, "any pause from nothing up");
});

test("each close code has its consequence", () => {
  const after = (code, frames = []) => {
    const world = new World();
    const {parlor, socket} = world.joined();
    for (const frame of frames) socket.says(frame);
    const states = record(parlor, "state");
    socket.end(code);
    const [, {state, retryInMs}] = states.at(-1);
    return retryInMs === undefined ? state : `${state} ${retryInMs}`;
  };
  for (const code of [1002, 1003, 1007, 1008, 1009]) assert.equal(after(code), "failed", code);
  for (const code of [1000, 1001, 1006, 1011, 1012, 1013, 4409, 3999]) {
    assert.equal(after(code), "waiting 250", code);
  }
  assert.equal(after(4401), "renewing");
  assert.equal(after(4408), "waiting 0");
  for (const code of [1000, 1001, 1006, 1012]) {
    assert.equal(after(code, [{type: "reconnect", afterMs: 1840}]), "waiting 1840", code);
  }
});

test("after a fatal close nothing comes back by itself, and nobody waits in vain", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const errors = record(parlor, "error");
  const pulled = codeOf(room[Symbol.asyncIterator]().next());
  const said = codeOf(room.send("hi"));
  socket.end(1008);
  const codes = [await pulled, await said, errors[0][1].code];
  assert.deepEqual(codes, ["protocol", "protocol", "protocol"]);
  world.pass(1e8);
  assert.equal(world.sockets.length, 1);
  parlor.reconnect();
  assert.equal(world.sockets.length, 2);
});

test("what an old connection still says, and its late close, count for nothing", async () => {
  const world = new World();
  const {parlor, room, socket: old} = world.joined();
  const {onmessage, onclose} = old;
  const heard = record(room, "message", "left");
  await settled(); // From here on, listeners are handed on what comes.
  old.chat(1);
  const said = room.send("mine");
  world.pass(50_000); // Silence: given up.
  assert.ok(old.closing);
  world.pass(0);
  assert.equal(world.sockets.length, 2);
  // Should the library have taken its listeners off, what decides must not rely on it.
  Object.assign(old, {onmessage, onclose});
  old.hello({log: "log-of-another-database"});
  assert.deepEqual([parlor.state, parlor.log], ["connecting", "log-1"]);
  world.socket.hello();
  world.socket.joined(1, {head: 3});
  old.chat(4);
  old.refuse("forbidden", {id: said.id});
  old.says({type: "left", roomId: 1, reason: "deleted"});
  for (const seq of [2, 3, 4]) world.socket.chat(seq);
  assert.deepEqual(heard.map(([, {seq}]) => seq), [1, 2, 3, 4], "each from the new one");
  old.end(4401);
  world.pass(0);
  assert.deepEqual([parlor.state, room.state, world.sockets.length], ["open", "live", 2]);
  assert.deepEqual(room.unsent.map(({id}) => id), [said.id]);
});

test("a connection that ended while another opens does not end that one", () => {
  const world = new World();
  const {parlor, socket: old} = world.joined();
  const {onclose} = old;
  world.pass(50_000);
  world.pass(0);
  Object.assign(old, {onclose});
  old.end(1008);
  assert.deepEqual([parlor.state, world.sockets.length], ["connecting", 2]);
  world.socket.hello();
  world.pass(10_000);
  assert.deepEqual([parlor.state, world.sockets.length], ["open", 2]);
});

test("a server's hint counts for the close that follows, and for no later one", () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  const states = record(parlor, "state");
  const pause = () => states.findLast(([, {state}]) => state === "waiting")[1].retryInMs;
  socket.says({type: "reconnect", afterMs: 7000});
  socket.end(1012);
  assert.equal(pause(), 7000);
  world.pass(7000);
  world.socket.hello();
  world.socket.end(1006);
  assert.equal(pause(), 500, "by its own rules again");
});

test("silence is asked about, and a dead connection given up at once", () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  world.pass(24_999);
  socket.says({type: "presence", roomId: 1, count: 0});
  world.pass(24_999);
  assert.equal(socket.of("ping").length, 0);
  world.pass(1);
  assert.equal(socket.of("ping").length, 1);
  world.pass(24_000);
  socket.says({type: "pong"});
  world.pass(25_000);
  assert.equal(socket.of("ping").length, 2);
  assert.equal(parlor.state, "open");
  world.pass(25_000);
  assert.deepEqual([world.sockets.length, parlor.state], [2, "connecting"], "at once");
  world.pass(15_000);
  assert.equal(parlor.state, "waiting", "no hello either");
  assert.ok(world.sockets[1].closing);
});

test("a wish to come back at once is heard while waiting", () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  socket.end();
  parlor.reconnect();
  parlor.reconnect();
  assert.equal(world.sockets.length, 2);
  world.pass(1000);
  assert.equal(world.sockets.length, 2);
});

test("a connection that may be dead is asked at once, and given up soon", async () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  const alive = parlor.wake();
  assert.equal(parlor.wake(), alive, "one question at a time");
  assert.equal(socket.of("ping").length, 1);
  world.pass(4999);
  socket.says({type: "pong"});
  assert.equal(await alive, true);
  world.pass(24_000);
  assert.equal(parlor.state, "open");
  world.pass(1000);
  assert.equal(socket.of("ping").length, 2, "asked for silence, in the meantime");
  world.pass(1000);
  const dead = parlor.wake();
  assert.equal(socket.of("ping").length, 2);
  world.pass(4999);
  assert.equal(world.sockets.length, 1);
  world.pass(1);
  assert.equal(await dead, false);
  world.pass(0);
  assert.equal(world.sockets.length, 2, "and it comes back at once");
});

test("when the network is back a long pause gives way to a short one, not time and again", () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  const states = record(parlor, "state");
  socket.end();
  for (let round = 0; round < 8; round += 1) {
    world.pass(world.next);
    world.socket.end();
  }
  assert.equal(states.at(-1)[1].retryInMs, 15_000);
  const before = world.sockets.length;
  parlor.wake();
  assert.deepEqual(states.at(-1)[1], {state: "waiting", retryInMs: 250, code: 1006});
  for (let hint = 0; hint < 100; hint += 1) {
    world.pass(10);
    parlor.wake();
    if (parlor.state === "connecting") world.socket.end();
  }
  // One for the first hint, two more after the pauses that followed it.
  assert.equal(world.sockets.length - before, 3);
  parlor.wake();
  world.pass(4000);
  world.socket.end();
  parlor.wake();
  assert.equal(states.at(-1)[1].retryInMs, 250, "later hints count again");
});

test("a pause that the server asked for is not cut short", () => {
  for (const [code, frames] of [[1013, []], [4409, []], [1012, []], [1011, []],
    [1006, [{type: "reconnect", afterMs: 5000}]]]) {
    const world = new World();
    world.randomly = 0.9;
    const {parlor, socket} = world.joined();
    for (const frame of frames) socket.says(frame);
    socket.end(code);
    const pause = world.next;
    world.randomly = 0;
    parlor.wake();
    assert.equal(world.next, pause, code);
    world.pass(pause);
    world.randomly = 0.9;
    world.socket.end(1006);
    world.randomly = 0;
    parlor.wake();
    assert.equal(world.next, 0, "by now it is the network's");
  }
});

test("a token that cannot be renewed for want of a network is, when that is back", async () => {
  const world = new World();
  const {parlor, socket} = world.joined();
  const fail = () => world.calls.at(-1).answer(502);
  socket.end(4401);
  for (let round = 0; round < 8; round += 1) {
    await fail();
    world.pass(world.next);
  }
  await fail();
  assert.equal(world.next, 15_000);
  parlor.wake();
  assert.equal(world.next, 250);
  assert.equal(parlor.state, "renewing");
});

test("who has nothing to expect is told so, and nothing happens", async () => {
  const world = new World();
  const idle = world.parlor();
  assert.equal(await idle.wake(), false);
  const {parlor, socket} = world.joined();
  socket.end(1008);
  assert.equal(await parlor.wake(), false);
  parlor.close();
  assert.equal(await parlor.wake(), false);
  assert.equal(world.sockets.length, 1);
  const second = world.parlor();
  second.join(1);
  const coming = second.wake();
  world.socket.hello();
  assert.equal(await coming, true);
});

test("frames that are no objects, or unknown, do no harm", () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  for (const data of ["", "nonsense", "null", "5", "[]", "{}", '{"type":"news"}']) {
    socket.onmessage({data});
  }
  socket.says({type: "chat", roomId: 99, seq: 1, message: "of no room of ours"});
  assert.deepEqual([parlor.state, room.cursor], ["open", 0]);
});

test("the token is renewed at half of its life, on the socket too", async () => {
  const world = new World();
  const {parlor, socket} = world.joined({expiresAt: world.now + 600_000, heartbeatMs: 1e9});
  const tokens = record(parlor, "token");
  world.pass(299_999);
  assert.equal(world.calls.length, 0);
  world.pass(1);
  assert.deepEqual([world.calls[0].path, world.calls[0].headers.authorization],
    ["/refresh", "Bearer t0"]);
  const expiresAt = world.now + 600_000;
  await world.calls[0].answer(200, {token: "t1", expiresAt});
  assert.deepEqual(socket.of("refresh"), [{type: "refresh", token: "t1"}]);
  assert.deepEqual(tokens, [["token", {token: "t1", expiresAt}]]);
  world.socket.end();
  world.pass(500);
  assert.equal(world.socket.url.searchParams.get("token"), "t1");
});

test("a token of unknown life is renewed at once; a failure is tried again", async () => {
  const world = new World();
  const {parlor, socket} = world.joined({expiresAt: undefined});
  world.pass(0);
  assert.equal(world.calls.length, 1);
  const retry = {"retry-after": "3"};
  await world.calls[0].answer(503, {code: "unavailable", detail: "later"}, retry);
  world.pass(2999);
  assert.equal(world.calls.length, 1);
  socket.says({type: "pong"});
  world.pass(1);
  assert.equal(world.calls.length, 2);
  await world.calls[1].answer(200, {token: "t1", expiresAt: world.now - 5});
  assert.equal(parlor.state, "open");
  world.pass(20_000);
  socket.says({type: "pong"});
  world.pass(9999);
  assert.equal(world.calls.length, 2, "not in a hurry, if the clocks differ");
  world.pass(1);
  assert.equal(world.calls.length, 3);
});

test("without a valid token it renews once, then waits for a new sign-in", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const errors = record(parlor, "error");
  const pulled = codeOf(room[Symbol.asyncIterator]().next());
  const said = room.send("kept");
  socket.end(4401);
  assert.equal(parlor.state, "renewing");
  await world.calls[0].answer(401, {code: "unauthorized", detail: "no"});
  assert.equal(parlor.state, "unauthorized");
  assert.deepEqual([errors[0][1].code, await pulled], ["unauthorized", "unauthorized"]);
  world.pass(1e8);
  assert.equal(world.sockets.length, 1);
  parlor.useToken("t9", {expiresAt: world.now + 1e9});
  assert.equal(world.socket.url.searchParams.get("token"), "t9");
  world.socket.hello();
  world.socket.joined(1);
  assert.deepEqual(world.socket.said, ["kept"]);
  world.socket.ack(1, said.id);
  assert.equal((await said).seq, 1);
  const next = room[Symbol.asyncIterator]().next();
  world.socket.chat(1);
  assert.equal((await next).value.seq, 1);
});

test("a cookie may have been renewed elsewhere: it comes back once", async () => {
  const world = new World();
  const {parlor, socket} = world.joined({token: undefined, cookie: true});
  socket.end(4401);
  const states = record(parlor, "state");
  await world.calls[0].answer(200, {expiresAt: world.now + 1e9});
  assert.deepEqual(states.map(([, {state}]) => state), ["connecting"], "at once, without a pause");
  world.socket.end(4401);
  assert.equal(parlor.state, "unauthorized");
});

// A socket lives as long as the token with which it was opened, and a page never sees its cookie's:
// the socket was cut off at the token's end, and the page spoke of a lost connection.
test("after a cookie is renewed another socket takes the first one's place, unnoticed", async () => {
  const world = new World();
  const expiresAt = world.now + 600_000;
  const given = {token: undefined, cookie: true, expiresAt, heartbeatMs: 1e9};
  const {parlor, room, socket} = world.joined(given);
  parlor.watch();
  const heard = record(room, "message");
  await settled();
  socket.chat(1);
  world.pass(299_990);
  const said = room.send("on its way");
  world.pass(10);
  const states = record(parlor, "state");
  await world.calls[0].answer(200, {expiresAt: world.now + 600_000});
  assert.deepEqual([world.sockets.length, socket.closing], [2, true]);
  socket.chat(2);
  socket.end();
  world.socket.hello();
  assert.deepEqual(states.map(([, {state}]) => state), ["connecting", "open"]);
  assert.equal(world.socket.of("watch").length, 1);
  assert.equal(world.socket.of("join_room")[0].after, 1);
  world.socket.joined(1, {head: 2});
  world.socket.chat(2);
  assert.deepEqual(heard.map(([, {seq}]) => seq), [1, 2]);
  assert.deepEqual(world.socket.of("chat").map(({id}) => id), [said.id]);
  world.socket.ack(3, said.id);
  assert.equal((await said).seq, 3);
  world.pass(10_000);
  assert.deepEqual([world.sockets.length, world.calls.length], [2, 1]);
});

// Another socket was opened at once, to a server that was about to stop.
test("no socket takes the place of one that the server is about to end", async () => {
  const world = new World();
  const given = {token: undefined, cookie: true, expiresAt: world.now + 600_000, heartbeatMs: 1e9};
  const {parlor, socket} = world.joined(given);
  world.pass(300_000);
  socket.says({type: "reconnect", afterMs: 8000});
  await world.calls[0].answer(200, {expiresAt: world.now + 600_000});
  assert.deepEqual([world.sockets.length, parlor.state], [1, "open"]);
  socket.end(1012);
  assert.equal(world.next, 8000);
});

test("of a cookie of unknown age one renewal is enough", async () => {
  const world = new World();
  const given = {token: undefined, cookie: true, expiresAt: undefined, heartbeatMs: 1e9};
  const {parlor} = world.joined(given);
  world.pass(0);
  await world.calls[0].answer(200, {expiresAt: world.now + 600_000});
  world.socket.hello();
  world.pass(200_000);
  assert.deepEqual([world.sockets.length, world.calls.length, parlor.state], [2, 1, "open"]);
});

test("another account's token is not for this client's messages", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const said = codeOf(room.send("mine"));
  socket.end();
  world.pass(500);
  world.socket.hello({userId: 9});
  assert.deepEqual([await said, parlor.state], ["other_user", "failed"]);
  assert.equal(world.socket.sent.length, 0);
});

test("closing settles everything, once", async () => {
  const world = new World();
  const {parlor, room, socket} = world.joined();
  const [said, pulled] = [codeOf(room.send("hi")), room[Symbol.asyncIterator]().next()];
  parlor.close();
  assert.equal(await said, "closed");
  assert.deepEqual(await pulled, {value: undefined, done: true});
  assert.ok(socket.closing);
  socket.end();
  world.pass(1e8);
  assert.deepEqual([world.sockets.length, parlor.state, room.state], [1, "closed", "left"]);
  assert.equal(await codeOf(room.send("late")), "closed");
  assert.throws(() => parlor.join(2), {code: "closed"});
});

test("errors over HTTP are typed", async () => {
  const world = new World();
  const parlor = world.parlor();
  const made = parlor.createRoom({name: ""}).catch((error) => error);
  const errors = [{field: "name", message: "is too short"}];
  await world.calls[0].answer(422, {code: "invalid", detail: "has invalid fields", errors});
  const invalid = await made;
  assert.ok(invalid instanceof ParlorError && invalid instanceof Error);
  assert.deepEqual({...invalid}, {
    name: "ParlorError", code: "invalid", fields: errors, retryable: false, retryAfter: undefined,
    status: 422,
  });
  const full = parlor.rooms().catch((error) => error);
  await world.calls[1].answer(429, {code: "rate_limited", detail: "wait"}, {"retry-after": "2"});
  const {retryable, retryAfter} = await full;
  assert.deepEqual([retryable, retryAfter], [true, 2000]);
  const broken = world.parlor({fetch: () => Promise.reject(new TypeError("no route"))});
  assert.equal(await codeOf(broken.rooms()), "network");
});

test("calls over HTTP at once are bounded", async () => {
  const world = new World();
  const parlor = world.parlor({maxRequests: 2});
  const first = parlor.rooms();
  parlor.rooms();
  assert.equal(await codeOf(parlor.rooms()), "queue_full");
  await world.calls[0].answer(200, {rooms: [], hasMore: false});
  assert.deepEqual(await first, {rooms: [], hasMore: false});
  assert.equal(world.calls.length, 2);
  parlor.rooms();
  assert.equal(world.calls.length, 3);
});

test("signing in gives a client; the cookie is asked for in the body", async () => {
  const world = new World();
  const {fetch, WebSocket, timers} = world;
  const options = {fetch, WebSocket, timers, store: null};
  const user = {userId: 7, username: "ann"};
  const signing = Parlor.signIn("http://host:1/", {username: "ann", password: "p"}, options);
  assert.deepEqual([world.calls[0].path, world.calls[0].body],
    ["/signin", {username: "ann", password: "p"}]);
  await world.calls[0].answer(200, {user, token: "t5", expiresAt: world.now + 1e9});
  const parlor = await signing;
  assert.deepEqual(parlor.user, user);
  parlor.join(1);
  assert.equal(world.socket.url.searchParams.get("token"), "t5");
  const given = {...options, cookie: true};
  const up = Parlor.signUp("http://host:1", {username: "bo", password: "p"}, given);
  assert.equal(world.calls[1].body.cookie, true);
  await world.calls[1].answer(201, {user, expiresAt: world.now + 1e9});
  (await up).join(1);
  assert.equal(world.socket.url.search, "");
});

test("what cannot work is refused by name", () => {
  const world = new World();
  assert.throws(() => new Parlor("http://host", {}), {code: "unauthorized"});
  assert.throws(() => world.parlor({maxUnsent: -1}), {code: "invalid"});
  assert.throws(() => world.parlor({backoffMs: "soon"}), {code: "invalid"});
  const present = globalThis.WebSocket;
  delete globalThis.WebSocket;
  try {
    assert.throws(() => new Parlor("http://host", {token: "t"}), {code: "no_websocket"});
    world.parlor().close();
  } finally {
    if (present) globalThis.WebSocket = present;
  }
});

test("it works in insecure contexts and leaves no globals behind", async () => {
  const before = Reflect.ownKeys(globalThis).length;
  const secure = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  const getRandomValues = (bytes) => webcrypto.getRandomValues(bytes);
  Object.defineProperty(globalThis, "crypto", {value: {getRandomValues}, configurable: true});
  try {
    const world = new World();
    const {room} = world.joined({idPrefix: undefined});
    const said = room.send("hi");
    said.catch(() => {});
    assert.match(said.id, /^[a-z0-9]{8}-00000001$/);
  } finally {
    Object.defineProperty(globalThis, "crypto", secure);
  }
  await settled();
  assert.equal(Reflect.ownKeys(globalThis).length, before);
});

test("a watch is asked for on every connection", () => {
  const world = new World();
  const parlor = world.parlor();
  const told = record(parlor, "rooms");
  parlor.watch();
  world.socket.hello();
  parlor.watch();
  assert.equal(world.socket.of("watch").length, 1);
  world.socket.lists([{roomId: 1, head: 5}]);
  world.socket.says({type: "rooms", rooms: [{roomId: 1, head: 6}]});
  assert.deepEqual(told, [
    ["rooms", {snapshot: true, rooms: [{roomId: 1, head: 5}]}],
    ["rooms", {rooms: [{roomId: 1, head: 6}]}],
  ]);
  world.socket.end();
  world.pass(500);
  world.socket.hello();
  // By the same name each time: what many ask for alike is put together once.
  assert.deepEqual(world.sockets.map((socket) => socket.of("watch").map(({ref}) => ref)),
    [["w1"], ["w1"]]);
});

// A server whose storage fails in the middle of its answer tells nothing more until it is asked
// again. That was done only on the next connection, and half a list was taken for all of it.
test("a list of rooms that breaks off is asked for again, with growing pauses, and told whole", () => {
  const world = new World();
  const parlor = world.parlor({heartbeatMs: 1e9});
  const told = record(parlor, "rooms", "error");
  const asked = () => world.socket.of("watch").length;
  const refuse = (rest = {}) => {
    const {ref} = world.socket.of("watch").at(-1);
    world.socket.refuse("unavailable", {roomId: undefined, ref, retryable: true, ...rest});
  };
  parlor.watch();
  world.socket.hello();
  const pauses = [];
  for (let round = 0; round < 4; round += 1) {
    world.socket.lists([{roomId: 1, head: 5}], {hasMore: true});
    refuse();
    pauses.push(world.next);
    const before = asked();
    world.pass(world.next - 1);
    assert.equal(asked(), before);
    world.pass(1);
    assert.equal(asked(), before + 1);
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000]);
  refuse({retryAfterMs: 3000});
  assert.equal(world.next, 4000, "never before the server's own time");
  world.pass(7000);
  assert.equal(world.sockets.length, 1, "all on one connection");
  const [stale] = world.socket.of("watch");
  world.socket.says({type: "rooms", snapshot: true, rooms: [{roomId: 9}], ref: stale.ref});
  assert.deepEqual(told, [], "no half of it");
  world.socket.lists([{roomId: 1, head: 6}], {hasMore: true});
  world.socket.lists([{roomId: 2, head: 0}], {snapshot: undefined});
  const rooms = [{roomId: 1, head: 6}, {roomId: 2, head: 0}];
  assert.deepEqual(told, [["rooms", {snapshot: true, rooms}]]);
  refuse();
  assert.equal(told.at(-1)[1].code, "unavailable", "of what was answered there is nothing to ask");
  world.pass(1e6);
  assert.equal(asked(), 6);
});

test("a connection that ends takes the half list with it, and the wish to ask again", () => {
  const world = new World();
  const parlor = world.parlor();
  const told = record(parlor, "rooms");
  parlor.watch();
  world.socket.hello();
  world.socket.lists([{roomId: 1}], {hasMore: true});
  world.socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.lists([{roomId: 2}]);
  assert.deepEqual(told, [["rooms", {snapshot: true, rooms: [{roomId: 2}]}]]);
  world.pass(20_000);
  assert.equal(world.socket.of("watch").length, 1);
});
