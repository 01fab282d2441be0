// Where the page begins: who is here, and what the address asks for.

import {Parlor} from "/parlor.js";
import {$} from "./dom.js";
import {Session} from "./session.js";
import {SignIn} from "./signin.js";
import {fillIn, language, say} from "./words.js";

const RETRY_MS = 4000;
const ROOM = /^\/r\/([^/]+)$/;

let session = null;

/** The address of the room in the page's address, as it is written there: also one that no room can
 * have. Or `null`. */
const roomInPath = () => ROOM.exec(location.pathname)?.[1].toLowerCase() ?? null;

const route = {
  go(path) {
    if (path !== location.pathname) history.pushState(null, "", path);
    session?.show(roomInPath());
  },
  /** The same place by its proper name. */
  correct(path) {
    if (path !== location.pathname) history.replaceState(null, "", path);
  },
};

const signIn = new SignIn(enter);

function enter(parlor) {
  signIn.hide();
  $("unreachable").hidden = true;
  session = new Session(parlor, route, leave);
  session.show(roomInPath());
}

function leave(why) {
  session = null;
  signIn.show({why});
}

/** The cookie is not to be seen from here, so the server is asked whose it is. */
async function start() {
  const cookie = true;
  const parlor = new Parlor(location.origin, {cookie});
  // A socket lives as long as its token: one that is opened with a new one need not be replaced
  // soon. Without, the client renews it by itself.
  const renewed = parlor.request("POST", "/refresh").catch(() => ({}));
  let user;
  try {
    user = await parlor.me();
  } catch (error) {
    $("unreachable").hidden = error.status === 401;
    if (error.status === 401) signIn.show({room: roomInPath()});
    else setTimeout(() => { if (!session) start(); }, error.retryAfter ?? RETRY_MS);
    return;
  }
  const {expiresAt} = await renewed;
  enter(new Parlor(location.origin, {cookie, user, expiresAt}));
}

/** A link to a place on this page is followed without loading it anew. */
function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || link.target || event.button !== 0 || event.defaultPrevented) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const here = link.origin === location.origin && !link.hash;
  if (!session || !here || !(link.pathname === "/" || ROOM.test(link.pathname))) return;
  event.preventDefault();
  route.go(link.pathname);
}

/** Keeps the page's own files for when there is no network. Only secure pages have it. */
function install() {
  if (!navigator.serviceWorker) return;
  const path = "/worker.js";
  const policy = globalThis.trustedTypes?.createPolicy("parlor-worker", {
    createScriptURL: (url) => {
      if (url === path) return url;
      throw new TypeError("no other script");
    },
  });
  navigator.serviceWorker.register(policy?.createScriptURL(path) ?? path).catch(() => {});
}

/** A keyboard on the screen takes from what is seen, and not every browser tells the layout. */
function fit() {
  const seen = visualViewport.height * visualViewport.scale;
  document.documentElement.style.setProperty("--seen", `${seen}px`);
  scrollTo(0, 0);
}

document.documentElement.lang = language;
fillIn(document);
document.title = say("app.name");
addEventListener("popstate", () => session?.show(roomInPath()));
document.addEventListener("click", follow);
globalThis.visualViewport?.addEventListener("resize", fit);
start();
install();
