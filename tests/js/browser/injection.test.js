// Whatever people and programs write, in every field there is, stays text.

import assert from "node:assert/strict";
import {test} from "node:test";

import {PASSWORD, Server} from "../server.js";
import {becomes, Person, Program, until} from "./kit.js";

const MARKUP = [
  '<img src=x onerror="hit()">',
  "<script>hit()</script>",
  "<svg onload=hit()>",
  '"><iframe srcdoc="<script>parent.hit()</script>">',
  "' autofocus onfocus=hit() x='",
  "</textarea></title><style>*{display:none}</style>",
  "<a href=javascript:hit()>x</a>",
  "{{constructor.constructor('hit()')()}}",
];
const LINKS = [
  "[x](javascript:hit())",
  "[x](JaVaScRiPt:hit())",
  "[x](java\nscript:hit())",
  "[x](data:text/html,<script>hit()</script>)",
  "[x](vbscript:hit())",
  "[x](//evil.example/x)",
  '[x](https://example.org/"onclick="hit())',
  "javascript:hit()",
  "https://example.org/<img/src=x/onerror=hit()>",
  "[<img src=x onerror=hit()>](https://example.org)",
  "![x](https://example.org/x.png)",
  "`<img src=x onerror=hit()>`",
  "```\n<script>hit()</script>\n```",
  "> <img src=x onerror=hit()>",
  "- <img src=x onerror=hit()>",
  "**<img src=x onerror=hit()>**",
];

/** Every page of this person tells when something of it was run. */
async function watched(t, url) {
  const person = await Person.arrive(t, url);
  await person.context.exposeFunction("hit", () => person.faults.push("something was run"));
  return person;
}

/** Nothing is in the document that the page did not put there. */
async function isClean(person) {
  const found = await person.page.evaluate(() => {
    const foreign = [];
    for (const node of document.querySelectorAll("*")) {
      for (const {name, value} of node.attributes) {
        if (name.startsWith("on")) foreign.push(`${node.localName} ${name}`);
        if (["href", "src", "action", "xlink:href"].includes(name)) {
          const {protocol} = new URL(value, location.href);
          if (!["http:", "https:"].includes(protocol)) foreign.push(`${node.localName} ${value}`);
        }
      }
    }
    const kinds = "iframe, object, embed, base, style, script:not([src^='/']), " +
      "img:not(.brand-icon), [style*=url]";
    for (const node of document.querySelectorAll(kinds)) foreign.push(node.outerHTML);
    for (const node of document.querySelectorAll(".body *")) {
      const plain = ["p", "br", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "blockquote", "a"];
      if (!plain.includes(node.localName)) foreign.push(node.outerHTML);
    }
    return foreign;
  });
  assert.deepEqual(found, []);
  assert.deepEqual(person.faults, []);
}

test("in the fields of signing in and up", async (t) => {
  // The setup code is only asked for where others reach the server.
  const server = await Server.start(t, {PARLOR_LISTEN: "0.0.0.0:0"});
  const url = `http://127.0.0.1:${server.port}`;
  const ann = await watched(t, url);
  await ann.goes();
  for (const text of MARKUP) {
    await ann.fillsIn(text, text);
    await ann.button("Sign in").click();
    await ann.page.locator(".fault:not(:empty)").first().waitFor();
    await isClean(ann);
  }
  await ann.button("Create an account").click();
  await ann.fillsIn("ann", PASSWORD);
  await ann.button("Create account").click();
  await ann.field("Setup code").waitFor();
  for (const text of MARKUP) {
    await ann.fillsIn(text, text);
    await ann.field("Setup code").fill(text);
    await ann.button("Create account").click();
    await ann.page.locator(".fault:not(:empty)").first().waitFor();
    await isClean(ann);
  }
});

