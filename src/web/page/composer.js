// Where people write. What is written is kept for its room until it is sent.

import {$, isTouch} from "./dom.js";
import {say} from "./words.js";

// The server takes no others; a pasted text may have some.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** So many letters of a room's name fit where the message will stand, also on a phone. */
const PLACEHOLDER = 20;
/** What Safari calls the key that ends a composition, as it no longer says that one goes on. */
const COMPOSED = 229;

/** Whether this key sends what is written. */
export function isSending({key, keyCode, isComposing, shiftKey, ctrlKey, metaKey}, isOnScreen) {
  if (key !== "Enter" || isComposing || keyCode === COMPOSED) return false;
  return ctrlKey || metaKey || !(shiftKey || isOnScreen);
}

export class Composer {
  #form = $("composer");
  #text = $("text");
  #drafts;
  #slug = null;
  #onSend;

  /** `onSend(text)` tells whether it was taken; `onTyping()` at each change. */
  constructor(drafts, {onSend, onTyping}, signal) {
    this.#drafts = drafts;
    $("composer-hint").textContent = say(isTouch() ? "composer.hintTouch" : "composer.hint");
    this.#onSend = onSend;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    }, {signal});
    this.#text.addEventListener("keydown", (event) => {
      if (!isSending(event, isTouch())) return;
      event.preventDefault();
      this.#send();
    }, {signal});
    this.#text.addEventListener("input", () => {
      this.#changed();
      if (this.#text.value !== "") onTyping();
    }, {signal});
  }

  open(slug, name) {
    this.#slug = slug;
    const [letters, shown] = [[...name], [...name].slice(0, PLACEHOLDER)];
    const room = shown.length < letters.length ? `${shown.join("").trim()}…` : name;
    this.#text.placeholder = say("composer.placeholder", {room});
    this.#text.value = this.#drafts.of(slug);
    this.#changed();
  }

  close() {
    this.#slug = null;
    this.#text.value = "";
  }

  focus() {
    this.#text.focus();
  }

  /** Puts a text back in front of what is being written. */
  putBack(text) {
    const rest = this.#text.value;
    this.#text.value = rest === "" ? text : `${text}\n${rest}`;
    this.#changed();
    this.focus();
  }

  #send() {
    const text = this.#text.value.replace(CONTROLS, "");
    if (text.trim() === "" || this.#slug === null || !this.#onSend(text)) return;
    this.#text.value = "";
    this.#changed();
    this.focus();
  }

  #changed() {
    if (this.#slug !== null) this.#drafts.set(this.#slug, this.#text.value);
    $("send").disabled = this.#text.value.trim() === "";
    // As high as its lines, within what the style allows; what stands in an empty one is no line.
    this.#text.style.height = "";
    if (this.#text.value === "") return;
    const {scrollHeight, offsetHeight, clientHeight} = this.#text;
    this.#text.style.height = `${scrollHeight + offsetHeight - clientHeight}px`;
  }
}
