// The list of messages as the document has it: what the timeline holds, then what this person said
// and nobody has heard yet. Each message keeps its item for as long as it is shown.

import {$, settle} from "./dom.js";
import {standing} from "./grouping.js";
import {mark, messageItem, place, refuse, stand} from "./message.js";
import {Scroller} from "./scroller.js";
import {Timeline} from "./timeline.js";
import {say} from "./words.js";

/** Together they are the most messages that are in the document at once. */
const WINDOW = 240;
const PENDING = 40;

export class Feed {
  timeline = new Timeline(WINDOW);
  scroller;
  /** Seq of the first message that was new when the room was opened. */
  freshFrom = undefined;
  #me;
  #list = $("messages");
  #items = new Map(); // By seq.
  #pending = new Map(); // By id: {message, item, refused}
  #hooks;
  #frame = 0;
  #midnight;

  /** `hooks`: onScroll(), and of what was refused onEdit(text), onAgain(text), which tells whether
   * it was taken, and onSettled(id). */
  constructor(me, hooks, signal) {
    [this.#me, this.#hooks] = [me, hooks];
    const {onScroll} = hooks;
    const isLive = () => this.timeline.live;
    this.scroller = new Scroller($("log"), this.#list, {onScroll, isLive}, signal);
    this.#atMidnight();
    signal.addEventListener("abort", () => clearTimeout(this.#midnight));
    this.#list.addEventListener("click", (event) => this.#unfolds(event), {capture: true, signal});
  }

  clear() {
    this.timeline = new Timeline(WINDOW);
    this.freshFrom = undefined;
    for (const known of [this.#items, this.#pending]) known.clear();
    this.#list.replaceChildren();
    this.scroller.follow(true);
  }

  /** The seq of the last message that stands in view to its end, or above. */
  get lastSeen() {
    return Number(this.scroller.lastSeen?.dataset.seq) || undefined;
  }

  /** Unfolding begins where its message does, and folding ends where its button is. */
  #unfolds({target}) {
    const button = target.closest(".unfold");
    if (!button) return;
    const isFolding = button.getAttribute("aria-expanded") === "true";
    this.scroller.hold(isFolding ? button : button.closest("li").querySelector(".body"));
  }

  // ---- own messages ----

  /** Said, and not heard yet. What an earlier page said may be in the history by now. */
  sending({id, message}) {
    const {userId, username} = this.#me;
    const isShown = this.timeline.messages.some((one) => one.id === id && one.userId === userId);
    if (isShown || this.#pending.has(id)) return;
    const said = {id, userId, username, message, at: Date.now()};
    const item = messageItem(said, true);
    this.#pending.set(id, {message: said, item});
    this.later();
  }

  isPending(id) {
    return this.#pending.has(id);
  }

  /** Everything up to this seq is on disk. */
  storedUpTo(seq) {
    this.timeline.storedUpTo(seq);
    this.later();
  }

  /** Now, or by what an earlier page kept. */
  refused({id, message, why}) {
    this.sending({id, message});
    const entry = this.#pending.get(id);
    if (!entry || entry.refused) return;
    entry.refused = true;
    const {onEdit, onAgain, onSettled} = this.#hooks;
    const discard = () => {
      // The button goes, and the focus must not go with it.
      if (entry.item.contains(document.activeElement)) $("log").focus();
      this.heardElsewhere(id);
      onSettled(id);
    };
    const edit = () => {
      discard();
      onEdit(message);
    };
    const again = () => { if (onAgain(message)) discard(); };
    refuse(entry.item, why, {again, edit, discard});
    this.later();
  }

  /** It was heard, and is not in what is shown. */
  heardElsewhere(id) {
    if (this.#pending.delete(id)) this.later();
  }

  /** On disk. What comes before the last one here is not heard any more: an earlier page said it. */
  acked({id, seq}) {
    this.storedUpTo(seq);
    const isShown = this.timeline.messages.some((one) => one.seq === seq);
    if (seq <= this.timeline.last && !isShown) this.heardElsewhere(id);
  }

  // ---- drawing ----

  /** Once a frame, however much is heard; a page that nobody sees is drawn when it is seen. */
  later() {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.scroller.keeping(() => this.#arrange());
    this.#hooks.onScroll();
  }

  /** Today becomes yesterday. */
  #atMidnight() {
    const midnight = new Date().setHours(24, 0, 0, 0);
    this.#midnight = setTimeout(() => {
      this.later();
      this.#atMidnight();
    }, midnight - Date.now());
  }

  #arrange() {
    const {messages, live} = this.timeline;
    const shown = messages.map((message) => ({message, item: this.#itemOf(message)}));
    const kept = new Set(messages.map(({seq}) => seq));
    for (const seq of this.#items.keys()) if (!kept.has(seq)) this.#items.delete(seq);
    // What was refused stays in sight until something is done about it.
    const waiting = [...this.#pending.values()];
    const drawn = live ? waiting.slice(-PENDING) : [];
    shown.push(...drawn);
    settle(this.#list, shown.map(({item}) => item));
    let previous;
    for (const {message, item} of shown) {
      const isFirstNew = message.seq !== undefined && message.seq === this.freshFrom;
      previous = standing(previous, message);
      stand(item, previous, {at: message.at, isFirstNew});
      if (message.userId === this.#me.userId) this.#mark(item, message);
    }
    const hidden = waiting.length - drawn.length;
    $("waiting").textContent = hidden > 0 ? say("talk.waiting", {count: hidden}) : "";
  }

  /** Also of what this person says elsewhere, of which no ack comes here. */
  #mark(item, message) {
    const isPlaced = message.seq !== undefined;
    const waits = this.#pending.get(message.id)?.refused ? "refused" : "sending";
    mark(item, isPlaced ? this.timeline.isSafe(message) ? "safe" : "heard" : waits);
  }

  /** One that was pending keeps its item, so that nothing moves when it gets its place. */
  #itemOf(message) {
    const known = this.#items.get(message.seq);
    if (known) return known;
    const isOwn = message.userId === this.#me.userId;
    const own = isOwn ? this.#pending.get(message.id) : undefined;
    const item = own?.item ?? messageItem(message, isOwn);
    if (own) this.#pending.delete(message.id);
    place(item, message);
    this.#items.set(message.seq, item);
    return item;
  }
}
