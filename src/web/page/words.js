// Every text of the page, by language. A further language is a further table: the same keys, its
// own plurals (the categories of `Intl.PluralRules`).

const en = {
  app: {
    name: "Parlor",
    noScript: "This page needs JavaScript.",
    skip: "Skip to the message box",
    loading: "Loading…",
    unreachable: "The server cannot be reached.",
    retrying: "This page tries again by itself.",
    retry: "Try again",
  },
  signin: {
    title: "Sign in",
    titleNew: "Create an account",
    invited: "Sign in to enter the room “{room}”.",
    username: "User name",
    password: "Password",
    passwordHint: "At least 8 characters",
    optional: "optional",
    setupCode: "Setup code",
    setupCodeHint: "The first account needs the code that the server printed when it started.",
    submit: "Sign in",
    submitNew: "Create account",
    toNew: "New here?",
    toOld: "Have an account?",
    ended: "Your session has ended. Sign in again; what you wrote is kept.",
    signedOut: "You are signed out.",
    deleted: "Your account is deleted, and its name is free.",
    show: "Show",
    hide: "Hide",
  },
  rooms: {
    title: "Rooms",
    filter: "Find a room",
    none: "There is no room yet.",
    noneHint: "Make the first one.",
    noMatch: "No room has that in its name.",
    more: {one: "{count} more room. Find it by its name.",
      other: "{count} more rooms. Find them by their names."},
    create: "New room",
    unread: {one: "{count} unread message", other: "{count} unread messages"},
    pick: "Pick a room",
    pickHint: "Or make a new one, and send its link to others.",
    missing: "There is no such room",
    missingHint: "It was deleted, or the link is wrong.",
    deleted: "This room was deleted",
    deletedHint: "Nobody can read it any more.",
    kept: "What you wrote for it and did not send:",
    delete: "Delete room",
    deleteTitle: "Delete “{room}”?",
    deleteText: "The room goes for everybody, with every message in it. Nobody can bring it back.",
    back: "All rooms",
    backUnread: {one: "All rooms, {count} with unread messages",
      other: "All rooms, {count} with unread messages"},
    copyLink: "Copy link",
    copied: "Link copied",
    notCopied: "The link is {link}",
  },
  create: {
    title: "New room",
    name: "Name",
    slug: "Address",
    slugHint: "Small letters, digits and hyphens. Made from the name if left empty.",
    committed: "Show messages only when they are safe on disk",
    submit: "Make room",
    cancel: "Cancel",
  },
  account: {
    title: "Your account",
    current: "Present password",
    fresh: "New password",
    others: "A new password signs you out everywhere but here.",
    change: "Change password",
    changed: "Your password is changed.",
    remove: "Delete account",
    removeTitle: "Delete your account?",
    removeText: "The name “{name}” becomes free for anybody. What you said stays in its rooms, " +
      "under “deleted user”. What is not sent yet is lost. Nobody can bring the account back.",
    password: "Your password",
    signOut: "Sign out",
    signOutUnsent: {
      one: "A message is not sent yet. If you sign out now it is lost.",
      other: "{count} messages are not sent yet. If you sign out now they are lost.",
    },
    signOutAnyway: "Sign out all the same",
    stay: "Stay",
    signOutFailed: "You are still signed in: the server cannot be reached.",
  },
  talk: {
    log: "Messages in {room}",
    beginning: "This is where “{room}” begins.",
    older: "Loading older messages…",
    failed: "Messages could not be loaded.",
    today: "Today",
    yesterday: "Yesterday",
    fresh: "New",
    newest: "Newest messages",
    unseen: {one: "{count} new message", other: "{count} new messages"},
    here: {one: "{count} here", other: "{count} here"},
    people: "Who is here",
    crowd: "Too many to name them all.",
    you: "{name} (you)",
    typing: {one: "{names} is writing…", other: "{names} are writing…"},
    manyTyping: "Several people are writing…",
    sending: "Sending",
    heard: "Heard by the room, not on disk yet",
    safe: "Safe on disk",
    refused: "Not sent: {reason}",
    showAll: "Show all",
    showLess: "Show less",
    edit: "Edit",
    discard: "Discard",
    waiting: {one: "{count} more message waits to be sent.",
      other: "{count} more messages wait to be sent."},
    says: "{name}: {text}",
  },
  composer: {
    label: "Message",
    placeholder: "Message {room}",
    send: "Send",
    hint: "Enter sends, Shift and Enter begin a new line.",
    hintTouch: "Enter begins a new line, Control and Enter send.",
  },
  link: {
    offline: "You are offline.",
    doubted: "Your device says that it is offline. Asking the server…",
    connecting: "Connecting…",
    waiting: "No connection.",
    kept: "What you write is kept and sent later.",
    countdown: "Trying again in {seconds} s",
    now: "Try now",
    renewing: "Renewing your session…",
    failed: "This page and the server do not understand each other.",
    other_user: "Another account is signed in in this browser now. Reload to go on with it; what " +
      "you wrote here is kept for your own.",
    reload: "Reload",
    catchingUp: "Catching up…",
    back: "Connected again.",
    unsaved: "This browser keeps no unsent messages: leave the page open until they are sent.",
  },
  // What a field takes, for whatever is wrong with it.
  faults: {
    username: "It needs 3 to 32 characters: a to z, digits, hyphens, dots or underscores.",
    password: "It needs 8 to 128 characters.",
    newPassword: "It needs 8 to 128 characters.",
    currentPassword: "This is not your password.",
    setupCode: "This is not the code that the server printed when it started.",
    name: "It needs 1 to 80 characters.",
    slug: "It has up to 64 characters: a to z, digits and hyphens, not digits alone.",
  },
  errors: {
    network: "The server cannot be reached.",
    cookie: "Your browser did not keep the session. If this page is not served over HTTPS, " +
      "the server's public_url must say so.",
    unauthorized: "Wrong user name or password.",
    rate_limited: "Too many attempts. Wait a little.",
    overloaded: "The server is busy. Try again.",
    unavailable: "The server cannot store anything at the moment. Try again later.",
    internal: "Something went wrong in the server.",
    signup_closed: "This server takes no new accounts.",
    username_taken: "This name is taken.",
    slug_taken: "This address is taken.",
    message_too_large: "it is too long.",
    queue_full: "too much waits to be sent.",
    left: "the room is gone.",
    other_user: "another account is signed in now.",
    protocol: "the page and the server do not understand each other.",
    no_such_room: "There is no such room.",
  },
};

