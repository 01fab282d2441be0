// The window over a room's log: bounded, without gaps, wherever it is moved and whatever is said
// meanwhile.

import assert from "node:assert/strict";
import {test} from "node:test";
import {Timeline} from "../../../src/web/page/timeline.js";

/** A room as the server has it. */
class Log {
  seqs = [];
  say(count = 1) {
    const said = [];
    for (; count > 0; count -= 1) {
      said.push({seq: (this.seqs.at(-1) ?? 0) + 1});
      this.seqs.push(said.at(-1).seq);
    }
    return said;
  }
  page({before = Infinity, after, limit}) {
    const fit = this.seqs.filter((seq) => (after === undefined ? seq < before : seq > after));
    const seqs = after === undefined ? fit.slice(-limit) : fit.slice(0, limit);
    const [head, count] = [this.seqs.at(-1) ?? 0, this.seqs.length];
    return {messages: seqs.map((seq) => ({seq})), hasMore: fit.length > seqs.length, head, count};
  }
}

const seqs = (timeline) => timeline.messages.map(({seq}) => seq);
const range = (from, to) => Array.from({length: to - from + 1}, (_, index) => from + index);

test("the newest page is live", () => {
  const log = new Log();
  log.say(30);
  const timeline = new Timeline(20);
  timeline.reset(log.page({limit: 10}));
  assert.deepEqual(seqs(timeline), range(21, 30));
  assert.equal(timeline.live, true);
  assert.equal(timeline.atBeginning, false);
  assert.equal(timeline.hear(log.say()[0], true), true);
  assert.deepEqual(seqs(timeline), range(21, 31));
});

test("an empty room is at its beginning", () => {
  const timeline = new Timeline(20);
  timeline.reset(new Log().page({limit: 10}));
  assert.equal(timeline.atBeginning && timeline.live, true);
  assert.equal(timeline.hear({seq: 1}, true), true);
});

test("who goes far back leaves the live end, and finds it again", () => {
  const log = new Log();
  log.say(100);
  const timeline = new Timeline(20);
  timeline.reset(log.page({limit: 10}));
  while (!timeline.atBeginning) timeline.prepend(log.page({before: timeline.first, limit: 10}));
  assert.deepEqual(seqs(timeline), range(1, 20));
  assert.equal(timeline.live, false);
  for (const message of log.say(5)) assert.equal(timeline.hear(message, false), false);
  while (!timeline.live) timeline.append(log.page({after: timeline.last, limit: 10}));
  assert.deepEqual(seqs(timeline), range(86, 105));
  assert.equal(timeline.atBeginning, false);
});

test("it begins where somebody has read up to, and goes on from there to the live end", () => {
  const log = new Log();
  log.say(100);
  const timeline = new Timeline(40);
  timeline.resetBehind(log.page({after: 30, limit: 10}), 30);
  timeline.prepend(log.page({before: 31, limit: 5}));
  assert.deepEqual(seqs(timeline), range(26, 40));
  assert.equal(timeline.live, false);
  assert.deepEqual([26, 30, 40].map((seq) => timeline.countAt(seq)), [26, 30, 40]);
  for (const message of log.say(5)) timeline.hear(message, false);
  while (!timeline.live) timeline.append(log.page({after: timeline.last, limit: 10}));
  assert.deepEqual(seqs(timeline), range(66, 105));
  timeline.resetBehind(log.page({after: 100, limit: 10}), 100);
  assert.deepEqual([timeline.live, ...seqs(timeline)], [true, ...range(101, 105)]);
});

test("what is said while the last page is on its way follows it", () => {
  const log = new Log();
  log.say(40);
  const timeline = new Timeline(20);
  timeline.reset(log.page({limit: 10}));
  for (let pages = 0; pages < 3; pages += 1) {
    timeline.prepend(log.page({before: timeline.first, limit: 10}));
  }
  const page = log.page({after: timeline.last, limit: 50});
  for (const message of log.say(3)) timeline.hear(message, false);
  timeline.append(page);
  assert.deepEqual(seqs(timeline), range(24, 43));
});

test("too much said meanwhile makes no gap", () => {
  const log = new Log();
  log.say(40);
  const timeline = new Timeline(20);
  timeline.reset(log.page({limit: 10}));
  while (timeline.live) timeline.prepend(log.page({before: timeline.first, limit: 10}));
  const page = log.page({after: timeline.last, limit: 50});
  for (const message of log.say(30)) timeline.hear(message, false);
  timeline.append(page);
  assert.equal(timeline.live, false);
  while (!timeline.live) timeline.append(log.page({after: timeline.last, limit: 10}));
  assert.deepEqual(seqs(timeline), range(51, 70));
});

