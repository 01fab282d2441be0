// A name shows what it consists of, and nothing passes for another.

import assert from "node:assert/strict";
import {test} from "node:test";
import {roomName, visible} from "../../../src/web/page/names.js";

test("a room is shown by what is to be seen of its name, or by its address", () => {
  const shown = (name) => roomName({name, slug: "den"});
  assert.equal(shown("Gen\u200beral\u202e\u2066\u00ad"), "General");
  for (const name of ["\u200b", "\u3164", "\u2800 ", "\u202e\ufeff"]) {
    assert.equal(shown(name), "den");
  }
});

test("what scripts and emoji need is left alone", () => {
  const names = ["می\u200cخواهم", "👩\u200d🔧", "❤\ufe0f", "🏴\u{e0067}\u{e007f}", "a\tb", "Büro"];
  for (const name of names) {
    assert.equal(visible(name), name);
  }
});
