// Everything a person does here is done without a mouse, and the focus is always to be seen.

import assert from "node:assert/strict";
import {test} from "node:test";

import {PASSWORD, Server} from "../server.js";
import {becomes, NARROW, Person, Program, until} from "./kit.js";

/** Where the focus is, and whether a person sees it there. */
function focus() {
  const node = document.activeElement;
  const {outlineStyle, outlineWidth} = getComputedStyle(node);
  const place = node.getBoundingClientRect();
  return {
    id: node.id || node.textContent.trim(),
    isBody: node === document.body,
    isInView: place.width > 0 && place.bottom > 0 && place.top < innerHeight,
    hasRing: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    // Where a place is only named for those who hear it, there is nothing to press.
    isHeading: /^h[1-6]$/i.test(node.localName),
  };
}

class Keys {
  constructor({page}) {
    this.page = page;
  }

  /** It is never lost, and always to be seen. */
  async focus(way = []) {
    const found = await this.page.evaluate(focus);
    assert.ok(!found.isBody, `the focus is lost after ${way.join(", ")}`);
    assert.ok(found.isInView, `${found.id} is out of view`);
    assert.ok(found.hasRing || found.isHeading, `${found.id} does not show that it has the focus`);
    return found.id;
  }

  async press(key) {
    await this.page.keyboard.press(key);
  }

  async type(text) {
    await this.page.keyboard.type(text);
  }

  /** By Tab, or by what goes back, through whatever is on the way. */
  async to(id, key = "Tab") {
    const way = [];
    for (let steps = 0; steps < 30; steps += 1) {
      const at = await this.focus(way);
      if (at === id) return;
      way.push(at);
      await this.press(key);
    }
    assert.fail(`${key} leads to ${way.join(", ")}, not to ${id}`);
  }

  async arrives(id) {
    await until(`the focus at ${id}`, async () => await this.focus() === id);
  }
}

test("from signing up to signing out without a mouse", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const keys = new Keys(ann);
  await ann.goes();
  await keys.arrives("username");
  await keys.to("signin-switch");
  await keys.press("Enter");
  await keys.arrives("username");
  // What is wrong is told, and the focus is where it is to be mended.
  await keys.type("ann");
  await keys.press("Enter");
  await keys.arrives("password");
  await keys.type(PASSWORD);
  await keys.to("password-show");
  await keys.press("Space");
  assert.equal(await ann.page.locator("#password").getAttribute("type"), "text");
  await keys.to("signin-submit");
  await keys.press("Enter");
  await ann.isIn();

  // A room is made.
  await keys.arrives("rooms-title");
  await keys.to("create-open");
  await keys.press("Enter");
  await keys.arrives("room-name");
  await keys.press("Escape");
  await keys.arrives("create-open");
  await keys.press("Enter");
  await keys.type("Garden");
  await keys.press("Enter");
  await ann.isReading("Garden");
  await keys.arrives("text");
  await keys.type("by hand");
  await keys.press("Shift+Enter");
  await keys.type("alone");
  await keys.press("Enter");
  await becomes(() => ann.texts(), ["by hand\nalone"]);
  await keys.arrives("text");

  // Who is here.
  await keys.to("people-button", "Shift+Tab");
  await keys.press("Enter");
  await ann.page.locator("#people").waitFor();
  await keys.press("Escape");
  await ann.page.locator("#people").waitFor({state: "hidden"});
  await keys.arrives("people-button");

  // Another room, from the list and by its keys.
  await keys.to("create-open", "Shift+Tab");
  await keys.press("Enter");
  await keys.type("Kitchen");
  await keys.to("create-submit");
  await keys.press("Enter");
  await ann.isReading("Kitchen");
  await keys.arrives("text");
  await ann.room("Garden").waitFor();
  await keys.to("Garden", "Shift+Tab");
  await keys.press("Enter");
  await ann.isReading("Garden");
  await keys.arrives("text");
  await keys.press("Alt+ArrowDown");
  await ann.isReading("Kitchen");
  await keys.arrives("text");
  await keys.press("Alt+ArrowUp");
  await ann.isReading("Garden");
  await keys.arrives("text");

  await keys.to("signout", "Shift+Tab");
  await keys.press("Enter");
  await ann.page.getByText("You are signed out.").waitFor();
  await keys.arrives("username");
});

test("the first Tab leads to what can be skipped to, and the messages scroll by keys", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const keys = new Keys(ann);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const program = await Program.signIn(server, "ann");
  for (let i = 0; i < 60; i += 1) await program.says("garden", `line ${i}`);
  await ann.page.getByText("line 59").waitFor();
  await keys.arrives("text");
  await keys.to("log", "Shift+Tab");
  await keys.press("Home");
  await ann.button("Newest messages").waitFor();
  await keys.to("newest");
  await keys.press("Enter");
  await becomes(() => ann.page.locator("#newest").isHidden(), true);
  await keys.arrives("log");
  await keys.to("skip", "Shift+Tab");
  await keys.press("Enter");
  await keys.arrives("text");
});

test("on a narrow page, too, the focus follows", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url, {viewport: NARROW});
  const keys = new Keys(ann);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await keys.arrives("title");
  await becomes(() => ann.page.locator("#rooms a").allTextContents(), ["Garden"]);
  await keys.to("back", "Shift+Tab");
  await keys.press("Enter");
  await ann.heading("Rooms").waitFor();
  await keys.arrives("Garden");
  await keys.press("Enter");
  await ann.isReading("Garden");
  await keys.arrives("title");
  await keys.to("text");
  await keys.type("small");
  await keys.to("send");
  await keys.press("Enter");
  await becomes(() => ann.texts(), ["small"]);
  await keys.arrives("text");
});
