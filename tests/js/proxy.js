// A TCP proxy that does what networks do to connections: it delays what they carry, in pieces, and
// cuts them after any byte, in either direction. A cut is of one of three kinds:
//
// - both: both ends learn of it at once;
// - lingering: the client learns of it at once; the server is still given what was on its way,
//   late, so that an old connection speaks and closes after the new one has opened;
// - silent: nothing passes any more, and nobody is told; the client gives up by itself and opens
//   another connection before the close of this one arrives.

import net from "node:net";

const KINDS = ["both", "both", "lingering", "silent"];
const HANDSHAKE = "GET /ws";

export class Proxy {
  cuts = 0;
  byKind = {both: 0, lingering: 0, silent: 0};
  /** Once false, what is open and what comes later is left alone. */
  cutting = true;
  #isDown = false;
  #dice;
  #server;
  #pairs = new Set();

  static async start(context, dice, port) {
    const proxy = new Proxy();
    proxy.#dice = dice;
    proxy.target = port;
    proxy.#server = net.createServer((client) => proxy.#accept(client));
    await new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    proxy.port = proxy.#server.address().port;
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    context.after(() => {
      proxy.#server.close();
      for (const pair of proxy.#pairs) pair.destroy();
    });
    return proxy;
  }

  /** Everything is cut at once, and what comes is refused, until it is `up`. */
  down() {
    this.#isDown = true;
    for (const pair of this.#pairs) pair.destroy();
  }

  up() {
    this.#isDown = false;
  }

  #accept(client) {
    if (this.#isDown) return client.on("error", () => {}).destroy();
    const upstream = net.connect(this.target, "127.0.0.1");
    const pair = new Pair(this, this.#dice, client, upstream);
    this.#pairs.add(pair);
    pair.closed.then(() => this.#pairs.delete(pair));
    return undefined;
  }

  cut(kind) {
    this.cuts += 1;
    this.byKind[kind] += 1;
  }
}

class Pair {
  #proxy;
  #dice;
  #client;
  #upstream;
  #budget; // Bytes until it is cut; those of both directions count.
  #kind;
  #isSocket = false; // Only sockets are cut.
  #done = false;

  constructor(proxy, dice, client, upstream) {
    [this.#proxy, this.#dice, this.#client, this.#upstream] = [proxy, dice, client, upstream];
    this.#kind = KINDS[dice.whole(0, KINDS.length - 1)];
    // Some within the handshake, most at any time after it.
    this.#budget = dice.chance(0.1) ? dice.whole(0, 900) : 900 + dice.spread(1, 16_000);
    this.delay = dice.chance(0.5) ? 0 : dice.whole(1, 8);
    for (const socket of [client, upstream]) socket.setNoDelay(true).on("error", () => {});
    this.closed = Promise.all([client, upstream].map(
      (socket) => new Promise((resolve) => socket.once("close", resolve)),
    ));
    this.#forward(client, upstream);
    this.#forward(upstream, client);
  }

  #forward(from, to) {
    let last = Promise.resolve(); // What passes later may not overtake.
    from.on("data", (bytes) => {
      // Some clients take a connection that HTTP calls have used before.
      this.#isSocket ||= from === this.#client && bytes.toString("latin1").startsWith(HANDSHAKE);
      const allowed = this.#take(bytes.length);
      const passed = bytes.subarray(0, allowed);
      last = last.then(() => this.#later()).then(() => {
        if (passed.length > 0 && !to.destroyed && !this.#isMute(to)) to.write(passed);
      });
      if (allowed < bytes.length) last.then(() => this.#cut());
    });
    from.once("close", () => last.then(() => this.#later()).then(() => {
      if (this.#kind !== "silent" || !this.#done) to.destroy();
    }));
  }

  #take(length) {
    if (!this.#proxy.cutting || !this.#isSocket) return length;
    const allowed = Math.min(length, Math.max(this.#budget, 0));
    this.#budget -= length;
    return allowed;
  }

  #isMute(to) {
    return this.#done && !(this.#kind === "lingering" && to === this.#upstream);
  }

  #later() {
    return this.delay === 0 ? undefined : sleep(this.#dice.whole(0, this.delay));
  }

  #cut() {
    if (this.#done) return;
    this.#done = true;
    this.#proxy.cut(this.#kind);
    if (this.#kind === "both") return this.destroy();
    const late = this.#dice.whole(0, 250);
    if (this.#kind === "lingering") {
      this.#client.destroy();
      setTimeout(() => this.#upstream.destroy(), late);
    } else {
      setTimeout(() => this.destroy(), 100 + late);
    }
  }

  destroy() {
    this.#client.destroy();
    this.#upstream.destroy();
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
