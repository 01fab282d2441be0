// What is told of the connection: nothing while it works, the truth while it does not. It lies over
// the page and moves nothing.

import {$, announce} from "./dom.js";
import {say} from "./words.js";

/** A connection that is made this fast is not spoken of. */
const PATIENCE_MS = 1200;
const BACK_MS = 2500;

export class Link {
  #parlor;
  #state = {state: "idle"};
  #room = "live";
  #timer;
  #ticker;
  #retryAt = 0;
  #wasBroken = false;
  #isDoubted = false; // While the device says one thing and the connection another.
  #ended = new AbortController();

  constructor(parlor) {
    this.#parlor = parlor;
    const {signal} = this.#ended;
    signal.addEventListener("abort", parlor.on("state", (state) => this.#changed(state)));
    $("link-now").addEventListener("click", () => this.#act(), {signal});
    for (const hint of ["online", "offline"]) {
      addEventListener(hint, () => this.#hinted(), {signal});
    }
    // A machine that slept may have lost its connection without a word.
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") parlor.wake();
    }, {signal});
  }

  stop() {
    this.#ended.abort();
    clearTimeout(this.#timer);
    clearInterval(this.#ticker);
    this.#tell(null);
  }

  /** The state of the open room. */
  room(state) {
    this.#room = state;
    this.#soon();
  }

  /** What the device says of the network is told at once, and counts until the server is heard. */
  async #hinted() {
    this.#isDoubted = !navigator.onLine;
    const known = this.#parlor.wake();
    this.#show();
    await known;
    this.#isDoubted = false;
    if (!this.#ended.signal.aborted) this.#show();
  }

  #act() {
    if (this.#state.state === "failed") location.reload();
    else this.#parlor.reconnect();
  }

  #changed(state) {
    this.#state = state;
    clearInterval(this.#ticker);
    if (state.state === "waiting") {
      this.#retryAt = Date.now() + state.retryInMs;
      this.#ticker = setInterval(() => this.#count(), 1000);
      this.#wasBroken = true;
    }
    if (state.state === "open" && this.#wasBroken) {
      this.#wasBroken = false;
      // What nobody was told of need not be taken back.
      if (!$("link").hidden) {
        this.#tell("back");
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#show(), BACK_MS);
        return;
      }
    }
    this.#soon();
  }

  /** What is over in a moment is not worth a word. */
  #soon() {
    const key = this.#key();
    // That all is well again stays for a moment.
    if ([null, "catchingUp"].includes(key) && $("link").dataset.kind === "back") return;
    const brief = ["connecting", "waiting", "renewing", "catchingUp"].includes(key);
    if (brief && $("link").hidden) this.#timer ??= setTimeout(() => this.#show(), PATIENCE_MS);
    else this.#show();
  }

  #key() {
    const {state, error} = this.#state;
    if (state === "open" && this.#isDoubted) return "doubted";
    if (state === "open") return this.#room === "catching-up" ? "catchingUp" : null;
    if (state === "failed") return error.code === "other_user" ? error.code : "failed";
    if (!["waiting", "connecting", "renewing"].includes(state)) return null;
    if (!navigator.onLine) return "offline";
    // Between two attempts and during one it is the same to a person.
    return state === "connecting" && this.#wasBroken ? "waiting" : state;
  }

  #show() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell(this.#key());
  }

  #tell(key) {
    const action = {failed: "link.reload", other_user: "link.reload", waiting: "link.now"}[key];
    const box = $("link");
    box.hidden = key === null;
    box.dataset.kind = key ?? "";
    const text = key === null ? "" : say(`link.${key}`);
    const kept = ["offline", "waiting"].includes(key) ? say("link.kept") : "";
    if (text !== "" && $("link-text").textContent !== text) announce(`${text} ${kept}`.trim());
    $("link-text").textContent = text;
    $("link-kept").textContent = kept;
    $("link-now").hidden = !action;
    if (action) $("link-now").textContent = say(action);
    this.#count();
  }

  /** Not read out: it changes every second. */
  #count() {
    const seconds = Math.ceil((this.#retryAt - Date.now()) / 1000);
    const counting = this.#state.state === "waiting" && navigator.onLine && seconds > 1;
    $("link-count").textContent = counting ? say("link.countdown", {seconds}) : "";
  }
}
