// Which of a room's messages are shown: a window over its log, of bounded size, that moves through
// any length of history and can be attached to its live end. No document, no network.

/** Of the window, by what was said meanwhile: more, and what is being read would be let go. It comes
 * in pages then. */
const MOST_ADDED = 0.25;

export class Timeline {
  /** Oldest first, without a gap between them. */
  messages = [];
  /** Whether the room's first message is among them. */
  atBeginning = false;
  /** Whether what is said now belongs behind the last one. */
  live = false;
  /** How many messages the room had up to the last one here, as far as is known. */
  count = 0;

  #size;
  #heard = []; // While not live: the last that were said.
  #dropped = 0; // While not live: the last seq that was said and is not among these.

  constructor(size) {
    this.#size = size;
  }

  /** The last seq that is known to be on disk, and with it everything before it. */
  #stored = 0;

  get first() { return this.messages[0]?.seq; }
  get last() { return this.messages.at(-1)?.seq; }

  /** Everything up to this seq is on disk, as somebody told who knows. */
  storedUpTo(seq) {
    this.#stored = Math.max(this.#stored, seq ?? 0);
  }

  /** What is known of a message that has its place: a crash of the server may yet lose what was
   * only heard. */
  isSafe({seq}) {
    return seq <= this.#stored;
  }

  /** How many messages the room had up to this one. */
  countAt(seq) {
    return this.count - this.messages.filter((message) => message.seq > seq).length;
  }

  /** Begins anew with the newest page. */
  reset({messages, hasMore, head, count}) {
    this.storedUpTo(head);
    this.messages = messages.slice(-this.#size);
    this.atBeginning = !hasMore && messages.length <= this.#size;
    this.count = count;
    this.#attach();
    this.#trimStart();
  }

  /** Begins anew with a page of what came after a message up to which the room had `count`. */
  resetBehind(page, count) {
    if (this.live) this.#detach();
    this.messages = [];
    this.atBeginning = false;
    this.count = count;
    this.append(page);
  }

  /** A page of what came before the first one. */
  prepend({messages, hasMore, head}) {
    this.storedUpTo(head);
    const older = messages.filter(({seq}) => this.first === undefined || seq < this.first);
    this.messages = [...older, ...this.messages];
    this.atBeginning = !hasMore;
    if (this.messages.length <= this.#size) return;
    if (this.live) this.#detach();
    this.count -= this.messages.length - this.#size;
    this.messages.length = this.#size;
  }

  /** A page of what came after the last one. */
  append({messages, hasMore, head, count}) {
    this.storedUpTo(head);
    if (this.live) return;
    const last = this.last ?? 0;
    this.#push(messages.filter(({seq}) => seq > last));
    // At the end it is known.
    if (!hasMore) this.count = count;
    const newest = this.last ?? 0;
    this.#heard = this.#heard.filter(({seq}) => seq > newest);
    if (!hasMore && this.#heard.length <= this.#size * MOST_ADDED) this.#attach();
    this.#trimStart();
  }

  /**
   * Something was said just now. `follow` tells that the person looks at the newest message; else
   * nothing that is shown is let go for it. `false` if it is not shown.
   */
  hear(message, follow) {
    if (this.live && message.seq <= (this.last ?? 0)) return false;
    if (this.live && !follow && this.messages.length >= this.#size) this.#detach();
    if (!this.live) {
      this.#heard.push(message);
      if (this.#heard.length > this.#size) this.#dropped = this.#heard.shift().seq;
      return false;
    }
    this.#push([message]);
    this.#trimStart();
    return true;
  }

  /** What a crash of the server lost, exclusive of both ends. */
  retract({after, before}) {
    const kept = ({seq}) => seq <= after || seq >= before;
    const had = this.messages.length;
    this.messages = this.messages.filter(kept);
    this.count -= had - this.messages.length;
    this.#heard = this.#heard.filter(kept);
    if (!kept({seq: this.#dropped})) this.#dropped = after;
  }

  #push(messages) {
    this.messages.push(...messages);
    this.count += messages.length;
  }

  #detach() {
    this.live = false;
    this.#heard = [];
    this.#dropped = this.last ?? 0;
  }

  /** A page that has the newest message has everything that was said until it was asked for. What
   * was said since is in `heard`, unless that was too much, or the page is an old one. */
  #attach() {
    const last = this.last ?? 0;
    if (!this.live && this.#dropped > last) return;
    this.#push(this.#heard.filter(({seq}) => seq > last));
    this.#heard = [];
    this.#dropped = 0;
    this.live = true;
  }

  #trimStart() {
    const surplus = this.messages.length - this.#size;
    if (surplus <= 0) return;
    this.messages.splice(0, surplus);
    this.atBeginning = false;
  }
}
