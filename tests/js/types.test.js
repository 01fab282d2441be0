// The README's example compiles under `tsc --strict` and does what it says; the types name what
// there is.

import assert from "node:assert/strict";
import {execFile} from "node:child_process";
import {existsSync} from "node:fs";
import {mkdir, mkdtemp, readFile, rm, symlink, writeFile} from "node:fs/promises";
import {tmpdir} from "node:os";
import {join} from "node:path";
import test from "node:test";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";

import * as library from "../../src/web/library/parlor.js";
import {PASSWORD, Server} from "./server.js";

const run = promisify(execFile);
const LIBRARY = fileURLToPath(new URL("../../src/web/library", import.meta.url));
const TSC = fileURLToPath(new URL("node_modules/.bin/tsc", import.meta.url));
// As long as it is not required, a test that cannot run says why and how it could.
const required = process.env.JS_TESTS === "required";
const needs = (present, what) => ({skip: present || required ? false : `left out: needs ${what}`});
const compiler = needs(existsSync(TSC), "`npm ci --prefix tests/js`");
const PRODUCED = needs(existsSync(TSC) && process.env.PARLOR_BIN !== undefined,
  "`npm ci --prefix tests/js` and PARLOR_BIN");

/** A directory in which the library is installed as a package. */
async function project(context, files, options = {}) {
  const directory = await mkdtemp(join(tmpdir(), "parlor-types-"));
  context.after(() => rm(directory, {recursive: true}));
  await mkdir(join(directory, "node_modules"));
  await symlink(LIBRARY, join(directory, "node_modules", "parlor-chat"));
  const compilerOptions = {
    strict: true, module: "nodenext", target: "es2022", lib: ["es2022", "dom"], types: [],
    exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, outDir: "out", ...options,
  };
  const config = {compilerOptions, include: ["*.mts"]};
  await writeFile(join(directory, "tsconfig.json"), JSON.stringify(config));
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return directory;
}

/** What the compiler complains of. */
async function complaints(directory) {
  return run(TSC, ["-p", directory]).then(() => "", ({stdout}) => stdout);
}

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

test("the types need nothing of a browser, and find mistakes", compiler, async (context) => {
  const text = 'import {Parlor} from "parlor-chat";\nexport const url = Parlor;\n';
  const plain = await project(context, {"plain.mts": text}, {lib: ["es2022"]});
  assert.equal(await complaints(plain), "");
  const mistakes = [
    "room.send(5);",
    'room.on("mesage", () => {});',
    'parlor.join("general", {after: "0"});',
    'room.on("ack", ({text}) => text);',
    "const seq: string = (await room.send('a')).seq;",
  ];
  for (const mistake of mistakes) {
    const code = `import {Parlor} from "parlor-chat";
      const parlor = new Parlor("http://host", {token: "t"});
      const room = parlor.join(1);
      ${mistake}
      export {};`;
    const directory = await project(context, {"wrong.mts": code});
    assert.match(await complaints(directory), /error TS/, mistake);
  }
});

test("the types name what there is", async () => {
  const types = await readFile(join(LIBRARY, "parlor.d.ts"), "utf8");
  const ownNames = (of) => Object.entries(Object.getOwnPropertyDescriptors(of))
    .filter(([name]) => !["constructor", "length", "name", "prototype"].includes(name))
    .map(([name]) => name);
  const {Parlor, Room} = library;
  for (const [owner, names] of [
    ["Parlor", [...ownNames(Parlor), ...ownNames(Parlor.prototype)]],
    ["Room", ownNames(Room.prototype)],
    ["DEFAULTS", Object.keys(library.DEFAULTS)],
  ]) {
    for (const name of names) {
      assert.match(types, new RegExp(`\\b${name}\\b\\s*[(?:<]`), `${owner}.${name}`);
    }
  }
  const internal = new Set(["Core", "newRoom"]);
  for (const name of Object.keys(library).filter((name) => !internal.has(name))) {
    assert.match(types, new RegExp(`export (class|const|function) ${name}\\b`), name);
  }
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
});

test("the package names what it needs", async () => {
  const {exports, files, license, version} = JSON.parse(
    await readFile(join(LIBRARY, "package.json"), "utf8"),
  );
  for (const path of [exports["."].types, exports["."].default]) {
    assert.ok(files.includes(path.slice(2)) && existsSync(join(LIBRARY, path)), path);
  }
  const cargo = await readFile(join(LIBRARY, "../../../Cargo.toml"), "utf8");
  assert.ok(cargo.includes(`license = "${license}"`) && cargo.includes(`version = "${version}"`));
});
