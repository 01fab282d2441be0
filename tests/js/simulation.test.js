// Many short lives of a few clients with a model of a server, one step at a time and all by chance:
// frames come late, connections end at any frame and are told of late, messages are put off, tokens
// end, pages are reloaded, rooms left and joined again, the server crashes and loses what it had
// not committed, or comes back with another database. A seed repeats a run.

import assert from "node:assert/strict";
import test from "node:test";

import {Dice, seedOf} from "./dice.js";
import {ModelServer, ROOMS} from "./model.js";
import {World} from "./world.js";

const RUNS = Number(process.env.JS_RUNS ?? 200);
const STEPS = 400;

/** A person at one page, which may be reloaded. */
class Client {
  sends = [];
  ended = []; // Old links whose close is still to be told.
  kept = new Map(); // What the browser keeps.
  life = 0;
  calm = false;
  met = {reloads: 0, kept: 0, rejoined: 0};

  constructor(dice, server, userId, window) {
    Object.assign(this, {dice, server, userId});
    const bounds = {window, maxQueued: dice.whole(1, 20), maxInFlight: dice.whole(1, 6)};
    const pauses = {backoffMs: 50, backoffMaxMs: 200, stableMs: 100, refreshMinMs: 100};
    const patience = {connectTimeoutMs: 300, heartbeatMs: dice.whole(50, 400)};
    this.bounds = {...bounds, ...pauses, ...patience};
    this.views = ROOMS.map((roomId) =>
      ({roomId, held: new Map(), pulls: dice.chance(0.5), room: null, after: 0}));
    this.open(1_000_000);
  }

  /** A page begins where the one before it was. */
  open(now) {
    this.life += 1;
    this.world = Object.assign(new World(), {now, randomly: this.dice.roll()});
    const expiresAt = this.fresh();
    const options = {expiresAt, userId: this.userId, store: this.store(), idPrefix: undefined};
    this.parlor = this.world.parlor({...options, ...this.bounds});
    for (const view of this.views) this.join(view);
  }

  store() {
    const [{kept}, life] = [this, this.life];
    const lives = () => life === this.life;
    return {
      load: async () => [...kept.values()],
      save: async (_, entry) => { if (lives()) kept.set(entry.key, structuredClone(entry)); },
      remove: async (_, key) => { if (lives()) kept.delete(key); },
      clear: async () => assert.fail("nobody signs out"),
    };
  }

  fresh() {
    return this.world.now + this.dice.whole(100, 3000);
  }

  /** The page is gone without a word; what it has sent may still reach the server. */
  reload() {
    this.met.reloads += 1;
    for (const send of this.sends.filter(({settled, lost}) => !settled && !lost)) {
      const entry = [...this.kept.values()].find(({id}) => id === send.id);
      Object.assign(send, {lost: !entry, keptFor: entry?.log});
    }
    this.met.kept += this.kept.size;
    for (const view of this.views) {
      if (!view.leaving) this.keep(view);
      Object.assign(view, {room: null, leaving: false});
    }
    for (const link of this.server.links) {
      if (link.owner !== this) continue;
      Object.assign(link.socket, {readyState: 3});
      link.gone = true;
    }
    this.ended = [];
    this.open(this.world.now);
  }

  /** Where to go on from there. */
  keep(view) {
    const {cursor, log} = view.room;
    Object.assign(view, {after: cursor ?? view.after, log: log ?? view.log});
  }

  join(view) {
    const {life} = this;
    const room = this.parlor.join(view.roomId, {after: view.after, log: view.log});
    view.leaving = false;
    if (room === view.room) return; // The leave is taken back, and a loop goes on.
    Object.assign(view, {room, pull: null, pulling: false});
    const take = (message) => { if (life === this.life) this.take(view, message); };
    room.on("reset", () => view.held.clear());
    room.on("retract", ({after, before}) => {
      for (const seq of [...view.held.keys()]) {
        if (seq > after && seq < before) view.held.delete(seq);
      }
    });
    room.on("ack", (receipt) => this.safe(receipt));
    if (!view.pulls) room.on("message", take);
    view.take = take;
  }

  take({held}, {seq, message}) {
    assert.ok([...held.keys()].every((other) => other < seq), "rising, once");
    held.set(seq, message);
  }

  /** Of messages of an earlier page there is no promise any more. */
  safe({id, seq, at}) {
    Object.assign(this.sends.find((send) => send.id === id), {seq, at});
  }

