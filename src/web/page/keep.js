// What outlives a reload in this browser, by account: how far each room was read, and drafts. Never
// a token. Where a browser keeps nothing, it is held in memory for as long as the page is open.

const memory = new Map();

function read(key) {
  try {
    return localStorage.getItem(key) ?? memory.get(key) ?? null;
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

/** How many messages of each room this person has read, by roomId. */
export class ReadPositions {
  #key;
  #log;
  #counts = new Map();
  #timer;

  constructor(userId) {
    this.#key = `parlor.read.${userId}`;
    const {log, counts} = parsed(read(this.#key));
    this.#log = log;
    this.#counts = new Map(counts);
    /** Nothing was kept: it is this person's first time here. */
    this.isNew = counts === undefined;
    addEventListener("pagehide", () => this.#flush());
  }

  /** Another database has other rooms under the same ids. */
  belongTo(log) {
    if (this.#log !== undefined && this.#log !== log) {
      this.#counts.clear();
      this.isNew = true;
    }
    this.#log = log;
  }

  of(roomId) {
    return this.#counts.get(roomId);
  }

  set(roomId, count) {
    if (this.#counts.get(roomId) === count) return;
    this.#counts.set(roomId, count);
    this.#timer ??= setTimeout(() => this.#flush(), WRITE_AFTER_MS);
  }

  forget(roomId) {
    this.#counts.delete(roomId);
  }

  #flush() {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Another tab may have read further.
    const {log, counts} = parsed(read(this.#key));
    if (log === this.#log) {
      for (const [roomId, count] of counts ?? []) {
        if ((this.#counts.get(roomId) ?? 0) < count) this.#counts.set(roomId, count);
      }
    }
    write(this.#key, JSON.stringify({log: this.#log, counts: [...this.#counts]}));
  }
}

function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Text that was written and not sent, by room. */
export class Drafts {
  #prefix;

  constructor(userId) {
    this.#prefix = `parlor.draft.${userId}.`;
  }

  of(slug) {
    return read(this.#prefix + slug) ?? "";
  }

  set(slug, text) {
    write(this.#prefix + slug, text === "" ? null : text);
  }

  /** At signing out: whoever comes next is somebody else. */
  clear() {
    for (const key of [...memory.keys()]) if (key.startsWith(this.#prefix)) memory.delete(key);
    try {
      const keys = Array.from({length: localStorage.length}, (_, index) => localStorage.key(index));
      for (const key of keys) if (key.startsWith(this.#prefix)) localStorage.removeItem(key);
    } catch {
      // Then there is nothing either.
    }
  }
}
