// The page's program: sign in, see the rooms, talk in one of them. It is a whole client of the
// protocol: an id for whatever is said, a cursor for whatever is heard. What people wrote reaches
// the page as text only.
"use strict";

const $ = (id) => document.getElementById(id);

// The token is kept in memory, and in sessionStorage so that a reload does not sign out. That
// ends with the tab and is not shared with others; localStorage would outlive both.
const STORED = "parlor.session";
const SHOWN = 1000; // Messages kept on the page; older ones are fetched again when wanted.
const FATAL_CLOSES = [1002, 1003, 1007, 1008, 1009];

let session = JSON.parse(sessionStorage.getItem(STORED)); // {token, expiresAt}, or null
let me = null;
let rooms = new Map(); // What is listed: roomId -> room of the API.
let room = null; // The open one: {roomId, messages, people, cursor?, log?, sentAfter, ref, joined}
const unsent = new Map(); // What has no ack yet: id -> {id, roomId, message, acked, shown, item}

// ---- HTTP ---------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(code, message, errors = []) {
    super(message);
    Object.assign(this, {code, errors});
  }
}

async function call(method, path, body) {
  const token = session?.token;
  const headers = token ? {authorization: `Bearer ${token}`} : {};
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    body = body && JSON.stringify(body);
    response = await fetch(`/api/v1${path}`, {method, headers, body, cache: "no-store"});
  } catch {
    throw new Problem("network", "The server cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  // With a token the 401 speaks of the session, unless that has been renewed meanwhile.
  if (response.status === 401 && token && token === session?.token) forget("Please sign in again.");
  const detail = answer.detail ?? `The server answered ${response.status}.`;
  throw new Problem(answer.code, detail, answer.errors);
}

// ---- forms --------------------------------------------------------------------------------------

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function clearFaults(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    $(input.getAttribute("aria-describedby"))?.remove();
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  form.querySelector("[role=alert]").textContent = "";
}

// Each fault beside its field; what has no field here, above the button.
function showFaults(form, problem) {
  const others = [];
  let first = null;
  for (const {field, message} of problem.errors ?? []) {
    const input = form.elements.namedItem(field);
    if (!input) {
      others.push(`${field} ${message}`);
      continue;
    }
    const fault = element("p", message, "fault");
    fault.id = `${input.id}-fault`;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", fault.id);
    input.after(fault);
    first ??= input;
  }
  if (!first && others.length === 0) others.push(problem.message);
  form.querySelector("[role=alert]").textContent = others.join("; ");
  first?.focus();
}

function onSubmit(form, action) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.disabled) return;
    clearFaults(form);
    button.disabled = true;
    try {
      // A field left empty is left out, and the server says if it is missing.
      const filled = [...new FormData(form)].filter(([, value]) => value !== "");
      await action(Object.fromEntries(filled));
      form.reset();
    } catch (problem) {
      showFaults(form, problem);
    } finally {
      button.disabled = false;
    }
  });
}

// A conflict speaks of one field, so it is shown there.
async function conflictAt(field, code, request) {
  try {
    return await request;
  } catch (problem) {
    if (problem.code === code) problem.errors = [{field, message: problem.message}];
    throw problem;
  }
}

// ---- the session --------------------------------------------------------------------------------

let refreshTimer;

function keep({token, expiresAt}) {
  session = {token, expiresAt};
  sessionStorage.setItem(STORED, JSON.stringify(session));
  clearTimeout(refreshTimer);
  // At half of its life; within what a timer can hold, and never in a hurry if a clock is wrong.
  const half = (expiresAt - Date.now()) / 2;
  refreshTimer = setTimeout(refresh, Math.min(Math.max(half, 60_000), 86_400_000));
}

async function refresh() {
  const before = session;
  const fresh = await call("POST", "/refresh").catch(() => before);
  if (session !== before || !session) return;
  keep(fresh);
  if (fresh !== before) send({type: "refresh", token: fresh.token});
}

function forget(why) {
  session = me = room = null;
  rooms = new Map();
  unsent.clear();
  sessionStorage.removeItem(STORED);
  clearTimeout(refreshTimer);
  hangUp();
  show();
  status(why);
}

async function start() {
  if (session && !me) {
    try {
      ({user: me} = await call("GET", "/me"));
    } catch (problem) {
      if (!session) return; // It was no longer good: `call` has said so.
      status(problem.message);
      setTimeout(start, 3000);
      return;
    }
    keep(session);
  }
  status("");
  show();
  if (!session) return;
  connect();
  await listRooms().catch((problem) => status(problem.message));
  const slug = /^#\/([a-z0-9-]+)$/.exec(location.hash)?.[1];
  if (!slug || room) return;
  const asked = await call("GET", `/rooms/${slug}`).catch(() => null);
  if (asked && !room) openRoom(asked.room);
}

