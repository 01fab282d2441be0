// What outlives a reload in this browser, by account: how far each room was read, and drafts. Never
// a token. Where a browser keeps nothing, it is held in memory for as long as the page is open.

const memory = new Map();

function read(key) {
  try {
    // What is in memory could not be stored: what is stored is older.
    return memory.get(key) ?? localStorage.getItem(key);
  } catch {
    return memory.get(key) ?? null;
  }
}

function write(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
    memory.delete(key);
  } catch {
    if (text === null) memory.delete(key);
    else memory.set(key, text);
  }
}

const WRITE_AFTER_MS = 500;

/** How far this person has read in each room: the seq of the last message that was in view, and how
 * many the room had up to it. Of several tabs, whichever has read furthest is right. */
export class ReadPositions {
  /** Nothing was kept: it is this person's first time here. */
  isNew;
  #key;
  #log;
  #rooms = new Map(); // By roomId: {count, seq}
  #onChange;
  #timer;

  constructor(userId, onChange, signal) {
    this.#key = `parlor.read.${userId}`;
    this.#onChange = onChange;
    const {log, rooms} = parsed(read(this.#key));
    this.#log = log;
    this.isNew = rooms === undefined;
    this.#merge();
    const flush = () => this.#flush();
    addEventListener("pagehide", flush, {signal});
    signal.addEventListener("abort", flush);
    addEventListener("storage", ({key}) => {
      if (key !== this.#key) return;
      this.#merge();
      onChange();
    }, {signal});
  }

  /** Another database has other rooms under the same ids. */
  belongTo(log) {
    if (this.#log !== undefined && this.#log !== log) {
      this.#rooms.clear();
      this.isNew = true;
    }
    this.#log = log;
  }

  /** `{count, seq}`, or `undefined` of a room that was never opened. */
  of(roomId) {
    return this.#rooms.get(roomId);
  }

  /** It is never taken back. */
  reach(roomId, {count, seq}) {
    if (count <= this.#rooms.get(roomId)?.count) return;
    this.#rooms.set(roomId, {count, seq});
    this.#timer ??= setTimeout(() => this.#flush(), WRITE_AFTER_MS);
    this.#onChange();
  }

  /** With all the rooms that there are: whoever comes for the first time is not told of all that was
   * ever said, and what a crash of the server lost was not read. */
  agree(rooms) {
    this.#merge();
    const kept = new Map();
    for (const {roomId, count, head} of rooms) {
      const known = this.#rooms.get(roomId) ?? (this.isNew ? {count: Infinity} : undefined);
      if (known) kept.set(roomId, known.count > count ? {count, seq: head} : known);
    }
    this.#rooms = kept;
    this.isNew = false;
    this.#write();
  }

  forget(roomId) {
    this.#merge();
    this.#rooms.delete(roomId);
    this.#write();
  }

  #merge() {
    const {log, rooms} = parsed(read(this.#key));
    if (log !== this.#log) return;
    for (const [roomId, count, seq] of rooms ?? []) {
      if (!(count <= this.#rooms.get(roomId)?.count)) this.#rooms.set(roomId, {count, seq});
    }
  }

  #flush() {
    if (this.#timer === undefined) return;
    this.#merge();
    this.#write();
  }

  #write() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const rooms = [...this.#rooms].map(([roomId, {count, seq}]) => [roomId, count, seq]);
    write(this.#key, JSON.stringify({log: this.#log, rooms}));
  }
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Text that was written and not sent, by room: what is being written, and what was refused. */
export class Drafts {
  #prefix;
  #seen = new Map(); // By address: the draft as it was last read or written here.

  constructor(userId) {
    this.#prefix = `parlor.draft.${userId}.`;
  }

  of(slug) {
    const text = read(this.#prefix + slug) ?? "";
    this.#seen.set(slug, text);
    return text;
  }

  /** Nothing at all does not take the place of what another tab has kept since. */
  set(slug, text) {
    const key = this.#prefix + slug;
    if (text === "" && read(key) !== (this.#seen.get(slug) || null)) return;
    write(key, text === "" ? null : text);
    this.#seen.set(slug, text);
  }

  /** Everything of this room, oldest first. */
  all(slug) {
    return [...this.refused(slug).map(({message}) => message), this.of(slug)].filter(Boolean);
  }

  /** What was refused in this room, oldest first: `{id, message, why}`. */
  refused(slug) {
    return parsed(read(this.#refusedKey(slug))).all ?? [];
  }

  refuse(slug, refusal) {
    this.#keepRefused(slug, [...this.#otherRefused(slug, refusal.id), refusal]);
  }

  /** Something was done about it. */
  settle(slug, id) {
    this.#keepRefused(slug, this.#otherRefused(slug, id));
  }

  #otherRefused(slug, id) {
    return this.refused(slug).filter((refusal) => refusal.id !== id);
  }

  #keepRefused(slug, all) {
    write(this.#refusedKey(slug), all.length === 0 ? null : JSON.stringify({all}));
  }

  /** No address begins like this. */
  #refusedKey(slug) {
    return `${this.#prefix}!${slug}`;
  }

  /** How many messages were refused, in all rooms. */
  get refusals() {
    const rooms = this.#keys().filter((key) => key.startsWith(this.#refusedKey("")));
    return rooms.reduce((sum, key) => sum + (parsed(read(key)).all ?? []).length, 0);
  }

  /** At signing out: whoever comes next is somebody else. */
  clear() {
    for (const key of this.#keys()) write(key, null);
  }

  #keys() {
    const keys = new Set(memory.keys());
    try {
      for (let at = 0; at < localStorage.length; at += 1) keys.add(localStorage.key(at));
    } catch {
      // Then there is nothing either.
    }
    return [...keys].filter((key) => key.startsWith(this.#prefix));
  }
}
