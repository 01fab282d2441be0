// What the page keeps in the browser, and what it does where a browser keeps nothing.

import assert from "node:assert/strict";
import {afterEach, test} from "node:test";

const listeners = [];
globalThis.addEventListener = (type, listener, {signal}) => {
  if (!signal.aborted) listeners.push({type, listener, signal});
};
const happens = (type, event) => {
  const living = listeners.filter((one) => one.type === type && !one.signal.aborted);
  for (const {listener} of living) listener(event);
};
/** What happens when the page is left. */
const leave = () => {
  happens("pagehide", {});
  listeners.length = 0;
};

class Storage {
  #map = new Map();
  get length() { return this.#map.size; }
  key(index) { return [...this.#map.keys()][index] ?? null; }
  getItem(key) { return this.#map.get(key) ?? null; }
  setItem(key, value) { this.#map.set(key, String(value)); }
  removeItem(key) { this.#map.delete(key); }
  get text() { return JSON.stringify([...this.#map]); }
}

const set = (storage) => {
  const value = {configurable: true, get: storage};
  Object.defineProperty(globalThis, "localStorage", value);
};
const {Drafts, ReadPositions} = await import("../../../src/web/page/keep.js");

afterEach(leave);

/** Those of one tab, and what ends it. */
function tab(userId = 1, onChange = () => {}) {
  const ended = new AbortController();
  return Object.assign(new ReadPositions(userId, onChange, ended.signal), {ended});
}

test("read positions outlive a page, by account and database", () => {
  const storage = new Storage();
  set(() => storage);
  const first = tab();
  assert.equal(first.isNew, true);
  first.belongTo("log-a");
  first.agree([{roomId: 7, count: 20, head: 24}]);
  assert.deepEqual([first.isNew, first.of(7)], [false, {count: 20, seq: 24}]);
  first.reach(7, {count: 30, seq: 34});
  first.reach(7, {count: 29, seq: 33});
  leave();
  const second = tab();
  assert.equal(second.isNew, false);
  second.belongTo("log-a");
  assert.deepEqual(second.of(7), {count: 30, seq: 34});
  assert.equal(tab(2).isNew, true);
  second.belongTo("log-b");
  assert.equal(second.of(7), undefined);
  assert.equal(second.isNew, true);
});

// Once each tab knew only what it had read by itself until it was loaded anew, and counted as unread
// what was read in the other.
test("of two tabs, the one that has read further is right, and tells the other", () => {
  const storage = new Storage();
  set(() => storage);
  let told = 0;
  const tabs = [tab(), tab(1, () => { told += 1; })];
  for (const one of tabs) {
    one.belongTo("log");
    one.agree([7, 8, 9].map((roomId) => ({roomId, count: 1, head: 1})));
  }
  tabs[0].reach(7, {count: 40, seq: 40});
  tabs[1].reach(8, {count: 5, seq: 5});
  const before = told;
  tabs[0].ended.abort();
  assert.equal(tabs[1].of(7).count, 1);
  happens("storage", {key: "parlor.read.2"});
  assert.equal(told, before);
  happens("storage", {key: "parlor.read.1"});
  assert.equal(told, before + 1);
  assert.deepEqual([7, 8, 9].map((roomId) => tabs[1].of(roomId).count), [40, 5, 1]);
  leave();
  assert.deepEqual([7, 8, 9].map((roomId) => tab().of(roomId).count), [40, 5, 1]);
});

test("rooms that are gone are forgotten, and what a crash lost was not read", () => {
  const storage = new Storage();
  set(() => storage);
  const first = tab();
  first.belongTo("log");
  first.agree([7, 8, 9].map((roomId) => ({roomId, count: 10, head: 10})));
  first.forget(8);
  leave();
  const second = tab();
  second.belongTo("log");
  assert.equal(second.of(8), undefined);
  second.agree([{roomId: 7, count: 9, head: 9}, {roomId: 10, count: 3, head: 3}]);
  assert.deepEqual([7, 9, 10].map((roomId) => second.of(roomId)),
    [{count: 9, seq: 9}, undefined, undefined]);
  assert.deepEqual(tab().of(7), {count: 9, seq: 9});
});

test("what a tab read of another database is not taken for what is read of this one", () => {
  const storage = new Storage();
  set(() => storage);
  const old = tab();
  old.belongTo("log-a");
  old.reach(7, {count: 30, seq: 30});
  leave();
  // A copy was put back: its room 7 is another.
  const present = tab();
  present.belongTo("log-b");
  present.reach(7, {count: 1, seq: 1});
  leave();
  const next = tab();
  next.belongTo("log-b");
  assert.deepEqual([next.of(7), next.isNew], [{count: 1, seq: 1}, false]);
});

test("drafts are kept until they are sent or the person signs out", () => {
  const storage = new Storage();
  set(() => storage);
  const [ann, bob] = [new Drafts(1), new Drafts(2)];
  ann.set("general", "a");
  ann.set("den", "b");
  bob.set("general", "c");
  assert.equal(new Drafts(1).of("general"), "a");
  ann.set("den", "");
  assert.equal(ann.of("den"), "");
  ann.clear();
  assert.equal(ann.of("general"), "");
  assert.equal(bob.of("general"), "c");
  assert.ok(!storage.text.includes("\"a\""));
});

// Once a tab that was opened before with an empty field took away what was written in another.
test("nothing does not take the place of what another tab has kept since", () => {
  const storage = new Storage();
  set(() => storage);
  const [older, newer] = [new Drafts(1), new Drafts(1)];
  for (const tab of [older, newer]) assert.equal(tab.of("general"), "");
  newer.set("general", "half a thought");
  older.set("general", "");
  older.set("general", "");
  assert.equal(newer.of("general"), "half a thought");
  newer.set("general", "");
  assert.equal(older.of("general"), "");
});

test("what was refused is kept until something is done about it", () => {
  const storage = new Storage();
  set(() => storage);
  const drafts = new Drafts(1);
  const [one, two] = ["1", "2"].map((id) => ({id, message: `text ${id}`, why: "too long"}));
  for (const refusal of [one, two, one]) drafts.refuse("general", refusal);
  assert.deepEqual(new Drafts(1).refused("general"), [two, one]);
  assert.deepEqual([drafts.refused("den"), new Drafts(2).refused("general")], [[], []]);
  assert.equal(drafts.of("general"), "");
  drafts.refuse("den", two);
  assert.equal(drafts.refusals, 3);
  drafts.settle("den", "2");
  drafts.settle("general", "2");
  assert.deepEqual(drafts.refused("general"), [one]);
  drafts.clear();
  assert.deepEqual(drafts.refused("general"), []);
});

// Once what was stored came back in the place of what was written since, and could not be cleared.
test("with a full storage, the page remembers what is newer than what is stored", () => {
  const storage = new Storage();
  set(() => storage);
  const drafts = new Drafts(4);
  drafts.set("general", "old");
  storage.setItem = () => { throw new Error("full"); };
  drafts.set("general", "new");
  for (const id of ["1", "2"]) drafts.refuse("general", {id, message: id, why: "too long"});
  assert.equal(drafts.of("general"), "new");
  assert.deepEqual([drafts.refused("general").length, drafts.refusals], [2, 2]);
  drafts.set("general", "");
  assert.equal(drafts.of("general"), "");
  drafts.clear();
  assert.deepEqual([drafts.refusals, storage.length], [0, 0]);
});

test("without storage, the page remembers for as long as it is open", () => {
  set(() => { throw new Error("not allowed"); });
  const drafts = new Drafts(3);
  drafts.set("general", "a");
  assert.equal(drafts.of("general"), "a");
  drafts.clear();
  assert.equal(drafts.of("general"), "");
  const reads = tab(3);
  reads.reach(1, {count: 2, seq: 2});
  leave();
  assert.equal(tab(3).of(1).count, 2);
});