export const tables = {en};

/** The first table that one of the person's languages has, and that language. */
export function choose(languages, available = tables) {
  for (const language of languages) {
    const base = language.toLowerCase().split("-")[0];
    if (Object.hasOwn(available, base)) return {language, table: available[base]};
  }
  return {language: "en", table: available.en};
}

/** Gives `say(key, values)`; a text with plurals takes its form by `values.count`. */
export function translator({language, table}) {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  const shown = (value) => (typeof value === "number" ? number.format(value) : value);
  return (key, values = {}) => {
    let text = key.split(".").reduce((part, name) => part?.[name], table);
    if (text === undefined) return key;
    if (typeof text !== "string") text = text[plural.select(values.count)] ?? text.other;
    return text.replace(/\{(\w+)\}/g, (_, name) => shown(values[name] ?? ""));
  };
}

const chosen = choose(globalThis.navigator?.languages ?? []);

export const language = chosen.language;
export const say = translator(chosen);

/** What to tell about an error: ours if there is one, else the server's own words. */
export function reason(error) {
  const key = `errors.${error.code}`;
  const text = say(key);
  return text === key ? error.message : text;
}

/** What is wrong with a field. The server says only in English which of its rules was broken. */
export function fault(field, message) {
  const key = `faults.${field}`;
  const text = say(key);
  return text === key ? message.charAt(0).toLocaleUpperCase() + message.slice(1) : text;
}

/** Puts the texts into the markup that names them. */
export function fillIn(root) {
  for (const node of root.querySelectorAll("[data-say]")) node.textContent = say(node.dataset.say);
  for (const node of root.querySelectorAll("[data-say-label]")) {
    node.setAttribute("aria-label", say(node.dataset.sayLabel));
    if (node.matches("button")) node.title = say(node.dataset.sayLabel);
  }
  for (const node of root.querySelectorAll("[data-say-placeholder]")) {
    node.placeholder = say(node.dataset.sayPlaceholder);
  }
}
