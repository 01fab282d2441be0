// `parlor.d.ts` says what there is, in both directions: every member, option, event and answer that
// it declares is there, and whatever is there is declared, with the shape that it really has.

import assert from "node:assert/strict";
import {readFile} from "node:fs/promises";
import test, {before} from "node:test";

import * as library from "../../src/web/library/parlor.js";
import {LIBRARY, PRODUCED, complaints, project} from "./project.js";
import {PASSWORD, Server, until} from "./server.js";
import {Claims, eventsOf, membersOf} from "./shapes.js";
import {World, codeOf, settled} from "./world.js";

const {Parlor, ParlorError, Room} = library;
const isPublic = (key) => key !== "constructor" &&
  (typeof key === "string" || key === Symbol.asyncIterator);

/** Answers that were given, by where they came from; filled by the conversations. */
const answers = {};
let events;

before(async () => {
  if (PRODUCED.skip) return;
  const left = [];
  try {
    events = await eventsOf(async () => {
      await converse({after: (action) => left.push(action)});
      await mishaps();
    });
  } finally {
    for (const action of left.reverse()) await action();
  }
});

/** With a real server, whose fields are the ones that count. */
async function converse(context) {
  const server = await Server.start(context);
  const signUp = (username) => Parlor.signUp(server.url, {username, password: PASSWORD});
  const [ann, bob] = [await signUp("ann"), await signUp("bob")];
  for (const parlor of [ann, bob]) context.after(() => parlor.close());
  answers.user = [await ann.me(), ann.user];
  answers.room = [await ann.createRoom({name: "One", delivery: "committed"})];
  const gone = await bob.createRoom({name: "Gone"});
  ann.watch();
  const rooms = [ann.join(gone.roomId, {after: 0}), bob.join("gone", {after: 0})];
  await until("both", () => rooms.every(({count}) => count === 2));
  const told = new Promise((resolve) => rooms[0].on("typing", resolve));
  rooms[1].typing();
  await told;
  rooms[0].on("message", () => {});
  const sending = rooms[0].send("hi");
  answers.unsent = [...rooms[0].unsent, ...ann.unsent];
  [answers.heard, answers.receipt] = [[await sending.heard], [await sending]];
  await until("the message", () => rooms[0].cursor === 1);
  answers.page = [await rooms[0].history()];
  answers.rooms = [await ann.rooms()];
  answers.room.push(await ann.room("gone"));
  answers.state = [stateOf(Room, rooms[0])];
  answers.client = [stateOf(Parlor, ann)];
  const changed = new Promise((resolve) => {
    ann.on("rooms", ({rooms}) => { if (rooms.some(({gone}) => gone)) resolve(); });
  });
  await rooms[0].leave();
  await bob.deleteRoom("gone");
  await changed;
  await codeOf(ann.join("nowhere")[Symbol.asyncIterator]().next());
}

/** What a getter gives, of those that a class has. */
function stateOf(Class, object) {
  const names = [...membersOf(Class.prototype)].filter(([key, {get}]) => isPublic(key) && get);
  return Object.fromEntries(names.map(([name]) => [name, object[name]]));
}

/** What no server does at a word. */
async function mishaps() {
  const world = new World();
  const saved = [];
  const kept = {key: "k", id: "k-1", text: "kept", address: "1", roomId: 1, order: 1, userId: 7};
  const store = {
    load: async () => [kept], save: async (scope, entry) => { saved.push(entry); },
    remove: async () => {}, clear: async () => {},
  };
  const {parlor, room, socket} = world.joined({store});
  room.on("message", () => {});
  await settled();
  socket.refuse("invalid", {id: "k-1", errors: [{field: "message", message: "is bad"}]});
  room.send("more").catch(() => {});
  for (const seq of [1, 2]) socket.chat(seq, {id: `bo-${seq}`});
  socket.says({type: "reaction", roomId: 1, seq: 3, to: 1});
  socket.end();
  world.pass(500);
  world.socket.hello();
  world.socket.joined(1, {head: 1});
  world.socket.chat(1_048_577, {prev: 1});
  socket.end(1006);
  world.socket.end();
  world.pass(1000);
  world.socket.hello({log: "log-2"});
  world.socket.joined(1, {head: 1, reset: true});
  world.socket.says({type: "presence", roomId: 1, joined: [], left: [], count: 300});
  world.socket.says({type: "rooms", snapshot: true, hasMore: true, rooms: []});
  parlor.useToken("t1", {expiresAt: world.now + 1e9});
  world.socket.end(1008);
  answers.stored = saved;
  parlor.close();
}