test("in names, addresses, searches and messages, typed into the page", async (t) => {
  const server = await Server.start(t);
  const ann = await watched(t, server.url);
  const bob = await watched(t, server.url);
  const [name] = MARKUP;
  await Program.signUp(server, "ann", {displayName: name});
  await ann.signsIn("ann", {path: "/"});
  await becomes(() => ann.read("who"), name);
  for (const text of MARKUP) {
    await ann.button("New room").click();
    await ann.field("Name").fill(text);
    await ann.field("Address optional").fill(text);
    await ann.button("Make room").click();
    await ann.page.locator("dialog .fault:not(:empty)").first().waitFor();
    await isClean(ann);
    await ann.field("Address optional").fill("");
    await ann.button("Make room").click();
    await ann.isReading(text);
    assert.equal(await ann.read("title"), text);
    await ann.says(text);
    await becomes(() => ann.states(), ["safe"]);
    await isClean(ann);
  }
  const rooms = ann.page.locator("#rooms .room-name");
  // More than a few rooms have a search.
  await ann.makes("Plain");
  await ann.makes("Garden");
  for (const text of MARKUP) {
    await ann.field("Find a room").fill(text);
    await becomes(() => rooms.allInnerTexts(), [text]);
    await ann.field("Find a room").fill(`${text}?`);
    await becomes(() => rooms.allInnerTexts(), []);
    await isClean(ann);
  }
  await ann.field("Find a room").fill("");
  await bob.signsUp("bob", {path: "/r/garden"});
  await bob.isReading("Garden");
  await isClean(bob);
  await ann.enters("Garden");
  for (const text of [...MARKUP, ...LINKS]) await ann.says(text);
  const count = MARKUP.length + LINKS.length;
  for (const person of [ann, bob]) {
    await becomes(() => person.page.locator("li.message").count(), count);
    await isClean(person);
    // Whatever became a link leads where it says, and without a way back.
    for (const link of await person.page.locator(".body a").all()) {
      const href = await link.getAttribute("href");
      assert.match(href, /^https:\/\/(example\.org|evil\.example)/);
      assert.equal(await link.getAttribute("rel"), "noopener noreferrer nofollow ugc");
    }
    for (const [index, text] of MARKUP.entries()) {
      assert.equal((await person.texts())[index], text);
    }
  }
  // Written and not sent: kept, and shown again.
  await ann.composer.fill(name);
  await ann.page.reload();
  await ann.isReading("Garden");
  assert.equal(await ann.composer.inputValue(), name);
  await isClean(ann);
});

test("from programs, which need no form", async (t) => {
  const server = await Server.start(t);
  const ann = await watched(t, server.url);
  await ann.signsUp("ann");
  const mallory = await Program.signUp(server, "mallory", {displayName: MARKUP[0]});
  for (const [index, text] of MARKUP.entries()) {
    await mallory.makes(text, {slug: `room-${index}`});
    const id = [...text].slice(0, 40).join("");
    assert.equal((await mallory.says(`room-${index}`, text, {id})).status, 201);
    await ann.goes(`/r/room-${index}`);
    await ann.isReading(text);
    await becomes(() => ann.texts(), [text]);
    await isClean(ann);
  }
  // A name that a program could choose for its account is held to the same rule everywhere.
  for (const text of MARKUP) {
    const body = {username: text, password: PASSWORD};
    const {status, errors} = await mallory.call("POST", "/signup", body);
    assert.equal(status, 422);
    assert.equal(errors[0].field, "username");
  }
});

test("in the address", async (t) => {
  const server = await Server.start(t);
  const ann = await watched(t, server.url);
  for (const isIn of [false, true]) {
    if (isIn) await ann.signsUp("ann");
    for (const text of MARKUP) {
      const encoded = encodeURIComponent(text);
      for (const path of [`/?q=${encoded}&room=${encoded}`, `/#${encoded}`, `/#${text}`,
        `/r/none?next=${encoded}`, "/r/none#javascript:hit()"]) {
        await ann.goes(path);
        await until("the page", () => ann.page.locator("#entry, #app").and(
          ann.page.locator(":not([hidden])")).first().isVisible());
        await isClean(ann);
      }
      // No room has such an address, and what is said of that is no markup either.
      const answer = await ann.page.goto(`${server.url}/r/${encoded}`);
      const type = answer.headers()["content-type"];
      if (answer.ok()) await isClean(ann);
      else assert.match(type, /^application\/problem\+json/);
      assert.equal(answer.headers()["x-content-type-options"], "nosniff");
    }
  }
});

test("a page cannot be made to run anything, even where it has a fault", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  const run = [];
  await ann.context.exposeFunction("hit", (what) => run.push(what));
  await ann.signsUp("ann");
  const refused = await ann.page.evaluate(async () => {
    const names = [];
    document.addEventListener("securitypolicyviolation", ({effectiveDirective}) => {
      names.push(effectiveDirective);
    });
    const tries = [
      () => { document.body.innerHTML += "<img src=x onerror=hit('markup')>"; },
      () => {
        const made = document.createElement("script");
        made.textContent = "hit('script')";
        document.body.append(made);
      },
      () => {
        const made = document.createElement("img");
        made.setAttribute("onerror", "hit('attribute')");
        made.src = "/none.png";
        document.body.append(made);
      },
      () => fetch("https://example.org/").catch(() => {}),
    ];
    for (const attempt of tries) {
      try {
        await attempt();
      } catch {
        // Refused at once.
      }
    }
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    return names;
  });
  ann.faults = []; // Of what was refused, the console tells.
  assert.deepEqual(run, []);
  for (const directive of ["require-trusted-types-for", "connect-src"]) {
    assert.ok(refused.includes(directive), `${directive}: ${refused}`);
  }
});
