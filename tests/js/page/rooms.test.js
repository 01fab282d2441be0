// Of more rooms than the list shows at once.

import assert from "node:assert/strict";
import {test} from "node:test";
import {choose} from "../../../src/web/page/rooms.js";

// Once only the first by their names were shown: the title counted rooms with something new that
// nobody could find.
test("those with something new are in the list, wherever their names are", () => {
  const rooms = Array.from({length: 500}, (_, roomId) => ({roomId, unread: roomId % 100 === 99}));
  const shown = choose(rooms, 200, ({unread}) => unread).map(({roomId}) => roomId);
  assert.equal(shown.length, 200);
  assert.deepEqual(shown.slice(-4), [199, 299, 399, 499]);
  assert.deepEqual(shown, [...shown].sort((one, other) => one - other));
  assert.equal(choose(rooms, 200, () => true).length, 200);
  assert.equal(choose(rooms.slice(0, 3), 200, () => false).length, 3);
});
