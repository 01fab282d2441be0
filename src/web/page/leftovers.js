// What an earlier page, or an earlier look at a room, left unsent: its room is joined for as long
// as that takes, and what the server refuses is kept among the drafts.

import {reason} from "./words.js";

export class Leftovers {
  #parlor;
  #drafts;
  #followed = new Set(); // Rooms, by address.

  constructor(parlor, drafts) {
    [this.#parlor, this.#drafts] = [parlor, drafts];
    parlor.on("restored", () => this.#send());
  }

  #send() {
    const joined = new Set(this.#parlor.joined.map(({address}) => address));
    for (const address of new Set(this.#parlor.unsent.map(({room}) => room))) {
      if (joined.has(address)) continue;
      let room;
      try {
        room = this.#parlor.join(address);
      } catch {
        return; // As many rooms as may be are joined: this one follows when one of them is left.
      }
      this.follow(room);
      // It stays for what it has to send, and goes.
      room.leave();
    }
  }

  /** A room that was left, or is about to be, with something unsent. */
  follow(room) {
    if (room.unsent.length === 0 || this.#followed.has(room.address)) return;
    this.#followed.add(room.address);
    const offs = [
      room.on("refused", ({id, message, error}) => {
        this.#drafts.refuse(room.address, {id, message, why: reason(error)});
      }),
      room.on("left", () => {
        this.#followed.delete(room.address);
        for (const off of offs) off();
        this.#send();
      }),
    ];
  }
}
