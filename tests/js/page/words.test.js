// Texts, plurals, days and groups.

import assert from "node:assert/strict";
import {readdirSync, readFileSync} from "node:fs";
import {test} from "node:test";
import {daysBetween, standing} from "../../../src/web/page/grouping.js";
import {dayName} from "../../../src/web/page/times.js";
import {typingText} from "../../../src/web/page/typing.js";
import {choose, reason, say, tables, translator} from "../../../src/web/page/words.js";

const PAGE = new URL("../../../src/web/page/", import.meta.url);

test("the first language that there is a table for is chosen", () => {
  const available = {en: {a: "a"}, de: {a: "ä"}};
  assert.equal(choose(["fr-FR", "de-AT", "en"], available).table, available.de);
  assert.equal(choose(["fr-FR", "de-AT", "en"], available).language, "de-AT");
  assert.equal(choose(["constructor"], available).table, available.en);
  assert.equal(choose([], available).language, "en");
});

test("a text takes its values, and its form by their count", () => {
  const table = {a: {b: "{x} and {y}"}, c: {one: "{count} thing", other: "{count} things"}};
  const say = translator({language: "en", table});
  assert.equal(say("a.b", {x: "{y}", y: "$&"}), "{y} and $&");
  assert.equal(say("c", {count: 1}), "1 thing");
  assert.equal(say("c", {count: 1200}), "1,200 things");
  assert.equal(say("no.such"), "no.such");
});

test("an error is told in our words, or else in the server's", () => {
  assert.equal(reason({code: "network", message: "x"}), say("errors.network"));
  assert.equal(reason({code: "new_code", message: "x"}), "x");
});

test("every text that is asked for is in the table, and none is there in vain", () => {
  const isPart = (name) => /\.(js|html)$/.test(name) && name !== "words.js";
  const read = (name) => readFileSync(new URL(name, PAGE), "utf8");
  const source = readdirSync(PAGE).filter(isPart).map(read).join("\n");
  const keys = [];
  const walk = (part, path) => {
    for (const [name, value] of Object.entries(part)) {
      const isText = typeof value === "string" || "other" in value;
      if (isText) keys.push([...path, name].join("."));
      else walk(value, [...path, name]);
    }
  };
  walk(tables.en, []);
  const quoted = /["`]((?:app|signin|rooms|create|account|talk|composer|link)\.\w+)["`]/g;
  for (const [, key] of source.matchAll(quoted)) assert.ok(keys.includes(key), key);
  for (const key of keys) {
    const [section, name] = key.split(".");
    const states = ["sending", "heard", "safe"];
    const byState = section === "link" || (section === "talk" && states.includes(name));
    const named = section === "errors" || byState ||
      source.includes(`"${key}"`) || key === "app.noScript";
    assert.ok(named, `${key} is not used`);
  }
});

test("messages stand together by author and time", () => {
  const at = new Date(2026, 10, 23, 12, 0).getTime();
  const minutes = (count) => count * 60_000;
  const first = {userId: 1, at};
  assert.deepEqual(standing(undefined, first), {day: true, head: true});
  const group = (message) => standing(first, message);
  assert.deepEqual(group({userId: 1, at: at + minutes(5)}), {day: false, head: false});
  assert.deepEqual(group({userId: 1, at: at + minutes(6)}), {day: false, head: true});
  assert.deepEqual(group({userId: 2, at: at + 1}), {day: false, head: true});
  assert.deepEqual(group({userId: 1, at: at + minutes(12 * 60)}), {day: true, head: true});
});

test("days are named by the calendar", () => {
  const now = new Date(2026, 10, 23, 0, 5).getTime();
  assert.equal(dayName(now - 1, now), say("talk.today"));
  assert.equal(dayName(now - 6 * 60_000, now), say("talk.yesterday"));
  const [late, early] = [new Date(2026, 2, 28, 23), new Date(2026, 2, 30, 1)];
  assert.equal(daysBetween(late.getTime(), early.getTime()), 2);
  assert.match(dayName(new Date(2026, 10, 1, 9).getTime(), now), /1/);
  assert.match(dayName(new Date(2025, 10, 1, 9).getTime(), now), /2025/);
});

test("who is writing", () => {
  assert.equal(typingText([]), "");
  assert.equal(typingText(["ann"]), "ann is writing…");
  assert.equal(typingText(["ann", "bob"]), "ann, bob are writing…");
  assert.equal(typingText(["a", "b", "c", "d"]), say("talk.manyTyping"));
});
