// What `npm install` gives of the library, and how it is found by its name.

import assert from "node:assert/strict";
import {existsSync} from "node:fs";
import {cp, mkdir, readFile, rm} from "node:fs/promises";
import {join} from "node:path";
import test from "node:test";

import {COMPILER, LIBRARY, complaints, project, run} from "./project.js";

const FILES =
  ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", "parlor.d.ts", "parlor.js"];

async function packed() {
  const {stdout} = await run("npm", ["pack", "--dry-run", "--json"], {cwd: LIBRARY});
  const [{files}] = JSON.parse(stdout);
  return files.map(({path}) => path).sort();
}

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

test("the package has these files and no others", async () => {
  assert.deepEqual(await packed(), FILES);
});

test("the package's files are found by its name, in every way of finding", COMPILER,
  async (context) => {
    const code = 'import {Parlor} from "parlor-chat";\nconst at: number = Parlor.length;\n' +
      '// @ts-expect-error\nvoid (() => Parlor.nonsense());\nconsole.log(typeof Parlor, at);\n';
    for (const [module, moduleResolution] of
      [["node16", "node16"], ["nodenext", "nodenext"], ["esnext", "bundler"]]) {
      const directory = await project(context, {"use.mts": code}, {module, moduleResolution});
      // As it is installed: what is not packed is not there.
      const installed = join(directory, "node_modules", "parlor-chat");
      await rm(installed);
      await mkdir(installed);
      for (const path of await packed()) await cp(join(LIBRARY, path), join(installed, path));
      assert.equal(await complaints(directory), "", moduleResolution);
      const {stdout} = await run(process.execPath, [join(directory, "out", "use.mjs")]);
      assert.match(stdout, /^function /);
    }
  });
