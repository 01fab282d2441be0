// The service worker: it keeps the page's own files, so that the page opens without a network. What
// the network answers always comes first, so that no file is older than the server; what people
// wrote is never kept here.

const CACHE = "parlor-shell";
const PAGE = "/";
const FILES = [
  "/icon.svg",
  "/manifest.webmanifest",
  "/parlor.js",
  "/page/account.js",
  "/page/app.js",
  "/page/composer.js",
  "/page/conversation.js",
  "/page/create.js",
  "/page/dom.js",
  "/page/feed.js",
  "/page/form.js",
  "/page/grouping.js",
  "/page/keep.js",
  "/page/leftovers.js",
  "/page/link.js",
  "/page/markdown.js",
  "/page/message.js",
  "/page/names.js",
  "/page/people.js",
  "/page/render.js",
  "/page/rooms.js",
  "/page/scroller.js",
  "/page/session.js",
  "/page/signin.js",
  "/page/style.css",
  "/page/timeline.js",
  "/page/times.js",
  "/page/typing.js",
  "/page/words.js",
];

/** A network may take everything and answer nothing. What is asked for soon after it did does not
 * wait again, also if it speaks meanwhile: parts of two versions make no page. */
const PATIENCE_MS = 4000;
const SILENCE_MS = 10_000;
let silentUntil = 0;

const shell = new Set([PAGE, ...FILES]);

addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(shell);
    await self.skipWaiting();
  })());
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
    const cache = await caches.open(CACHE);
    for (const kept of await cache.keys()) {
      if (!shell.has(new URL(kept.url).pathname)) await cache.delete(kept);
    }
    await clients.claim();
  })());
});

addEventListener("fetch", (event) => {
  const {request} = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  // Every room is the same page.
  const isRoom = request.mode === "navigate" && url.pathname.startsWith("/r/");
  const path = isRoom ? PAGE : url.pathname;
  if (shell.has(path)) event.respondWith(fresh(event, path));
});

async function fresh(event, path) {
  const cache = await caches.open(CACHE);
  const kept = () => cache.match(path);
  const asked = fetch(event.request);
  // However late it comes, it is there for the next time.
  event.waitUntil(asked.then((answer) => answer.ok && cache.put(path, answer.clone()))
    .catch(() => {}));
  const patience = Date.now() < silentUntil ? 0 : PATIENCE_MS;
  const silence = new Promise((resolve) => { setTimeout(resolve, patience, null); });
  try {
    const answer = await Promise.race([asked, silence]);
    if (answer === null) {
      silentUntil = Date.now() + SILENCE_MS;
      return (await kept()) ?? await asked;
    }
    // Something in front of the server answers while that restarts.
    if (answer.status >= 500) return (await kept()) ?? answer;
    return answer;
  } catch (error) {
    return (await kept()) ?? Promise.reject(error);
  }
}
