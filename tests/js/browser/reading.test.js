// What is new, and what was read: a person is brought to the first message that is new, and nothing
// counts as read that was not in view.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until, wire} from "./kit.js";

const numbered = (from, to) => Array.from({length: to - from + 1}, (_, i) => `line ${from + i}`);

/** Ann, who has read a room of bob's up to its tenth line and is in another room now. */
async function elsewhere(t) {
  const server = await Server.start(t);
  const way = await wire(t, server);
  const bob = await Program.signUp(server, "bob");
  await bob.makes("Garden");
  await bob.makes("Kitchen");
  for (const text of numbered(1, 10)) await bob.says("garden", text);
  const ann = await Person.arrive(t, way.url);
  await ann.signsUp("ann", {path: "/r/garden"});
  await ann.isReading("Garden");
  await becomes(() => ann.texts(), numbered(1, 10));
  await ann.enters("Kitchen");
  return {way, ann, bob};
}

/** In the page: the text of the message below the line, and whether both are in view. */
function fresh() {
  const line = document.querySelector("#messages .fresh");
  const box = document.getElementById("log").getBoundingClientRect();
  const [rule, body] = [line, line?.parentElement.querySelector(".body")]
    .map((node) => node?.getBoundingClientRect());
  return line && rule.top >= box.top && body.bottom <= box.bottom
    ? line.parentElement.querySelector(".body").innerText : null;
}

// Once a room with more that was new than one page holds was opened at its end, without a line, and
// all of it counted as read.
test("however much is new, it is read from its first message on", async (t) => {
  const {ann, bob} = await elsewhere(t);
  for (const text of numbered(11, 310)) await bob.says("garden", text);
  await ann.room(/^Garden ?, 300 unread messages$/).waitFor();
  await ann.enters("Garden");
  await becomes(() => ann.page.evaluate(fresh), "line 11");
  // What was not in view is not read, also after a reload.
  await becomes(() => ann.page.locator("#newest").isVisible(), true);
  const unread = async () => {
    const words = await ann.room("Garden").textContent();
    return Number(/, (\d+) unread/.exec(words)?.[1] ?? 0);
  };
  const before = await unread();
  assert.ok(before > 200 && before < 300, `${before} unread`);
  await becomes(() => ann.read("newest-text"), `${before} new messages`);
  await ann.page.reload();
  await ann.isReading("Garden");
  await becomes(() => ann.page.evaluate(fresh), `line ${310 - before + 1}`);
  // To the last one, by scrolling.
  await ann.log.hover();
  await until("the end", async () => {
    await ann.page.mouse.wheel(0, 2000);
    return (await ann.texts()).at(-1) === "line 310" && (await unread()) === 0;
  });
  await becomes(() => ann.page.locator("#newest").isHidden(), true);
  await ann.page.reload();
  await ann.isReading("Garden");
  await becomes(async () => (await ann.texts()).at(-1), "line 310");
  assert.equal(await ann.page.locator("#messages .fresh").count(), 0);
});

test("a room that was never opened is read from its first message on", async (t) => {
  const {ann, bob} = await elsewhere(t);
  await bob.makes("Cellar");
  for (const text of numbered(1, 300)) await bob.says("cellar", text);
  await ann.room(/^Cellar ?, 300 unread messages$/).waitFor();
  await ann.enters("Cellar");
  await becomes(() => ann.page.evaluate(fresh), "line 1");
  await ann.page.getByText("This is where “Cellar” begins.").waitFor();
});

// Once the title was drawn with the list, and a page that nobody sees is not drawn.
test("the title counts also while nobody sees the page, and what came then is marked", async (t) => {
  const {ann, bob} = await elsewhere(t);
  await ann.enters("Garden");
  await ann.hides();
  for (const text of numbered(11, 70)) await bob.says("garden", text);
  await becomes(() => ann.page.title(), "(1) Garden · Parlor");
  await bob.says("kitchen", "soup");
  await becomes(() => ann.page.title(), "(2) Garden · Parlor");
  await ann.shows();
  await becomes(() => ann.page.evaluate(fresh), "line 11");
  await ann.page.locator("#newest").click();
  await becomes(() => ann.page.title(), "(1) Garden · Parlor");
});

// Once each tab counted by itself.
test("what is read in one tab is read in the other", async (t) => {
  const {way, ann, bob} = await elsewhere(t);
  const other = await ann.tab();
  await other.goto(`${way.url}/`);
  await bob.says("garden", "line 11");
  for (const page of [ann.page, other]) {
    await becomes(() => page.title(), page === other ? "(1) Parlor" : "(1) Kitchen · Parlor");
  }
  await ann.enters("Garden");
  await becomes(() => other.title(), "Parlor");
  await other.close();
});

// Once whoever came back after an absence was carried to the end of what was said meanwhile.
test("what was said during an absence is marked, and read from its first message on", async (t) => {
  const {way, ann, bob} = await elsewhere(t);
  await ann.enters("Garden");
  way.down();
  await becomes(() => ann.connection(), "waiting");
  for (const text of numbered(11, 400)) await bob.says("garden", text);
  way.up();
  await becomes(() => ann.page.evaluate(fresh), "line 11");
  await ann.page.locator("#newest").click();
  await ann.page.getByText("line 400").waitFor();
  await becomes(() => ann.page.locator("#newest").isHidden(), true);
});
