// What the service worker answers: what the network has and, where that fails or says nothing, what
// is kept. Time is a number here.

import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";
import vm from "node:vm";

const SOURCE = readFileSync(new URL("../../../src/web/page/worker.js", import.meta.url), "utf8");
const ORIGIN = "https://chat.example";

/** Until nothing is left to do but what waits for time or the network. */
const settled = () => new Promise((resolve) => { setImmediate(resolve); });

class Browser {
  now = 1_000_000;
  kept = new Map();
  asked = [];
  #timers = [];
  #listeners = new Map();

  constructor() {
    const cache = {
      match: async (path) => this.kept.get(path),
      put: async (path, answer) => void this.kept.set(path, answer.body),
    };
    vm.runInNewContext(SOURCE, {
      addEventListener: (type, listener) => this.#listeners.set(type, listener),
      caches: {open: async () => cache},
      Date: {now: () => this.now},
      fetch: (request) => new Promise((answer, fail) => this.asked.push({request, answer, fail})),
      location: {origin: ORIGIN},
      setTimeout: (action, wait, ...given) =>
        this.#timers.push({at: this.now + wait, run: () => action(...given)}),
      URL,
    });
  }

  /** What the page gets, once it gets something: `{answer}` or `{error}`. */
  async loads(path, mode = "cors") {
    const got = {};
    this.#listeners.get("fetch")({
      request: {method: "GET", mode, url: ORIGIN + path},
      respondWith: (promise) => promise.then(
        (answer) => { got.answer = answer.body ?? answer; },
        (error) => { got.error = error; },
      ),
      waitUntil: (promise) => promise,
    });
    await settled();
    return got;
  }

  async waits(time) {
    this.now += time;
    const due = this.#timers.filter(({at}) => at <= this.now);
    this.#timers = this.#timers.filter(({at}) => at > this.now);
    for (const {run} of due) run();
    await settled();
  }

  /** To the latest of what was asked for. */
  async answers(body, status = 200) {
    const answer = {body, status, ok: status === 200, clone: () => answer};
    this.asked.at(-1).answer(answer);
    await settled();
  }
}

test("the network goes first, and what it answers is kept", async () => {
  const browser = new Browser();
  browser.kept.set("/", "old");
  const page = await browser.loads("/r/garden", "navigate");
  await browser.waits(3900);
  assert.deepEqual(page, {});
  await browser.answers("new");
  assert.equal(page.answer, "new");
  assert.equal(browser.kept.get("/"), "new");
});

test("a network that fails, or a server that is away, is replaced by what is kept", async () => {
  const browser = new Browser();
  browser.kept.set("/", "old");
  const [page, unknown] = [await browser.loads("/"), await browser.loads("/parlor.js")];
  for (const {fail} of browser.asked) fail("no network");
  await settled();
  assert.deepEqual([page, unknown], [{answer: "old"}, {error: "no network"}]);
  const again = await browser.loads("/");
  await browser.answers("bad gateway", 502);
  assert.equal(again.answer, "old");
  assert.equal(browser.kept.get("/"), "old");
});

test("a network that says nothing is not waited for, and what it says later is kept", async () => {
  const browser = new Browser();
  browser.kept.set("/", "old").set("/parlor.js", "old script");
  const page = await browser.loads("/");
  await browser.waits(4000);
  assert.equal(page.answer, "old");
  // The page's parts do not wait as long again.
  const script = await browser.loads("/parlor.js");
  await browser.waits(0);
  assert.equal(script.answer, "old script");
  await browser.answers("new script");
  assert.equal(browser.kept.get("/parlor.js"), "new script");
  // It speaks again; but what is kept is of one version, and so shall a page be.
  const part = await browser.loads("/parlor.js");
  await browser.waits(0);
  assert.equal(part.answer, "new script");
  await browser.waits(10_000);
  const later = await browser.loads("/");
  await browser.waits(0);
  assert.deepEqual(later, {});
  await browser.answers("new");
  assert.equal(later.answer, "new");
});

test("an answer in time leaves no doubt of the network", async () => {
  const browser = new Browser();
  await browser.loads("/");
  await browser.answers("new");
  await browser.waits(4000);
  const later = await browser.loads("/");
  await browser.waits(0);
  assert.deepEqual(later, {});
});

test("what was never kept is waited for", async () => {
  const browser = new Browser();
  const page = await browser.loads("/");
  await browser.waits(60_000);
  assert.deepEqual(page, {});
  await browser.answers("new");
  assert.equal(page.answer, "new");
});
