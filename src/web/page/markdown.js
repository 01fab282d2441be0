// A safe subset of Markdown, parsed into a tree of plain objects and nothing else: what becomes of
// the tree is `render.js`'s business. Takes time in proportion to the text, whatever it is.
//
// Blocks: {type: "paragraph" | "quote" | "list" | "codeBlock", ...}. Inline: {type: "text" |
// "break" | "bold" | "italic" | "struck" | "code" | "link", ...}. What is not understood is text,
// and so are marks that people write for themselves, as in `2*3*4`, `snake_case` or `¯\_(ツ)_/¯`.

import {otherPlace, visible} from "./names.js";

/** Of one message; what follows is text, so that nobody can make the page slow for others. */
const MAX_NODES = 400;
const MAX_QUOTES = 4;
const MAX_NESTING = 6;
const FENCE = /^ {0,3}```\s*(?:([\w+#.-]+)\s*)?$/;
const FENCE_END = /^ {0,3}```\s*$/;
// A line may also begin with a face: `>:(`.
const QUOTE = /^ {0,3}>(?: |$|(?=[>\p{L}\p{N}]))/u;
const BULLET = /^ {0,3}[-*+] +(?=\S)/;
const NUMBER = /^ {0,3}(\d{1,9})[.)] +(?=\S)/;
const WORD = /[\p{L}\p{N}]/u;
// Of scripts that put spaces between words; in others emphasis may begin anywhere.
const SPACED = /[\p{Lu}\p{Ll}\p{N}]/u;
// What a name or a path in a program has before an underscore that is its own.
const CODE_BEFORE = /[\p{L}\p{N}./\\]/u;
const CODE_AFTER = /^(?:[\p{L}\p{N}]|[./(][\p{L}\p{N})])/u;
const URL_START = /https?:\/\//y;
const URL_BODY = /[^\s<>"`\\]{1,2049}/y;
const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const MAX_URL = 2048;

let left = 0; // How many nodes the message that is being parsed may still have.
let paired = new Set(); // The marks that it has more than once.

export function parse(text) {
  left = MAX_NODES;
  paired = new Set([..."*_`~"].filter((mark) => text.indexOf(mark) !== text.lastIndexOf(mark)));
  return blocks(text.split("\n"), 0);
}

// ---- blocks -------------------------------------------------------------------------------------

function blocks(lines, quotes) {
  const found = [];
  let at = 0;
  const take = (matches) => {
    const from = at;
    while (at < lines.length && matches(lines[at])) at += 1;
    return lines.slice(from, at);
  };
  let unclosed = false; // A fence without an end is text, and so are all after it.
  while (at < lines.length) {
    if (left <= 0) {
      const rest = {type: "text", text: lines.slice(at).join("\n")};
      found.push({type: "paragraph", children: [rest]});
      break;
    }
    left -= 1;
    const line = lines[at];
    const fence = unclosed ? null : FENCE.exec(line);
    if (fence) {
      let end = at + 1;
      while (end < lines.length && !FENCE_END.test(lines[end])) end += 1;
      unclosed = end === lines.length;
      if (!unclosed) {
        const code = lines.slice(at + 1, end).join("\n");
        found.push({type: "codeBlock", language: fence[1] ?? "", text: code});
        at = end + 1;
      }
      continue;
    }
    if (QUOTE.test(line) && quotes < MAX_QUOTES) {
      const quoted = take((other) => QUOTE.test(other)).map((other) => other.replace(QUOTE, ""));
      found.push({type: "quote", children: blocks(quoted, quotes + 1)});
    } else if (BULLET.test(line)) {
      found.push(list(take(itemOf(BULLET)), BULLET));
    } else if (NUMBER.test(line)) {
      const start = Number(NUMBER.exec(line)[1]);
      found.push({...list(take(itemOf(NUMBER)), NUMBER), ordered: true, start});
    } else if (line.trim() === "") {
      at += 1;
    } else {
      const quotable = quotes < MAX_QUOTES;
      const first = at;
      const own = (other) => at === first || (other.trim() !== "" && !BULLET.test(other) &&
        !NUMBER.test(other) && !(quotable && QUOTE.test(other)) &&
        (unclosed || !FENCE.test(other)));
      found.push({type: "paragraph", children: inline(take(own).join("\n"))});
    }
  }
  return found;
}

/** One at least: it is known of the first line that it is one. */
function itemOf(marker) {
  let taken = 0;
  return (line) => {
    if (!marker.test(line) || (taken > 0 && left <= 0)) return false;
    taken += 1;
    left -= 1;
    return true;
  };
}

function list(lines, marker) {
  const items = lines.map((line) => inline(line.replace(marker, "")));
  return {type: "list", ordered: false, items};
}

// ---- inline -------------------------------------------------------------------------------------

const SPANS = [
  {mark: "**", type: "bold"},
  {mark: "__", type: "bold", words: true},
  {mark: "*", type: "italic"},
  {mark: "_", type: "italic", words: true},
  {mark: "~~", type: "struck"},
];

function inline(text, depth = 0, inLink = false) {
  const found = [];
  const next = new Map(); // Where a mark is found next, -1 for nowhere: nothing is sought twice.
  let plain = "";
  const flush = () => {
    if (plain !== "") found.push({type: "text", text: plain});
    plain = "";
  };
  let at = 0;
  while (at < text.length) {
    const span = left > 0 ? special(text, at, depth, inLink, next) : null;
    if (span) {
      left -= 1;
      flush();
      found.push(span.node);
      at = span.end;
    } else {
      plain += text[at];
      at += 1;
    }
  }
  flush();
  return found;
}

/** What begins here, and where it ends. */
function special(text, at, depth, inLink, next) {
  switch (text[at]) {
    case "\n": return {node: {type: "break"}, end: at + 1};
    case "\\": return escaped(text, at, next);
    case "`": return code(text, at, next);
    case "[": return inLink || depth >= MAX_NESTING ? null : link(text, at, depth, next);
    case "h": return inLink ? null : bareLink(text, at);
    case "*": case "_": case "~":
      return depth >= MAX_NESTING ? null : emphasis(text, at, depth, inLink, next);
    default: return null;
  }
}

/** A backslash takes its meaning from a mark. Before what has none it stays. */
function escaped(text, at, next) {
  const mark = text[at + 1];
  if (mark === undefined || !isMark(text, at + 1, mark, next)) return null;
  return {node: {type: "text", text: mark}, end: at + 2};
}

/** Whether this could be one, but for the backslash before it. */
function isMark(text, at, mark, next) {
  const isFirst = at === 1 || text[at - 2] === "\n";
  switch (mark) {
    case ">": case "-": case "+": return isFirst;
    case "*": return isFirst || paired.has(mark);
    case "_": return paired.has(mark) &&
      (WORD.test(text[at + 1] ?? " ") || WORD.test(text[at - 2] ?? " "));
    case "[": return seek(text, "](", at, next) >= 0;
    case "]": return text[at + 1] === "(";
    default: return paired.has(mark);
  }
}

function seek(text, mark, from, next) {
  const known = next.get(mark);
  if (known !== undefined && (known < 0 || known >= from)) return known;
  const found = text.indexOf(mark, from);
  next.set(mark, found);
  return found;
}

function code(text, at, next) {
  let ticks = 1;
  while (text[at + ticks] === "`") ticks += 1;
  const mark = "`".repeat(Math.min(ticks, 3));
  if (ticks > 3) return {node: {type: "text", text: "`".repeat(ticks)}, end: at + ticks};
  const end = seek(text, mark, at + ticks, next);
  const content = end < 0 ? "" : text.slice(at + ticks, end);
  if (content === "" || content.includes("\n\n")) {
    return {node: {type: "text", text: mark}, end: at + ticks};
  }
  return {node: {type: "code", text: content}, end: end + mark.length};
}

function emphasis(text, at, depth, inLink, next) {
  for (const {mark, type, words} of SPANS) {
    if (!text.startsWith(mark, at)) continue;
    const from = at + mark.length;
    const before = text[at - 1] ?? " ";
    const after = text[from] ?? "";
    // Inside a word an underscore is a letter like others, and a star is a sign for times.
    if (words ? CODE_BEFORE.test(before) : SPACED.test(before) && SPACED.test(after)) continue;
    if (/^\s?$/.test(after)) continue;
    const end = closing(text, mark, from, words, next);
    if (end < 0) continue;
    const children = inline(text.slice(from, end), depth + 1, inLink);
    return {node: {type, children}, end: end + mark.length};
  }
  // A run of marks that begins nothing is text as a whole.
  let end = at;
  while (text[end] === text[at]) end += 1;
  return {node: {type: "text", text: text.slice(at, end)}, end};
}

function closing(text, mark, from, words, next) {
  const key = `end ${mark}`;
  if (next.has(key)) return -1;
  for (let end = text.indexOf(mark, from); end >= 0; end = text.indexOf(mark, end + 1)) {
    if (end === from || /[\s\\]/.test(text[end - 1])) continue;
    const single = mark.length === 1;
    if (single && (text[end + 1] === mark || text[end - 1] === mark)) continue;
    if (words && CODE_AFTER.test(text.slice(end + mark.length, end + mark.length + 2))) continue;
    // Of three marks in a row, the first ends what is within.
    return !single && text[end + 2] === mark[0] ? end + 1 : end;
  }
  next.set(key, -1);
  return -1;
}

function link(text, at, depth, next) {
  const middle = seek(text, "](", at + 1, next);
  const end = middle < 0 ? -1 : seek(text, ")", middle + 2, next);
  // A bracket within is no label: known without a look at all that is between.
  const inner = text.indexOf("[", at + 1);
  if (end < 0 || (inner >= 0 && inner < middle)) return null;
  const label = visible(text.slice(at + 1, middle));
  if (label === "" || /[\]\n]|\\$/.test(label)) return null;
  const href = safeUrl(text.slice(middle + 2, end));
  if (!href) return null;
  const children = inline(label, depth + 1, true);
  return {node: linkTo(href, shown(children), children), end: end + 1};
}

