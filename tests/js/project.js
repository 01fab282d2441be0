// A small project of somebody who uses the library, for what the TypeScript compiler says of it.

import {execFile} from "node:child_process";
import {existsSync} from "node:fs";
import {mkdir, mkdtemp, rm, symlink, writeFile} from "node:fs/promises";
import {tmpdir} from "node:os";
import {join} from "node:path";
import {fileURLToPath} from "node:url";
import {promisify} from "node:util";

export const run = promisify(execFile);
export const LIBRARY = fileURLToPath(new URL("../../src/web/library", import.meta.url));
const TSC = fileURLToPath(new URL("node_modules/.bin/tsc", import.meta.url));
// As long as it is not required, a test that cannot run says why and how it could.
const required = process.env.JS_TESTS === "required";
const needs = (present, what) => ({skip: present || required ? false : `left out: needs ${what}`});
/** What tests need that compile, and those that run what they compile, too. */
export const COMPILER = needs(existsSync(TSC), "`npm ci --prefix tests/js`");
export const PRODUCED = needs(existsSync(TSC) && process.env.PARLOR_BIN !== undefined,
  "`npm ci --prefix tests/js` and PARLOR_BIN");

/** A directory in which the library is installed as a package. */
export async function project(context, files, options = {}) {
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
export async function complaints(directory) {
  return run(TSC, ["-p", directory]).then(() => "", ({stdout}) => stdout);
}
