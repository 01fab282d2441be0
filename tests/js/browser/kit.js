// People in front of the page, each with a browser profile of their own, and the server's API for
// what is only to be there. Everything is awaited, nothing is slept for.

import assert from "node:assert/strict";
import {after} from "node:test";
import {isDeepStrictEqual} from "node:util";

import {Dice} from "../dice.js";
import {Proxy} from "../proxy.js";
import {PASSWORD, sleep} from "../server.js";
import {launch} from "./chromium.js";

/** Nothing waits this long that passes. */
export const PATIENCE = 60_000;

export const WIDE = {width: 1440, height: 900};
export const NARROW = {width: 390, height: 844};

let browser;
after(async () => { await (await browser)?.close(); });

/** Asks `probe` until it answers with something true, and gives that. */
export async function until(what, probe, patience = PATIENCE) {
  const end = Date.now() + patience;
  let last;
  for (;;) {
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error; // A page that is just being loaded cannot be asked.
    }
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`, {cause: last});
    await sleep(15);
  }
}

/** Asks `probe` until it answers as expected; else the difference is shown. */
export async function becomes(probe, expected, what) {
  let answer;
  const same = async () => {
    answer = await probe();
    return isDeepStrictEqual(answer, expected);
  };
  await until("an answer", same).catch(() => assert.deepEqual(answer, expected, what));
}

/** A way to the server that can be cut; its address outlives the server's port. */
export async function wire(t, server) {
  const proxy = await Proxy.start(t, new Dice(1), server.port);
  proxy.cutting = false;
  return proxy;
}

/** A call of the API with a token, as a program makes it. */
export async function call(server, method, path, {token, body} = {}) {
  const headers = {
    ...(token && {authorization: `Bearer ${token}`}),
    ...(body && {"content-type": "application/json"}),
  };
  const request = {method, headers, body: body && JSON.stringify(body)};
  const response = await fetch(`${server.url}/api/v1${path}`, request);
  const text = await response.text();
  return {status: response.status, ...(text !== "" && JSON.parse(text))};
}

/** A program with an account of its own. */
export class Program {
  static async signUp(server, username, fields = {}) {
    const body = {username, password: PASSWORD, ...fields};
    const {token, user} = await call(server, "POST", "/signup", {body});
    assert.ok(token, `${username} has no account`);
    return Object.assign(new Program(), {server, token, user});
  }

  /** The token of somebody who signed up with the page. */
  static async signIn(server, username) {
    const body = {username, password: PASSWORD};
    const {token, user} = await call(server, "POST", "/signin", {body});
    return Object.assign(new Program(), {server, token, user});
  }

  call(method, path, body) {
    return call(this.server, method, path, {token: this.token, body});
  }

  async makes(name, fields = {}) {
    return (await this.call("POST", "/rooms", {name, ...fields})).room;
  }

  says(slug, message, fields = {}) {
    return this.call("POST", `/rooms/${slug}/messages`, {message, ...fields});
  }

  /** The whole room as it is stored, oldest first. */
  async log(slug) {
    const found = [];
    for (let more = true; more;) {
      const path = `/rooms/${slug}/messages?limit=200&after=${found.at(-1)?.seq ?? 0}`;
      const page = await this.call("GET", path);
      found.push(...page.messages);
      more = page.hasMore;
    }
    return found;
  }
}

/** What a browser writes of a call that fails, which is no fault of the page. */
const OF_THE_NETWORK = /^Failed to load resource|^WebSocket connection to/;

/** Somebody in front of the page, who meets no fault of it until the test ends. */
export class Person {
  faults = [];

  /** `options` are those of a browser's context. */
  static async arrive(t, url, options = {}) {
    const person = new Person();
    browser ??= launch();
    const profile = {viewport: WIDE, locale: "en-US", timezoneId: "UTC", ...options};
    person.context = await (await browser).newContext(profile);
    person.context.setDefaultTimeout(PATIENCE);
    person.url = url;
    person.page = await person.tab();
    t.after(async () => {
      await person.context.close();
      assert.deepEqual(person.faults, []);
    });
    return person;
  }

  /** Another page of the same browser. */
  async tab() {
    const page = await this.context.newPage();
    page.on("pageerror", (error) => this.faults.push(String(error.stack)));
    page.on("dialog", async (dialog) => {
      this.faults.push(`a dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    page.on("console", (message) => {
      const isFault = ["error", "warning"].includes(message.type());
      if (isFault && !OF_THE_NETWORK.test(message.text())) this.faults.push(message.text());
    });
    return page;
  }

  async goes(path = "/") {
    await this.page.goto(this.url + path);
  }

  /** The page goes out of sight, as behind another tab: it is told so, and gets no frames. */
  async hides() {
    await this.page.evaluate(() => {
      const frames = [];
      const {requestAnimationFrame: draw} = window;
      window.requestAnimationFrame = (action) => frames.push(action);
      Object.defineProperty(document, "hidden", {configurable: true, value: true});
      Object.defineProperty(document, "visibilityState", {configurable: true, value: "hidden"});
      window.comeBack = () => {
        window.requestAnimationFrame = draw;
        delete document.hidden;
        delete document.visibilityState;
        frames.forEach((action) => draw(action));
        document.dispatchEvent(new Event("visibilitychange"));
      };
      document.dispatchEvent(new Event("visibilitychange"));
    });
  }

  async shows() {
    await this.page.evaluate(() => window.comeBack());
  }

  // ---- signing in and up ----

  async signsUp(name, {path = "/"} = {}) {
    await this.goes(path);
    await this.button("Create an account").click();
    await this.fillsIn(name, PASSWORD);
    await this.button("Create account").click();
    await this.isIn();
    this.name = name;
  }

  async signsIn(name, {path} = {}) {
    if (path) await this.goes(path);
    await this.fillsIn(name, PASSWORD);
    await this.button("Sign in").click();
    await this.isIn();
    this.name = name;
  }

  async fillsIn(name, password) {
    await this.field("User name").fill(name);
    await this.field("Password").fill(password);
  }

  async isIn() {
    await this.button("Sign out").or(this.link("All rooms")).first().waitFor();
  }

  // ---- finding, as people do ----

  button(name) { return this.page.getByRole("button", {name, exact: true}); }
  link(name) { return this.page.getByRole("link", {name}); }
  heading(name) { return this.page.getByRole("heading", {name, exact: true}); }
  field(name) { return this.page.getByLabel(name, {exact: true}); }
  get composer() { return this.page.getByRole("textbox", {name: "Message", exact: true}); }
  get log() { return this.page.getByRole("log"); }

  /** The room in the list. */
  room(name) {
    return this.page.getByRole("navigation", {name: "Rooms"}).getByRole("link", {name});
  }

  // ---- talking ----

  /** Makes a room with the form. */
  async makes(name) {
    await this.button("New room").click();
    await this.field("Name").fill(name);
    await this.button("Make room").click();
    await this.isReading(name);
  }

  /** Opens the room from the list. */
  async enters(name) {
    await this.room(name).click();
    await this.isReading(name);
  }

  async isReading(name) {
    await this.page.getByRole("log", {name: `Messages in ${name}`}).waitFor();
  }

  async says(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  /** What is shown: `{seq, state, text}`, in its order. */
  messages() {
    return this.page.locator("li.message").evaluateAll((items) => items.map((item) => ({
      seq: Number(item.dataset.seq),
      state: item.dataset.state,
      text: item.querySelector(".body").innerText,
    })));
  }

  async texts() {
    return (await this.messages()).map(({text}) => text);
  }

  async states() {
    return (await this.messages()).map(({state}) => state);
  }

  /** What is told of the connection: kind and words, or `null` while nothing is. */
  connection() {
    return this.page.locator("#link").evaluate((box) => (box.hidden ? null : box.dataset.kind));
  }

  read(id) {
    return this.page.locator(`#${id}`).innerText();
  }
}
