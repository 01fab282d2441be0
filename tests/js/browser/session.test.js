// The session is a cookie of this server's pages alone, and ends when its person says so.

import assert from "node:assert/strict";
import {createServer} from "node:http";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, wire} from "./kit.js";

/** Everything that scripts of the page can read and that outlives it, as one text. */
function keptByPage() {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return (async () => {
    const found = [document.cookie, ...Object.entries({...localStorage}).flat(),
      ...Object.entries({...sessionStorage}).flat()];
    for (const {name} of await indexedDB.databases()) {
      const database = await done(indexedDB.open(name));
      for (const store of database.objectStoreNames) {
        const all = await done(database.transaction(store).objectStore(store).getAll());
        found.push(JSON.stringify(all));
      }
      database.close();
    }
    return found.join("\n");
  })();
}

test("the token is in a cookie that no script reads, and nowhere else", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.composer.fill("a draft");
  const cookies = await ann.context.cookies();
  assert.equal(cookies.length, 1);
  const [{name, value, httpOnly, sameSite, path}] = cookies;
  assert.deepEqual({name, httpOnly, sameSite, path},
    {name: "parlor_session", httpOnly: true, sameSite: "Strict", path: "/"});
  assert.equal(await ann.page.evaluate(() => document.cookie), "");
  const kept = await ann.page.evaluate(keptByPage);
  assert.match(kept, /a draft/);
  for (const part of [value, ...value.split(".").slice(1)]) assert.ok(!kept.includes(part));
  await ann.page.reload();
  await ann.isReading("Garden");
});

test("a page of another origin gets nothing by the cookie", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const foreign = createServer((_, answer) => {
    answer.writeHead(200, {"content-type": "text/html"}).end("<!doctype html><title>x</title>");
  });
  await new Promise((resolve) => { foreign.listen(0, "127.0.0.1", resolve); });
  t.after(() => foreign.close());
  const {port} = foreign.address();
  // The same host, so that even a strict cookie is sent; and another one, where it is not.
  for (const host of ["127.0.0.1", "localhost"]) {
    const tab = await ann.context.newPage();
    await tab.goto(`http://${host}:${port}/`);
    const got = await tab.evaluate(async (url) => {
      const ask = (path, options) => fetch(`${url}${path}`, {credentials: "include", ...options})
        .then((answer) => `${answer.type} ${answer.status}`, () => "refused");
      const body = JSON.stringify({name: "Forged"});
      const close = await new Promise((resolve) => {
        const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
        const heard = [];
        socket.onmessage = ({data}) => heard.push(data);
        socket.onclose = ({code}) => resolve({code, heard});
      });
      return {
        close,
        read: await ask("/api/v1/me"),
        written: await ask("/api/v1/rooms", {method: "POST", mode: "no-cors", body}),
        events: await new Promise((resolve) => {
          const source = new EventSource(`${url}/api/v1/rooms/garden/events?after=0`,
            {withCredentials: true});
          source.onopen = () => resolve("open");
          source.onerror = () => resolve("refused");
        }),
      };
    }, server.url);
    const {written, ...rest} = got;
    const nothing = {close: {code: 4401, heard: []}, read: "refused", events: "refused"};
    assert.deepEqual(rest, nothing, host);
    assert.match(written, /^opaque/);
    await tab.close();
  }
  const program = await Program.signIn(server, "ann");
  const {rooms} = await program.call("GET", "/rooms");
  assert.deepEqual(rooms.map(({name}) => name), ["Garden"]);
});

test("signing out ends the session in every tab and leaves nothing for whoever is next", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.says("before I go");
  await becomes(() => ann.states(), ["safe"]);
  const other = await ann.tab();
  await other.goto(`${server.url}/r/garden`);
  await other.getByRole("log", {name: "Messages in Garden"}).waitFor();
  await ann.composer.fill("a secret draft");
  await ann.button("Sign out").click();
  await ann.page.getByText("You are signed out.").waitFor();
  await other.getByText("Your session has ended.").waitFor();
  assert.deepEqual(await ann.context.cookies(), []);
  await ann.page.goBack();
  for (const page of [ann.page, other]) {
    assert.equal(await page.getByText("before I go").count(), 0);
    await becomes(() => page.locator("#app").isHidden(), true);
  }
  await other.close();
  await ann.goes("/r/garden");
  await ann.button("Sign in").waitFor();
  assert.equal(await ann.page.getByText("before I go").count(), 0);
  assert.doesNotMatch(await ann.page.evaluate(keptByPage), /secret draft|before I go/);
  // The next one at this browser.
  await ann.signsUp("bob", {path: "/r/garden"});
  await ann.isReading("Garden");
  await becomes(() => ann.texts(), ["before I go"]);
  assert.equal(await ann.composer.inputValue(), "");
  assert.equal(await ann.read("who"), "bob");
});

test("who signs out with something unsent is asked first, and then it is gone", async (t) => {
  const server = await Server.start(t);
  const way = await wire(t, server);
  const ann = await Person.arrive(t, way.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  way.down();
  await becomes(() => ann.connection(), "waiting");
  await ann.says("never said");
  await ann.button("Sign out").click();
  await ann.page.getByText("A message is not sent yet.").waitFor();
  await ann.button("Stay").click();
  await ann.button("Sign out").click();
  await ann.button("Sign out all the same").click();
  await ann.page.locator("#toast").getByText("You are still signed in").waitFor();
  way.up();
  // Back again, it is sent after all.
  await becomes(() => ann.states(), ["safe"]);
});

test("a session that ends elsewhere ends here, and what was written is kept", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.composer.fill("half a thought");
  const program = await Program.signIn(server, "ann");
  const change = {currentPassword: "correct horse", newPassword: "battery staple"};
  assert.equal((await program.call("POST", "/me/password", change)).status, 204);
  await ann.page.getByText("Your session has ended.").waitFor();
  await ann.fillsIn("ann", "battery staple");
  await ann.button("Sign in").click();
  await ann.isReading("Garden");
  assert.equal(await ann.composer.inputValue(), "half a thought");
});
