// Chance that can be repeated: a seed makes a row of numbers.

export function seedOf(name) {
  const given = process.env.JS_SEED;
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
  console.log(`${name}: JS_SEED=${seed}`);
  return seed;
}

/** Mulberry32, and what is made of it. */
export class Dice {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to 1, exclusive. */
  roll = () => {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  /** A whole number, from `least` to `most`. */
  whole(least, most) {
    return least + Math.floor(this.roll() * (most - least + 1));
  }

  /** As often small as large: every order of magnitude is as likely. */
  spread(least, most) {
    return Math.round(least * (most / least) ** this.roll());
  }

  chance(probability) {
    return this.roll() < probability;
  }
}
