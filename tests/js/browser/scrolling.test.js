// Whoever reads is left where they read: while others talk, while the window changes, and while a
// long message is unfolded.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until} from "./kit.js";

/** Ann in a room in which bob has said this. */
async function listening(t, texts) {
  const server = await Server.start(t);
  const bob = await Program.signUp(server, "bob");
  await bob.makes("Garden");
  for (const text of texts) await bob.says("garden", text);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann", {path: "/r/garden"});
  await ann.isReading("Garden");
  await becomes(() => ann.page.locator("li.message").count(), texts.length);
  return {ann, bob};
}

const lines = (count, text = "line") => Array.from({length: count}, (_, i) => `${text} ${i}`);

/** In the page: of the message at the top of the box, its text and how far down it stands. */
function first() {
  const {top} = document.getElementById("log").getBoundingClientRect();
  const seen = [...document.querySelectorAll("#messages .body")]
    .find((body) => body.getBoundingClientRect().bottom > top);
  return {text: seen.textContent, top: seen.getBoundingClientRect().top - top};
}

const fromEnd = ({page}) => page.evaluate(() => {
  const {scrollHeight, scrollTop, clientHeight} = document.getElementById("log");
  return scrollHeight - scrollTop - clientHeight;
});

// Once each new message took whoever was within 48 pixels of the end back to it: in a busy room
// nobody came away by moving slowly.
test("who moves up a little is not carried back, and who comes down again is", async (t) => {
  const {ann, bob} = await listening(t, lines(60));
  await ann.log.hover();
  await ann.page.mouse.wheel(0, -9);
  await until("a move", async () => (await fromEnd(ann)) === 9);
  const before = await ann.page.evaluate(first);
  await bob.says("garden", "something new");
  await ann.page.getByText("something new").waitFor({state: "attached"});
  assert.deepEqual(await ann.page.evaluate(first), before);
  await ann.button("1 new message").waitFor();
  await ann.page.mouse.wheel(0, (await fromEnd(ann)) - 20);
  await ann.page.locator("#newest").waitFor({state: "hidden"});
  await bob.says("garden", "something newer");
  await ann.page.getByText("something newer").waitFor();
  await becomes(() => fromEnd(ann), 0);
});

// Once the next message took whoever had unfolded the last one to its far end.
test("a long message is unfolded from where it begins, and folded where one is", async (t) => {
  const long = lines(200).join("\n");
  const {ann, bob} = await listening(t, [...lines(40), long]);
  const body = ann.page.locator(".body").nth(40);
  const top = async () => (await body.boundingBox()).y;
  const before = await top();
  await ann.button("Show all").click();
  await ann.button("Show less").waitFor();
  await bob.says("garden", "something new");
  await ann.page.getByText("something new").waitFor({state: "attached"});
  assert.equal(await body.evaluate((it) => it.getBoundingClientRect().height > 2000), true);
  assert.equal(await top(), before);
  const less = ann.button("Show less");
  await less.scrollIntoViewIfNeeded();
  const {y} = await less.boundingBox();
  await less.click();
  await ann.button("Show all").waitFor();
  await becomes(async () => Math.abs((await ann.button("Show all").boundingBox()).y - y) < 2, true);
});

// Once a window of another width showed other messages.
test("the window changes its size, and what is read stays in view", async (t) => {
  const texts = lines(50, "many words, so that it has several lines where there is little room ");
  const {ann} = await listening(t, texts.map((text) => text.repeat(8)));
  await ann.log.hover();
  await ann.page.mouse.wheel(0, -1500);
  await ann.page.locator("#newest").waitFor();
  const {text} = await ann.page.evaluate(first);
  for (const [width, height] of [[390, 844], [844, 390], [820, 1180], [1440, 900]]) {
    await ann.page.setViewportSize({width, height});
    await becomes(async () => (await ann.page.evaluate(first)).text, text, `${width} wide`);
  }
  await ann.page.locator("#newest").click();
  await becomes(() => fromEnd(ann), 0);
  await ann.page.setViewportSize({width: 390, height: 844});
  await becomes(() => fromEnd(ann), 0);
});
