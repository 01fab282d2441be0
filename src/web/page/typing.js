// Who is writing: told again about once a second while it lasts, and forgotten soon after.

import {say} from "./words.js";

const LASTS_MS = 4000;
const NAMED = 3;

export class Typing {
  #until = new Map(); // userId to {name, timer}
  #show;

  constructor(show) {
    this.#show = show;
  }

  heard(userId, name) {
    this.stopped(userId);
    const timer = setTimeout(() => this.stopped(userId), LASTS_MS);
    this.#until.set(userId, {name, timer});
    this.#tell();
  }

  stopped(userId) {
    const known = this.#until.get(userId);
    if (!known) return;
    clearTimeout(known.timer);
    this.#until.delete(userId);
    this.#tell();
  }

  clear() {
    for (const {timer} of this.#until.values()) clearTimeout(timer);
    this.#until.clear();
    this.#tell();
  }

  #tell() {
    this.#show(typingText([...this.#until.values()].map(({name}) => name)));
  }
}

export function typingText(names) {
  if (names.length === 0) return "";
  if (names.length > NAMED) return say("talk.manyTyping");
  return say("talk.typing", {names: names.join(", "), count: names.length});
}
