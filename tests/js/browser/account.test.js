// What people do with their account and their rooms: a new password, the account's end, a room's
// beginning and end; and what they are told where the server lets them do nothing.

import assert from "node:assert/strict";
import {test} from "node:test";

import {PASSWORD, Server} from "../server.js";
import {becomes, call, Person, Program} from "./kit.js";

const NEW_PASSWORD = "battery staple";

const focused = ({page}) => page.evaluate(() => document.activeElement.id);

async function opensAccount(person) {
  await person.page.locator("#account-open").click();
  await person.heading("Your account").waitFor();
}

async function changesPassword(person, present, fresh) {
  await person.field("Present password").fill(present);
  await person.field("New password").fill(fresh);
  await person.button("Change password").click();
}

/** What is told of this field, once anything is. */
async function faultOf(person, name) {
  const field = person.field(name);
  await becomes(() => field.getAttribute("aria-invalid"), "true");
  const [id] = (await field.getAttribute("aria-describedby")).split(" ").slice(-1);
  return person.read(id);
}

const signIn = (server, username, password) =>
  call(server, "POST", "/signin", {body: {username, password}});

test("a new password ends every other session, and this one goes on", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const phone = await Person.arrive(t, server.url);
  await phone.goes("/r/garden");
  await phone.signsIn("ann");
  await phone.isReading("Garden");
  await opensAccount(ann);
  await changesPassword(ann, PASSWORD, NEW_PASSWORD);
  await ann.page.locator("#toast").getByText("Your password is changed.").waitFor();
  assert.equal(await ann.page.locator("dialog[open]").count(), 0);
  assert.equal(await focused(ann), "account-open");
  await phone.page.getByText("Your session has ended.").waitFor();
  assert.equal((await signIn(server, "ann", PASSWORD)).status, 401);
  assert.equal((await signIn(server, "ann", NEW_PASSWORD)).status, 200);
  await ann.says("still here");
  await becomes(() => ann.states(), ["safe"]);
  await ann.page.reload();
  await ann.isReading("Garden");
  // Nothing of it is left in the form.
  await opensAccount(ann);
  for (const name of ["Present password", "New password"]) {
    assert.equal(await ann.field(name).inputValue(), "");
  }
});

test("what is wrong with a password is told at its field", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await opensAccount(ann);
  await changesPassword(ann, "not my password", NEW_PASSWORD);
  assert.equal(await faultOf(ann, "Present password"), "This is not your password.");
  assert.equal(await focused(ann), "current-password");
  assert.equal(await ann.field("New password").getAttribute("aria-invalid"), null);
  await changesPassword(ann, PASSWORD, "short");
  assert.equal(await faultOf(ann, "New password"), "It needs 8 to 128 characters.");
  assert.equal(await ann.field("Present password").getAttribute("aria-invalid"), null);
  // It can be looked at, and no longer when the dialog is opened again.
  await ann.page.locator("#new-password-show").click();
  assert.equal(await ann.field("New password").getAttribute("type"), "text");
  await ann.page.keyboard.press("Escape");
  await becomes(() => focused(ann), "account-open");
  await opensAccount(ann);
  assert.equal(await ann.field("New password").getAttribute("type"), "password");
  assert.equal(await ann.page.locator("dialog [aria-invalid]").count(), 0);
  assert.equal((await signIn(server, "ann", PASSWORD)).status, 200);
});

/** How many messages this browser keeps to be sent later. */
const kept = ({page}) => page.evaluate(() => new Promise((resolve) => {
  indexedDB.open("parlor").onsuccess = ({target: {result: database}}) => {
    database.transaction("unsent").objectStore("unsent").count().onsuccess = ({target}) => {
      database.close();
      resolve(target.result);
    };
  };
}));

test("a deleted account leaves what it said, and its name to others", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.page.routeWebSocket("**/ws", (socket) => {
    const onward = socket.connectToServer();
    socket.onMessage((text) => {
      if (!text.includes("never heard")) onward.send(text);
    });
  });
  await ann.signsUp("ann");
  await ann.makes("Garden");
  await ann.says("before I go");
  await becomes(() => ann.states(), ["safe"]);
  await ann.says("never heard");
  await becomes(() => kept(ann), 1);
  await ann.composer.fill("a secret draft");
  await opensAccount(ann);
  await ann.button("Delete account").click();
  await ann.heading("Delete your account?").waitFor();
  await ann.page.getByText("The name “ann” becomes free").waitFor();
  await ann.page.keyboard.press("Escape");
  await becomes(() => focused(ann), "account-open");
  await opensAccount(ann);
  await ann.button("Delete account").click();
  // Neither nothing nor a wrong password does it.
  for (const password of ["", "not my password"]) {
    await ann.field("Your password").fill(password);
    await ann.button("Delete account").click();
    assert.equal(await faultOf(ann, "Your password"), "This is not your password.");
  }
  await ann.field("Your password").fill(PASSWORD);
  await ann.button("Delete account").click();
  await ann.page.getByText("Your account is deleted, and its name is free.").waitFor();
  assert.equal(await ann.page.locator("#app").isHidden(), true);
  assert.equal(await focused(ann), "username");
  assert.deepEqual(await ann.context.cookies(), []);
  const drafts = () => ann.page.evaluate(() => Object.values({...localStorage}).join());
  assert.doesNotMatch(await drafts(), /secret draft/);
  assert.equal(await kept(ann), 0);
  assert.equal((await signIn(server, "ann", PASSWORD)).status, 401);
  await ann.signsUp("ann");
  await ann.enters("Garden");
  await becomes(() => ann.texts(), ["before I go"]);
  await becomes(() => ann.page.locator(".name").allInnerTexts(), ["deleted user"]);
  assert.equal(await ann.composer.inputValue(), "");
});

