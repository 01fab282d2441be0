// Which keys send what is written.

import assert from "node:assert/strict";
import {test} from "node:test";
import {isSending} from "../../../src/web/page/composer.js";

const ENTER = {key: "Enter", keyCode: 13, isComposing: false};

test("Enter sends where there are keys, and begins a line where they are on the screen", () => {
  assert.equal(isSending(ENTER, false), true);
  assert.equal(isSending(ENTER, true), false);
  assert.equal(isSending({...ENTER, shiftKey: true}, false), false);
  assert.equal(isSending({...ENTER, key: "a", ctrlKey: true}, false), false);
});

test("with Control or Command, Enter sends everywhere", () => {
  for (const isOnScreen of [false, true]) {
    for (const key of ["ctrlKey", "metaKey"]) {
      assert.equal(isSending({...ENTER, [key]: true}, isOnScreen), true);
    }
  }
});

// Safari ends the composition before it tells of the key that ended it.
test("an Enter that takes what an input method offers sends nothing", () => {
  for (const key of [{isComposing: true}, {keyCode: 229}]) {
    assert.equal(isSending({...ENTER, ...key}, false), false);
    assert.equal(isSending({...ENTER, ...key, ctrlKey: true}, false), false);
  }
});
