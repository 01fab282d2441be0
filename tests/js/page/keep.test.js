// What the page keeps in the browser, and what it does where a browser keeps nothing.

import assert from "node:assert/strict";
import {afterEach, test} from "node:test";

const leaving = [];
globalThis.addEventListener = (type, listener) => leaving.push(listener);
/** What happens when the page is left. */
const leave = () => leaving.splice(0).forEach((listener) => listener());

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

test("read positions outlive a page, by account and database", () => {
  const storage = new Storage();
  set(() => storage);
  const first = new ReadPositions(1);
  assert.equal(first.isNew, true);
  first.belongTo("log-a");
  first.set(7, 30);
  leave();
  const second = new ReadPositions(1);
  assert.equal(second.isNew, false);
  second.belongTo("log-a");
  assert.equal(second.of(7), 30);
  assert.equal(new ReadPositions(2).isNew, true);
  second.belongTo("log-b");
  assert.equal(second.of(7), undefined);
  assert.equal(second.isNew, true);
});

test("of two tabs, the one that has read further is right", () => {
  const storage = new Storage();
  set(() => storage);
  const tabs = [new ReadPositions(1), new ReadPositions(1)];
  tabs.forEach((tab, index) => {
    tab.belongTo("log");
    tab.set(7, 40 - index);
    tab.set(8 + index, 5);
  });
  leave();
  const third = new ReadPositions(1);
  assert.deepEqual([7, 8, 9].map((roomId) => third.of(roomId)), [40, 5, 5]);
});

test("what a tab read of another database is not taken for what is read of this one", () => {
  const storage = new Storage();
  set(() => storage);
  const old = new ReadPositions(1);
  old.belongTo("log-a");
  old.set(7, 30);
  leave();
  // A copy was put back: its room 7 is another.
  const tab = new ReadPositions(1);
  tab.belongTo("log-b");
  tab.set(7, 1);
  leave();
  const next = new ReadPositions(1);
  next.belongTo("log-b");
  assert.deepEqual([next.of(7), next.isNew], [1, false]);
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

test("without storage, the page remembers for as long as it is open", () => {
  set(() => { throw new Error("not allowed"); });
  const drafts = new Drafts(3);
  drafts.set("general", "a");
  assert.equal(drafts.of("general"), "a");
  drafts.clear();
  assert.equal(drafts.of("general"), "");
  const reads = new ReadPositions(3);
  reads.set(1, 2);
  leave();
  assert.equal(new ReadPositions(3).of(1), 2);
});