function enter(answer) {
  me = answer.user;
  keep(answer);
  start();
}

onSubmit($("signin"), async (fields) => enter(await call("POST", "/signin", fields)));

onSubmit($("signup"), async (fields) => {
  const request = conflictAt("username", "username_taken", call("POST", "/signup", fields));
  const answer = await request.catch((problem) => {
    if (problem.errors?.some(({field}) => field === "setupCode")) $("setup").hidden = false;
    throw problem;
  });
  enter(answer);
});

$("signout").addEventListener("click", async () => {
  await call("POST", "/signout").catch(() => {});
  forget("");
});

function status(text) {
  $("status").textContent = text;
}

function show() {
  $("entry").hidden = Boolean(session);
  $("parlor").hidden = $("account").hidden = !session;
  $("who").textContent = me?.displayName ?? "";
  $("room").hidden = !room;
  document.title = room ? `${room.name} - Parlor` : "Parlor";
  $("rooms").replaceChildren(...[...rooms.values()].map(roomItem));
  $("no-rooms").hidden = rooms.size > 0;
}

// ---- rooms --------------------------------------------------------------------------------------

function roomItem(listed) {
  const button = element("button", listed.name);
  button.type = "button";
  button.dir = "auto";
  if (listed.roomId === room?.roomId) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => openRoom(listed));
  const item = element("li");
  item.append(button);
  return item;
}

// Adds what comes after the last room listed.
async function listRooms() {
  const after = rooms.size > 0 ? `&after=${Math.max(...rooms.keys())}` : "";
  const page = await call("GET", `/rooms?limit=200${after}`);
  for (const listed of page.rooms) rooms.set(listed.roomId, listed);
  $("more-rooms").hidden = !page.hasMore;
  show();
}

$("more-rooms").addEventListener("click", () => {
  listRooms().catch((problem) => status(problem.message));
});

document.addEventListener("visibilitychange", () => {
  if (me && !document.hidden) listRooms().catch(() => {});
});

onSubmit($("newroom"), async (fields) => {
  const field = fields.slug === undefined ? "name" : "slug";
  const answer = await conflictAt(field, "slug_taken", call("POST", "/rooms", fields));
  await listRooms();
  openRoom(answer.room);
});

function openRoom({roomId, name, slug}) {
  if (room?.roomId === roomId) return;
  if (room?.joined) send({type: "leave_room", roomId: room.roomId});
  room = {roomId, name, messages: new Map(), people: new Map(), joined: false};
  history.replaceState(null, "", `#/${slug}`);
  $("room-title").textContent = name;
  $("people").textContent = $("typing").textContent = "";
  $("messages").replaceChildren();
  $("unsent").replaceChildren();
  $("earlier").hidden = true;
  for (const entry of unsent.values()) {
    entry.shown = null;
    if (entry.acked) unsent.delete(entry.id);
    else showUnsent(entry);
  }
  show();
  $("text").focus();
  join();
}

function closeRoom(why) {
  rooms.delete(room.roomId);
  room = null;
  history.replaceState(null, "", location.pathname);
  show();
  status(why);
}

// ---- the socket ---------------------------------------------------------------------------------

let socket = null;
let hello = null; // The server's first frame on this socket.
let openedAt = null;
let failures = 0;
let hint = null; // Milliseconds after which a stopping server wants us back.
let retryTimer;
let silenceTimer;

function connect() {
  clearTimeout(retryTimer);
  if (socket || !session) return;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const token = encodeURIComponent(session.token);
  const opened = new WebSocket(`${scheme}//${location.host}/ws?token=${token}`);
  opened.onmessage = ({data}) => {
    if (socket !== opened) return;
    heard();
    receive(JSON.parse(data));
  };
  opened.onclose = ({code}) => {
    if (socket === opened) lost(code);
  };
  socket = opened;
  heard();
}

