// One message as an item of the list. What stands around it (day, author, mark) follows from its
// neighbours and from what became of it, and is set by whoever owns the list.

import {icon, initial, make} from "./dom.js";
import {rendered} from "./render.js";
import {clock, dayName, fullTime} from "./times.js";
import {say} from "./words.js";

/** What is longer is folded until somebody asks for it. */
const FOLD_LETTERS = 2400;
const FOLD_LINES = 30;

/** `message` is the protocol's; of one that has no place yet, `seq` is missing. */
export function messageItem(message, isOwn) {
  const time = make("time");
  tellTime(time, message.at);
  const name = make("bdi", {className: "name"}, [message.username]);
  const avatar = make("span", {className: "avatar"}, [initial(message.username)]);
  avatar.setAttribute("aria-hidden", "true");
  const body = make("div", {className: "body"}, rendered(message.message));
  const by = make("p", {className: "by"}, [name, time]);
  const said = make("div", {className: "said"}, [by, body]);
  if (isLong(message.message)) fold(body);
  const line = make("div", {className: "line"}, [avatar, said]);
  const item = make("li", {className: "message"}, [line]);
  item.classList.toggle("own", isOwn);
  place(item, message);
  return item;
}

function isLong(text) {
  return text.length > FOLD_LETTERS || text.split("\n", FOLD_LINES + 1).length > FOLD_LINES;
}

function fold(body) {
  const button = make("button", {type: "button", className: "link unfold"});
  const show = (isFolded) => {
    body.classList.toggle("folded", isFolded);
    button.textContent = say(isFolded ? "talk.showAll" : "talk.showLess");
    button.setAttribute("aria-expanded", String(!isFolded));
  };
  button.addEventListener("click", () => show(!body.classList.contains("folded")));
  show(true);
  body.after(button);
}

/** Its seq, and when it was said by the server's clock, once it has them. */
export function place(item, {seq, at}) {
  if (seq === undefined) return;
  item.id = `m-${seq}`;
  item.dataset.seq = seq;
  tellTime(item.querySelector("time"), at);
}

function tellTime(time, at) {
  const date = new Date(at);
  Object.assign(time, {dateTime: date.toISOString(), title: fullTime(date)});
  time.textContent = clock(date);
}

export function stand(item, {day, head}, {at, isFirstNew}) {
  item.classList.toggle("head", head || isFirstNew);
  line(item, "day", day ? dayName(at) : null);
  line(item, "fresh", isFirstNew ? say("talk.fresh") : null);
}

function line(item, kind, text) {
  const drawn = item.querySelector(`:scope > .${kind}`);
  if (text === null) return drawn?.remove();
  if (drawn) {
    if (drawn.textContent !== text) drawn.firstElementChild.textContent = text;
    return undefined;
  }
  const made = make("p", {className: `rule ${kind}`}, [make("span", {}, [text])]);
  return item.querySelector(":scope > .line").before(made);
}

/** `sending`, `heard`, `safe` or `refused`. */
export function mark(item, state) {
  if (item.dataset.state === state) return;
  item.dataset.state = state;
  item.querySelector(".mark")?.remove();
  if (state === "refused") return;
  const text = say(`talk.${state}`);
  const word = make("span", {className: "unseen"}, [text]);
  const drawn = make("span", {className: "mark", title: text}, [icon(state), word]);
  item.querySelector(".line").append(drawn);
}

/** Why it was not sent, and what can be done about it. */
export function refuse(item, why, {again, edit, discard}) {
  mark(item, "refused");
  const button = (key, action) => {
    const made = make("button", {type: "button", className: "quiet", textContent: say(key)});
    made.addEventListener("click", action);
    return made;
  };
  const text = make("span", {}, [say("talk.refused", {reason: why})]);
  const actions = {"app.retry": again, "talk.edit": edit, "talk.discard": discard};
  const buttons = Object.entries(actions).map(([key, action]) => button(key, action));
  const told = make("p", {className: "refusal"}, [icon("refused"), text, ...buttons]);
  item.querySelector(".said").append(told);
}
