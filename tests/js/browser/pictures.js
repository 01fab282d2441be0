// Draws the README's pictures of the page into the directory that is named, by the real page in
// front of a real server: `node --experimental-websocket tests/js/browser/pictures.js DIRECTORY`,
// with PARLOR_BIN as for the tests.

import assert from "node:assert/strict";
import {join} from "node:path";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, NARROW, Person, Program, WIDE} from "./kit.js";

const directory = process.argv[2];
assert.ok(directory, "needs a directory");

const TALK = [
  ["mei", "Morning! Did anybody look at the new disk?"],
  ["ann", "It is in. I moved the database over while everybody was asleep."],
  ["ann", "Nobody noticed, which is the best thing that I can say of it."],
  ["bob", "I noticed that nothing hurt."],
  ["mei", "How long was it away?"],
  ["ann", "Eleven seconds:\n```\n$ systemctl stop parlor\n$ cp -a data /mnt/new/\n" +
    "$ systemctl start parlor\n```"],
  ["ann", "The page said *no connection*, and then it did not."],
  ["mei", "> and then it did not\nThat is my favourite kind of outage."],
  ["bob", "Three things for today:\n- the **backup** script\n- `public_url` for the proxy\n" +
    "- coffee, see https://example.com/beans?roast=dark"],
  ["mei", "I take the coffee."],
];

test("pictures", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url, {deviceScaleFactor: 1.5, reducedMotion: "reduce"});
  await ann.signsUp("ann");
  const people = {};
  for (const name of ["bob", "mei"]) people[name] = await Program.signUp(server, name);
  for (const name of ["Books", "Films", "Kitchen", "Music", "Travel"]) await people.bob.makes(name);
  await ann.makes("General");
  for (const [name, text] of TALK) {
    if (name === "ann") await ann.says(text);
    else await people[name].says("general", text);
    await becomes(async () => (await people.bob.log("general")).at(-1)?.message, text);
  }
  for (const text of ["Soup?", "At noon."]) await people.mei.says("kitchen", text);
  await becomes(async () => (await ann.states()).filter((state) => state === "safe").length, 4);
  await ann.page.locator("#rooms .has-unread").waitFor();
  const draw = async (name, viewport, colorScheme) => {
    await ann.page.setViewportSize(viewport);
    await ann.page.emulateMedia({colorScheme});
    await ann.page.evaluate(() => new Promise((resolve) => {
      requestAnimationFrame(() => requestAnimationFrame(resolve));
    }));
    await ann.page.screenshot({path: join(directory, `${name}.png`)});
  };
  await draw("wide-light", WIDE, "light");
  await draw("wide-dark", WIDE, "dark");
  await draw("narrow-light", NARROW, "light");
  await ann.page.goto(`${server.url}/`);
  await ann.room("Kitchen").waitFor();
  await draw("list-dark", NARROW, "dark");
});
