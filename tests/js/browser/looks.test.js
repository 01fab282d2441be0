// Every view of the page, at three widths, light and dark: an audit of its accessibility finds
// nothing, and nothing is wider than the window.

import assert from "node:assert/strict";
import {createRequire} from "node:module";
import {readFile} from "node:fs/promises";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, wire} from "./kit.js";

const WIDTHS = [390, 820, 1440];
const SCHEMES = ["light", "dark"];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Looks at what is shown, in every width and colour. */
async function audit(person, view) {
  for (const width of WIDTHS) {
    for (const colorScheme of SCHEMES) {
      await person.page.setViewportSize({width, height: 844});
      await person.page.emulateMedia({colorScheme, reducedMotion: "reduce"});
      const where = `${view} at ${width} px, ${colorScheme}`;
      const excess = await person.page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      assert.equal(excess, 0, `${where} is too wide`);
      if (!await person.page.evaluate(() => "axe" in window)) await person.page.evaluate(axe);
      const {violations, passes} = await person.page.evaluate(() => window.axe.run(document));
      const told = violations.map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html)}`);
      assert.deepEqual(told, [], where);
      assert.ok(passes.length > 10, where);
    }
  }
}

test("signing in and up", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.goes();
  await ann.heading("Sign in").waitFor();
  await audit(ann, "signing in");
  await ann.button("Create an account").click();
  await ann.fillsIn("a b", "short");
  await ann.button("Create account").click();
  await ann.page.locator(".fault.field").first().waitFor();
  await audit(ann, "signing up with faults");
});

test("rooms and a conversation", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await audit(ann, "no rooms");
  const bob = await Program.signUp(server, "bob");
  for (let i = 0; i < 12; i += 1) await bob.makes(`Room ${i}`);
  await bob.makes("A room whose name is longer than the place for it on any of these pages");
  await bob.makes("Garden");
  await ann.enters("Garden");
  await ann.says("Plain words, and a [link](https://example.org/).");
  const long = "w".repeat(300);
  for (const text of ["```\nlet a = 1;\n```", "> quoted\n\n- one\n- two", "`code` **bold** *it*",
    long, `https://example.org/${long}`, "עברית and العربية", "line\n".repeat(60)]) {
    await bob.says("garden", text);
  }
  await bob.says("room-3", "unread");
  await becomes(() => ann.page.locator("li.message").count(), 8);
  await ann.page.locator("#rooms .has-unread").waitFor();
  await audit(ann, "a conversation");
  await ann.button("1 here").click();
  await audit(ann, "who is here");
  await ann.page.keyboard.press("Escape");
  await ann.page.setViewportSize({width: 1440, height: 900});
  await ann.button("New room").click();
  await ann.field("Name").fill("x".repeat(200));
  await ann.button("Make room").click();
  await ann.page.locator("dialog .fault:not(:empty)").first().waitFor();
  await audit(ann, "making a room with a fault");
  await ann.button("Cancel").click();
  await ann.goes("/");
  await ann.room("Garden").waitFor();
  await audit(ann, "the list");
  await ann.goes("/r/nowhere");
  await ann.heading("There is no such room").waitFor();
  await audit(ann, "a room that is not there");
});

test("without a connection", async (t) => {
  const server = await Server.start(t);
  const way = await wire(t, server);
  const ann = await Person.arrive(t, way.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.page.evaluate(async () => { await navigator.serviceWorker.ready; });
  way.down();
  await becomes(() => ann.connection(), "waiting");
  await ann.says("kept");
  await audit(ann, "no connection");
  await ann.context.setOffline(true);
  await becomes(() => ann.connection(), "offline");
  await audit(ann, "offline");
  await ann.page.reload();
  await ann.heading("The server cannot be reached.").waitFor();
  await audit(ann, "no server");
});
