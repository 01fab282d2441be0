// Two people talk, each in a browser of their own.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, NARROW, Person, Program, until} from "./kit.js";

/** Both in one room that ann made. */
async function together(t) {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const bob = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await bob.signsUp("bob", {path: "/r/garden"});
  await bob.isReading("Garden");
  return {server, ann, bob};
}

test("two people talk, know who is there and who is writing", async (t) => {
  const {ann, bob} = await together(t);
  await ann.button("2 here").click();
  const people = ann.page.locator("#people-list li");
  await becomes(() => people.locator("bdi").allInnerTexts(), ["ann (you)", "bob"]);
  await ann.page.keyboard.press("Escape");

  await bob.composer.pressSequentially("Good morn");
  await ann.page.getByText("bob is writing…").waitFor();
  await bob.composer.fill("Good morning\nto **all**: https://example.org/a?b=c");
  await bob.composer.press("Enter");
  await ann.says("And to you");
  for (const person of [ann, bob]) {
    const said = ["Good morning\nto all: https://example.org/a?b=c", "And to you"];
    await becomes(() => person.texts(), said);
  }
  await becomes(() => ann.read("typing"), "");
  await becomes(() => bob.states(), ["safe", undefined]);
  await becomes(() => ann.states(), [undefined, "safe"]);
  const link = ann.page.getByRole("link", {name: "https://example.org/a?b=c"});
  assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow ugc");
  assert.equal(await ann.page.locator(".body strong").innerText(), "all");
  // Two authors, one day.
  assert.equal(await ann.page.locator("li.message.head").count(), 2);
  await becomes(() => ann.page.locator("li .day").allInnerTexts(), ["Today"]);
});

test("an own message is being sent, then heard, then safe", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const held = {chat: [], ack: []};
  await ann.page.routeWebSocket("**/ws", (socket) => {
    const upstream = socket.connectToServer();
    upstream.onMessage((text) => {
      const {type} = JSON.parse(text);
      if (held[type]) held[type].push(() => socket.send(text));
      else socket.send(text);
    });
  });
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.says("step by step");
  const mark = ann.page.locator("li.message .mark");
  await mark.getByText("Sending").waitFor({state: "attached"});
  await until("both answers", () => held.chat.length === 1 && held.ack.length === 1);
  assert.deepEqual(await ann.states(), ["sending"]);
  held.chat[0]();
  await becomes(() => ann.states(), ["heard"]);
  await mark.getByText("Heard by the room, not on disk yet").waitFor({state: "attached"});
  held.ack[0]();
  await becomes(() => ann.states(), ["safe"]);
  await mark.getByText("Safe on disk").waitFor({state: "attached"});
});

test("what is said elsewhere is counted until it is read", async (t) => {
  const {server, ann, bob} = await together(t);
  await ann.makes("Kitchen");
  await bob.room("Kitchen").waitFor();
  await ann.says("Soup");
  await ann.says("is ready");
  await bob.room(/^Kitchen ?, 2 unread messages$/).waitFor();
  await becomes(() => bob.page.title(), "(1) Garden · Parlor");
  await bob.enters("Kitchen");
  await becomes(() => bob.texts(), ["Soup", "is ready"]);
  await becomes(() => bob.page.title(), "Kitchen · Parlor");
  // The author of all of it has nothing to read, and a reload forgets nothing.
  await ann.page.reload();
  await becomes(() => ann.texts(), ["Soup", "is ready"]);
  await becomes(() => ann.page.title(), "Kitchen · Parlor");
  await bob.page.reload();
  await becomes(() => bob.page.title(), "Kitchen · Parlor");

  const program = await Program.signIn(server, "ann");
  await program.call("DELETE", "/rooms/kitchen");
  await bob.heading("This room was deleted").waitFor();
  await becomes(() => bob.room("Kitchen").count(), 0);
});

test("a link to a room works before signing in, and after", async (t) => {
  const {server, ann} = await together(t);
  const cyd = await Person.arrive(t, server.url, {viewport: NARROW});
  await cyd.goes("/r/garden");
  await cyd.page.getByText("Sign in to enter the room “garden”.").waitFor();
  await cyd.signsUp("cyd", {path: "/r/garden"});
  await cyd.isReading("Garden");
  await cyd.goes("/r/GARDEN");
  await cyd.isReading("Garden");
  assert.equal(new URL(cyd.page.url()).pathname, "/r/garden");
  // Also where no room could be.
  for (const path of ["/r/foo_bar", "/r/-", "/r/%F0%9F%8C%B1", "/r/nowhere"]) {
    await cyd.goes(path);
    await cyd.heading("There is no such room").waitFor();
  }
  await cyd.link("All rooms").click();
  await cyd.enters("Garden");
  await cyd.page.goBack();
  await cyd.heading("Rooms").waitFor();
  await cyd.page.goForward();
  await cyd.isReading("Garden");

  // A link in a message opens the room in the same page.
  await ann.makes("Kitchen");
  await ann.enters("Garden");
  await ann.page.evaluate(() => { window.isSamePage = true; });
  await ann.says(`${server.url}/r/kitchen`);
  await ann.page.getByRole("link", {name: `${server.url}/r/kitchen`}).click();
  await ann.isReading("Kitchen");
  assert.ok(await ann.page.evaluate(() => window.isSamePage));
});

