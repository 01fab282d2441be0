// Every view of the page, at three widths, light and dark: an audit of its accessibility finds
// nothing, and nothing is wider than the window.

import assert from "node:assert/strict";
import {createRequire} from "node:module";
import {readFile} from "node:fs/promises";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, NARROW, Person, Program, until, WIDE, wire} from "./kit.js";

const WIDTHS = [390, 820, 1440];
const SCHEMES = ["light", "dark"];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Which of `others` lie under what `selector` shows. */
function overlaps({page}, selector, others) {
  return page.evaluate(([one, rest]) => {
    const place = document.querySelector(one).getBoundingClientRect();
    const isUnder = (node) => {
      const {left, right, top, bottom} = node.getBoundingClientRect();
      return node.checkVisibility({visibilityProperty: true}) && left < place.right &&
        right > place.left && top < place.bottom && bottom > place.top;
    };
    return [...document.querySelectorAll(rest)].filter(isUnder).map(({id}) => id);
  }, [selector, others]);
}

/** What can be pressed and is smaller than a finger, but for links within a text. */
function small({page}) {
  return page.evaluate(() => {
    const all = [...document.querySelectorAll("button, a, input, textarea, label.check")];
    return all.filter((node) => {
      const {width, height} = node.getBoundingClientRect();
      const isInText = node.closest(".body, label.check") && node.localName !== "label";
      return node.checkVisibility() && !isInText && (width < 44 || height < 44);
    }).map((node) => node.id || node.className || node.textContent);
  });
}

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
  // Whoever signs up first may delete what others made.
  await ann.page.setViewportSize(WIDE);
  await ann.button("Delete room").click();
  await ann.heading("Delete “Garden”?").waitFor();
  await audit(ann, "deleting a room");
  await ann.button("Cancel").click();
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

test("the account, and its end", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.page.locator("#account-open").click();
  await ann.heading("Your account").waitFor();
  await audit(ann, "the account");
  await ann.button("Change password").click();
  await ann.page.locator("#account .fault.field").first().waitFor();
  await audit(ann, "the account with faults");
  await ann.button("Delete account").click();
  await ann.heading("Delete your account?").waitFor();
  await audit(ann, "deleting the account");
  await ann.button("Delete account").click();
  await ann.page.locator("#delete .fault.field").waitFor();
  await audit(ann, "deleting the account with a fault");
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
  for (const viewport of [NARROW, WIDE]) {
    await ann.page.setViewportSize(viewport);
    assert.deepEqual(await overlaps(ann, "#link", "#log, #title, .icon-button"), []);
    await ann.page.locator("#link-kept").waitFor();
  }
  await ann.says("kept");
  await audit(ann, "no connection");
  await ann.context.setOffline(true);
  await becomes(() => ann.connection(), "offline");
  await audit(ann, "offline");
  await ann.page.reload();
  await ann.heading("The server cannot be reached.").waitFor();
  await audit(ann, "no server");
});

test("in forced colours", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url, {forcedColors: "active"});
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.says("`plain`");
  await becomes(() => ann.states(), ["safe"]);
  await audit(ann, "forced colours");
  // What is only told by its ground elsewhere has an edge here.
  for (const part of [".avatar", ".body code", ".send"]) {
    const style = (node) => getComputedStyle(node).borderTopStyle;
    assert.equal(await ann.page.locator(part).first().evaluate(style), "solid", part);
  }
});

test("under a finger nothing is too small to be hit", async (t) => {
  const server = await Server.start(t);
  const options = {viewport: NARROW, hasTouch: true, isMobile: true};
  const ann = await Person.arrive(t, server.url, options);
  await ann.goes();
  await ann.heading("Sign in").waitFor();
  assert.deepEqual(await small(ann), []);
  await ann.signsUp("ann");
  const bob = await Program.signUp(server, "bob");
  for (let i = 0; i < 9; i += 1) await bob.makes(`Room ${i}`);
  await ann.field("Find a room").waitFor();
  assert.deepEqual(await small(ann), []);
  await ann.button("New room").click();
  assert.deepEqual(await small(ann), []);
  await ann.button("Cancel").click();
  await ann.page.locator("#account-open").click();
  assert.deepEqual(await small(ann), []);
  await ann.button("Delete account").click();
  assert.deepEqual(await small(ann), []);
  await ann.button("Cancel").click();
  await ann.enters("Room 1");
  await bob.says("room-1", "line\n".repeat(60));
  await ann.button("Show all").waitFor();
  assert.deepEqual(await small(ann), []);
});