// The server ends the account's sockets, and may do so before its answer is here: then the page said
// that the session had ended, and kept the drafts.
test("a deletion that is told sooner than answered is a deletion", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const refused = ann.page.waitForResponse(
    (answer) => answer.url().endsWith("/refresh") && answer.status() === 401);
  await ann.page.route("**/api/v1/me", async (route) => {
    if (route.request().method() !== "DELETE") return route.fallback();
    const response = await route.fetch();
    // The socket is closed, and no newer token is to be had.
    await (await refused).finished();
    return route.fulfill({response});
  });
  await opensAccount(ann);
  await ann.button("Delete account").click();
  await ann.field("Your password").fill(PASSWORD);
  await ann.button("Delete account").click();
  await ann.page.getByText("Your account is deleted, and its name is free.").waitFor();
});

// One browser has one session for all its tabs: a tab that shows ann did to bob's account what was
// asked for ann's.
test("no account is touched but the one that is shown", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await Program.signUp(server, "bob");
  await opensAccount(ann);
  await ann.page.evaluate((body) => fetch("/api/v1/signin", {
    method: "POST", headers: {"content-type": "application/json"}, body,
  }), JSON.stringify({username: "bob", password: PASSWORD, cookie: true}));
  await changesPassword(ann, PASSWORD, NEW_PASSWORD);
  await ann.page.locator("#account-form > .fault").getByText("another account").waitFor();
  for (const name of ["ann", "bob"]) {
    assert.equal((await signIn(server, name, PASSWORD)).status, 200);
  }
});

test("a room is deleted by whoever made it, and whoever is in it is told", async (t) => {
  const server = await Server.start(t);
  await Program.signUp(server, "admin");
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  const bob = await Person.arrive(t, server.url);
  await bob.signsUp("bob");
  await bob.enters("Garden");
  assert.equal(await bob.button("Delete room").count(), 0);
  await ann.button("Delete room").click();
  await ann.heading("Delete “Garden”?").waitFor();
  assert.equal(await ann.field("Your password").isVisible(), false);
  assert.equal(await focused(ann), "delete-cancel");
  await ann.page.keyboard.press("Escape");
  await becomes(() => focused(ann), "room-delete");
  await ann.button("Delete room").click();
  await ann.page.locator("dialog").getByRole("button", {name: "Delete room"}).click();
  for (const person of [ann, bob]) {
    await person.heading("This room was deleted").waitFor();
    await becomes(() => person.room("Garden").count(), 0);
    assert.equal(await person.button("Delete room").count(), 0);
  }
  assert.equal(await ann.page.locator("dialog[open]").count(), 0);
  assert.equal(await focused(ann), "title");
  // The next room has its own.
  await bob.makes("Cellar");
  await bob.button("Delete room").waitFor();
});

test("an admin deletes anybody's room", async (t) => {
  const server = await Server.start(t);
  const admin = await Person.arrive(t, server.url);
  await admin.signsUp("admin");
  const bob = await Program.signUp(server, "bob");
  await bob.makes("Cellar");
  await admin.enters("Cellar");
  await admin.button("Delete room").click();
  await admin.page.locator("dialog").getByRole("button", {name: "Delete room"}).click();
  await admin.heading("This room was deleted").waitFor();
  assert.equal((await bob.call("GET", "/rooms/cellar")).status, 404);
});

// "There is no room yet" stood beside the open room until the server told of it.
test("a room is in the list as soon as it is made", async (t) => {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  // What the server tells of rooms after the first time comes never.
  await ann.page.routeWebSocket("**/ws", (socket) => {
    socket.connectToServer().onMessage((text) => {
      const {type, snapshot} = JSON.parse(text);
      if (type !== "rooms" || snapshot) socket.send(text);
    });
  });
  await ann.signsUp("ann");
  await ann.page.getByText("There is no room yet.").waitFor();
  await ann.makes("Garden");
  await ann.room("Garden").waitFor();
  assert.equal(await ann.room("Garden").getAttribute("aria-current"), "page");
  assert.equal(await ann.page.getByText("There is no room yet.").isVisible(), false);
});

test("the setup code is asked for before it can be wrong", async (t) => {
  const server = await Server.start(t, {PARLOR_LISTEN: "0.0.0.0:0"});
  const ann = await Person.arrive(t, `http://127.0.0.1:${server.port}`);
  await ann.goes();
  await ann.button("Create an account").click();
  await ann.fillsIn("ann", PASSWORD);
  await ann.button("Create account").click();
  await becomes(() => focused(ann), "setup-code");
  assert.equal(await ann.page.locator("#signin [aria-invalid], #signin .fault:not(:empty)").count(), 0);
  assert.equal(await ann.page.locator("#setup-hint").isVisible(), true);
  await ann.field("Setup code").fill("wrong");
  await ann.button("Create account").click();
  assert.match(await faultOf(ann, "Setup code"), /^This is not the code/);
});

test("a page that may not sign in says what the operator is to do about it", async (t) => {
  const server = await Server.start(t, {PARLOR_PUBLIC_URL: "https://chat.example.org"});
  await Program.signUp(server, "ann");
  const ann = await Person.arrive(t, server.url);
  await ann.goes();
  await ann.fillsIn("ann", PASSWORD);
  await ann.button("Sign in").click();
  const told = ann.page.locator("#signin > .fault");
  await told.getByText("public_url has to say what that is").waitFor();
});
