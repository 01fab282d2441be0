// The browser's store of unsent messages over an IndexedDB with the rules of the real one:
// transactions that are read-only or aborted, versions that another page changes, connections that
// the browser closes.

import assert from "node:assert/strict";
import test from "node:test";

import {indexedDbStore} from "../../src/web/library/parlor.js";
import {World, record, settled} from "./world.js";

const fake = await import("fake-indexeddb").catch(() => null);
const missing = "left out: needs `npm ci --prefix tests/js`";
const needed = {skip: fake || process.env.JS_TESTS === "required" ? false : missing};
if (fake) globalThis.IDBKeyRange = fake.IDBKeyRange;

const one = {key: "k1", text: "one", order: 1};
const two = {key: "k2", text: "two", order: 2};

/** A factory whose databases are watched: `opened` has each connection. */
function browser() {
  const indexedDB = new fake.IDBFactory();
  const opened = [];
  const open = indexedDB.open.bind(indexedDB);
  indexedDB.open = (...given) => {
    const request = open(...given);
    request.addEventListener("success", () => opened.push(request.result));
    return request;
  };
  return {indexedDB, opened};
}

/** The next transaction is aborted when its request has succeeded, as by a disk that is full. */
function abortNext(database) {
  const {transaction} = database;
  database.transaction = (...given) => {
    database.transaction = transaction;
    const aborted = transaction.apply(database, given);
    const {objectStore} = aborted;
    aborted.objectStore = (name) => {
      const store = objectStore.call(aborted, name);
      const put = store.put.bind(store);
      store.put = (row) => {
        const request = put(row);
        request.addEventListener("success", () => aborted.abort());
        return request;
      };
      return store;
    };
    return aborted;
  };
}

test("what is saved is there for the next page, until it is removed", needed, async () => {
  const {indexedDB} = browser();
  const page = indexedDbStore(indexedDB);
  await page.save("a", one);
  await page.save("a", two);
  await page.save("a", {...one, text: "changed"});
  const next = indexedDbStore(indexedDB);
  assert.deepEqual(await next.load("a"), [{...one, text: "changed"}, two]);
  await next.remove("a", "k1");
  assert.deepEqual(await page.load("a"), [two]);
  await next.remove("a", "of nothing");
});

test("accounts and databases of other names are apart", needed, async () => {
  const {indexedDB} = browser();
  const store = indexedDbStore(indexedDB);
  await store.save("http://host 1", one);
  await store.save("http://host 11", two);
  await store.save("http://host 0", two);
  assert.deepEqual(await store.load("http://host 1"), [one]);
  assert.deepEqual(await store.load("http://host"), []);
  assert.deepEqual(await indexedDbStore(indexedDB, "another").load("http://host 1"), []);
});

test("what is not committed is not saved", needed, async () => {
  const {indexedDB, opened} = browser();
  const store = indexedDbStore(indexedDB);
  await store.save("a", one);
  abortNext(opened.at(-1));
  await assert.rejects(store.save("a", two), {name: "AbortError"});
  assert.deepEqual(await store.load("a"), [one]);
  await store.save("a", two);
  assert.deepEqual(await store.load("a"), [one, two]);
});

test("a page of a later version is not blocked by this one", needed, async () => {
  const {indexedDB, opened} = browser();
  const store = indexedDbStore(indexedDB);
  await store.save("a", one);
  let blocked = false;
  await new Promise((resolve, reject) => {
    const later = indexedDB.open(opened[0].name, opened[0].version + 1);
    later.onblocked = () => { blocked = true; opened[0].close(); };
    later.onerror = () => reject(later.error);
    later.onsuccess = resolve;
  });
  assert.ok(!blocked, "it lets go by itself");
  await assert.rejects(store.save("a", two));
});

test("a connection that the browser closed is opened again", needed, async () => {
  const {indexedDB, opened} = browser();
  const store = indexedDbStore(indexedDB);
  await store.save("a", one);
  fake.forceCloseDatabase(opened.at(-1));
  await settled();
  await store.save("a", two);
  assert.deepEqual(await store.load("a"), [one, two]);
});

test("an open that failed is tried again", needed, async () => {
  const {indexedDB} = browser();
  const {open} = indexedDB;
  indexedDB.open = () => {
    const request = open("broken");
    request.addEventListener("upgradeneeded", () => request.transaction.abort());
    return request;
  };
  const store = indexedDbStore(indexedDB);
  await assert.rejects(store.save("a", one), {name: "AbortError"});
  indexedDB.open = open;
  await store.save("a", one);
  assert.deepEqual(await store.load("a"), [one]);
});

test("a page says what the page before it left, once", needed, async () => {
  const {indexedDB} = browser();
  const world = new World();
  const page = async () => {
    const parlor = world.parlor({store: indexedDbStore(indexedDB), userId: 7, idPrefix: undefined});
    const errors = record(parlor, "error");
    const room = parlor.join(1, {after: 0});
    world.socket.hello();
    world.socket.joined(1);
    await quiet();
    assert.deepEqual(errors, []);
    return {parlor, room, socket: world.socket};
  };
  const first = await page();
  const ids = ["a", "b"].map((text) => first.room.send(text).id);
  await quiet();
  // The first page is gone, without a word; what it said last never reached the server.
  const second = await page();
  assert.deepEqual(second.room.unsent.map(({id}) => id), ids);
  assert.deepEqual(second.socket.said, ["a"]);
  second.socket.ack(1, ids[0]);
  second.socket.ack(2, ids[1]);
  await quiet();
  const third = await page();
  assert.deepEqual([third.room.unsent, third.socket.said], [[], []]);
});

/** The database has done what it was asked. */
async function quiet() {
  for (let round = 0; round < 20; round += 1) await settled();
}