  step() {
    const {dice, world} = this;
    for (const socket of world.sockets) {
      if (socket.known) continue;
      socket.known = true;
      this.server.accept(this, socket);
    }
    if (world.calls.length > 0 && dice.chance(0.5)) this.answer(world.calls.shift());
    const signsIn = this.calm || dice.chance(0.05);
    if (this.parlor.state === "unauthorized" && signsIn) {
      this.parlor.useToken("again", {expiresAt: this.fresh()});
    }
    const action = dice.whole(0, 9);
    if (action === 0) world.pass(dice.spread(1, 100));
    if (action >= 3 && action <= 5) this.pull();
    if (action === 2 && this.ended.length > 0) this.end(this.ended.shift());
    if (this.calm) return;
    if (action === 1) this.say();
    if (action === 6 && dice.chance(0.05)) this.reload();
    if (action === 7 && dice.chance(0.3)) this.comeAndGo();
  }

  /** Some answers are lost, and some tokens are not renewed. */
  answer({path, answer}) {
    if (!this.calm && this.dice.chance(0.1)) answer(503, {code: "unavailable", detail: "later"});
    else if (path !== "/refresh") answer(200, this.server.page(path));
    else if (this.calm || this.dice.chance(0.8)) {
      answer(200, {token: "fresh", expiresAt: this.fresh()});
    } else answer(401, {code: "unauthorized", detail: "sign in"});
  }

  say() {
    const view = this.views[this.dice.whole(0, ROOMS.length - 1)];
    if (view.leaving) return;
    const send = {roomId: view.roomId, text: `${this.userId}-${this.sends.length}`, settled: 0};
    this.sends.push(send);
    const said = view.room.send(send.text);
    send.id = said.id;
    said.then(({seq, at}) => Object.assign(send, {seq, at}), ({code}) => { send.code = code; })
      .then(() => { send.settled += 1; });
  }

  comeAndGo() {
    const view = this.views[this.dice.whole(0, ROOMS.length - 1)];
    if (view.leaving) return this.comeBack(view);
    this.keep(view);
    view.leaving = true;
    return view.room.leave();
  }

  comeBack(view) {
    this.met.rejoined += 1;
    this.join(view);
  }

  pull() {
    const {life} = this;
    const pullable = ({pulls, pulling, leaving}) => pulls && !pulling && !leaving;
    for (const view of this.views.filter(pullable)) {
      if (this.parlor.state === "unauthorized") continue;
      view.pull ??= view.room[Symbol.asyncIterator]();
      // Those of now: what a page was still handed when it went is nothing to the next one.
      const {pull, take} = view;
      view.pulling = true;
      const over = () => { if (view.pull === pull) view.pull = null; };
      pull.next().then(({value, done}) => {
        if (done) over();
        else take(value);
      }, over).then(() => {
        if (life === this.life && (view.pull === pull || !view.pull)) view.pulling = false;
      });
    }
  }

  /** The next frame to one of its sockets, or the end of it. */
  deliver(link) {
    const {socket} = link;
    if (socket.readyState === 3) return;
    if (link.hushed && !this.calm && this.dice.chance(0.97)) return;
    const frame = link.out.shift();
    if (frame) {
      // What has arrived is told of even if the client has given the connection up.
      socket.readyState = Math.max(socket.readyState, 1);
      if (socket !== this.world.socket) this.server.met.late += 1;
      Object.assign(socket, link.listeners);
      socket.says(frame);
    } else if (!link.open) {
      this.lose(link);
    }
  }

  lose(link) {
    if (link.socket.readyState === 3) return;
    if (this.dice.chance(0.5)) return this.end(link);
    // It cannot be written to any more, but the close comes late.
    link.socket.readyState = 2;
    this.ended.push(link);
  }

  end({socket, listeners, code}) {
    if (socket.readyState === 3) return;
    Object.assign(socket, listeners);
    socket.end(code);
  }
}

async function live(seed) {
  const dice = new Dice(seed);
  const window = dice.chance(0.5) ? 1 : dice.whole(2, 5);
  const server = new ModelServer(dice, window === 1);
  const clients = [1, 2, 3].map((userId) => new Client(dice, server, userId, window));
  const replacedAt = dice.chance(0.2) ? dice.whole(0, STEPS) : -1;
  for (let step = 0; step < STEPS; step += 1) {
    clients[dice.whole(0, 2)].step();
    for (const link of server.links) {
      if (link.open && dice.chance(0.7)) server.serve(link);
      if (!link.gone && dice.chance(0.7)) link.owner.deliver(link);
    }
    if (dice.chance(0.15)) for (const room of server.rooms.values()) server.commit(room);
    if (dice.chance(0.06)) cut(dice, server);
    if (dice.chance(0.01)) server.crash();
    if (step === replacedAt) server.replace();
    await turn();
  }
  await calm(server, clients);
  check(server, clients);
  const said = clients.flatMap(({sends}) => sends).length;
  return [{said}, server.met, ...clients.map(({met}) => met)];
}

