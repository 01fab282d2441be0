// The README's example compiles under `tsc --strict` and does what it says; the types find mistakes.

import assert from "node:assert/strict";
import {readFile} from "node:fs/promises";
import {join} from "node:path";
import test from "node:test";

import {COMPILER, LIBRARY, PRODUCED, complaints, project, run} from "./project.js";
import {PASSWORD, Server} from "./server.js";
import {Claims} from "./shapes.js";

async function example() {
  const readme = await readFile(join(LIBRARY, "README.md"), "utf8");
  const [, code] = /```ts\n(.*?)```/s.exec(readme);
  return code;
}

test("the README's example compiles strictly, and runs", PRODUCED, async (context) => {
  const server = await Server.start(context);
  const code = (await example()).replace("http://127.0.0.1:8080", server.url)
    .replace("correct horse", PASSWORD);
  assert.ok(code.includes(server.url));
  const directory = await project(context, {"example.mts": code});
  assert.equal(await complaints(directory), "");
  const flags = globalThis.WebSocket && !process.versions.node.startsWith("20.")
    ? [] : ["--experimental-websocket"];
  const {stdout} = await run(process.execPath, [...flags, join(directory, "out", "example.mjs")]);
  for (const line of ["the connection is open", "heard as 1", "safe as 1 since 2",
    "ann: hello, world", "0 messages before it", "the connection is closed"]) {
    assert.ok(stdout.includes(line), `${line}\n${stdout}`);
  }
});

test("the types need nothing of a browser", COMPILER, async (context) => {
  const text = 'import {Parlor} from "parlor-chat";\nexport const url = Parlor;\n';
  const plain = await project(context, {"plain.mts": text}, {lib: ["es2022"]});
  assert.equal(await complaints(plain), "");
});

test("the types find mistakes", COMPILER, async (context) => {
  const claims = new Claims();
  claims.lines.push('const parlor = new library.Parlor("http://host", {token: "t"});');
  for (const mistake of [
    "room.send(5);",
    'room.send("a", {idd: "b"});',
    'room.on("mesage", () => {});',
    'room.on("ack", ({text}) => text);',
    'room.off("message", 5);',
    'room.history({before: "5"});',
    "const seq: string = (await room.send('a')).seq; void seq;",
    "for await (const message of parlor) void message;",
    "for await (const {text} of room) void text;",
    "new types.Room();",
    "new library.Room();",
    'parlor.join("general", {after: "0"});',
    "parlor.join({});",
    'parlor.on("message", () => {});',
    "parlor.useToken(5);",
    'parlor.createRoom({slug: "no-name"});',
    'parlor.createRoom({name: "One", delivery: "at once"});',
    "new library.Parlor();",
    'new library.Parlor("http://host");',
    'new library.Parlor("http://host", {});',
    'new library.Parlor("http://host", {token: "t", maxQueue: 5});',
    'new library.Parlor("http://host", {token: "t", maxQueued: "5"});',
    'new library.Parlor("http://host", {token: "t", store: {}});',
    'library.Parlor.signIn("http://host", {username: "ann"});',
    "library.DEFAULTS.window = 5;",
  ]) claims.refuses(mistake);
  // And what is none.
  claims.lines.push(
    'library.Parlor.signUp("http://host", {username: "ann", password: "p"}, {cookie: true});',
    'new library.Parlor("http://host", {cookie: true, store: library.indexedDbStore()});',
    "parlor.useToken();",
    'const cursor: number | undefined = parlor.join("general").cursor; void cursor;',
    "for await (const {seq} of room) { const place: number = seq; void place; }",
  );
  const directory = await project(context, {"mistakes.mts": claims.text});
  assert.equal(await complaints(directory), "");
});

test("the codes of the library are in its README and in its types", async () => {
  const [source, types, readme] = await Promise.all(
    ["parlor.js", "parlor.d.ts", "README.md"].map((name) => readFile(join(LIBRARY, name), "utf8")),
  );
  const made = source.matchAll(/new ParlorError\(\s*"([a-z_]+)"/g);
  const codes = new Set([...made].map(([, code]) => code));
  assert.ok(codes.size > 10);
  const ofTheServer =
    ["unauthorized", "invalid", "id_conflict", "message_too_large", "too_many_rooms"];
  for (const code of codes) {
    assert.ok(types.includes(`| "${code}"`), code);
    if (!ofTheServer.includes(code)) assert.ok(readme.includes(`| \`${code}\` |`), code);
  }
  const [, own] = types.split("// The library's.\n");
  const declared = [...own.split(";")[0].matchAll(/^ {2}\| "([a-z_]+)"/gm)].map(([, code]) => code);
  assert.ok(declared.length > 10);
  for (const code of declared) assert.ok(source.includes(`"${code}"`), `${code} is never given`);
});