test("the message stands under the messages, on one line while it is empty", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const bob = await Program.signIn(server, "ann");
  for (let i = 0; i < 40; i += 1) await bob.says("garden", `line ${i}`);
  await ann.page.getByText("line 39").waitFor();
  const height = await ann.composer.evaluate((box) => box.offsetHeight);
  const edges = () => ann.page.evaluate(() => ["#messages", "#text"].map((part) => {
    const {left, right} = document.querySelector(part).getBoundingClientRect();
    return [left, right];
  }));
  for (const width of WIDTHS) {
    await ann.page.setViewportSize({width, height: 844});
    const [messages, message] = await edges();
    assert.deepEqual(message, messages, `at ${width} px`);
  }
  await ann.makes("A room whose name is longer than the place for it on any of these pages");
  await ann.page.setViewportSize({width: 320, height: 640});
  assert.equal(await ann.composer.evaluate((box) => box.offsetHeight), height);
  const {scrollHeight, clientHeight} = await ann.composer.evaluate(
    ({scrollHeight: all, clientHeight: seen}) => ({scrollHeight: all, clientHeight: seen}));
  assert.equal(scrollHeight, clientHeight);
  // Whichever way the text goes, it ends before the button, which stays at the last line.
  await ann.composer.fill("שלום");
  const padding = await ann.composer.evaluate((box) => getComputedStyle(box).paddingRight);
  assert.ok(parseFloat(padding) > 48, padding);
  await ann.composer.fill("a\nb\nc");
  const bottom = (part) => ann.page.locator(part).evaluate(
    (node) => node.getBoundingClientRect().bottom);
  const gap = await bottom("#text") - await bottom("#send");
  assert.ok(gap > 0 && gap < 8, `${gap}`);
});

test("what is at fault looks so also while it has the focus", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.goes();
  const colour = () => ann.field("User name").evaluate((box) => getComputedStyle(box).outlineColor);
  await ann.field("User name").focus();
  const before = await colour();
  await ann.button("Sign in").click();
  await ann.page.locator("#username[aria-invalid]:focus").waitFor();
  const fault = await ann.page.locator(".fault.field").first()
    .evaluate((text) => getComputedStyle(text).color);
  assert.notEqual(before, fault);
  await becomes(colour, fault);
});

test("of many people, each can be scrolled to by keys, under what says who they are", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const crowd = Array.from({length: 200}, (_, i) => ({userId: 1000 + i, username: `user${i}`}));
  await ann.page.routeWebSocket("**/ws", (socket) => {
    socket.connectToServer().onMessage((text) => {
      const frame = JSON.parse(text);
      if (frame.snapshot && frame.type === "presence") {
        frame.joined.push(...crowd);
        frame.count += crowd.length;
      }
      socket.send(JSON.stringify(frame));
    });
  });
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.button("201 here").click();
  const names = await ann.page.locator("#people-list bdi").allInnerTexts();
  assert.deepEqual([names[0], names[2], names[3]], ["ann (you)", "user1", "user2"]);
  await ann.page.keyboard.press("Tab");
  await ann.page.keyboard.press("End");
  const last = ann.page.getByText("user199");
  await until("the last one", () => last.evaluate((name) => {
    const place = name.closest("ul").getBoundingClientRect();
    const {bottom} = name.getBoundingClientRect();
    return bottom > place.top && bottom <= place.bottom;
  }));
  assert.deepEqual(await overlaps(ann, "#people-title", "#people-list"), []);
  await audit(ann, "many people");
});

test("on paper there is the conversation and nothing else", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url, {viewport: {width: 800, height: 600}});
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.says(`\`\`\`\n${"long ".repeat(60)}\n\`\`\`\n${"line\n".repeat(60)}`);
  await ann.button("Show all").waitFor();
  await ann.page.emulateMedia({media: "print"});
  const cut = await ann.page.evaluate(() =>
    [...document.querySelectorAll("#log, #room, .body, pre")].filter((box) =>
      box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1,
    ).map(({id, localName}) => id || localName));
  assert.deepEqual(cut, []);
  assert.ok(await ann.page.evaluate(() => document.documentElement.scrollHeight) > 1200);
  for (const part of ["#sidebar", "#composer", "#copy-link", ".unfold"]) {
    assert.equal(await ann.page.locator(part).isVisible(), false, part);
  }
  assert.equal(await ann.heading("Garden").isVisible(), true);
});

// Not every browser makes the layout smaller for it, and what is pushed out of view is the top.
test("a keyboard on the screen leaves the bar and the message in view", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url, {viewport: NARROW});
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.page.evaluate(() => {
    Object.defineProperty(visualViewport, "height", {value: 400, configurable: true});
    visualViewport.dispatchEvent(new Event("resize"));
  });
  const bottom = () => ann.composer.evaluate((box) => box.getBoundingClientRect().bottom);
  await until("the message above the keyboard", async () => await bottom() < 400);
  assert.ok(await bottom() > 360);
  // Who looks closer has no keyboard.
  await ann.page.evaluate(() => {
    Object.defineProperty(visualViewport, "height", {value: 422});
    Object.defineProperty(visualViewport, "scale", {value: 2});
    visualViewport.dispatchEvent(new Event("resize"));
  });
  await until("the message at the end", async () => await bottom() > 800);
});

test("the rooms are navigation, and the open one is what the page is about", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  assert.equal(await ann.page.getByRole("main", {name: "Garden"}).count(), 1);
  assert.equal(await ann.page.getByRole("main").getByRole("navigation").count(), 0);
  assert.equal(await ann.page.getByRole("main").getByRole("log").count(), 1);
});
