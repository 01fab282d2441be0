// Several people talk in several rooms through a network that cuts their connections a thousand
// times, and a server that is killed meanwhile. In the end everyone holds each room's log.

import assert from "node:assert/strict";
import test from "node:test";

import {Parlor} from "../../src/web/library/parlor.js";
import {Dice, seedOf} from "./dice.js";
import {Kept} from "./kept.js";
import {Proxy} from "./proxy.js";
import {PASSWORD, Server, sleep, until} from "./server.js";

const CUTS = Number(process.env.JS_CUTS ?? 1000);
const PEOPLE = 6;
const ROOMS = ["north", "south", "west"];
const PATIENCE = 60_000;
// In a hurry, so that a thousand cuts take seconds; and silence is noticed soon.
const HURRIED = {
  backoffMs: 20, backoffMaxMs: 200, stableMs: 0, heartbeatMs: 60, connectTimeoutMs: 400,
  maxQueued: 20,
};

/** What an application holds of a room, by the library's events alone. */
class View {
  held = new Map();
  retracted = 0;

  constructor(room) {
    this.room = room;
    room.on("retract", ({after, before}) => this.#drop((seq) => seq > after && seq < before));
    room.on("reset", () => assert.fail("it is the same database all the time"));
  }

  take(message) {
    const last = [...this.held.keys()].at(-1) ?? 0;
    assert.ok(message.seq > last, `${this.room.address}: ${message.seq} behind ${last}`);
    this.held.set(message.seq, message);
  }

  #drop(test) {
    for (const seq of [...this.held.keys()].filter(test)) {
      this.held.delete(seq);
      this.retracted += 1;
    }
  }
}

/** Counts the connections that ended after the next one of the same client had opened. */
function lateEnds() {
  const counted = {sockets: 0, late: 0};
  let newest = 0; // Of those that opened.
  counted.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      counted.sockets += 1;
      const number = counted.sockets;
      this.addEventListener("open", () => { newest = Math.max(newest, number); });
      this.addEventListener("close", () => { counted.late += number < newest ? 1 : 0; });
    }
  };
  return counted;
}

class Person {
  views = [];
  sends = []; // {room, text, receipt, settled}
  failures = [];
  connections = lateEnds();
  /** Every other one keeps what is unsent. */
  store;

  constructor(url, session, number, dice) {
    this.dice = dice;
    this.store = number % 2 === 0 ? new Kept() : null;
    const options = {...HURRIED, random: dice.roll, idPrefix: `p${number}`, store: this.store};
    const {WebSocket} = this.connections;
    this.parlor = new Parlor(url, {...session, ...options, WebSocket});
  }

  enter() {
    const {parlor} = this;
    parlor.on("error", (error) => this.failures.push(error));
    for (const address of ROOMS) this.#join(address);
  }

  #join(address) {
    const room = this.parlor.join(address, {after: 0});
    const view = new View(room);
    this.views.push(view);
    room.on("error", (error) => this.failures.push(error));
    if (this.dice.chance(0.5)) room.on("message", (message) => view.take(message));
    else this.#iterate(room, view).catch((error) => this.failures.push(error));
  }

  /** At a pace of its own, sometimes so slow that the room's queue overflows. */
  async #iterate(room, view) {
    for await (const message of room) {
      view.take(message);
      if (this.dice.chance(0.03)) await sleep(this.dice.whole(1, 150));
    }
  }

  async talk(name, isOver) {
    for (let number = 1; !isOver(); number += 1) {
      const view = this.views[this.dice.whole(0, ROOMS.length - 1)];
      this.#say(view.room, `${name} ${String(number).padStart(6, "0")}`);
      await sleep(this.dice.spread(1, 40));
      while (this.parlor.unsent.length > 30) await sleep(10);
    }
  }

  #say(room, text) {
    const send = {room: room.address, text, settled: 0, receipt: null};
    this.sends.push(send);
    room.send(text).then(
      (receipt) => { send.receipt = receipt; send.settled += 1; },
      (error) => { this.failures.push(error); send.settled += 1; },
    );
  }
}

async function logOf(parlor, address) {
  const messages = [];
  for (let after = 0; ;) {
    const page = await parlor.join(address).history({after, limit: 200});
    messages.push(...page.messages);
    if (!page.hasMore) return messages;
    after = messages.at(-1).seq;
  }
}

/**
 * Kills the server at the moment in which somebody hears what it can hardly have stored: it was
 * heard by others too, who are told to take it back.
 */
