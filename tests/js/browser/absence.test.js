// The network goes, the server is killed: what the page says of it is true, and nothing that was
// said is lost, doubled or disordered.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until, wire} from "./kit.js";

/** Ann and bob in one room, each behind a wire of their own. */
async function apart(t) {
  const server = await Server.start(t);
  const wires = [await wire(t, server), await wire(t, server)];
  const ann = await Person.arrive(t, wires[0].url);
  const bob = await Person.arrive(t, wires[1].url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await bob.signsUp("bob", {path: "/r/garden"});
  await bob.isReading("Garden");
  return {server, wires, ann, bob, program: await Program.signIn(server, "bob")};
}

const textsOf = (log) => log.map(({message}) => message);

test("whoever was offline gets what was said, and says what was kept, once", async (t) => {
  const {wires: [wire], ann, bob, program} = await apart(t);
  await ann.says("before");
  await becomes(() => bob.texts(), ["before"]);
  await ann.context.setOffline(true);
  wire.down();
  await becomes(() => ann.connection(), "offline");
  assert.equal(await ann.read("link-text"), "You are offline.");
  assert.equal(await ann.read("link-kept"), "What you write is kept and sent later.");
  // Who is there is not known any more.
  await becomes(() => ann.page.locator("#people-button").isHidden(), true);
  for (const text of ["b1", "b2", "b3"]) await bob.says(text);
  for (const text of ["a1", "a2"]) await ann.says(text);
  await becomes(() => ann.states(), ["safe", "sending", "sending"]);
  wire.up();
  await ann.context.setOffline(false);
  const all = ["before", "b1", "b2", "b3", "a1", "a2"];
  for (const person of [ann, bob]) await becomes(() => person.texts(), all);
  await becomes(() => ann.states(), ["safe", undefined, undefined, undefined, "safe", "safe"]);
  await becomes(() => ann.connection(), null);
  await ann.button("2 here").waitFor();
  assert.deepEqual(textsOf(await program.log("garden")), all);
});

test("a server that is away is told of, and asked again", async (t) => {
  const {wires: [wire], ann} = await apart(t);
  wire.down();
  await becomes(() => ann.connection(), "waiting");
  assert.equal(await ann.read("link-text"), "No connection.");
  assert.equal(await ann.read("link-kept"), "What you write is kept and sent later.");
  await until("a pause of seconds", async () => /in \d/.test(await ann.read("link-count")));
  wire.up();
  // It may have come back by itself in between.
  await ann.page.locator("#link-now").evaluate((button) => button.click());
  await becomes(() => ann.connection(), "back");
  await becomes(() => ann.connection(), null);
});

test("what is written and what is unsent outlives the page", async (t) => {
  const {wires: [wire], ann, bob, program} = await apart(t);
  // The page itself has to be there without a server, too.
  await ann.page.evaluate(async () => { await navigator.serviceWorker.ready; });
  await ann.says("safe before");
  await becomes(() => ann.states(), ["safe"]);
  wire.down();
  for (const text of ["kept 1", "kept 2"]) await ann.says(text);
  await ann.composer.fill("half a sent");
  await becomes(() => ann.states(), ["safe", "sending", "sending"]);
  await ann.page.reload();
  await ann.heading("The server cannot be reached.").waitFor();
  wire.up();
  await ann.isReading("Garden");
  const all = ["safe before", "kept 1", "kept 2"];
  await becomes(() => ann.texts(), all);
  await becomes(() => ann.states(), ["safe", "safe", "safe"]);
  assert.equal(await ann.composer.inputValue(), "half a sent");
  await becomes(() => bob.texts(), all);
  assert.deepEqual(textsOf(await program.log("garden")), all);
});

test("what is unsent goes out also when another room is open", async (t) => {
  const {wires: [wire], ann, program} = await apart(t);
  await ann.page.evaluate(async () => { await navigator.serviceWorker.ready; });
  await ann.makes("Kitchen");
  await ann.enters("Garden");
  wire.down();
  await ann.says("for the garden");
  await becomes(() => ann.states(), ["sending"]);
  await ann.page.goto(`${ann.url}/r/kitchen`);
  await ann.heading("The server cannot be reached.").waitFor();
  wire.up();
  await ann.isReading("Kitchen");
  const said = async () => textsOf(await program.log("garden"));
  await becomes(said, ["for the garden"]);
});

test("the server is killed and started again in the middle of a conversation", async (t) => {
  const {server, wires, ann, bob, program} = await apart(t);
  const ROUNDS = 60;
  const KILLS = new Set([15, 35]);
  const said = [];
  const safe = new Set();
  const marked = async () => {
    for (const person of [ann, bob]) {
      for (const {text, state} of await person.messages()) if (state === "safe") safe.add(text);
    }
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const person of [ann, bob]) {
      const text = `${person.name} ${round}`;
      said.push(text);
      await person.says(text);
    }
    if (KILLS.has(round)) {
      await marked();
      await server.kill();
      await server.launch();
      for (const wire of wires) wire.target = server.port;
    }
  }
  const mine = (name) => said.filter((text) => text.startsWith(name));
  for (const person of [ann, bob]) {
    const states = async () => {
      const all = await person.messages();
      const own = all.filter(({text}) => text.startsWith(person.name));
      return own.length === ROUNDS && own.every(({state}) => state === "safe");
    };
    await until("everything is safe", states);
  }
  const log = textsOf(await program.log("garden"));
  assert.equal(log.length, said.length);
  for (const person of [ann, bob]) {
    // Everything once and in its author's order, and both see what is stored.
    const own = log.filter((text) => text.startsWith(person.name));
    assert.deepEqual(own, mine(person.name));
    await becomes(() => person.texts(), log);
  }
  assert.ok(safe.size > 0, "nothing was safe before a kill");
  for (const text of safe) assert.ok(log.includes(text), `${text} was safe`);
});

test("the page opens without a server, and says so", async (t) => {
  const {wires: [wire], ann} = await apart(t);
  await ann.page.evaluate(async () => { await navigator.serviceWorker.ready; });
  wire.down();
  await ann.page.goto(`${ann.url}/r/garden`);
  await ann.heading("The server cannot be reached.").waitFor();
  await ann.page.getByText("This page tries again by itself.").waitFor();
  // What people wrote is not among what is kept of it.
  const kept = await ann.page.evaluate(async () => {
    const requests = await Promise.all((await caches.keys()).map(
      async (name) => (await caches.open(name)).keys(),
    ));
    return requests.flat().map(({url}) => new URL(url).pathname);
  });
  assert.ok(kept.includes("/") && kept.includes("/page/app.js"));
  assert.deepEqual(kept.filter((path) => /^\/(api|ws)/.test(path)), []);
  wire.up();
  await ann.isReading("Garden");
});