// Once all that was said while the last page was on its way came at once and drove out what was in
// view, so that whoever read there was carried off.
test("what is being read is not let go for much that was said while a page was on its way", () => {
  const log = new Log();
  log.say(80);
  const timeline = new Timeline(40);
  timeline.reset(log.page({limit: 40}));
  while (timeline.live) timeline.prepend(log.page({before: timeline.first, limit: 10}));
  const page = log.page({after: timeline.last, limit: 50});
  const read = timeline.last;
  for (const message of log.say(40)) timeline.hear(message, false);
  timeline.append(page);
  assert.ok(seqs(timeline).includes(read));
  while (!timeline.live) timeline.append(log.page({after: timeline.last, limit: 10}));
  assert.deepEqual(seqs(timeline), range(81, 120));
});

test("nothing that is being read is let go for what is said", () => {
  const log = new Log();
  log.say(20);
  const timeline = new Timeline(20);
  timeline.reset(log.page({limit: 20}));
  assert.equal(timeline.hear(log.say()[0], false), false);
  assert.deepEqual(seqs(timeline), range(1, 20));
  timeline.append(log.page({after: timeline.last, limit: 10}));
  assert.deepEqual(seqs(timeline), range(2, 21));
});

test("what a crash lost is taken back", () => {
  const timeline = new Timeline(20);
  timeline.reset({messages: [{seq: 1}, {seq: 2}], hasMore: false, count: 2});
  for (const seq of [3, 4]) timeline.hear({seq}, true);
  assert.equal(timeline.count, 4);
  timeline.retract({after: 2, before: 9});
  timeline.hear({seq: 9}, true);
  assert.deepEqual(seqs(timeline), [1, 2, 9]);
  assert.deepEqual([2, 9].map((seq) => timeline.countAt(seq)), [2, 3]);
});

test("whatever is done, it is bounded and has no gap", () => {
  let seed = 11;
  const next = (below) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor(seed / 2 ** 31 * below);
  };
  for (let run = 0; run < 300; run += 1) {
    const log = new Log();
    log.say(next(80));
    const timeline = new Timeline(12);
    timeline.reset(log.page({limit: 8}));
    for (let step = 0; step < 60; step += 1) {
      const limit = 1 + next(8);
      const page = [
        () => log.page({before: timeline.first, limit}),
        () => log.page({after: timeline.last ?? 0, limit}),
        () => log.page({limit}),
        () => log.page({after: next(log.seqs.length + 1), limit}),
      ];
      const kind = next(5);
      const asked = page[kind]?.();
      if (next(2)) for (const message of log.say(next(20))) timeline.hear(message, next(2) === 0);
      if (kind === 0 && asked.messages.at(-1)?.seq === (timeline.first ?? 0) - 1) {
        timeline.prepend(asked);
      }
      if (kind === 1 && asked.messages[0]?.seq === (timeline.last ?? 0) + 1) timeline.append(asked);
      if (kind === 2 && !timeline.live) timeline.reset(asked);
      if (kind === 3 && !timeline.live && asked.messages.length > 0) {
        timeline.resetBehind(asked, asked.messages[0].seq - 1);
      }
      const shown = seqs(timeline);
      assert.ok(shown.length <= 12);
      assert.deepEqual(shown, range(shown[0] ?? 1, shown.at(-1) ?? 0));
      if (timeline.live) assert.equal(timeline.last ?? 0, log.seqs.at(-1) ?? 0);
      if (timeline.atBeginning) assert.equal(timeline.first ?? 1, 1);
      for (const seq of shown) assert.equal(timeline.countAt(seq), seq);
    }
  }
});

// What a person says on another device was shown without a mark for as long as the room was open.
test("what is heard is safe once somebody tells that the disk has it, or something after it", () => {
  const log = new Log();
  const [first] = log.say(10);
  const timeline = new Timeline(20);
  assert.equal(timeline.isSafe(first), false);
  timeline.reset({...log.page({limit: 5}), head: 10});
  assert.equal(timeline.isSafe(first), true);
  const heard = log.say(2);
  for (const message of heard) timeline.hear(message, true);
  const safe = () => heard.map((message) => timeline.isSafe(message));
  assert.deepEqual(safe(), [false, false]);
  timeline.storedUpTo(11);
  assert.deepEqual(safe(), [true, false]);
  timeline.storedUpTo(undefined);
  timeline.storedUpTo(4);
  assert.deepEqual(safe(), [true, false], "it is never taken back");
  timeline.prepend({...log.page({before: 6, limit: 5}), head: 12});
  assert.deepEqual(safe(), [true, true]);
});
