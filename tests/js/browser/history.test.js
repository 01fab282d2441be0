// A long history: any of it can be read, the document stays small, and the line that somebody reads
// stays where it is.

import assert from "node:assert/strict";
import {test} from "node:test";

import {Server} from "../server.js";
import {becomes, Person, Program, until} from "./kit.js";

const MESSAGES = 50_000;
const MOST_NODES = 300;
const MOST_PIXELS = 1;

/** Of many heights: words, long lines, code, lists and quotes. */
function text(number) {
  const word = `message ${number} `;
  switch (number % 11) {
    case 3: return word + "and many words behind it ".repeat(1 + (number % 37));
    case 5: return `${word}\n\`\`\`\n${"let line = of(code);\n".repeat(1 + (number % 13))}\`\`\``;
    case 7: return `${word}\n- one\n- two\n- three`;
    case 9: return `${word}\n> ${"quoted ".repeat(number % 50)}`;
    default: return word;
  }
}

/** Says all of them over one socket, as fast as that takes them. */
async function fill(server, {token}, roomId) {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws?token=${token}`);
  let heard = 0;
  socket.onmessage = ({data}) => { heard += data.startsWith('{"type":"chat"') ? 1 : 0; };
  await new Promise((resolve) => { socket.onopen = resolve; });
  const give = (frame) => socket.send(JSON.stringify(frame));
  give({type: "join_room", roomId});
  for (let number = 1; number <= MESSAGES; number += 1) {
    give({type: "chat", roomId, message: text(number)});
    if (number - heard > 2000) await until("an echo", () => number - heard < 1000);
  }
  await until("the last echo", () => heard === MESSAGES);
  socket.close();
}

/**
 * In the page: goes through the history, `way` -1 or 1, until the message `end` is loaded, always to
 * half a height from where what is loaded ends. Between two moves of its own nothing in view may
 * move: every frame is compared with the one before it.
 */
function walk({way, end}) {
  const box = document.getElementById("log");
  const list = document.getElementById("messages");
  const frame = () => new Promise((resolve) => { requestAnimationFrame(resolve); });
  const edge = () => Number((way < 0 ? list.firstElementChild : list.lastElementChild).dataset.seq);
  const left = () => (way < 0 ? box.scrollTop : box.scrollHeight - box.scrollTop - box.clientHeight);
  const places = () => {
    const {top, bottom} = box.getBoundingClientRect();
    const found = new Map();
    for (const item of list.children) {
      const place = item.querySelector(".body").getBoundingClientRect();
      if (place.bottom > top && place.top < bottom) found.set(item.dataset.seq, place.top);
    }
    return found;
  };
  const seen = {moved: 0, nodes: 0, pages: 0, frames: 0};
  const compare = (before, after) => {
    let common = 0;
    for (const [seq, top] of after) {
      if (!before.has(seq)) continue;
      common += 1;
      seen.moved = Math.max(seen.moved, Math.abs(top - before.get(seq)));
    }
    if (common === 0) seen.moved = Infinity; // What was read is gone.
    seen.frames += 1;
    seen.nodes = Math.max(seen.nodes, list.querySelectorAll("li.message").length);
  };
  const met = new Set();
  const isAtEnd = () => (way < 0 ? edge() <= end : edge() >= end);
  return (async () => {
    while (!isAtEnd() || left() > 0) {
      const rest = isAtEnd() ? 0 : box.clientHeight / 2;
      const far = edge();
      for (const {dataset} of list.children) met.add(dataset.seq);
      box.scrollTop += way * (left() - rest);
      let before = places();
      // A page is due: until it is there, and for a frame more, nothing moves.
      for (let isThere = isAtEnd(); ; isThere = edge() !== far) {
        await frame();
        const after = places();
        compare(before, after);
        before = after;
        if (isThere) break;
      }
      seen.pages += edge() === far ? 0 : 1;
    }
    return {...seen, met: met.size};
  })();
}

test(`${MESSAGES} messages are walked through to the first and back`, async (t) => {
  const server = await Server.start(t);
  const bob = await Program.signUp(server, "bob");
  const {roomId} = await bob.makes("Garden");
  await fill(server, bob, roomId);
  const ann = await Person.arrive(t, server.url);
  await ann.signsUp("ann", {path: "/r/garden"});
  await ann.isReading("Garden");
  const there = await ann.page.evaluate(walk, {way: -1, end: 1});
  await ann.page.getByText("This is where “Garden” begins.").waitFor();
  assert.equal(there.met, MESSAGES);
  // Some way back by hand, and then to the newest at once.
  const back = await ann.page.evaluate(walk, {way: 1, end: 2050});
  for (const {moved, nodes} of [there, back]) {
    assert.ok(nodes <= MOST_NODES, `${nodes} messages in the document`);
    assert.ok(moved <= MOST_PIXELS, `moved by ${moved} px`);
  }
  await ann.button("Newest messages").click();
  await ann.page.locator(`[data-seq="${MESSAGES}"]`).waitFor();
  await becomes(() => ann.page.locator("#newest").isHidden(), true);
  const nodes = Math.max(there.nodes, back.nodes);
  const moved = Math.max(there.moved, back.moved);
  t.diagnostic(`history: ${there.pages + back.pages} pages, at most ${nodes} messages in the ` +
    `document, the line being read moved ${moved} px`);
});
