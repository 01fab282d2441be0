// From the parser's tree to nodes of the document. What people wrote becomes text nodes and, where
// it is a link, an `href` that `safeUrl` has passed; never markup.

import {parse} from "./markdown.js";
import {make} from "./dom.js";

const INLINE = {bold: "strong", italic: "em", struck: "s"};

/** The nodes of one message. */
export function rendered(text) {
  return parse(text).map(block);
}

function block(node) {
  switch (node.type) {
    case "codeBlock": {
      const shown = make("pre", {dir: "ltr", tabIndex: 0}, [make("code", {}, [node.text])]);
      return shown;
    }
    case "quote": return make("blockquote", {dir: "auto"}, node.children.map(block));
    case "list": {
      const items = node.items.map((children) => make("li", {}, children.map(inline)));
      if (!node.ordered) return make("ul", {dir: "auto"}, items);
      return make("ol", {dir: "auto", start: node.start}, items);
    }
    default: return make("p", {dir: "auto"}, node.children.map(inline));
  }
}

function inline(node) {
  switch (node.type) {
    case "text": return node.text;
    case "break": return make("br");
    case "code": return make("code", {dir: "ltr"}, [node.text]);
    case "link": return link(node);
    default: return make(INLINE[node.type], {}, node.children.map(inline));
  }
}

function link({href, children}) {
  const content = children.map(inline);
  // A room of this server opens here, anything else beside it and without a way back.
  const {origin, pathname} = new URL(href);
  const own = origin === location.origin && /^\/r\/[^/]+$/.test(pathname);
  const away = own ? {} : {target: "_blank", rel: "noopener noreferrer nofollow ugc"};
  return make("a", {href, title: href, ...away}, content);
}

/** The words of a message alone, at most so many letters of them. */
export function plain(text, most) {
  const letters = [...parse(text).map(words).join(" ").replace(/\s+/g, " ").trim()];
  return letters.length > most ? `${letters.slice(0, most).join("")}…` : letters.join("");
}

function words({type, text = "", children = [], items = []}) {
  if (type === "break") return " ";
  const inner = children.map(words).join(type === "quote" ? " " : "");
  return text + inner + items.map((item) => item.map(words).join("")).join(" ");
}
