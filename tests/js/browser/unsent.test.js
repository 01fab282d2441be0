// What was written and could not be sent: it is never lost, never shown twice, and can be dealt with.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until} from "./kit.js";

/** Ann in a room of hers. */
async function alone(t) {
  const server = await Server.start(t);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann");
  await ann.makes("Garden");
  return {server, ann, program: await Program.signIn(server, "ann")};
}

const TOO_LONG = "long ".repeat(4000);

// Once a message that was refused for good was gone with the page.
test("what was refused is kept until something is done about it", async (t) => {
  const {ann} = await alone(t);
  await ann.says(TOO_LONG);
  await ann.page.getByText("Not sent: it is too long.").first().waitFor();
  const told = () => ann.page.locator("#announcer").innerText();
  await becomes(async () => (await told()).includes("Not sent: it is too long."), true);
  assert.equal(await ann.composer.inputValue(), "");
  await ann.page.reload();
  await ann.isReading("Garden");
  await becomes(() => ann.states(), ["refused"]);
  // In another room it is out of sight, and back here it is there again.
  await ann.makes("Kitchen");
  assert.deepEqual(await ann.states(), []);
  await ann.enters("Garden");
  await becomes(() => ann.states(), ["refused"]);
  await ann.button("Try again").click();
  await becomes(async () => (await told()).includes("Not sent: it is too long."), true);
  await becomes(() => ann.states(), ["refused"]);
  await ann.button("Edit").click();
  assert.equal(await ann.composer.inputValue(), TOO_LONG);
  await becomes(() => ann.states(), []);
  await ann.says("short");
  await becomes(() => ann.states(), ["safe"]);
  await ann.page.reload();
  await becomes(() => ann.states(), ["safe"]);
});

// Once it stood there twice until the ack was there: as it was in the history, and as unsent.
test("what the history has already is not shown as unsent, too", async (t) => {
  const {ann, program} = await alone(t);
  let isHeard = true;
  await ann.page.routeWebSocket("**/ws", (socket) => {
    const server = socket.connectToServer();
    const typeOf = (text) => JSON.parse(text).type;
    socket.onMessage((text) => { if (isHeard || typeOf(text) !== "chat") server.send(text); });
    server.onMessage((text) => { if (!["chat", "ack"].includes(typeOf(text))) socket.send(text); });
  });
  await ann.page.reload();
  await ann.isReading("Garden");
  await ann.says("stored");
  await until("the message", async () => (await program.log("garden")).length === 1);
  isHeard = false;
  await ann.says("not stored");
  await becomes(() => ann.states(), ["sending", "sending"]);
  await ann.page.reload();
  await ann.isReading("Garden");
  await ann.button("1 here").waitFor();
  await becomes(() => ann.texts(), ["stored", "not stored"]);
  await becomes(() => ann.states(), ["safe", "sending"]);
});

// Once an own message kept the time of this computer's clock for as long as it was shown.
test("an own message has the server's time", async (t) => {
  const {ann, program} = await alone(t);
  await ann.page.clock.install({time: Date.now() - 3 * 3_600_000});
  await ann.page.reload();
  await ann.isReading("Garden");
  await ann.says("now");
  await becomes(() => ann.states(), ["safe"]);
  const [{at}] = await program.log("garden");
  const shown = await ann.page.locator("#messages time").getAttribute("datetime");
  assert.equal(Date.parse(shown), at);
});

// Once "Today" stood above what was said yesterday until somebody said something more.
test("at midnight today becomes yesterday", async (t) => {
  const {ann} = await alone(t);
  await ann.says("late");
  await becomes(() => ann.states(), ["safe"]);
  const evening = new Date().setUTCHours(23, 59, 0, 0);
  await ann.page.clock.install({time: evening});
  await ann.page.reload();
  await ann.isReading("Garden");
  const day = ann.page.locator("#messages .day");
  await becomes(() => day.allInnerTexts(), ["Today"]);
  await ann.page.clock.fastForward(120_000);
  await becomes(() => day.allInnerTexts(), ["Yesterday"]);
});

// Once it was out of sight until the room was opened again: the newest were asked for once.
test("what is said from far back is counted until the newest are there, and then shown", async (t) => {
  const {ann, program} = await alone(t);
  await ann.makes("Kitchen");
  for (let number = 1; number <= 300; number += 1) await program.says("garden", `line ${number}`);
  const away = (route) => route.abort();
  await ann.enters("Garden");
  await ann.page.locator("#newest").waitFor();
  await ann.page.evaluate(() => { document.getElementById("log").scrollTop = 0; });
  await becomes(async () => (await ann.texts()).includes("line 300"), false);
  await ann.page.route("**/messages?*", away);
  await ann.says("from afar");
  await becomes(() => ann.composer.inputValue(), "");
  await ann.page.unroute("**/messages?*", away);
  await ann.page.getByText("from afar").waitFor();
});