/** What is to be seen of it: marks in a label hide no name. */
function shown(nodes) {
  return nodes.map(({text, children = []}) => text ?? shown(children)).join("");
}

function bareLink(text, at) {
  URL_START.lastIndex = at;
  if (!URL_START.test(text) || WORD.test(text[at - 1] ?? " ")) return null;
  URL_BODY.lastIndex = at;
  const found = trimmed(URL_BODY.exec(text)[0]);
  const href = safeUrl(found);
  const label = {type: "text", text: href && visible(found) !== found ? href : found};
  return {node: href ? linkTo(href, found, [label]) : label, end: at + found.length};
}

/** Where it leads is told, if its label tells otherwise. */
function linkTo(href, label, children) {
  const place = otherPlace(label, href);
  if (place !== null) children.push({type: "text", text: ` (${place})`});
  return {type: "link", href, children};
}

/** Without what ends the sentence rather than the address. */
function trimmed(url) {
  let end = url.length;
  let surplus = 0; // Of closing brackets.
  for (const letter of url) surplus += letter === ")" ? 1 : letter === "(" ? -1 : 0;
  while (end > 0) {
    const last = url[end - 1];
    if (last === ")" && surplus > 0) surplus -= 1;
    else if (!".,;:!?'*_~]".includes(last)) break;
    end -= 1;
  }
  return url.slice(0, end);
}

/** As an absolute address of a harmless kind, or `null`. A name before the host is only there to be
 * taken for it. */
export function safeUrl(text) {
  if (text.length > MAX_URL || /[\s\u0000-\u001f]/.test(text)) return null;
  try {
    const url = new URL(text);
    return SCHEMES.has(url.protocol) && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}
