// Texts, plurals, days and groups.

import assert from "node:assert/strict";
import {readdirSync, readFileSync} from "node:fs";
import {test} from "node:test";
import {daysBetween, standing} from "../../../src/web/page/grouping.js";
import {dayName} from "../../../src/web/page/times.js";
import {typingText} from "../../../src/web/page/typing.js";
import {choose, fault, reason, say, tables, translator} from "../../../src/web/page/words.js";

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

test("what is wrong with a field is told in our words, or else in the server's", () => {
  assert.equal(fault("slug", "must be lower case"), say("faults.slug"));
  assert.equal(fault("hue", "must be a colour"), "Must be a colour");
});

const read = (path) => readFileSync(new URL(path, PAGE), "utf8");
const quotedIn = (source) => [...source.matchAll(/["'`]([\w.-]+)["'`]/g)].map(([, text]) => text);

test("every text that is asked for is in the table, and none is there in vain", () => {
  const isPart = (name) => /\.(js|html)$/.test(name) && name !== "words.js";
  const source = readdirSync(PAGE).filter(isPart).map(read).join("\n") + read("words.js")
    .slice(read("words.js").indexOf("export const tables"));
  const isText = (part) => typeof part === "string" || "other" in part;
  const asked = new Set();
  for (const [, section, name] of source.matchAll(/["`](\w+)\.(\w+)["`]/g)) {
    if (Object.hasOwn(tables.en, section)) asked.add(`${section}.${name}`);
  }
  // Of some, a part of the name is what happened.
  const link = read("link.js");
  const [kinds] = /\n  #key\(\) \{.*?\n  \}/s.exec(link);
  const told = [...link.matchAll(/#tell\("(\w+)"\)/g)].map(([, kind]) => kind);
  const states = ["open", "catching-up"];
  const forms = [...read("index.html").matchAll(/<input [^>]*?\bname="(\w+)"([^>]*)/gs)]
    .filter(([, , rest]) => !rest.includes("checkbox")).map(([, name]) => name);
  const protocol = read("../../protocol/protocol.md");
  const codes = [...protocol.matchAll(/^\| `(\w+)` \| [\d-]+ \| (?:no|yes) /gm)];
  const own = `${source}\n${read("../library/parlor.js")}`.matchAll(/ParlorError\("(\w+)"/g);
  const happens = {
    talk: ["sending", "heard", "safe"],
    link: [...quotedIn(kinds).filter((kind) => !states.includes(kind)), ...told],
    faults: forms,
    errors: [...codes, ...own].map(([, code]) => code),
  };
  const templates = [...source.matchAll(/`(\w+)\.\$\{/g)].map(([, section]) => section);
  const parts = templates.filter((section) => Object.hasOwn(tables.en, section));
  assert.deepEqual(new Set(parts), new Set(Object.keys(happens)));
  for (const [section, names] of Object.entries(happens)) {
    assert.ok(names.length > 2, section);
    for (const name of names) {
      // A code without words of ours is told in the server's.
      if (section !== "errors" || name in tables.en.errors) asked.add(`${section}.${name}`);
    }
  }
  const there = Object.entries(tables.en).flatMap(([section, texts]) =>
    Object.entries(texts).map(([name, text]) => {
      assert.ok(isText(text), `${section}.${name}`);
      return `${section}.${name}`;
    }));
  // This one is shown where no script runs.
  asked.add("app.noScript");
  assert.ok(read("index.html").includes(tables.en.app.noScript));
  assert.deepEqual([...asked].sort(), there.sort());
});

test("messages stand together by author and day, for 5 minutes and 15 of them at most", () => {
  const noon = new Date(2026, 10, 23, 12, 0).getTime();
  const said = (seq, minutes, userId = 1) => ({seq, userId, at: noon + minutes * 60_000});
  /** Which of them are heads; `D` where a day begins. */
  const stands = (...messages) => {
    let previous;
    return messages.map((message) => {
      previous = standing(previous, message);
      return previous.day ? "D" : previous.head ? "h" : "-";
    }).join("");
  };
  assert.equal(stands(said(15, 0), said(16, 1), said(17, 4.9), said(18, 5), said(19, 9)), "D--h-");
  assert.equal(stands(said(15, 0), said(16, 0, 2), said(17, 0), said(18, 12 * 60)), "DhhD");
  const many = Array.from({length: 40}, (_, index) => said(index + 1, 0));
  const all = stands(...many);
  assert.equal(all, `D${"-".repeat(13)}h${"-".repeat(14)}h${"-".repeat(10)}`);
  // Whatever is loaded before them.
  for (const from of [1, 7, 20]) {
    assert.equal(stands(...many.slice(from)).slice(1), all.slice(from + 1));
  }
  // What waits to be sent stands as it will.
  const waiting = many.map((said, index) => (index < 10 ? said : {...said, seq: undefined}));
  assert.equal(stands(...waiting), all);
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
