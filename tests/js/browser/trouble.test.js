// What goes wrong around a conversation: it is told once and in words that help, stays where it
// stands, and takes nothing along.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until, wire} from "./kit.js";

async function alone(t) {
  const server = await Server.start(t);
  const way = await wire(t, server);
  const ann = await Person.arrive(t, way.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  return {server, way, ann, program: await Program.signIn(server, "ann")};
}

/** In the page: every word that a live region or the connection's pill has had from now on. */
function note() {
  window.heard = [];
  const nodes = ["announcer", "link", "panel"].map((id) => document.getElementById(id));
  const read = () => heard.push(...nodes.map((node) => node.innerText));
  const options = {subtree: true, childList: true, characterData: true, attributes: true};
  for (const node of nodes) new MutationObserver(read).observe(node, options);
}

const heard = ({page}) => page.evaluate(() => window.heard.join("\n"));

// Once every moment without a connection was read out, twice.
test("a connection that is back in a moment is not spoken of", async (t) => {
  const {ann, way, program} = await alone(t);
  const seen = {joins: 0, closes: 0};
  ann.page.on("websocket", (socket) => {
    socket.on("close", () => { seen.closes += 1; });
    const isJoined = ({payload}) => JSON.parse(payload).type === "joined";
    socket.on("framereceived", (frame) => { seen.joins += isJoined(frame) ? 1 : 0; });
  });
  await ann.page.clock.install();
  await ann.page.reload();
  await ann.isReading("Garden");
  await until("the room", () => seen.joins === 1);
  await ann.page.clock.pauseAt(Date.now() + 60_000);
  await ann.page.evaluate(note);
  way.down();
  way.up();
  await until("the end of the connection", () => seen.closes === 1);
  await ann.page.clock.runFor(600);
  await until("the room again", () => seen.joins > 1);
  await program.says("garden", "still here");
  await until("the message", async () => {
    await ann.page.clock.runFor(16);
    return (await ann.texts()).length === 1;
  });
  assert.doesNotMatch(await heard(ann), /onnect/);
});

// Once the panel was made anew every three seconds, and whoever stood on its button with it.
test("a room that cannot be opened is asked for again, and its panel stays", async (t) => {
  const {ann} = await alone(t);
  await ann.goes("/");
  await ann.room("Garden").waitFor();
  let asked = 0;
  let isBroken = true;
  await ann.page.route("**/api/v1/rooms/garden", (route) => {
    asked += 1;
    if (isBroken) return route.fulfill({status: 503, json: {code: "unavailable", detail: "x"}});
    return route.fallback();
  });
  await ann.page.clock.install();
  await ann.room("Garden").click();
  await ann.heading("Messages could not be loaded.").waitFor();
  await ann.button("Try again").focus();
  await ann.page.evaluate(note);
  // Each pause is twice as long as the one before.
  for (const [number, pause] of [3000, 6000, 12_000].entries()) {
    await until("the attempt", () => asked === number + 1);
    await ann.page.clock.runFor(pause - 1000);
    assert.equal(asked, number + 1);
    await ann.page.clock.runFor(1000);
  }
  await until("the last", () => asked === 4);
  assert.doesNotMatch(await heard(ann), /Loading/);
  assert.ok(await ann.button("Try again").evaluate((it) => it === document.activeElement));
  isBroken = false;
  await ann.button("Try again").press("Enter");
  await ann.isReading("Garden");
});

// Once it went with the room.
test("what was written for a room that is deleted can still be copied", async (t) => {
  const {ann, program} = await alone(t);
  await ann.says("long ".repeat(4000));
  await becomes(() => ann.states(), ["refused"]);
  await ann.composer.fill("half a thought");
  await program.call("DELETE", "/rooms/garden");
  await ann.heading("This room was deleted").waitFor();
  const kept = ann.field("What you wrote for it and did not send:");
  const text = `${"long ".repeat(4000)}\n\nhalf a thought`;
  assert.equal(await kept.inputValue(), text);
  assert.ok(await ann.page.locator("#title").evaluate((it) => it === document.activeElement));
  await ann.page.reload();
  await ann.heading("There is no such room").waitFor();
  assert.equal(await kept.inputValue(), text);
});

// Once the conversation was made anew, and the focus left with it.
test("the link to the room that is open leads to its newest message", async (t) => {
  const {ann, program} = await alone(t);
  for (let i = 0; i < 45; i += 1) await program.says("garden", `line ${i}`);
  await ann.page.getByText("line 44").waitFor();
  await ann.log.hover();
  await ann.page.mouse.wheel(0, -600);
  await ann.page.locator("#newest").waitFor();
  await ann.page.evaluate(() => { window.kept = document.querySelector("#messages li"); });
  await ann.room("Garden").click();
  await ann.page.locator("#newest").waitFor({state: "hidden"});
  assert.ok(await ann.page.evaluate(() => window.kept.isConnected));
  assert.ok(await ann.composer.evaluate((box) => box === document.activeElement));
});

// Once that was the same words as for a page that is older than the server.
test("another account that signs in in another tab is told of", async (t) => {
  const {ann, way, server} = await alone(t);
  const bob = await Program.signUp(server, "bob");
  const cookies = await ann.context.cookies();
  await ann.context.addCookies(cookies.map((cookie) => ({...cookie, value: bob.token})));
  way.down();
  way.up();
  await becomes(async () => (await ann.read("link-text")).slice(0, 29),
    "Another account is signed in ");
  await ann.composer.fill("half a thought");
  await ann.button("Reload").click();
  await becomes(() => ann.read("who"), "bob");
  await ann.isReading("Garden");
  assert.equal(await ann.composer.inputValue(), "");
});

// Once the last words stayed for whoever came next, and more were read out.
test("after signing out nothing is told any more", async (t) => {
  const {ann, server} = await alone(t);
  const bob = await Program.signUp(server, "bob");
  await ann.page.clock.install();
  await ann.page.reload();
  await ann.isReading("Garden");
  await bob.says("garden", "one");
  await becomes(() => ann.texts(), ["one"]);
  await ann.page.clock.runFor(1000);
  await becomes(() => ann.read("announcer"), "bob: one");
  await bob.says("garden", "two");
  await becomes(() => ann.texts(), ["one", "two"]);
  await ann.button("Sign out").click();
  await ann.page.getByText("You are signed out.").waitFor();
  await ann.page.clock.runFor(5000);
  for (const id of ["announcer", "toast", "title"]) {
    assert.equal(await ann.page.locator(`#${id}`).textContent(), "", id);
  }
  assert.equal(await ann.page.title(), "Parlor");
});
