// Tells whether the tests here can run: ends well, or says what they need and ends with 1.

import {executable, launch} from "./chromium.js";

async function missing() {
  try {
    await import("playwright-core");
    await import("axe-core");
  } catch {
    return "need their packages: `npm ci --prefix tests/js`";
  }
  const path = executable();
  if (path === null) {
    return "need Chromium: `apt-get install chromium`, or CHROMIUM=/path/to/one";
  }
  try {
    await (await launch()).close();
    return null;
  } catch (error) {
    const why = String(error.message).split("\n").find((line) => /\] \S*(ERROR|FATAL)/.test(line));
    return `need a Chromium that starts, and ${path} does not; BROWSER_FLAGS gives it options, ` +
      `such as --no-sandbox where root runs it (${(why ?? error.message).trim()})`;
  }
}

const what = await missing();
if (what !== null) {
  console.log(what);
  process.exitCode = 1;
}
