// A server of its own: the binary `PARLOR_BIN`, on a port that is free, over a directory that
// outlives it until the test ends.

import {spawn} from "node:child_process";
import {mkdtemp, rm} from "node:fs/promises";
import {tmpdir} from "node:os";
import {join, resolve} from "node:path";

export const PASSWORD = "correct horse";
const START = "Parlor listens on ";

export class Server {
  #process;
  #ended;

  /** `context` is the test's: what is left is removed when it ends. */
  static async start(context, environment = {}) {
    const server = new Server();
    server.environment = environment;
    server.directory = await mkdtemp(join(tmpdir(), "parlor-js-"));
    context.after(async () => {
      await server.kill();
      await rm(server.directory, {recursive: true});
    });
    await server.launch();
    return server;
  }

  async launch() {
    const env = {
      PARLOR_LISTEN: "127.0.0.1:0",
      PARLOR_METRICS__LISTEN: "off",
      PARLOR_LOG__FILTER: "error",
      PARLOR_LIMITS__SIGN_INS_PER_MINUTE: "0",
      PARLOR_LIMITS__MESSAGES_PER_SECOND: "0",
      ...this.environment,
    };
    const stdio = ["ignore", "pipe", "inherit"];
    const child = spawn(resolve(process.env.PARLOR_BIN), {cwd: this.directory, env, stdio});
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once("exit", resolve));
    this.address = await new Promise((resolve, reject) => {
      let out = "";
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${out}`)));
      child.stdout.setEncoding("utf8").on("data", (text) => {
        out += text;
        const line = out.split("\n").slice(0, -1).find((line) => line.startsWith(START));
        if (line) resolve(line.slice(START.length).split(". ")[0]);
      });
    });
    this.port = Number(this.address.split(":")[1]);
    this.url = `http://${this.address}`;
  }

  async end(signal) {
    this.#process.kill(signal);
    await this.#ended;
  }

  kill() {
    return this.end("SIGKILL");
  }
}

/** Waits until `done()` is true. Nothing waits this long that passes. */
export async function until(what, done, patience = 30_000) {
  const end = Date.now() + patience;
  while (!done()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(5);
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