test("a room's link is copied, also where there is no clipboard to write to", async (t) => {
  const {ann} = await together(t);
  const link = `${ann.url}/r/garden`;
  const pasted = async () => {
    await ann.composer.focus();
    await ann.page.keyboard.press("ControlOrMeta+v");
    await becomes(() => ann.composer.inputValue(), link);
    await ann.composer.fill("");
  };
  // As it is on plain HTTP.
  await ann.page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", {value: undefined, configurable: true});
  });
  await ann.button("Copy link").click();
  await ann.page.locator("#toast").getByText("Link copied").waitFor();
  assert.equal(await ann.page.evaluate(() => document.activeElement.id), "copy-link");
  await pasted();
  // Where nothing can be copied, it is told.
  await ann.page.evaluate(() => { document.execCommand = () => false; });
  await ann.button("Copy link").click();
  await ann.page.locator("#toast").getByText(link).waitFor();
  await ann.page.evaluate(() => {
    window.copies = [];
    const value = {writeText: async (text) => { copies.push(text); }};
    Object.defineProperty(navigator, "clipboard", {value});
  });
  await ann.button("Copy link").click();
  await becomes(() => ann.page.evaluate(() => copies), [link]);
});

test("a screen reader hears what others say, once, and of many only how many", async (t) => {
  const {server, ann, bob} = await together(t);
  const told = () => ann.page.locator("[aria-live=polite]").allInnerTexts();
  assert.equal(await ann.log.getAttribute("aria-live"), "off");
  await ann.says("for myself");
  await bob.says(`for **you**${" and so on".repeat(50)}`);
  await until("the words", async () => (await told()).join().includes("bob: for you and so on"));
  assert.ok((await told()).join().length < 300, "a screen reader has other things to say, too");
  assert.doesNotMatch((await told()).join(), /for myself/);
  const program = await Program.signIn(server, "bob");
  for (let i = 0; i < 30; i += 1) await program.says("garden", `one of many ${i}`);
  await until("a count", async () => /\d+ new messages/.test((await told()).join()));
});

test("nothing moves by itself while others talk", async (t) => {
  const {server, ann} = await together(t);
  const program = await Program.signIn(server, "bob");
  await ann.page.evaluate(() => {
    window.shifts = [];
    const note = (list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) shifts.push(entry.value);
    };
    new PerformanceObserver(note).observe({type: "layout-shift"});
  });
  for (let i = 0; i < 60; i += 1) {
    await program.says("garden", i % 7 === 0 ? "```\nlet a = 1;\nlet b = 2;\n```" : `word ${i}`);
  }
  await becomes(() => ann.page.locator("li.message").count(), 60);
  await ann.page.getByText("word 59").waitFor();
  assert.deepEqual(await ann.page.evaluate(() => shifts), []);
});

test("whoever reads further up stays there, and is told what is new", async (t) => {
  const {server, ann} = await together(t);
  const program = await Program.signIn(server, "bob");
  for (let i = 0; i < 60; i += 1) await program.says("garden", `line ${i}`);
  await ann.page.getByText("line 59").waitFor();
  await ann.log.hover();
  await ann.page.mouse.wheel(0, -1200);
  await ann.button("Newest messages").waitFor();
  const place = () => ann.page.getByText("line 25", {exact: true}).boundingBox();
  const before = await place();
  for (let i = 0; i < 3; i += 1) await program.says("garden", `later ${i}`);
  await ann.button("3 new messages").waitFor();
  assert.deepEqual(await place(), before);
  await ann.button("3 new messages").click();
  await ann.page.getByText("later 2").waitFor();
  await becomes(() => ann.page.locator("#newest").isHidden(), true);
});

test("Enter sends, Shift and Enter begin a line, and composing is left alone", async (t) => {
  const {ann} = await together(t);
  await ann.composer.focus();
  await ann.page.keyboard.type("one");
  await ann.page.keyboard.press("Shift+Enter");
  await ann.page.keyboard.type("two");
  // What an input method does while its Enter only takes a suggestion.
  const taken = await ann.composer.evaluate((box) => box.dispatchEvent(
    new KeyboardEvent("keydown", {key: "Enter", isComposing: true, cancelable: true}),
  ));
  assert.ok(taken);
  assert.equal(await ann.composer.inputValue(), "one\ntwo");
  await ann.page.keyboard.press("Enter");
  await becomes(() => ann.texts(), ["one\ntwo"]);
  assert.equal(await ann.composer.inputValue(), "");
});