async function killAndRestart(server, proxy, token) {
  const witness = new Parlor(server.url, {token, store: null});
  const rooms = ROOMS.map((address) => witness.join(address));
  await new Promise((resolve) => {
    for (const room of rooms) room.on("message", () => resolve(server.kill()));
  });
  witness.close();
  await server.launch();
  proxy.target = server.port;
}

function holdsTheLog({room, held}, log) {
  const place = `${room.address}, seen by one of them`;
  assert.deepEqual([...held.keys()], log.map(({seq}) => seq), place);
  assert.deepEqual([...held.values()], log, place);
}

/** Everything said is in the log once, where its receipt says, in the order of saying. */
function saidOnce({sends}, logs) {
  for (const [address, log] of logs) {
    const places = new Map();
    for (const {message, seq} of log) {
      assert.ok(!places.has(message), `twice: ${message}`);
      places.set(message, seq);
    }
    let last = 0;
    for (const {text, settled, receipt} of sends.filter(({room}) => room === address)) {
      assert.equal(settled, 1, text);
      assert.equal(places.get(text), receipt.seq, text);
      assert.ok(receipt.seq > last, `out of order: ${text}`);
      last = receipt.seq;
    }
  }
}

test(`after ${CUTS} cuts everyone holds exactly the log`, {timeout: 180_000}, async (context) => {
  const dice = new Dice(seedOf("cuts"));
  const server = await Server.start(context);
  const proxy = await Proxy.start(context, dice, server.port);
  const people = [];
  let witness; // The token of one of them.
  for (let number = 0; number < PEOPLE; number += 1) {
    const session = await signUp(server.url, {username: `person-${number}`, password: PASSWORD});
    const person = new Person(proxy.url, session, number, dice);
    const {parlor} = person;
    context.after(() => parlor.close());
    witness ??= session.token;
    if (number === 0) for (const slug of ROOMS) await parlor.createRoom({name: slug, slug});
    person.enter();
    people.push(person);
  }
  const views = people.flatMap((person) => person.views);
  let over = false;
  context.after(() => { over = true; });
  const talking = people.map((person, number) => person.talk(`p${number}`, () => over));
  for (const share of [0.2, 0.4, 0.6, 0.8]) {
    await until("cuts", () => proxy.cuts >= CUTS * share, PATIENCE);
    await killAndRestart(server, proxy, witness);
  }
  await until("all cuts", () => proxy.cuts >= CUTS, PATIENCE);
  // Nearly always it has happened by now that what somebody held was lost.
  for (let more = 0; more < 20 && takenBack(views) === 0; more += 1) {
    const before = proxy.cuts;
    await killAndRestart(server, proxy, witness);
    await until("people who are back", () => proxy.cuts >= before + PEOPLE, PATIENCE);
  }
  [over, proxy.cutting] = [true, false];
  await Promise.all(talking);
  const settled = ({sends, failures}) => failures.length > 0 || sends.every((send) => send.settled);
  await until("every send", () => people.every(settled), PATIENCE);
  for (const {failures} of people) assert.deepEqual(failures, []);

  const logs = new Map();
  for (const address of ROOMS) logs.set(address, await logOf(people[0].parlor, address));
  const heads = new Map([...logs].map(([address, log]) => [address, log.at(-1).seq]));
  const complete = ({room}) => room.cursor >= heads.get(room.address);
  await until("the views", () => views.every(complete), PATIENCE);
  for (const view of views) holdsTheLog(view, logs.get(view.room.address));
  for (const person of people) saidOnce(person, logs);
  for (const {store} of people) assert.deepEqual(store?.texts ?? [], [], "nothing stays kept");
  const seen = report(proxy, people, logs, views);
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 0, `never seen: ${what}`);
});

async function signUp(url, credentials) {
  let kept;
  const parlor = await Parlor.signUp(url, credentials, {
    fetch: async (...call) => {
      const answer = await fetch(...call);
      kept = await answer.clone().json();
      return answer;
    },
  });
  parlor.close();
  return kept;
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const takenBack = (views) => sum(views.map(({retracted}) => retracted));

/** What came about by chance, without which this test would tell little. */
function report({cuts, byKind}, people, logs, views) {
  const sends = people.flatMap((person) => person.sends);
  const seen = {
    ...byKind,
    duplicates: sends.filter(({receipt}) => receipt.duplicate).length,
    jumps: sum([...logs.values()].map((log) => log.filter(({prev}) => prev).length)),
    takenBack: takenBack(views),
    lateEnds: sum(people.map(({connections}) => connections.late)),
  };
  const sockets = sum(people.map(({connections}) => connections.sockets));
  console.log(`cuts ${cuts}, sockets ${sockets}, said ${sends.length}: ${JSON.stringify(seen)}`);
  return seen;
}