/** The client learns of it now, late, or by silence; what it has sent may still be served. */
function cut(dice, server) {
  const links = [...server.links].filter(({socket, open}) => open && socket.readyState < 2);
  if (links.length === 0) return;
  const link = links[dice.whole(0, links.length - 1)];
  const kind = dice.whole(0, 5);
  if (kind === 0) return server.end(link, 1012);
  if (kind === 1) return server.end(link, 4401);
  if (kind === 2) return void (link.hushed = true);
  if (dice.chance(0.5)) link.open = false;
  link.owner.lose(link);
}

async function turn() {
  for (let micro = 0; micro < 8; micro += 1) await Promise.resolve();
}

/** Until nothing is under way any more. */
async function calm(server, clients) {
  const hasAll = ({roomId, room}) =>
    room.cursor === (server.rooms.get(roomId).log.at(-1)?.seq ?? 0) && room.state === "live";
  const isDone = ({parlor, sends, views}) => views.every(hasAll) &&
    parlor.joined.every(({unsent}) => unsent.length === 0) &&
    sends.every(({settled, lost, keptFor}) => settled || lost !== undefined || keptFor);
  for (const client of clients) {
    client.calm = true;
    for (const view of client.views) if (view.leaving) client.comeBack(view);
  }
  for (let round = 0; round < 3000 && !clients.every(isDone); round += 1) {
    for (const client of clients) {
      while (client.ended.length > 0) client.end(client.ended.shift());
      client.step();
      client.pull();
      client.world.pass(10);
    }
    for (const room of server.rooms.values()) server.commit(room);
    for (const link of server.links) {
      for (let frame = 0; frame < 5 && !link.gone; frame += 1) {
        if (link.open) server.serve(link);
        link.owner.deliver(link);
        await turn();
      }
    }
    if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(clients.every(isDone), "everything comes to rest");
}

function check(server, clients) {
  for (const {views} of clients) {
    for (const {roomId, held} of views) {
      const {log} = server.rooms.get(roomId);
      assert.deepEqual([...held], log.map(({seq, frame}) => [seq, frame.message]));
    }
  }
  for (const {sends} of clients) {
    for (const {roomId, log} of server.rooms.values()) {
      checkSaid(server, log, sends.filter((send) => send.roomId === roomId));
    }
  }
}

/** Each once, in the order of saying; of another database's nothing. */
function checkSaid({era, log: name}, log, mine) {
  const places = (text) => log.filter(({frame}) => frame.message === text).map(({seq}) => seq);
  let last = 0;
  for (const {text, settled, lost, keptFor, seq, at, code} of mine) {
    assert.ok(settled <= 1, "each settles once");
    const found = places(text);
    if (lost) { // The page was gone before it could be kept.
      assert.ok(found.length <= 1, `at most once: ${text}`);
      continue;
    }
    const isHere = at === era;
    assert.deepEqual(found, isHere ? [seq] : [], `${text} ${code} ${keptFor}`);
    if (at === undefined && settled) assert.equal(code, "other_database", text);
    if (at === undefined && !settled) assert.notEqual(keptFor, name, `${text} was kept`);
    if (!isHere) continue;
    assert.ok(seq > last, `in the order of saying: ${text}`);
    last = seq;
  }
}

test(`${RUNS} lives by chance`, async () => {
  const first = seedOf("simulation");
  const sum = {};
  for (let seed = first; seed < first + RUNS; seed += 1) {
    const parts = await live(seed).catch((error) => {
      error.message = `JS_SEED=${seed} JS_RUNS=1: ${error.message}`;
      throw error;
    });
    for (const part of parts) {
      for (const [name, count] of Object.entries(part)) sum[name] = (sum[name] ?? 0) + count;
    }
  }
  for (const [name, count] of Object.entries(sum)) assert.ok(count > 0 || RUNS < 50, name);
  console.log(`simulation: ${JSON.stringify(sum)}`);
});