/** Fails with what the compiler complains of. */
async function hold(context, claims) {
  const directory = await project(context, {"claims.mts": claims.text});
  assert.equal(await complaints(directory), "", claims.text);
}

test("the members that are declared, and no others", PRODUCED, async (context) => {
  const claims = new Claims();
  claims.hasKeys("typeof library", Object.keys(library).filter(isPublic));
  const instance = new World().parlor();
  const objects = {
    Parlor: instance, Room: instance.join(1), "typeof library.Parlor": Parlor,
    "typeof library.DEFAULTS": library.DEFAULTS, Bounds: library.DEFAULTS,
  };
  const native = ["length", "name"]; // Which TypeScript does not say of classes.
  for (const [type, object] of Object.entries(objects)) {
    const members = [...membersOf(object)].filter(([key]) => isPublic(key));
    const isClass = typeof object === "function";
    const own = members.filter(([key]) => !isClass || Object.hasOwn(object, key));
    const names = own.map(([key]) => key).filter((key) => !isClass || !native.includes(key));
    claims.hasKeys(type.startsWith("typeof") ? `(${type})` : `types.${type}`, names);
  }
  // `stack` is an engine's, `cause` is there where there is one.
  const error = new ParlorError("closed", "closed", {cause: new Error("why")});
  const fields = Object.getOwnPropertyNames(error).filter((name) => name !== "stack");
  claims.hasKeys('Omit<types.ParlorError, "stack">', fields);
  await hold(context, claims);
});

test("methods are callable, and what cannot be set is read-only", PRODUCED, async (context) => {
  const claims = new Claims();
  claims.lines.push("declare const client: types.Parlor;");
  const instance = new World().parlor();
  for (const [name, object] of [["client", instance], ["room", instance.join(1)]]) {
    const type = name === "client" ? "types.Parlor" : "types.Room";
    for (const [key, {value, get, set}] of membersOf(object)) {
      if (!isPublic(key) || typeof key === "symbol") continue;
      if (typeof value === "function") {
        claims.are(`Parameters<${type}["${key}"]>["length"]`, [value.length]);
      } else if (get && !set) {
        claims.refuses(`${name}.${key} = ${name}.${key};`);
      }
    }
  }
  await hold(context, claims);
});

test("events are declared as they are told, and all of them are", PRODUCED, async (context) => {
  const claims = new Claims();
  for (const [owner, byType] of Object.entries(events)) {
    claims.hasKeys(`types.${owner}`, Object.keys(byType));
    for (const [type, details] of Object.entries(byType)) {
      const of = `types.${owner}["${type}"]`;
      claims.are(of, details);
      const isOpen = type === "event"; // Whatever the server says.
      const plain = details.filter((detail) => !(detail instanceof Error));
      if (!isOpen && plain.length > 0) claims.hasKeys(of, plain.flatMap((one) => Object.keys(one)));
    }
  }
  await hold(context, claims);
  const source = await readFile(`${LIBRARY}/parlor.js`, "utf8");
  const named = [...source.matchAll(/\bevent\((room|null), "(\w+)"/g)];
  assert.ok(named.length > 15, "this is how the library tells of something");
  for (const [, room, type] of named) {
    const owner = room === "null" ? "ParlorEvents" : "RoomEvents";
    assert.ok(events[owner][type], `${owner} ${type} was never told in these conversations`);
  }
});

test("answers and states are declared as they are", PRODUCED, async (context) => {
  const claims = new Claims();
  const given = (owner, method) => `Given<types.${owner}, "${method}">`;
  const types = {
    user: ["types.User", given("Parlor", "me")],
    room: ["types.RoomInfo", given("Parlor", "room"), given("Parlor", "createRoom")],
    rooms: [given("Parlor", "rooms")],
    page: ["types.Page", given("Room", "history")],
    unsent: ["types.Unsent", 'types.Room["unsent"][number]'],
    heard: ["types.Heard", 'Awaited<types.Sending["heard"]>'],
    receipt: ["types.Receipt", given("Room", "send")],
    stored: ["types.StoredMessage", 'Parameters<types.Store["save"]>[1]'],
  };
  for (const [name, declared] of Object.entries(types)) {
    assert.ok(answers[name].length > 0, name);
    for (const type of declared) {
      claims.are(type, answers[name]);
      claims.hasKeys(type, answers[name].flatMap((one) => Object.keys(one)));
    }
  }
  for (const [type, [state]] of [["Room", answers.state], ["Parlor", answers.client]]) {
    const names = Object.keys(state).map((name) => JSON.stringify(name));
    claims.are(`Pick<types.${type}, ${names.join(" | ")}>`, [state]);
  }
  await hold(context, claims);
});