function send(frame) {
  if (hello && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

// A page does not see the server's pings, so it asks when it has heard nothing for a while.
function heard() {
  clearTimeout(silenceTimer);
  const pause = hello?.heartbeatMs ?? 25_000;
  silenceTimer = setTimeout(() => {
    send({type: "ping"});
    silenceTimer = setTimeout(() => {
      hangUp();
      lost(4408);
    }, pause);
  }, pause);
}

function hangUp() {
  clearTimeout(silenceTimer);
  clearTimeout(retryTimer);
  const closing = socket;
  socket = hello = null;
  closing?.close();
}

function lost(code) {
  hangUp();
  if (room) room.joined = false;
  if (!session) return;
  if (code === 4401) return forget("Please sign in again.");
  if (FATAL_CLOSES.includes(code)) {
    return status(`The server did not understand this page (${code}). Please reload it.`);
  }
  if (openedAt && Date.now() - openedAt > 10_000) failures = 0;
  const backoff = Math.min(30_000, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
  const pause = hint ?? (code === 4408 && failures === 0 ? 0 : backoff);
  failures += 1;
  hint = openedAt = null;
  status("The connection is lost. Trying again…");
  retryTimer = setTimeout(connect, pause);
}

addEventListener("online", connect);

function receive(frame) {
  const here = room !== null && frame.roomId === room.roomId;
  switch (frame.type) {
    case "hello":
      hello = frame;
      openedAt = Date.now();
      status("");
      join();
      break;
    case "joined": if (here && frame.ref === room.ref) onJoined(frame); break;
    case "chat": if (here && room.joined) onChat(frame); break;
    case "ack": onAck(frame); break;
    case "error": onError(frame); break;
    case "left": if (here && frame.reason) closeRoom("This room is no longer open to you."); break;
    case "presence": if (here) onPresence(frame); break;
    case "typing": if (here) onTyping(frame); break;
    case "reconnect": hint = frame.afterMs; break;
    // An event of a kind that came after this page was made moves the cursor all the same.
    default:
      if (!here || !room.joined || !frame.seq) return;
      closeGap(frame);
      room.cursor = frame.seq;
  }
}

// ---- hearing ------------------------------------------------------------------------------------

let joins = 0;

// Goes on in the open room from where it was left; a room just opened begins at its newest page.
async function join() {
  const [opened, joining] = [room, socket];
  if (!opened || !hello) return;
  if (opened.cursor === undefined) {
    let page;
    try {
      page = await call("GET", `/rooms/${opened.roomId}/messages`);
    } catch (problem) {
      if (room !== opened || socket !== joining) return;
      if (problem.code === "no_such_room") return closeRoom(problem.message);
      status(problem.message);
      setTimeout(() => { if (room === opened && socket === joining) join(); }, 2000);
      return;
    }
    if (room !== opened || socket !== joining || !hello) return;
    opened.log = hello.log;
    showPage(page);
    opened.cursor = page.messages.at(-1)?.seq ?? 0;
  }
  joins += 1;
  opened.ref = `j${joins}`;
  opened.sentAfter = opened.cursor;
  const {roomId, cursor, log, ref} = opened;
  send({type: "join_room", roomId, after: cursor, log, ref});
}

function onJoined({head, reset}) {
  if (reset) {
    // Another database: nothing held is of it, and neither is the cursor.
    discard(() => true);
    room.cursor = room.ref = undefined;
    join();
    return;
  }
  // What is held above the head was heard just before a crash and never stored.
  if (head < room.sentAfter) discard((seq) => seq > head);
  room.cursor = Math.min(room.sentAfter, head);
  room.joined = true;
  for (const entry of unsent.values()) sendChat(entry);
}

function onChat(frame) {
  const {scrollHeight, scrollTop, clientHeight} = $("scroll");
  const atEnd = scrollHeight - scrollTop - clientHeight < 80;
  place(frame);
  room.cursor = frame.seq;
  if (!atEnd) return;
  while (room.messages.size > SHOWN) {
    const oldest = $("messages").firstElementChild;
    room.messages.delete(Number(oldest.dataset.seq));
    oldest.remove();
    $("earlier").hidden = false;
  }
  scrollToEnd();
}

function onPresence({snapshot, joined = [], left = [], count}) {
  if (snapshot) room.people.clear();
  for (const {userId, username} of joined) room.people.set(userId, username);
  for (const {userId} of left) room.people.delete(userId);
  // In a large room only their number is told.
  const names = room.people.size === count ? `: ${[...room.people.values()].join(", ")}` : "";
  $("people").textContent = `${count} here${names}`;
}

let typingTimer;

function onTyping({username}) {
  $("typing").textContent = `${username} is writing…`;
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => { $("typing").textContent = ""; }, 3000);
}

function showPage({messages, hasMore}) {
  messages.forEach(place);
  $("earlier").hidden = !hasMore;
  scrollToEnd();
}

$("earlier").addEventListener("click", async () => {
  const opened = room;
  const oldest = $("messages").firstElementChild?.dataset.seq;
  if (!oldest) return;
  try {
    const page = await call("GET", `/rooms/${opened.roomId}/messages?before=${oldest}`);
    if (room !== opened) return;
    const fromEnd = $("scroll").scrollHeight - $("scroll").scrollTop;
    showPage(page);
    $("scroll").scrollTop = $("scroll").scrollHeight - fromEnd;
  } catch (problem) {
    status(problem.message);
  }
});

function scrollToEnd() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
}

// Puts a message where its seq belongs.
function place(message) {
  const {seq, id, userId} = message;
  closeGap(message);
  if (room.messages.has(seq)) return;
  const item = messageItem(message.username, message.message, message.at);
  item.dataset.seq = seq;
  let before = $("messages").lastElementChild;
  while (before && Number(before.dataset.seq) > seq) before = before.previousElementSibling;
  if (before) before.after(item);
  else $("messages").prepend(item);
  room.messages.set(seq, {id, userId, item});
  const entry = userId === me.userId ? unsent.get(id) : undefined;
  if (entry?.roomId !== room.roomId) return;
  entry.item.remove();
  entry.shown = entry.item = item;
  mark(item, "sent");
  if (entry.acked) settle(entry);
}

// Between an event and the one that it names as before it there is nothing.
function closeGap({seq, prev}) {
  if (prev !== undefined) discard((held) => held > prev && held < seq);
}

function discard(test) {
  for (const [seq, {id, userId, item}] of room.messages) {
    if (!test(seq)) continue;
    item.remove();
    room.messages.delete(seq);
    const entry = userId === me.userId ? unsent.get(id) : undefined;
    if (entry?.shown === item) showUnsent(entry);
  }
}

function messageItem(username, text, at) {
  const item = element("li");
  const by = element("span", username, "by");
  const said = element("span", text, "said");
  by.dir = said.dir = "auto";
  const time = element("time", new Date(at).toLocaleString());
  time.dateTime = new Date(at).toISOString();
  item.append(by, time, element("span", "", "mark"), said);
  return item;
}

function mark(item, text) {
  item.querySelector(".mark").textContent = text;
}

// ---- saying -------------------------------------------------------------------------------------

// A random prefix and a counter of fixed width: rising ids are cheap for the server to keep.
const draw = crypto.getRandomValues(new Uint32Array(2));
const prefix = [...draw].map((number) => number.toString(36).padStart(7, "0")).join("");
let said = 0;

function nextId() {
  said += 1;
  return `${prefix}-${String(said).padStart(8, "0")}`;
}

onSubmit($("say"), async () => {
  // Not from FormData, which may turn a newline into two characters.
  const message = $("text").value;
  const limit = hello?.limits.messageBytes ?? Infinity;
  let fault = "";
  if (message === "") fault = "must not be empty";
  if (new TextEncoder().encode(message).length > limit) fault = `must have at most ${limit} bytes`;
  if (fault) throw new Problem("invalid", fault, [{field: "message", message: fault}]);
  const entry = {id: nextId(), roomId: room.roomId, message, acked: false, at: Date.now()};
  unsent.set(entry.id, entry);
  showUnsent(entry);
  scrollToEnd();
  sendChat(entry);
});

function showUnsent(entry) {
  entry.shown = null;
  if (entry.roomId !== room?.roomId) return;
  entry.item = messageItem(me.username, entry.message, entry.at);
  mark(entry.item, "sending…");
  $("unsent").append(entry.item);
}

// May be repeated: the id makes it one message, however often it arrives.
function sendChat(entry) {
  const {id, roomId, message} = entry;
  if (entry.acked || unsent.get(id) !== entry || roomId !== room?.roomId || !room.joined) return;
  send({type: "chat", roomId, message, id});
}

function onAck({roomId, id, seq}) {
  const entry = unsent.get(id);
  if (entry?.roomId !== roomId) return;
  entry.acked = true;
  // The ack may overtake the room's own frame; then that settles it.
  if (entry.shown || roomId !== room?.roomId) settle(entry);
  else if (seq <= room.cursor) {
    entry.item.remove();
    settle(entry);
  } else mark(entry.item, "✓ stored");
}

function settle(entry) {
  mark(entry.item, "✓ stored");
  unsent.delete(entry.id);
}

function onError(frame) {
  const entry = unsent.get(frame.id);
  if (entry && entry.roomId === frame.roomId) {
    mark(entry.item, frame.retryable ? "waiting…" : `not sent: ${frame.message}`);
    if (frame.retryable) setTimeout(() => sendChat(entry), frame.retryAfterMs ?? 1000);
    else unsent.delete(entry.id);
  } else if (frame.ref && frame.ref === room?.ref) {
    if (!frame.retryable) closeRoom(frame.message);
    else setTimeout(() => { if (frame.ref === room?.ref) join(); }, frame.retryAfterMs ?? 1000);
  } else if (!frame.retryable) status(frame.message);
}

let typedAt = 0;

$("text").addEventListener("input", () => {
  if (!room?.joined || Date.now() - typedAt < 1000) return;
  typedAt = Date.now();
  send({type: "typing", roomId: room.roomId});
});

// Enter sends, with Shift it begins a line; while a word is being composed it does neither.
$("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("say").requestSubmit();
});

addEventListener("beforeunload", (event) => {
  if ([...unsent.values()].some(({acked}) => !acked)) event.preventDefault();
});

start();
