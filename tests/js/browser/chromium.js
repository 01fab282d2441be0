// The browser: a Chromium that this machine has, found as `CHROMIUM` or on the path, and driven
// without a window.

import {accessSync, constants} from "node:fs";
import {delimiter, join} from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Where it is, or `null`. */
export function executable() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const places = (process.env.PATH ?? "").split(delimiter);
  const candidates = NAMES.flatMap((name) => places.map((place) => join(place, name)));
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `BROWSER_FLAGS` are further options, for machines on which it does not start without. */
export async function launch() {
  const {chromium} = await import("playwright-core");
  const args = (process.env.BROWSER_FLAGS ?? "").split(/\s+/).filter(Boolean);
  return chromium.launch({executablePath: executable(), chromiumSandbox: true, args});
}
